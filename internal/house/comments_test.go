package house

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// packagesAreDocumented: one package comment each, in the form that go doc expects.
func packagesAreDocumented(t *tree) (found []string) {
	for _, p := range t.packages {
		if len(p.files) == 0 {
			continue
		}
		var where []string
		for _, f := range p.files {
			if f.ast.Doc == nil {
				continue
			}
			where = append(where, f.path)
			text := f.ast.Doc.Text()
			forms := []string{"Package " + p.name + " "}
			if p.name == "main" {
				command := path.Base(p.dir)
				forms = []string{"Command " + command + " ", command + " ", strings.ToUpper(command[:1]) + command[1:] + " "}
			}
			begins := func(form string) bool { return strings.HasPrefix(text, form) }
			if !slices.ContainsFunc(forms, begins) {
				found = append(found, fmt.Sprintf("%s: the package comment does not begin with %q", f.path, forms[0]))
			}
		}
		switch len(where) {
		case 0:
			found = append(found, p.dir+": no package comment")
		case 1:
		default:
			found = append(found, fmt.Sprintf("%s: %d package comments: %s", p.dir, len(where), strings.Join(where, ", ")))
		}
	}
	return found
}

// exportedIsDocumented: what others may call tells them what they may rely on.
func exportedIsDocumented(t *tree) (found []string) {
	familiar := []string{ // the standard library or Prometheus says what these do
		"Error", "Is", "As", "Unwrap", "String", "GoString", "Format", "LogValue",
		"Read", "Write", "Close", "ServeHTTP", "RoundTrip", "Len", "Less", "Swap",
		"MarshalJSON", "UnmarshalJSON", "MarshalYAML", "UnmarshalYAML", "MarshalText", "UnmarshalText",
		"Describe", "Collect",
	}
	for _, p := range t.packages {
		if p.name == "main" {
			continue
		}
		for _, f := range p.files {
			missing := func(n ast.Node, name string) {
				found = append(found, fmt.Sprintf("%s: %s.%s has no comment", f.at(n), p.name, name))
			}
			for _, d := range f.ast.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Doc != nil || !d.Name.IsExported() {
						continue
					}
					if d.Recv == nil {
						missing(d, d.Name.Name)
					} else if of := receiver(d); ast.IsExported(of) && !slices.Contains(familiar, d.Name.Name) {
						missing(d, of+"."+d.Name.Name)
					}
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						switch s := spec.(type) {
						case *ast.TypeSpec:
							if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
								missing(s, s.Name.Name)
							}
						case *ast.ValueSpec:
							for _, name := range s.Names {
								if name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
									missing(s, name.Name)
								}
							}
						}
					}
				}
			}
		}
	}
	return found
}

// receiver is the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}
