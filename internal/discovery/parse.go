package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// entry is one target as a source lists it.
type entry struct {
	place   string            // for messages: "targets.json: [2].targets[0]"; both numbers count from 0, as jq does
	address string            // a base URL, or host:port; not empty
	labels  map[string]string // of its group, whose other targets share them
}

// group is the shape of a list's items.
type group struct {
	Targets []*text         `json:"targets" yaml:"targets"`
	Labels  map[string]text `json:"labels" yaml:"labels"`
}

// text is written without quotes in YAML, whatever YAML takes it for: 8 is "8".
type text string

// UnmarshalYAML implements the library's Unmarshaler.
func (t *text) UnmarshalYAML(y *yaml.Node) error {
	if y.Kind != yaml.ScalarNode {
		return errors.New("a text is expected here")
	}
	*t = text(y.Value)
	return nil
}

// parse reads a list. It takes all that Prometheus takes, but for what is more likely half a file than a list: nothing at all, and null.
func parse(doc document) ([]entry, error) {
	data := bytes.TrimPrefix(doc.data, []byte("\uFEFF"))
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%s: not UTF-8", doc.place)
	}
	read := parseJSON
	if doc.yaml {
		read = parseYAML
	}
	groups, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doc.place, err)
	}
	var list []entry
	for i, g := range groups {
		if g == nil {
			return nil, fmt.Errorf("%s: [%d] is null; a group is a mapping with targets and labels", doc.place, i)
		}
		labels := make(map[string]string, len(g.Labels))
		for name, value := range g.Labels {
			labels[name] = string(value)
		}
		for j, address := range g.Targets {
			if address == nil || *address == "" {
				return nil, fmt.Errorf("%s: [%d].targets[%d] is empty; write a base URL, or host:port", doc.place, i, j)
			}
			list = append(list, entry{fmt.Sprintf("%s: [%d].targets[%d]", doc.place, i, j), string(*address), labels})
		}
	}
	return list, nil
}

// errEmpty is told of a document that holds nothing: an editor, or a shell's >, makes files so before it fills them.
var errEmpty = errors.New("there is nothing in it; write [] for no targets")

func parseJSON(data []byte) ([]*group, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errEmpty
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var groups []*group
	if err := d.Decode(&groups); err != nil {
		return nil, jsonError(data, d, err)
	}
	if groups == nil {
		return nil, errEmpty
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: something stands behind the list", lineAt(data, d.InputOffset()))
	}
	return groups, nil
}

// jsonError says in our words why a document is no list.
func jsonError(data []byte, d *json.Decoder, err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("line %d: not JSON: %w", lineAt(data, e.Offset), err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends too early")
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		what := "the list"
		if e.Field != "" {
			what = e.Field
		}
		cure := ""
		if e.Type.Kind() == reflect.String {
			cure = "; write a text, in quotes"
		}
		return fmt.Errorf("line %d: %s cannot be of type %s%s", lineAt(data, e.Offset), what, e.Value, cure)
	}
	return fmt.Errorf("before line %d: %s", lineAt(data, d.InputOffset())+1, strings.TrimPrefix(err.Error(), "json: "))
}

// lineAt is the line, from 1, of the byte before offset.
func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(max(offset-1, 0), int64(len(data)))], []byte("\n"))
}

func parseYAML(data []byte) (groups []*group, err error) {
	if err := yaml.Load(data, &groups, yaml.WithKnownFields()); err != nil {
		return nil, yamlError(err)
	}
	if groups == nil {
		return nil, errEmpty
	}
	return groups, nil
}

// yamlError says in our words why a document is no list. The library's words have our types in them.
func yamlError(err error) error {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return errors.New("not YAML")
	}
	message := e.Message
	switch {
	case strings.Contains(message, "no documents in stream"):
		return errEmpty
	case strings.Contains(message, "expected single document"):
		message = "one document is one list"
	case strings.HasPrefix(message, "cannot construct"):
		message = "the kind of value is wrong; a list of mappings is expected, with a list of texts as targets and a mapping of texts as labels"
	default:
		message, _, _ = strings.Cut(message, " in type ")
	}
	if e.Mark.Line == 0 {
		return errors.New(message)
	}
	return fmt.Errorf("line %d: %s", e.Mark.Line, message)
}
