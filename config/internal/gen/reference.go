package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"

	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/config/internal/fields"
)

//go:embed reference.md.tmpl
var referenceTemplate string

// mistaken is a file of which the reference shows the mistake.
const mistaken = `probes:
  chat: {prompt_tokens: 20-60, max_output_tokens: 64, intervall: 15s}
targets: []
`

// section is one mapping of the file, which may stand in several places.
type section struct {
	Type  reflect.Type
	Paths []string
	Keys  []key
}

// Title names the places, the outermost one first, a few of them. What stands in a target stands in a template as well.
func (s section) Title() string {
	const most = 4
	paths := slices.DeleteFunc(slices.Clone(s.Paths), func(p string) bool { return strings.Contains(p, ".template.") })
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	if len(paths) > most {
		paths = append(paths[:most], "and wherever else it stands")
	}
	return cmp.Or(strings.Join(paths, ", "), "The file")
}

type key struct{ Name, Type, Default, Text string }

func referenceMarkdown(docs *comments, s sample) ([]byte, error) {
	all, err := sectionsOf(reflect.TypeFor[config.Config](), "", docs, s)
	if err != nil {
		return nil, err
	}
	var sections []section
	for _, sec := range all {
		if i := slices.IndexFunc(sections, func(have section) bool { return have.Type == sec.Type }); i >= 0 {
			sections[i].Paths = append(sections[i].Paths, sec.Paths...)
		} else {
			sections = append(sections, sec)
		}
	}
	_, mistake := config.Parse("prober.yml", []byte(mistaken), config.Options{})
	t, err := template.New("reference").Parse(referenceTemplate)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, map[string]any{
		"Sections":  sections,
		"Mistake":   mistake,
		"Protocols": quoted(config.Protocols()),
		"Reserved":  quoted(config.ReservedLabels()),
		"Kinds":     quoted(config.EngineKinds()),
		"Metrics":   quoted(config.EngineMetrics()),
		"Outcomes":  quoted(config.RetryOutcomes()),
	})
	return out.Bytes(), err
}

// sectionsOf lists the mapping of type t at path, and those below it.
func sectionsOf(t reflect.Type, path string, docs *comments, s sample) ([]section, error) {
	known, _ := fields.Of(t)
	here := section{Type: t}
	if path != "" {
		here.Paths = []string{"`" + path + "`"}
	}
	var below []section
	for _, f := range known {
		text, err := docs.of(f)
		if err != nil {
			return nil, err
		}
		k := key{Name: f.Key, Type: typeName(f.Type), Text: strings.ReplaceAll(text, "|", "\\|")}
		switch def := s.defaultOf(f); {
		case len(f.Unless) > 0:
			k.Default = "required, or " + strings.Join(backquoted(f.Unless), " or ")
		case !isOptional(f):
			k.Default = "required"
		case s.follows(f) != "":
			k.Default = s.follows(f)
		case def != nil:
			k.Default = fmt.Sprintf("`%v`", def)
			if list, ok := def.([]float64); ok {
				k.Default = "`[" + strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ", "), "[]") + "]`"
			}
		}
		here.Keys = append(here.Keys, k)

		inner, suffix := elem(f.Type)
		if inner != nil {
			more, err := sectionsOf(inner, strings.TrimPrefix(path+"."+f.Key+suffix, "."), docs, s)
			if err != nil {
				return nil, err
			}
			below = append(below, more...)
		}
	}
	return append([]section{here}, below...), nil
}

// elem returns the struct that a value of type t is written as or holds, and how the path to it goes on.
func elem(t reflect.Type) (inner reflect.Type, suffix string) {
	for {
		switch {
		case t.Kind() == reflect.Pointer:
			t = t.Elem()
		case t.Kind() == reflect.Map:
			t, suffix = t.Elem(), suffix+".<name>"
		case t.Kind() == reflect.Slice:
			t, suffix = t.Elem(), suffix+"[]"
		case t == reflect.TypeFor[commoncfg.Headers]():
			t, suffix = reflect.TypeFor[commoncfg.Header](), suffix+".<name>"
		case t.Kind() != reflect.Struct || isScalar(t):
			return nil, ""
		default:
			return t, suffix
		}
	}
}

// isScalar reports whether a struct is written as one value.
func isScalar(t reflect.Type) bool {
	return t == reflect.TypeFor[config.Range]() || t == reflect.TypeFor[config.Threshold]() || t == reflect.TypeFor[config.Level]() || t == reflect.TypeFor[commoncfg.URL]()
}

// typeName says in words what is written for a value of type t.
func typeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[model.Duration]():
		return "duration"
	case reflect.TypeFor[config.Range]():
		return "tokens"
	case reflect.TypeFor[config.Threshold]():
		return "duration or number"
	case reflect.TypeFor[config.Level]():
		return "load"
	case reflect.TypeFor[config.Percent]():
		return "percentage"
	case reflect.TypeFor[config.TimeOfDay]():
		return "time of day"
	case reflect.TypeFor[config.Schedule]():
		return "schedule"
	case reflect.TypeFor[config.RetryOn]():
		return "code or outcome"
	case reflect.TypeFor[config.Regexp]():
		return "regular expression"
	case reflect.TypeFor[config.JSON]():
		return "anything"
	case reflect.TypeFor[config.Secret](), reflect.TypeFor[commoncfg.Secret]():
		return "secret"
	case reflect.TypeFor[commoncfg.URL]():
		return "URL"
	case reflect.TypeFor[commoncfg.TLSVersion]():
		return "version"
	case reflect.TypeFor[commoncfg.Headers]():
		return "mapping"
	}
	switch t.Kind() {
	case reflect.Map:
		if inner := typeName(t.Elem()); inner != "mapping" {
			return "mapping to " + inner
		}
		return "mapping"
	case reflect.Slice:
		return "list of " + strings.Replace(typeName(t.Elem()), "mapping", "mappings", 1)
	case reflect.Struct:
		return "mapping"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.String:
		return "text"
	case reflect.Interface:
		return "anything"
	}
	panic(fmt.Sprintf("no name for %s", t))
}

func quoted(names []string) string { return strings.Join(backquoted(names), ", ") }

func backquoted(names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, "`"+n+"`")
	}
	return out
}
