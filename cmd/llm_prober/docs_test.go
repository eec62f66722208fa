package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/llmprober/llm_prober/config"
)

// documents lists the README and every page of docs, by their paths from the root of the repository.
func documents(t *testing.T) []string {
	t.Helper()
	pages := []string{"README.md"}
	err := filepath.WalkDir(filepath.Join(repository, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".md" {
			pages = append(pages, strings.TrimPrefix(filepath.ToSlash(path), repository+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// repository is the root of the repository, from the folder of this package.
const repository = "../.."

// TestDocumentedConfigurations keeps the configurations of the README and the documents ones that the program takes without a warning,
// unless the page shows it: those that are whole, and ramps alone, which are for the README's targets. Each how-to about a server has
// a whole one.
func TestDocumentedConfigurations(t *testing.T) {
	block := regexp.MustCompile("(?s)(?:<!-- file: ([^ ]+) -->\n)?```yaml\n(.*?)```")
	whole := regexp.MustCompile(`(?m)^probes:`)
	targets := regexp.MustCompile(`(?m)^(targets|target_files|http_sd):`)
	ramps := []byte("ramps:\n")
	var readme []byte // its first whole configuration; it is the first page
	anyKey := func(string) (string, bool) { return "a key", true }
	for _, page := range documents(t) {
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, m := range block.FindAllSubmatch(text, -1) {
			name, content := string(m[1]), m[2]
			switch {
			case whole.Match(content) && targets.Match(content):
				found++
				if readme == nil {
					readme = content
				}
			case name == "llm_prober.yml":
				t.Errorf("%s: the file %s is no whole configuration", page, name)
				continue
			case bytes.HasPrefix(content, ramps):
				content = slices.Concat(readme, content)
			default: // another part of one, or Prometheus' own
				continue
			}
			c, err := config.Parse(page, content, config.Options{LookupEnv: anyKey})
			if err != nil {
				t.Error(err)
				continue
			}
			for _, w := range c.Warnings() {
				if !bytes.Contains(text, []byte(w.Message)) {
					t.Errorf("%s: a reader is warned of this, and the page does not show it: %v", page, w)
				}
			}
		}
		if strings.HasPrefix(page, "docs/howto/") && found == 0 {
			t.Errorf("%s: no whole configuration", page)
		}
	}
}

// TestDocumentLinks keeps the links between the documents: a file or a folder that is there, and in it the heading.
func TestDocumentLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s#]*)(?:#([^)\s]*))?\)`)
	headings := map[string]map[string]bool{}
	prose := map[string][]string{}
	for _, page := range documents(t) {
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Fatal(err)
		}
		headings[page] = map[string]bool{}
		fenced := false
		for line := range strings.Lines(string(text)) {
			switch {
			case strings.HasPrefix(strings.TrimSpace(line), "```"):
				fenced = !fenced
			case fenced:
			case strings.HasPrefix(line, "#"):
				headings[page][anchor(headings[page], strings.TrimLeft(line, "# "))] = true
				fallthrough
			default:
				prose[page] = append(prose[page], line)
			}
		}
	}
	for page, lines := range prose {
		for _, line := range lines {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				file, heading := m[1], m[2]
				if strings.Contains(file, "://") || strings.HasPrefix(file, "mailto:") {
					continue
				}
				to := page
				if file != "" {
					to = path.Join(path.Dir(page), file)
				}
				if _, err := os.Stat(filepath.Join(repository, to)); err != nil {
					t.Errorf("%s: there is no %s", page, file)
				} else if known, isPage := headings[to]; heading != "" && isPage && !known[heading] {
					t.Errorf("%s: %s has no heading #%s", page, to, heading)
				}
			}
		}
	}
}

// anchor is the name under which GitHub finds a heading: small letters, digits, hyphens and underscores, spaces as hyphens,
// and a number behind one that was there before.
func anchor(before map[string]bool, heading string) string {
	heading = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(strings.TrimSpace(heading), "$1")
	name := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
	unique := name
	for n := 1; before[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", name, n)
	}
	return unique
}

func TestAnchor(t *testing.T) {
	for _, tt := range [][2]string{
		{"How it is read", "how-it-is-read"},
		{"`targets[].budget`", "targetsbudget"},
		{"On `/metrics`", "on-metrics"},
		{"`llm_probe_up`", "llm_probe_up"},
		{"Time, and [why](a.md) so", "time-and-why-so"},
		{"What to do", "what-to-do-1"},
	} {
		if got := anchor(map[string]bool{"what-to-do": true}, tt[0]); got != tt[1] {
			t.Errorf("anchor(%q) = %q; want %q", tt[0], got, tt[1])
		}
	}
}

// TestReadmeMetrics keeps the metrics that the README names ones that exist.
func TestReadmeMetrics(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	reference, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile("`(llm_[a-z_]+)[`{]").FindAllSubmatch(readme, -1) {
		if string(name[1]) != "llm_prober" && !bytes.Contains(reference, name[1]) {
			t.Errorf("%s is not in docs/metrics.md", name[1])
		}
	}
}

// TestHelp holds each command's help to one screen with an example.
func TestHelp(t *testing.T) {
	const screen = 60 // lines; a tall terminal, since every command has the log's flags, and run those of the GPU collector
	var overview bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, &overview, &overview); code != exitOK {
		t.Fatalf("--help exits with %d", code)
	}
	for _, name := range []string{"run", "demo", "probe", "check-config", "simulate", "ramp", "compare", "gate", "rules", "runs list", "runs show", "baseline save"} {
		if !strings.Contains(overview.String(), "\n  "+name+" ") {
			t.Errorf("the overview does not have %s:\n%s", name, overview.String())
		}
		var help bytes.Buffer
		if code := run(t.Context(), append(strings.Fields(name), "--help"), &help, &help); code != exitOK {
			t.Errorf("%s --help exits with %d", name, code)
		}
		if lines := strings.Count(help.String(), "\n"); lines > screen {
			t.Errorf("%s --help has %d lines; want %d at most", name, lines, screen)
		}
		if !strings.Contains(help.String(), "\n  llm_prober ") {
			t.Errorf("%s --help shows no example:\n%s", name, help.String())
		}
	}
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--nonsense"}, exitUsage, "unknown long flag"},
		{[]string{"nonsense"}, exitUsage, "nonsense"},
		{[]string{"probe"}, exitUsage, "--model"},
		{[]string{"probe", "--url=x", "--model=m"}, exitFailed, "http://HOST"},
		{[]string{"probe", "--url=http://x/v1", "--model=m", "--prompt-tokens=20-"}, exitUsage, "20-60"},
		{[]string{"probe", "--url=http://x/v1", "--model=m", "-n", "0"}, exitFailed, "at least 1"},
		{[]string{"probe", "--url=http://x/v1", "--model=m", "--timeout=-1s"}, exitFailed, "--timeout=-1s"},
		{[]string{"probe", "--url=http://x/v1", "--model=m", "--connect-timeout=-1ms"}, exitFailed, "--connect-timeout=-1ms"},
		{[]string{"probe", "--url=http://x/v1", "--model=m", "--first-token-timeout=-1s"}, exitFailed, "--first-token-timeout=-1s"},
		{[]string{"probe", "--url=http://x/v1", "--model=m", "--idle-timeout=-1s"}, exitFailed, "--idle-timeout=-1s"},
		{[]string{"gate", "--target="}, exitUsage, "--target"},
		{[]string{"gate", "--target=x", "--wait=-1s"}, exitUsage, "--wait"},
		{[]string{"gate", "--target=x", "--max-age=-1s"}, exitUsage, "--max-age"},
		{[]string{"gate", "--target=x", "--url=ftp://x"}, exitUsage, "--url=ftp://x"},
		{[]string{"gate", "--target=x", "--url=http://me:canary@x"}, exitUsage, "--http.config.file"},
		{[]string{"ramp", "soak", "--ramp.claims=claims"}, exitUsage, "--ramp.claims"},
		{[]string{"ramp", "soak", "--collector.gpu.only"}, exitUsage, "--collector.gpu.only"},
		{[]string{"check-config", "no-such-file.yml"}, exitFailed, "no-such-file.yml"},
		{[]string{"--config.file=no-such-file.yml"}, exitFailed, "no-such-file.yml"},
		{[]string{"simulate", "--fault=reset=3:x"}, exitFailed, "share"},
		{[]string{"simulate", "--fault=nonsense"}, exitFailed, "nonsense"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), tt.args, &stdout, &stderr); code != tt.code || !strings.Contains(stderr.String(), tt.says) || strings.Contains(stderr.String(), "canary") {
				t.Errorf("exit code %d, says %q; want %d and %q", code, stderr.String(), tt.code, tt.says)
			}
		})
	}
}

func TestCheckConfig(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"check-config", "../../config/llm_prober.example.yml"}, &stdout, &stderr); code != exitOK {
		t.Errorf("the example: exit code %d: %s", code, stderr.String())
	}
	bad := t.TempDir() + "/bad.yml"
	if err := os.WriteFile(bad, []byte("probes: {a: {prompt_tokens: 0, max_output_tokens: 1, interval: 1s}}\ntargets: []\nnonsense: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stderr.Reset()
	code := run(t.Context(), []string{"check-config", bad}, &stdout, &stderr)
	for _, want := range []string{"bad.yml:1:", "bad.yml:3:1", "^"} {
		if code != exitFailed || !strings.Contains(stderr.String(), want) {
			t.Errorf("a bad file: exit code %d: %s; want 1 and %q", code, stderr.String(), want)
		}
	}
}
