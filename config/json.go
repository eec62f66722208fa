package config

import (
	"encoding/json"
	"regexp"
)

// JSON is a value of any shape, written in YAML and kept as JSON: keys sorted, no spaces, numbers as they are written.
// Nil is no value; null is one.
type JSON json.RawMessage

// MarshalJSON implements json.Marshaler.
func (j JSON) MarshalJSON() ([]byte, error) { return json.RawMessage(j).MarshalJSON() }

// isObject reports whether j is a JSON object.
func (j JSON) isObject() bool { return len(j) > 0 && j[0] == '{' }

// jsonNumber matches the numbers that JSON has. YAML has more: 0x1F, 0o17, +1, .5, .inf.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// json holds a value that is to become JSON against what JSON has. Its texts stay masked: what they say is not known.
func (s *shape) json(n *node) {
	if n.bad {
		return
	}
	if n.kind == scalarNode && n.tag != "!!str" {
		n.mask = ""
	}
	switch {
	case n.kind != scalarNode:
		for _, c := range n.children {
			if c.key != nil {
				s.jsonKey(c)
			}
			s.json(c)
			s.notAgain(c)
		}
	case n.isNull() && n.text == "":
		s.faults.add(n, "no value; give it one, or write null")
	case n.tag == "!!int" || n.tag == "!!float":
		if !jsonNumber.MatchString(n.text) {
			s.faults.add(n, "JSON has no such number; write a decimal one such as 0.5, or put a text into quotes")
		}
	case n.tag == "!!bool" && n.text != "true" && n.text != "false":
		s.faults.add(n, "JSON has only true and false; put a text into quotes")
	default:
		s.noReference(n)
	}
}

func (s *shape) jsonKey(c *node) {
	if c.key.bad {
		return
	}
	if isWord(c.key.text) {
		c.key.mask = ""
	}
	s.noReference(c.key)
	c.bad = c.bad || c.key.bad
}
