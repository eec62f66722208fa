package house

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// foldersAreNouns: a folder that could hold anything ends up holding everything.
func foldersAreNouns(t *tree) (found []string) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "lib", "pkg"}
	for _, p := range t.packages {
		for _, part := range append(strings.Split(p.dir, "/"), p.name) {
			if slices.Contains(vague, part) {
				found = append(found, fmt.Sprintf("%s: a package or folder called %s", p.dir, part))
				break
			}
		}
	}
	return found
}

// mainIsShort: a main.go of at most limit lines, with func main and nothing that deserves a test.
func mainIsShort(limit int) func(*tree) []string {
	return func(t *tree) (found []string) {
		for _, p := range t.packages {
			if ok, _ := path.Match("cmd/*", p.dir); !ok {
				continue
			}
			main := path.Join(p.dir, "main.go")
			text, ok := t.texts[main]
			if lines := strings.Count(text, "\n"); !ok {
				found = append(found, p.dir+": no main.go")
			} else if lines > limit {
				found = append(found, fmt.Sprintf("%s: %d lines", main, lines))
			}
		}
		return found
	}
}

// noInit: what happens at import time cannot be ordered, configured or tested.
func noInit(t *tree) (found []string) {
	for _, p := range t.packages {
		for _, f := range p.all() {
			for _, d := range f.ast.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					found = append(found, f.at(fn)+": func init")
				}
			}
		}
	}
	return found
}
