package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kingpin/v2"
	gocmp "github.com/google/go-cmp/cmp"
)

//go:generate go test -ldflags=-extldflags=-Wl,-z,lazy -count=1 -run ^TestReference$ . -update

var update = flag.Bool("update", false, "rewrite docs/cli.md")

// TestReference keeps docs/cli.md what the command line itself says.
func TestReference(t *testing.T) {
	const page = "../../docs/cli.md"
	want, err := reference()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("docs/cli.md is stale; cure: make generate (-want +got):\n%s", diff)
	}
}

// TestExamplesOfHelp has the program understand each example in the help of its commands.
func TestExamplesOfHelp(t *testing.T) {
	app, _, _ := newApp()
	for _, cmd := range app.Model().FlattenedCommands() {
		if cmd.Hidden {
			continue
		}
		_, examples, _ := helpOf(cmd)
		if len(examples) == 0 {
			t.Errorf("the help of %s has no example", cmd.FullCommand)
		}
		for _, example := range examples {
			args := strings.Fields(regexp.MustCompile(` [>|] .*`).ReplaceAllString(example, "")) // not what the shell does with it
			app, _, _ := newApp()
			name, err := app.Parse(args[1:])
			if err != nil || name != cmd.FullCommand {
				t.Errorf("%s: the program takes it for %q: %v", example, name, err)
			}
		}
	}
}

// TestEnvironment keeps the variables that docs/cli.md tells of those that the program reads by name.
func TestEnvironment(t *testing.T) {
	read := map[string]bool{}
	for _, folder := range []string{".", "../../collector", "../../config", "../../internal", "../../prober"} {
		err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range regexp.MustCompile(`(?i:getenv|lookupenv)\("([A-Z_]+)"\)`).FindAllSubmatch(text, -1) {
				read[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(read) == 0 {
		t.Error("the program reads no variable at all")
	}
	for name := range read {
		if !strings.Contains(environmentText, "`"+name+"`") {
			t.Errorf("docs/cli.md does not tell of %s, which the program reads", name)
		}
	}
}

const introduction = `# The command line

<!-- Written by go generate ./cmd/llm_prober from the program's own flags and help; edit those. -->

` + "`llm_prober COMMAND --help`" + ` says the same on a screen. Flags stand behind their command, and are written as ` + "`--name=value`" + `
or ` + "`--name value`" + `; those that are on or off as ` + "`--name`" + ` and ` + "`--no-name`" + `. Durations are written as Go has them: ` + "`1h30m`, `500ms`" + `.
What is asked, of whom and how often is no matter of flags but of the [configuration](configuration.md).

What commands find goes to the standard output, what happens meanwhile to the log, which is the standard error.
`

const environmentText = `## Environment

No flag can be set by a variable. These are read:

| variable | what for |
|---|---|
| any that the configuration names | secrets, as [configuration.md](configuration.md#secrets) says |
| ` + "`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`" + ` | where ` + "`proxy_from_environment`" + ` asks for them, and nowhere else |
| ` + "`NVIDIA_VISIBLE_DEVICES`" + ` | how many GPUs a container ought to see |
| ` + "`KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT`" + ` | where Leases are kept, for ` + "`--ramp.claims=kubernetes`" + ` |
| ` + "`LISTEN_PID`, `LISTEN_FDS`" + ` | sockets of systemd, for ` + "`--web.systemd-socket`" + ` |
| ` + "`GOMEMLIMIT`, `GOMAXPROCS`, `GOGC`, `GODEBUG`" + ` | Go's own |
`

// reference is docs/cli.md.
func reference() (string, error) {
	app, _, _ := newApp()
	model := app.Model()
	codes, err := exitCodes()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(introduction)
	b.WriteString("\n| command | |\n|---|---|\n")
	var commands []*kingpin.CmdModel
	for _, cmd := range model.FlattenedCommands() {
		if !cmd.Hidden {
			commands = append(commands, cmd)
			fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", cmd.FullCommand, strings.ReplaceAll(cmd.FullCommand, " ", "-"), cell(cmd.Help))
		}
	}
	b.WriteString("\n## Flags of all commands\n\n")
	writeFlags(&b, model.Flags)
	for _, cmd := range commands {
		fmt.Fprintf(&b, "\n## %s\n\n", cmd.FullCommand)
		usage := []string{"llm_prober", cmd.FullCommand}
		if len(cmd.Flags) > 0 {
			usage = append(usage, "[FLAGS]")
		}
		for _, arg := range cmd.Args {
			word := strings.ToUpper(arg.Name)
			if repeatable(arg.Value) {
				word += "..."
			}
			if !arg.Required {
				word = "[" + word + "]"
			}
			usage = append(usage, word)
		}
		text, examples, after := helpOf(cmd)
		fmt.Fprintf(&b, "`%s`\n\n%s\n", strings.Join(usage, " "), cmd.Help)
		if len(cmd.Aliases) > 0 {
			fmt.Fprintf(&b, "Also called `%s`.\n", strings.Join(cmd.Aliases, "`, `"))
		}
		if text != "" {
			fmt.Fprintf(&b, "\n%s\n", text)
		}
		if len(examples) > 0 {
			fmt.Fprintf(&b, "\n<!-- not run: a test has the program take it apart; other pages run such commands -->\n\n```sh\n%s\n```\n", strings.Join(examples, "\n"))
		}
		if after != "" {
			fmt.Fprintf(&b, "\n%s\n", after)
		}
		if len(cmd.Args) > 0 {
			b.WriteString("\n| argument | default | |\n|---|---|---|\n")
			for _, arg := range cmd.Args {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.ToUpper(arg.Name), values(arg.Default, arg.Required), cell(arg.HelpWithEnvar()))
			}
		}
		if len(cmd.Flags) > 0 {
			b.WriteString("\n")
			writeFlags(&b, cmd.Flags)
		}
	}
	b.WriteString("\n## Exit codes\n\n| code | meaning |\n|---|---|\n")
	for _, c := range codes {
		fmt.Fprintf(&b, "| %d | %s |\n", c.code, cell(c.meaning))
	}
	b.WriteString("\nThose from 3 on are verdicts: of `ramp` and `compare` up to 8, of `gate` 9 and 10. The log or the standard output says more.\n\n")
	b.WriteString(environmentText)
	return b.String(), nil
}

// writeFlags writes a table of flags.
func writeFlags(b *strings.Builder, flags []*kingpin.FlagModel) {
	b.WriteString("| flag | default | |\n|---|---|---|\n")
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		name, defaults := "--"+f.Name, f.Default
		switch {
		case f.IsBoolFlag():
			if len(defaults) == 0 && f.Name != "help" && f.Name != "version" {
				defaults = []string{"false"}
			}
		case f.PlaceHolder != "":
			name += "=" + f.PlaceHolder
		case len(f.Default) == 0:
			name += "=" + strings.ToUpper(f.Name[strings.LastIndexByte(f.Name, '.')+1:])
		}
		name = "`" + name + "`"
		if f.Short != 0 {
			name += ", `-" + string(f.Short) + "`"
		}
		if repeatable(f.Value) {
			name += ", repeatable"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, values(defaults, f.Required), cell(f.HelpWithEnvar()))
	}
}

// values are defaults as a table shows them.
func values(defaults []string, required bool) string {
	var shown []string
	for _, d := range defaults {
		if d != "" {
			shown = append(shown, "`"+d+"`")
		}
	}
	if required {
		shown = append(shown, "required")
	}
	return strings.Join(shown, ", ")
}

// repeatable is whether a flag or argument may be given several times.
func repeatable(v kingpin.Value) bool {
	c, ok := v.(interface{ IsCumulative() bool })
	return ok && c.IsCumulative()
}

// cell is text for a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\n", " "), "|", `\|`)
}

// helpOf takes a command's long help apart: text, examples, which are indented, and what stands after them.
func helpOf(cmd *kingpin.CmdModel) (text string, examples []string, after string) {
	var before, behind []string
	for line := range strings.SplitSeq(cmd.HelpLong, "\n") {
		switch example, ok := strings.CutPrefix(line, "  "); {
		case ok:
			examples = append(examples, example)
		case len(examples) > 0:
			behind = append(behind, line)
		default:
			before = append(before, line)
		}
	}
	return strings.TrimSpace(strings.Join(before, "\n")), examples, strings.TrimSpace(strings.Join(behind, "\n"))
}

// exitCode is one of those that processes end with.
type exitCode struct {
	code    int
	meaning string
}

// exitCodes are the constants of this package that are called exit..., and the comments behind them.
func exitCodes() ([]exitCode, error) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		return nil, err
	}
	var codes []exitCode
	var errs []error
	fset := token.NewFileSet()
	for _, name := range files {
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.CONST {
				continue
			}
			for _, s := range decl.Specs {
				spec := s.(*ast.ValueSpec) // so are all of a const declaration
				if !strings.HasPrefix(spec.Names[0].Name, "exit") || len(spec.Values) != 1 {
					continue
				}
				value, ok := spec.Values[0].(*ast.BasicLit)
				if !ok {
					continue
				}
				code, err := strconv.Atoi(constant.MakeFromLiteral(value.Value, value.Kind, 0).ExactString())
				meaning := strings.TrimSpace(spec.Comment.Text())
				if err != nil || meaning == "" {
					errs = append(errs, fmt.Errorf("%s: want a number with a comment that says what it means", fset.Position(spec.Pos())))
				}
				codes = append(codes, exitCode{code, meaning})
			}
		}
	}
	slices.SortFunc(codes, func(a, b exitCode) int { return cmp.Compare(a.code, b.code) })
	for i, c := range codes {
		if c.code != i {
			errs = append(errs, fmt.Errorf("exit codes are not 0, 1, 2 and so on: %v", codes))
			break
		}
	}
	return codes, errors.Join(errs...)
}
