package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"github.com/llmprober/llm_prober/config/internal/fields"
)

// comments are what types.go says about its types and their fields.
type comments struct {
	types  map[string]string    // by the type's name
	fields map[[2]string]string // by the names of type and field
}

func parseComments(path string) (*comments, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	c := &comments{types: map[string]string{}, fields: map[[2]string]string{}}
	for _, decl := range file.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.TYPE {
			continue
		}
		for _, spec := range d.Specs {
			s := spec.(*ast.TypeSpec)
			c.types[s.Name.Name] = oneLine(d.Doc.Text())
			t, ok := s.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range t.Fields.List {
				for _, name := range f.Names {
					c.fields[[2]string{s.Name.Name, name.Name}] = oneLine(f.Doc.Text())
				}
			}
		}
	}
	return c, nil
}

// of returns the description of a key: its comment, or the text in http.go for what is Prometheus'.
func (c *comments) of(f fields.Field) (string, error) {
	text := c.fields[[2]string{f.Owner.Name(), f.Name}]
	if f.Owner.PkgPath() == prometheusConfig {
		text = httpKeys()[f.Owner.Name()+"."+f.Key]
	}
	if text == "" {
		return "", fmt.Errorf("%s.%s has no description: give it a comment, or a row in http.go if it is Prometheus'", f.Owner, f.Name)
	}
	return text, nil
}

var prometheusConfig = reflect.TypeFor[httpClientConfig]().PkgPath()

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
