package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	page, err := Parse("p.md", []byte(strings.ReplaceAll(`# Title

Text with llm_prober in it, wrapped so that a line begins with
make test or go test, is no command.

'''sh
one   # a comment

two \
  --flag
cat <<END
text
END
'''

<!-- file: dir/a.yml -->
<!-- some other comment -->

'''yaml
a: 1
'''

- in a list:

  '''console
  $ three
  3 things
  ...
  $ four |
  >   five
  '''

<!-- not run: needs Docker -->
'''sh
docker run x
'''

<!-- in: the repository -->
<!-- exit: 3 -->
'''sh
six
'''

<!-- background: localhost:80 -->
'''sh
seven
'''

'''sh
eight --url='a&b' &   # goes on
nine 2>&1
'''

'''json
{"a": 1}
{"b": 2}
'''
`, "'''", "```")), complete)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range page.Steps {
		got = append(got, fmt.Sprintf("%d %q %q repo=%t bg=%t/%s exit=%d %q", s.Line, s.File, s.Text, s.InRepository, s.Background, s.Until, s.Exit, s.Shown))
	}
	want := []string{
		`7 "" "one   # a comment" repo=false bg=false/ exit=0 []`,
		`9 "" "two \\\n  --flag" repo=false bg=false/ exit=0 []`,
		`11 "" "cat <<END\ntext\nEND" repo=false bg=false/ exit=0 []`,
		`19 "dir/a.yml" "a: 1\n" repo=false bg=false/ exit=0 []`,
		`26 "" "three" repo=false bg=false/ exit=0 ["3 things" "..."]`,
		`29 "" "four |\n  five" repo=false bg=false/ exit=0 []`,
		`41 "" "six" repo=true bg=false/ exit=3 []`,
		`46 "" "seven &" repo=false bg=true/localhost:80 exit=0 []`,
		`50 "" "eight --url='a&b' &   # goes on" repo=false bg=true/ exit=0 []`,
		`51 "" "nine 2>&1" repo=false bg=false/ exit=0 []`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("steps:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(page.Skipped) != 1 || page.Skipped[0].Reason != "needs Docker" || page.InRepository {
		t.Errorf("skipped %v, in the repository %t; want one, false", page.Skipped, page.InRepository)
	}
	if len(page.YAML) != 1 {
		t.Errorf("%d blocks of YAML; want 1", len(page.YAML))
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ name, page, want string }{
		{"indented command", "text\n\n    llm_prober demo\n", "p.md:3: a command outside"},
		{"indented prompt", "text\n\n    $ ls\n", "p.md:3: a command outside"},
		{"second line of an indented block", "text\n\n    # so\n    make demo\n", "p.md:4: a command outside"},
		{"block without a language", "'''\ncurl localhost\n'''\n", "p.md:2: a command in a block"},
		{"no reason", "<!-- not run: -->\n'''sh\nx\n'''\n", "p.md:1: not run: want a reason"},
		{"unknown mark", "<!-- do not run -->\n'''sh\nx\n'''\n", `"do not run" is no mark`},
		{"mark without a block", "<!-- not run: x -->\ntext\n'''sh\nx\n'''\n", "p.md:1: a mark without a block"},
		{"mark at the end", "text\n<!-- background -->\n", "p.md:2: a mark without a block"},
		{"file outside", "<!-- file: ../x -->\n'''yaml\nx: 1\n'''\n", "p.md:1: file: want a name inside"},
		{"open block", "'''sh\nx\n", "p.md:1: the block is not closed"},
		{"open quote", "'''sh\nfine\necho 'x\n'''\n", "p.md:3: the command does not end"},
		{"not bash", "'''sh\nfine\n)\n'''\n", "p.md:3: bash cannot read it"},
		{"output first", "'''console\nx\n'''\n", "p.md:2: output without a command"},
		{"no JSON", "'''json\n{a}\n'''\n", "p.md:1: it is no JSON"},
		{"empty", "'''sh\n# nothing\n'''\n", "p.md:1: there is no command"},
		{"elsewhere", "text\n<!-- in: my home -->\n'''sh\nx\n'''\n", "p.md:2: in: my home: want"},
		{"exit in the background", "text\n<!-- exit: 1 -->\n'''sh\nx &\n'''\n", "p.md:2: exit: want"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("p.md", []byte(strings.ReplaceAll(tt.page, "'''", "```")), complete)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse(...) = %v; want %q in it", err, tt.want)
			}
		})
	}
}

func TestWholePageInTheRepository(t *testing.T) {
	page, err := Parse("p.md", []byte("# Title\n\n<!-- in: the repository -->\n\nText.\n\n```sh\nx\n```\n"), complete)
	if err != nil || !page.InRepository || !page.Steps[0].InRepository {
		t.Errorf("Parse(...) = %+v, %v; want a page in the repository", page, err)
	}
}

// TestPages keeps the pages of this repository ones that can be followed.
func TestPages(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	paths, err := pagesOf(root)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := read(root, paths)
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, p := range pages {
		for _, s := range p.Steps {
			if s.File == "" {
				commands++
			}
		}
	}
	if commands < 10 {
		t.Errorf("%d commands in README and docs; want 10 or more", commands)
	}
}

func TestMain(m *testing.M) {
	switch {
	case os.Getenv("DOCS_TEST_SERVER") != "":
		serve()
	case os.Getenv(alone) != "":
		main()
	default:
		os.Exit(m.Run())
	}
}
