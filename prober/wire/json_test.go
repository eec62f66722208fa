package wire

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func FuzzJSON(f *testing.F) {
	for _, doc := range []string{
		`{}`, `{"a":1}`, `{"a":"b","c":["d",{"e":null}],"f":-1.5e+3,"g":true,"h":false}`, `{"a":"\u00e9\ud83d\ude00\n"}`,
		` { "a" : [ ] } `, `{"a":01}`, `{"a":1.}`, `{"a":"\x"}`, `{,}`, `{"a":1,}`, `{"a" 1}`, `[1,2]`, `"x"`, `{"a":-}`, "{\"a\":\"\n\"}", `{"a":"\ud800"}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if !utf8.Valid(doc) {
			return
		}
		// Whatever the document is, walking over it accepts what encoding/json accepts.
		c := cursor{b: doc}
		c.skip()
		if got, want := c.end(), json.Valid(doc); got != want {
			t.Fatalf("%q is valid JSON: %v; encoding/json says %v", doc, got, want)
		}
		var want map[string]json.RawMessage
		if !bytes.HasPrefix(bytes.TrimLeft(doc, " \t\r\n"), []byte("{")) || json.Unmarshal(doc, &want) != nil {
			return
		}
		// Each member is found, and strings unquote to the same text. Of equal keys the last one counts.
		got := map[string]string{}
		seen := map[string]bool{}
		c = cursor{b: doc}
		for c.enter('{'); c.key(); {
			name := string(AppendUnquoted(nil, c.name))
			seen[name] = true
			delete(got, name)
			if c.peek() == '"' {
				got[name] = string(AppendUnquoted(nil, c.str()))
			} else {
				c.skip()
			}
		}
		if !c.end() || len(seen) != len(want) {
			t.Fatalf("%q: end %v, %d members; want %d", doc, c.end(), len(seen), len(want))
		}
		for name, raw := range want {
			var s *string
			if json.Unmarshal(raw, &s) != nil || s == nil {
				continue
			}
			if got[name] != *s {
				t.Fatalf("%q: member %q = %q; want %q", doc, name, got[name], *s)
			}
		}
	})
}

func TestCursorNumbers(t *testing.T) {
	tests := []struct {
		in      string
		count   int
		decimal float64
	}{
		{"0", 0, 0}, {"12", 12, 12}, {"-1", -1, -1}, {"1.5", -1, 1.5}, {"1e3", -1, 1000}, {"null", -1, -1}, {`"7"`, -1, -1},
		{"999999999999999", 999999999999999, 999999999999999}, {"1000000000000000", -1, 1e15}, {"[1]", -1, -1}, {"1e999", -1, -1},
		{"12.0", 12, 12}, {"12.00", 12, 12}, {"12.01", -1, 12.01}, {"0.0", 0, 0}, {"-1.0", -1, -1}, {"1.0e3", -1, 1000}, {"1000000000000000.0", -1, 1e15},
	}
	for _, tt := range tests {
		c := cursor{b: []byte(tt.in)}
		if got := c.count(); got != tt.count || !c.end() {
			t.Errorf("count of %s = %d, end %v; want %d", tt.in, got, c.end(), tt.count)
		}
		c = cursor{b: []byte(tt.in)}
		if got := c.decimal(); got != tt.decimal || !c.end() {
			t.Errorf("decimal of %s = %g, end %v; want %g", tt.in, got, c.end(), tt.decimal)
		}
	}
}

func TestDeepNestingIsRefusedNotFollowed(t *testing.T) {
	for _, depth := range []int{100, maxDepth, maxDepth + 1, 1 << 20} {
		doc := append(bytes.Repeat([]byte("["), depth), bytes.Repeat([]byte("]"), depth)...)
		c := cursor{b: doc}
		c.skip()
		if got, want := c.end(), depth <= maxDepth; got != want {
			t.Errorf("depth %d accepted: %v; want %v", depth, got, want)
		}
	}
}

func TestCursorValues(t *testing.T) {
	tests := []struct {
		in  string
		yes bool
		raw string
	}{
		{"true", true, "true"}, {"false", false, "false"}, {"null", false, "null"}, {`"true"`, false, `"true"`}, {"1", false, "1"},
		{` {"a" : [ 1 ]} `, false, `{"a" : [ 1 ]}`}, {"tru", false, ""}, {"truth", false, ""}, {`{"a":}`, false, ""}, {"", false, ""},
	}
	for _, tt := range tests {
		c := cursor{b: []byte(tt.in)}
		if got := c.yes() && c.end(); got != tt.yes {
			t.Errorf("yes of %s = %v; want %v", tt.in, got, tt.yes)
		}
		c = cursor{b: []byte(tt.in)}
		if got := string(c.raw()); c.end() && got != tt.raw {
			t.Errorf("raw of %s = %s; want %s", tt.in, got, tt.raw)
		}
	}
}

// TestAppendUnquoted takes also what cannot be inside a JSON string: error texts are cut anywhere.
func TestAppendUnquoted(t *testing.T) {
	tests := []struct{ in, want string }{
		{`a\\b\/\"c`, `a\b/"c`},
		{`\b\f\n\r\t`, "\b\f\n\r\t"},
		{`\u00e9\u4e16`, "é世"},
		{`\ud83d\ude00`, "😀"},
		{`\ud83d`, "\uFFFD"},
		{`\ude00x`, "\uFFFDx"},
		{`\ud83d\u0041`, "\uFFFDA"},
		{`\ud83d\ud83d\ude00`, "\uFFFD😀"},
		{`\ud83d\ude0`, "\uFFFD\uFFFD"},
		{`\u12`, "\uFFFD"},
		{`\u`, "\uFFFD"},
		{`a\`, `a\`},
	}
	for _, tt := range tests {
		if got := string(AppendUnquoted([]byte(">"), []byte(tt.in))); got != ">"+tt.want {
			t.Errorf("AppendUnquoted(%s) = %q; want %q", tt.in, got[1:], tt.want)
		}
	}
}
