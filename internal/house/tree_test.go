package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// tree is the repository as the rules see it: all text, and the Go packages of the main module.
type tree struct {
	module   string
	texts    map[string]string // by path; no binaries, no build outputs
	paths    []string          // of all files but build outputs
	packages []*pkg            // by folder, ascending
}

// pkg is the Go files of one folder. Files that are never built (//go:build ignore) are not among them.
type pkg struct {
	dir   string // relative to the root, with slashes; "." is the root
	name  string // of the files that are no tests
	files []*file
	tests []*file
}

type file struct {
	path string
	fset *token.FileSet
	ast  *ast.File
}

// at is where n begins, as path:line.
func (f *file) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(n.Pos()).Line)
}

// all is the package's files and tests.
func (p *pkg) all() []*file { return slices.Concat(p.files, p.tests) }

// within tells whether the folder or import path p is root or lies below it.
func within(p, root string) bool {
	return p == root || strings.HasPrefix(p, root+"/")
}

// imported is one import of one file.
type imported struct {
	at   string // path:line
	path string // in full
	ours string // the folder, if it is a package of this module; "" if not
}

// imports lists the imports of p's files, tests left out.
func (t *tree) imports(p *pkg) []imported {
	var list []imported
	for _, f := range p.files {
		for _, spec := range f.ast.Imports {
			i := imported{at: f.at(spec)}
			i.path, _ = strconv.Unquote(spec.Path.Value)
			if i.path == t.module {
				i.ours = "."
			} else if dir, ok := strings.CutPrefix(i.path, t.module+"/"); ok {
				i.ours = dir
			}
			list = append(list, i)
		}
	}
	return list
}

// load reads a tree. The Go files of nested modules and of testdata count as text only.
func load(fsys fs.FS) (*tree, error) {
	t := &tree{texts: map[string]string{}}
	byDir := map[string]*pkg{}
	var foreign []string // folders whose Go files are not of the main module
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch p {
			case ".git", "bin", "dist", "bench/results":
				return fs.SkipDir
			}
			_, err := fs.Stat(fsys, path.Join(p, "go.mod"))
			hidden := p != "." && strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")
			if hidden || d.Name() == "testdata" || p != "." && err == nil {
				foreign = append(foreign, p)
			}
			return nil
		}
		if p == ".git" || !d.Type().IsRegular() { // a linked work tree has a file of that name
			return nil
		}
		t.paths = append(t.paths, p)
		content, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		if bytes.IndexByte(content[:min(len(content), 8000)], 0) >= 0 {
			return nil
		}
		t.texts[p] = string(content)
		isForeign := func(dir string) bool { return within(p, dir) }
		if path.Ext(p) != ".go" || slices.ContainsFunc(foreign, isForeign) {
			return nil
		}
		f := &file{path: p, fset: token.NewFileSet()}
		f.ast, err = parser.ParseFile(f.fset, p, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if neverBuilt(f.ast) {
			return nil
		}
		dir := path.Dir(p)
		if byDir[dir] == nil {
			byDir[dir] = &pkg{dir: dir}
			t.packages = append(t.packages, byDir[dir])
		}
		if strings.HasSuffix(p, "_test.go") {
			byDir[dir].tests = append(byDir[dir].tests, f)
		} else {
			byDir[dir].name = f.ast.Name.Name
			byDir[dir].files = append(byDir[dir].files, f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(t.texts["go.mod"]) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			t.module = strings.TrimSpace(name)
		}
	}
	if t.module == "" {
		return nil, fmt.Errorf("go.mod: no module line")
	}
	slices.SortFunc(t.packages, func(a, b *pkg) int { return strings.Compare(a.dir, b.dir) })
	return t, nil
}

// neverBuilt tells whether f is a script to go run, which shares a folder with a package.
func neverBuilt(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() < f.Package && c.Text == "//go:build ignore" {
				return true
			}
		}
	}
	return false
}
