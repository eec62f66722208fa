package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// This file alone knows the YAML library. It turns bytes into nodes, nodes into a Config, and values into YAML.

// maxCopies bounds how many values aliases may add to a file, so that a small file cannot grow without end.
const maxCopies = 100_000

// document is a file that is sound as YAML.
type document struct {
	root   *node   // nil where the file holds nothing
	aside  []*node // what is in the file, but not below root: a second document, aliases, what is merged
	faults faults  // what is YAML, but not for us
}

// parseYAML reads the one document of a file.
func parseYAML(data []byte) (*document, *fault) {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, &fault{line: 1, col: 1, message: err.Error()}
	}
	var first, second yaml.Node
	if err := loader.Load(&first); errors.Is(err, io.EOF) {
		return &document{}, nil
	} else if err != nil {
		return nil, syntaxFault(data, err)
	}
	d := &document{}
	if len(first.Content) > 0 {
		d.root = translate(d, first.Content[0])
	}
	if err := loader.Load(&second); err == nil {
		d.faults = append(d.faults, fault{line: second.Line, col: second.Column, message: "a second YAML document begins here; one file holds one configuration"})
		if len(second.Content) > 0 {
			d.aside = append(d.aside, translate(&document{}, second.Content[0]))
		}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxFault(data, err)
	}
	return d, nil
}

// translator makes nodes of the library's.
type translator struct {
	doc    *document
	active map[*yaml.Node]bool // the anchors that are being copied: one inside itself has no end
	depth  int                 // of aliases
	flow   bool                // inside {} or []
	copies int                 // made through aliases
	full   bool                // the limit was reported
}

func translate(d *document, y *yaml.Node) *node {
	t := translator{doc: d, active: map[*yaml.Node]bool{}}
	return t.node(y)
}

func (t *translator) node(y *yaml.Node) *node {
	n := &node{line: y.Line, col: y.Column, flow: t.flow, mask: hidden}
	if t.depth > 0 {
		t.copies++
	}
	if t.copies > maxCopies {
		if !t.full {
			t.full = true
			t.doc.faults.add(n, "the aliases of this file stand for more than %d values", maxCopies)
		}
		n.bad = true
		return n
	}
	if y.Style&yaml.FlowStyle != 0 {
		defer func(before bool) { t.flow = before }(t.flow)
		t.flow = true
	}
	switch y.Kind {
	case yaml.AliasNode:
		return t.alias(y)
	case yaml.SequenceNode:
		n.kind = listNode
		for _, item := range y.Content {
			n.children = append(n.children, t.node(item))
		}
	case yaml.MappingNode:
		n.kind = mappingNode
		t.mapping(n, y)
	default:
		n.tag, n.text = y.ShortTag(), y.Value
	}
	if y.Style&yaml.TaggedStyle != 0 {
		t.doc.faults.add(n, "YAML tags are not used here; a value that begins with ! must be quoted")
	}
	return n
}

func (t *translator) alias(y *yaml.Node) *node {
	place := &node{line: y.Line, col: y.Column}
	t.doc.aside = append(t.doc.aside, place)
	if t.active[y.Alias] {
		place.mask = hidden
		t.doc.faults.add(place, "the alias stands inside what it stands for")
		return place
	}
	t.active[y.Alias] = true
	t.depth++
	n := t.node(y.Alias)
	t.depth--
	delete(t.active, y.Alias)
	return n
}

// mapping fills n. A key that is written wins over a merged one, and of several merged ones the first wins.
func (t *translator) mapping(n *node, y *yaml.Node) {
	firstLine := map[string]int{}
	var merged []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := t.node(y.Content[i])
		first, again := firstLine[key.text]
		if !again {
			firstLine[key.text] = key.line
		}
		if key.tag == "!!merge" {
			key.mask = ""
			if again {
				t.doc.faults.add(key, "the merge key << is already set in line %d; it takes a list of mappings, too", first)
			}
			merged = append(merged, t.merge(y.Content[i+1])...)
			continue
		}
		value := t.node(y.Content[i+1])
		value.key = key
		value.again = first
		if !key.bad && (key.kind != scalarNode || key.tag == "!!null") {
			t.doc.faults.add(key, "a key must be plain text")
		}
		value.bad = value.bad || key.bad
		n.children = append(n.children, value)
	}
	for _, m := range merged {
		if _, written := firstLine[m.key.text]; !written {
			firstLine[m.key.text] = m.key.line
			n.children = append(n.children, m)
		}
	}
}

// merge returns the values that a merge key brings in.
func (t *translator) merge(y *yaml.Node) []*node {
	from := t.node(y)
	t.doc.aside = append(t.doc.aside, from)
	switch from.kind {
	case mappingNode:
		return from.children
	case listNode:
		var all []*node
		for _, m := range from.children {
			if m.kind != mappingNode {
				t.doc.faults.add(m, "the merge key << takes a mapping, or a list of mappings")
				continue
			}
			all = append(all, m.children...)
		}
		return all
	}
	if !from.bad {
		t.doc.faults.add(from, "the merge key << takes a mapping, or a list of mappings")
	}
	return nil
}

// decode fills out from root, leaving out what is bad. What it reports is what types themselves refuse.
func decode(root *node, out any) (list faults) {
	// Keys that are set twice are bad by now; the library holds each key of a mapping against each other one.
	err := encodeNode(root).Load(out, yaml.WithKnownFields(), yaml.WithUniqueKeys(false))
	if err == nil {
		return nil
	}
	all, ok := errors.AsType[*yaml.LoadErrors](err)
	if !ok {
		one, ok := errors.AsType[*yaml.LoadError](err)
		if !ok {
			one = yaml.NewLoadError(yaml.ConstructorStage, err.Error(), yaml.Mark{Line: root.line, Column: root.col}, err)
		}
		all = &yaml.LoadErrors{Errors: []*yaml.LoadError{one}}
	}
	for _, e := range all.Errors {
		list = append(list, fault{line: e.Mark.Line, col: e.Mark.Column, message: e.Message})
	}
	return list
}

// encodeNode makes one of the library's nodes of n. In lists, so that every item keeps its number, bad ones stay as empty ones.
func encodeNode(n *node) *yaml.Node {
	if n.bad {
		n = &node{kind: n.want, tag: "!!str", line: n.line, col: n.col}
	}
	y := &yaml.Node{Line: n.line, Column: n.col}
	switch n.kind {
	case mappingNode:
		y.Kind, y.Tag = yaml.MappingNode, "!!map"
		for _, c := range n.children {
			if c.bad {
				continue
			}
			key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: c.key.text, Line: c.key.line, Column: c.key.col}
			y.Content = append(y.Content, key, encodeNode(c))
		}
	case listNode:
		y.Kind, y.Tag = yaml.SequenceNode, "!!seq"
		for _, c := range n.children {
			y.Content = append(y.Content, encodeNode(c))
		}
	default:
		y.Kind, y.Tag, y.Value = yaml.ScalarNode, n.tag, n.text
	}
	return y
}

// UnmarshalYAML implements the library's Unmarshaler, for values that shape.go has let through.
func (j *JSON) UnmarshalYAML(y *yaml.Node) (err error) {
	*j, err = appendJSON(nil, y)
	return err
}

// appendJSON writes y as JSON.
func appendJSON(b []byte, y *yaml.Node) (_ []byte, err error) {
	switch y.Kind {
	case yaml.MappingNode:
		members := map[string]*yaml.Node{}
		for i := 0; i+1 < len(y.Content); i += 2 {
			members[y.Content[i].Value] = y.Content[i+1]
		}
		b = append(b, '{')
		for i, name := range slices.Sorted(maps.Keys(members)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, name), ':')
			if b, err = appendJSON(b, members[name]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, item := range y.Content {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, item); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
	switch y.ShortTag() {
	case "!!null":
		return append(b, "null"...), nil
	case "!!bool", "!!int", "!!float":
		return append(b, y.Value...), nil
	}
	return appendText(b, y.Value), nil
}

func appendText(b []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // a text always can be
	return append(b, quoted...)
}

// MarshalYAML returns the value as one of the library's nodes, so that it reads again as what it is.
func (j JSON) MarshalYAML() (any, error) {
	d := json.NewDecoder(bytes.NewReader(j))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return nodeOfJSON(v), nil
}

func nodeOfJSON(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		y := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			y.Content = append(y.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, nodeOfJSON(v[name]))
		}
		return y
	case []any:
		y := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range v {
			y.Content = append(y.Content, nodeOfJSON(item))
		}
		return y
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	}
}

// encodeYAML writes v. It is for values of this package, which can all be written.
func encodeYAML(v any) string {
	out, err := yaml.Dump(v, yaml.WithLineWidth(-1))
	if err != nil {
		return fmt.Sprintf("# cannot be shown: %v\n", err)
	}
	return string(out)
}

// syntaxFault says in our words why a file is not YAML. The library's words can quote the file, so only known ones are passed on.
func syntaxFault(data []byte, err error) *fault {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return &fault{line: 1, col: 1, message: "not YAML"}
	}
	at, opened := e.Mark, e.ContextMark
	if at.Line == 0 { // only a tag that contradicts its value has no place
		before, _, _ := bytes.Cut(data, []byte("!!"))
		line := bytes.Count(before, []byte("\n"))
		at = yaml.Mark{Line: line + 1, Column: len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:]))) + 1}
		return &fault{line: at.Line, col: at.Column, message: "YAML tags are not used here; a value that begins with ! must be quoted"}
	}
	message := e.Message
	switch {
	case strings.HasPrefix(message, "unknown anchor"):
		message = "there is no anchor of this name; a value that begins with * must be quoted"
	case message == "did not find expected alphabetic or numeric character":
		message = "a value that begins with * or & must be quoted"
	case message == "found unexpected end of stream" && e.ContextMsg == "while scanning a quoted scalar":
		at, message = opened, "the quote that is opened here is never closed"
	case message == "mapping values are not allowed in this context":
		message = `a second ": " in one value, or wrong indentation; quote a value that holds ": "`
	case message == "found character that cannot start any token":
		message = "no value begins with this character: indent with spaces, not with tabs, and quote values that begin with @, ` or %"
	case message == "did not find expected ',' or ']'":
		message = fmt.Sprintf(`the list that is opened in line %d lacks a "," or "]" here`, opened.Line)
	case message == "did not find expected ',' or '}'":
		message = fmt.Sprintf(`the mapping that is opened in line %d lacks a "," or "}" here`, opened.Line)
	case message == "did not find expected key":
		message = fmt.Sprintf("a key of the mapping that begins in line %d is expected here; is the indentation right?", opened.Line)
	case message == "did not find expected '-' indicator":
		message = fmt.Sprintf(`an item "- " of the list that begins in line %d is expected here; is the indentation right?`, opened.Line)
	case message == "found incompatible YAML document":
		message = "this version of YAML is not known; leave the line out"
	case message == "could not find expected ':'":
		message = `a key lacks its ":"`
	case message == "did not find expected node content":
		message = "a value is missing here"
	case strings.ContainsAny(message, "`\"") || strings.Contains(message, "'%"):
		message = "not YAML"
	default:
		message = "not YAML: " + message
	}
	return &fault{line: at.Line, col: at.Column, message: message}
}
