package simulator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"pgregory.net/rapid"
)

// fits checks a document against its schema with somebody else's reading of both.
func fits(schema, doc string) error {
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(schema), &s); err != nil {
		return fmt.Errorf("schema %s: %w", schema, err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return fmt.Errorf("schema %s: %w", schema, err)
	}
	var v any
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		return fmt.Errorf("document %s: %w", doc, err)
	}
	return resolved.Validate(v)
}

func TestDocumentsFit(t *testing.T) {
	for name, schema := range map[string]string{
		"nothing said":   `{}`,
		"weather":        `{"type":"object","properties":{"city":{"type":"string"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["city","unit"],"additionalProperties":false}`,
		"numbers":        `{"type":"array","minItems":3,"items":{"type":"number","minimum":0.5,"exclusiveMaximum":0.75}}`,
		"steps":          `{"type":"integer","multipleOf":7,"minimum":50,"maximum":60}`,
		"below zero":     `{"type":"integer","exclusiveMaximum":-3}`,
		"one value":      `{"type":"integer","minimum":4,"maximum":4}`,
		"lengths":        `{"type":"string","minLength":30,"maxLength":31}`,
		"short":          `{"type":"string","maxLength":2}`,
		"nullable":       `{"type":["string","null"]}`,
		"constant":       `{"const":{"a":[1,"x"]}}`,
		"any of":         `{"anyOf":[{"type":"integer"},{"type":"object","properties":{"a":{"type":"null"}},"required":["a"]}]}`,
		"all of":         `{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"boolean"}},"required":["b"]}]}`,
		"tree":           `{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"value":{"type":"integer"},"children":{"type":"array","items":{"$ref":"#/$defs/node"}}},"required":["value","children"]}}}`,
		"list":           `{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["next"]}`,
		"tuple":          `{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false}`,
		"formats":        `{"type":"object","properties":{"a":{"type":"string","format":"date-time"},"b":{"type":"string","format":"email"},"c":{"type":"string","format":"uuid"},"d":{"type":"string","format":"ipv4"}},"required":["a","b","c","d"]}`,
		"required alone": `{"required":["x","y"]}`,
		"escapes":        `{"type":"object","properties":{"a \"quoted\" <name>":{"enum":["\"","\\","<>&"]}},"required":["a \"quoted\" <name>"]}`,
		"true":           `{"type":"object","properties":{"x":true},"required":["x"]}`,
	} {
		for seed := range uint64(30) {
			doc := document(json.RawMessage(schema), rand.New(rand.NewPCG(seed, 1)))
			if err := fits(schema, doc); err != nil {
				t.Errorf("%s: document(%s) = %s; %v", name, schema, doc, err)
				break
			}
		}
	}
	if doc := document(nil, rand.New(rand.NewPCG(1, 1))); !json.Valid([]byte(doc)) || !strings.HasPrefix(doc, "{") {
		t.Errorf("without a schema document() = %s; want an object", doc)
	}
	if doc := document(json.RawMessage(`{"$ref":"#"}`), rand.New(rand.NewPCG(1, 1))); !json.Valid([]byte(doc)) {
		t.Errorf("of a schema that means nothing but itself document() = %s", doc)
	}
	if doc := document(json.RawMessage(`{"type":"object","properties":{"x":{"$ref":"#"}},"required":["x"]}`), rand.New(rand.NewPCG(1, 1))); !json.Valid([]byte(doc)) {
		t.Errorf("of a schema without a finite document document() = %s", doc)
	}
}

func TestPropertiesKeepTheirOrder(t *testing.T) {
	doc := document(json.RawMessage(`{"type":"object","properties":{"z":{"const":1},"a":{"const":2},"m":{"const":3}}}`), rand.New(rand.NewPCG(1, 1)))
	if want := `{"z": 1, "a": 2, "m": 3}`; doc != want {
		t.Errorf("document() = %s; want %s", doc, want)
	}
}

// anySchema draws a schema that some document fits.
func anySchema(t *rapid.T, depth int) map[string]any {
	kinds := []string{"string", "integer", "number", "boolean", "null", "enum"}
	if depth > 0 {
		kinds = append(kinds, "object", "array", "anyOf")
	}
	s := map[string]any{}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "enum":
		s["enum"] = []any{"a", 1.5, nil, true}[:rapid.IntRange(1, 4).Draw(t, "values")]
	case "string":
		s["type"] = kind
		least := rapid.IntRange(0, 40).Draw(t, "min length")
		if rapid.Bool().Draw(t, "bounded") {
			s["minLength"], s["maxLength"] = least, least+rapid.IntRange(0, 10).Draw(t, "more")
		}
	case "integer", "number":
		s["type"] = kind
		if rapid.Bool().Draw(t, "from") {
			s["minimum"] = rapid.IntRange(-1000, 1000).Draw(t, "minimum")
		}
		if rapid.Bool().Draw(t, "to") {
			low, _ := s["minimum"].(int)
			s["maximum"] = low + rapid.IntRange(0, 1000).Draw(t, "maximum")
		}
	case "object":
		s["type"] = kind
		properties := map[string]any{}
		var required []string
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z"\\é]{1,8}`), 0, 4, rapid.ID).Draw(t, "names") {
			properties[name] = anySchema(t, depth-1)
			if rapid.Bool().Draw(t, "required") {
				required = append(required, name)
			}
		}
		s["properties"] = properties
		if required != nil {
			s["required"] = required
		}
		s["additionalProperties"] = false
	case "array":
		s["type"] = kind
		s["items"] = anySchema(t, depth-1)
		least := rapid.IntRange(0, 5).Draw(t, "min items")
		s["minItems"], s["maxItems"] = least, least+rapid.IntRange(0, 3).Draw(t, "more items")
	case "anyOf":
		s["anyOf"] = []any{anySchema(t, depth-1), anySchema(t, depth-1)}
	default:
		s["type"] = kind
	}
	return s
}

func TestAnyDocumentFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schema, err := json.Marshal(anySchema(t, 5))
		if err != nil {
			t.Fatal(err)
		}
		doc := document(schema, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)))
		if err := fits(string(schema), doc); err != nil {
			t.Fatalf("document(%s) = %s; %v", schema, doc, err)
		}
	})
}

func FuzzSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"type":["integer","null"],"minimum":1}},"required":["a"]}`)
	f.Add(`{"anyOf":[{"$ref":"#"},{"allOf":[{"$ref":"#/$defs/x"}]}],"$defs":{"x":{"type":"array","items":{"$ref":"#/$defs/x"},"minItems":2}}}`)
	f.Fuzz(func(t *testing.T, schema string) {
		if checkSchema(json.RawMessage(schema)) != nil {
			return
		}
		if doc := document(json.RawMessage(schema), rand.New(rand.NewPCG(1, 1))); !json.Valid([]byte(doc)) {
			t.Fatalf("document(%s) = %s", schema, doc)
		}
	})
}
