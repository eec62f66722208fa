package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/llmprober/llm_prober/config/internal/fields"
)

// nodeOf writes a value as the nodes that it would be read from, so that the rules can be held against what is in no file. What is empty
// and may be left out is left out. Secrets stand there as they are: such nodes are not for showing. A type that does
// not come from a file of ours, as the HTTP client's, is left out: it was checked where it was written.
func nodeOf(v any) *node { return valueNode(reflect.ValueOf(v)) }

func valueNode(v reflect.Value) *node {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if _, ok := scalarOf(v.Type()); ok {
		return &node{tag: tagOf(v.Kind()), text: textOf(v)}
	}
	if j, ok := v.Interface().(JSON); ok {
		return &node{tag: "!!str", text: string(j)}
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type().PkgPath() != reflect.TypeFor[Config]().PkgPath() {
			return nil
		}
		n := &node{kind: mappingNode}
		known, _ := fields.Of(v.Type())
		for _, f := range known {
			if field := v.FieldByName(f.Name); !field.IsZero() || !f.Optional && len(f.Unless) == 0 {
				n.put(f.Key, valueNode(field))
			}
		}
		return n
	case reflect.Map:
		n := &node{kind: mappingNode}
		values := map[string]reflect.Value{}
		for key, value := range v.Seq2() {
			values[key.String()] = value
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			n.put(key, valueNode(values[key]))
		}
		return n
	case reflect.Slice:
		n := &node{kind: listNode}
		for i := range v.Len() {
			if item := valueNode(v.Index(i)); item != nil {
				n.children = append(n.children, item)
			}
		}
		return n
	}
	return nil
}

// put adds a key to a mapping.
func (n *node) put(key string, value *node) {
	if value == nil {
		return
	}
	value.key = &node{tag: "!!str", text: key}
	n.children = append(n.children, value)
}

func tagOf(k reflect.Kind) string {
	switch k {
	case reflect.Int, reflect.Int64:
		return "!!int"
	case reflect.Float64:
		return "!!float"
	case reflect.Bool:
		return "!!bool"
	}
	return "!!str"
}

// textOf is how a value that takes one value is written.
func textOf(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case fmt.Stringer:
		return value.String()
	case encoding.TextMarshaler:
		if text, err := value.MarshalText(); err == nil {
			return string(text)
		}
	}
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	}
	return v.String()
}

// number gives each value below n, and its key, a line of its own, and returns what stands there: the path of its keys.
func (n *node) number() map[int]string {
	places := map[int]string{}
	line := 0
	var visit func(n *node, path string)
	visit = func(n *node, path string) {
		line++
		n.line = line
		places[line] = path
		if n.key != nil {
			n.key.line = line
		}
		for i, c := range n.children {
			if n.kind == listNode {
				visit(c, fmt.Sprintf("%s[%d]", path, i))
			} else {
				visit(c, join(path, c.key.text))
			}
		}
	}
	visit(n, "")
	return places
}
