package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// schema is a JSON schema, as far as documents are made from it. Patterns are not looked at.
type schema struct {
	Type  schemaTypes     `json:"type"`
	Const json.RawMessage `json:"const"`
	Enum  []any           `json:"enum"`

	Properties schemaMembers   `json:"properties"`
	Required   []string        `json:"required"`
	Items      json.RawMessage `json:"items"`
	Prefix     []schema        `json:"prefixItems"`
	MinItems   int             `json:"minItems"`
	MaxItems   *int            `json:"maxItems"`

	MinLength        int     `json:"minLength"`
	MaxLength        *int    `json:"maxLength"`
	Format           string  `json:"format"`
	Minimum          *bound  `json:"minimum"`
	Maximum          *bound  `json:"maximum"`
	ExclusiveMinimum *bound  `json:"exclusiveMinimum"`
	ExclusiveMaximum *bound  `json:"exclusiveMaximum"`
	MultipleOf       float64 `json:"multipleOf"`

	AnyOf []schema      `json:"anyOf"`
	OneOf []schema      `json:"oneOf"`
	AllOf []schema      `json:"allOf"`
	Ref   string        `json:"$ref"`
	Defs  schemaMembers `json:"$defs"`
	Older schemaMembers `json:"definitions"`
}

// schemaTypes is one type or a list of them.
type schemaTypes []string

func (t *schemaTypes) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = schemaTypes{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// schemaMembers are named schemas in the order in which they are written, which is the order in which models answer.
type schemaMembers []schemaMember

type schemaMember struct {
	name string
	*schema
}

func (m *schemaMembers) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("want an object, got %.20s", b)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		x := schemaMember{name: name.(string), schema: new(schema)}
		if err := dec.Decode(x.schema); err != nil {
			return err
		}
		*m = append(*m, x)
	}
	return nil
}

func (m schemaMembers) find(name string) *schema {
	for _, x := range m {
		if x.name == name {
			return x.schema
		}
	}
	return nil
}

// UnmarshalJSON takes true and false too, which fit everything and nothing: of both, everything is made.
func (s *schema) UnmarshalJSON(b []byte) error {
	if string(b) == "true" || string(b) == "false" {
		return nil
	}
	type plain schema
	return json.Unmarshal(b, (*plain)(s))
}

// bound is a number. Older drafts have true and false for the exclusive ones: those count as none.
type bound float64

func (x *bound) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		f = math.NaN()
	}
	*x = bound(f)
	return nil
}

// checkSchema says what is wrong with a schema.
func checkSchema(raw json.RawMessage) error {
	var s schema
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("invalid JSON schema: %w", err)
	}
	return nil
}

// document is a JSON document that fits the schema, written as models write it, with a blank after each colon and comma.
// Without a schema it is some object.
func document(raw json.RawMessage, draw *rand.Rand) string {
	m := maker{draw: draw, root: new(schema)}
	if raw == nil {
		raw = json.RawMessage(`{"type":"object","properties":{"title":{"type":"string"},"count":{"type":"integer"},"done":{"type":"boolean"}}}`)
	}
	if err := json.Unmarshal(raw, m.root); err != nil {
		return "{}" // it was checked before
	}
	m.value(m.root, "")
	return m.out.String()
}

// maker makes a document.
type maker struct {
	out    strings.Builder
	draw   *rand.Rand
	root   *schema
	depth  int
	values int
	words  []string
}

// How far a schema that contains itself is followed: deeper than shallow, what need not be there is left out; deeper than
// deepest and after most values, which only a schema without any finite document makes, all is null.
const shallow, deepest, most = 4, 32, 10_000

// value writes a value that fits s and is called name.
func (m *maker) value(s *schema, name string) {
	m.depth++
	m.values++
	defer func() { m.depth-- }()
	if m.depth > deepest || m.values > most {
		m.out.WriteString("null")
		return
	}
	s = m.resolve(s)
	switch {
	case s.Const != nil:
		m.out.Write(s.Const)
		return
	case len(s.Enum) > 0:
		m.json(s.Enum[m.draw.IntN(len(s.Enum))])
		return
	}
	switch m.pick(s) {
	case "object":
		m.object(s)
	case "array":
		m.array(s, name)
	case "string":
		m.json(m.text(s, name))
	case "integer":
		m.out.WriteString(strconv.FormatFloat(m.number(s, 1), 'f', -1, 64))
	case "number":
		m.out.WriteString(strconv.FormatFloat(m.number(s, .01), 'f', -1, 64))
	case "boolean":
		m.json(m.draw.IntN(2) == 0)
	default:
		m.out.WriteString("null")
	}
}

func (m *maker) json(v any) { m.out.Write(appendJSON(nil, v)) }

// resolve follows references, puts together what must all fit, and chooses one of what may fit.
func (m *maker) resolve(s *schema) *schema {
	m.depth++
	defer func() { m.depth-- }()
	for m.depth <= 2*deepest && m.values <= most {
		m.values++
		switch {
		case s.Ref != "":
			to := m.lookup(s.Ref)
			if to == nil {
				return s
			}
			s = to
		case len(s.AllOf) > 0:
			all := *s
			all.AllOf = nil
			for i := range s.AllOf {
				all = merged(all, m.resolve(&s.AllOf[i]))
			}
			s = &all
		case len(s.AnyOf) > 0:
			one := *s
			one.AnyOf = nil
			one = merged(one, m.choose(s.AnyOf))
			s = &one
		case len(s.OneOf) > 0:
			one := *s
			one.OneOf = nil
			one = merged(one, m.choose(s.OneOf))
			s = &one
		default:
			return s
		}
	}
	return &schema{Type: schemaTypes{"null"}}
}

// choose takes one of several: any, but where it gets deep, null if that is among them.
func (m *maker) choose(from []schema) *schema {
	if m.depth > shallow {
		for i := range from {
			if slices.Contains(from[i].Type, "null") {
				return &from[i]
			}
		}
	}
	return m.resolve(&from[m.draw.IntN(len(from))])
}

// merged is a with what b adds: enough for schemas that are cut into parts, not for those whose parts bound each other.
func merged(a schema, b *schema) schema {
	a.Properties = append(slices.Clone(a.Properties), b.Properties...)
	a.Required = append(slices.Clone(a.Required), b.Required...)
	a.AnyOf = append(slices.Clone(a.AnyOf), b.AnyOf...)
	a.OneOf = append(slices.Clone(a.OneOf), b.OneOf...)
	if a.Type == nil {
		a.Type = b.Type
	}
	if b.Const != nil {
		a.Const = b.Const
	}
	if len(b.Enum) > 0 {
		a.Enum = b.Enum
	}
	if a.Items == nil {
		a.Items = b.Items
	}
	if a.Format == "" {
		a.Format = b.Format
	}
	a.Prefix = append(slices.Clone(a.Prefix), b.Prefix...)
	a.MinItems, a.MinLength = max(a.MinItems, b.MinItems), max(a.MinLength, b.MinLength)
	for _, x := range []struct{ to, from **int }{{&a.MaxItems, &b.MaxItems}, {&a.MaxLength, &b.MaxLength}} {
		if *x.to == nil {
			*x.to = *x.from
		}
	}
	for _, x := range []struct{ to, from **bound }{
		{&a.Minimum, &b.Minimum}, {&a.Maximum, &b.Maximum},
		{&a.ExclusiveMinimum, &b.ExclusiveMinimum}, {&a.ExclusiveMaximum, &b.ExclusiveMaximum},
	} {
		if *x.to == nil {
			*x.to = *x.from
		}
	}
	if a.MultipleOf == 0 {
		a.MultipleOf = b.MultipleOf
	}
	return a
}

// lookup finds what a reference within the document means: #, #/$defs/X or #/definitions/X.
func (m *maker) lookup(ref string) *schema {
	if ref == "#" {
		return m.root
	}
	if name, ok := strings.CutPrefix(ref, "#/$defs/"); ok {
		return m.root.Defs.find(name)
	}
	if name, ok := strings.CutPrefix(ref, "#/definitions/"); ok {
		return m.root.Older.find(name)
	}
	return nil
}

// pick is the type to make: the first that is not null, unless it gets too deep.
func (m *maker) pick(s *schema) string {
	for _, t := range s.Type {
		if t != "null" && (m.depth <= shallow || !slices.Contains(s.Type, "null")) {
			return t
		}
	}
	switch {
	case len(s.Type) > 0:
		return "null"
	case len(s.Properties) > 0 || len(s.Required) > 0:
		return "object"
	case s.Items != nil || len(s.Prefix) > 0:
		return "array"
	case s.Minimum != nil || s.Maximum != nil || s.MultipleOf != 0:
		return "number"
	}
	return "string"
}

// object has all properties of s; where it gets deep, those that must be there.
func (m *maker) object(s *schema) {
	m.out.WriteByte('{')
	made := map[string]bool{}
	add := func(name string, of *schema) {
		if len(made) > 0 {
			m.out.WriteString(", ")
		}
		made[name] = true
		m.json(name)
		m.out.WriteString(": ")
		m.value(of, name)
	}
	for _, p := range s.Properties {
		if !made[p.name] && (m.depth <= shallow || slices.Contains(s.Required, p.name)) {
			add(p.name, p.schema)
		}
	}
	for _, name := range s.Required {
		if !made[name] {
			add(name, new(schema))
		}
	}
	m.out.WriteByte('}')
}

// array has as many elements as it must, or one to three where it may.
func (m *maker) array(s *schema, name string) {
	items := new(schema)
	if s.Items != nil {
		json.Unmarshal(s.Items, items) //nolint:errcheck // it was checked before; an older list of schemas counts as any
	}
	n := max(s.MinItems, len(s.Prefix))
	if m.depth <= shallow && len(s.Prefix) == 0 {
		n = max(n, 1+m.draw.IntN(3))
	}
	if s.MaxItems != nil {
		n = min(n, *s.MaxItems)
	}
	n = min(n, most)
	m.out.WriteByte('[')
	for i := range n {
		if i > 0 {
			m.out.WriteString(", ")
		}
		if i < len(s.Prefix) {
			m.value(&s.Prefix[i], name)
		} else {
			m.value(items, name)
		}
	}
	m.out.WriteByte(']')
}

// number is a multiple of the schema's step, or of the given one, within its bounds.
func (m *maker) number(s *schema, step float64) float64 {
	if s.MultipleOf > 0 {
		step = s.MultipleOf
		if slices.Contains(s.Type, "integer") && step != math.Trunc(step) {
			step = 1
		}
	}
	low, high := math.Inf(-1), math.Inf(1)
	narrow := func(b *bound, to *float64, pick func(float64, float64) float64, inward float64) {
		if b == nil || math.IsNaN(float64(*b)) {
			return
		}
		k := float64(*b) / step // the bound in steps
		nearest := math.Ceil(k - 1e-9)
		if inward < 0 {
			nearest = math.Floor(k + 1e-9)
		}
		*to = pick(*to, nearest)
	}
	narrow(s.Minimum, &low, math.Max, 1)
	narrow(s.Maximum, &high, math.Min, -1)
	if b := s.ExclusiveMinimum; b != nil && !math.IsNaN(float64(*b)) {
		low = math.Max(low, math.Floor(float64(*b)/step+1e-9)+1)
	}
	if b := s.ExclusiveMaximum; b != nil && !math.IsNaN(float64(*b)) {
		high = math.Min(high, math.Ceil(float64(*b)/step-1e-9)-1)
	}
	span := 100 / step
	switch {
	case math.IsInf(low, -1) && math.IsInf(high, 1):
		low, high = 1, 1+span
	case math.IsInf(low, -1) && high*step >= 1:
		low = math.Ceil(1 / step)
	case math.IsInf(low, -1):
		low = high - span
	case math.IsInf(high, 1):
		high = low + span
	}
	n := low
	if room := high - low; room >= 1 {
		n += float64(m.draw.Int64N(int64(min(room, 1e15)) + 1))
	}
	// By division where the step is a decimal fraction: 7 × 0.01 is not 0.07, but 7 / 100 is.
	if inverse := math.Round(1 / step); inverse > 1 && math.Abs(inverse*step-1) < 1e-12 {
		return n / inverse
	}
	return n * step
}

// text is a string for a property of that name.
func (m *maker) text(s *schema, name string) string {
	switch s.Format {
	case "date-time":
		return fmt.Sprintf("2026-%02d-%02dT%02d:30:00Z", 1+m.draw.IntN(12), 1+m.draw.IntN(28), m.draw.IntN(24))
	case "date":
		return fmt.Sprintf("2026-%02d-%02d", 1+m.draw.IntN(12), 1+m.draw.IntN(28))
	case "time":
		return fmt.Sprintf("%02d:30:00Z", m.draw.IntN(24))
	case "duration":
		return fmt.Sprintf("PT%dM", 1+m.draw.IntN(59))
	case "email":
		return "someone@example.com"
	case "hostname":
		return "www.example.com"
	case "uri", "url", "uri-reference":
		return "https://www.example.com/"
	case "uuid":
		return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", m.draw.Uint32(), m.draw.IntN(1<<16), m.draw.IntN(1<<12), m.draw.IntN(1<<12), m.draw.Int64N(1<<48))
	case "ipv4":
		return fmt.Sprintf("192.0.2.%d", 1+m.draw.IntN(254))
	case "ipv6":
		return fmt.Sprintf("2001:db8::%x", 1+m.draw.IntN(1<<16-1))
	}
	text := m.word()
	lower := strings.ToLower(name)
	for _, x := range []struct{ part, text string }{
		{"city", "Paris"}, {"location", "Paris, France"}, {"country", "France"}, {"place", "Paris"},
		{"email", "someone@example.com"}, {"address", "1 Main Street"}, {"url", "https://www.example.com/"},
		{"date", "2026-05-17"}, {"currency", "EUR"}, {"lang", "en"}, {"path", "/etc/hosts"}, {"command", "ls -l"},
	} {
		if strings.Contains(lower, x.part) {
			text = x.text
			break
		}
	}
	for len(text) < min(s.MinLength, most) {
		text += " " + m.word()
	}
	if s.MaxLength != nil && len(text) > *s.MaxLength {
		text = text[:max(*s.MaxLength, 0)]
	}
	return text
}

func (m *maker) word() string {
	if m.words == nil {
		m.words = strings.Fields(words)
	}
	return m.words[m.draw.IntN(len(m.words))]
}
