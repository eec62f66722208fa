package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/config/internal/fields"
)

const (
	durationPattern = `^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$`
	rangePattern    = `^[1-9][0-9]*(-[1-9][0-9]*)?$`
	namePattern     = `^[a-zA-Z_][a-zA-Z0-9_.-]*$`
	labelPattern    = `^[a-zA-Z_][a-zA-Z0-9_]*$`
	functionPattern = `^[a-zA-Z0-9_-]{1,64}$`
)

func schemaJSON(docs *comments, s sample) ([]byte, error) {
	schema, err := newSchema(docs, s)
	if err != nil {
		return nil, err
	}
	compact, err := json.Marshal(schema)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func newSchema(docs *comments, s sample) (*jsonschema.Schema, error) {
	http := structSchema(reflect.TypeFor[httpClientConfig]())
	schema, err := jsonschema.For[config.Config](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[model.Duration]():   durationSchema(),
		reflect.TypeFor[config.Range]():     {AnyOf: []*jsonschema.Schema{{Type: "integer", Minimum: new(1.0)}, {Type: "string", Pattern: rangePattern}}},
		reflect.TypeFor[config.Threshold](): {AnyOf: []*jsonschema.Schema{{Type: "number", ExclusiveMinimum: new(0.0)}, durationSchema()}},
		reflect.TypeFor[config.Regexp]():    {Type: "string", MinLength: new(1)},
		reflect.TypeFor[config.JSON]():      {},
		reflect.TypeFor[config.Secret]():    secretSchema(),
		reflect.TypeFor[httpClientConfig](): http,
	}})
	if err != nil {
		return nil, err
	}
	schema.Schema = "https://json-schema.org/draft/2020-12/schema"
	schema.Title = "The configuration of llm_prober"
	withoutNull(schema)
	if err := describe(schema, reflect.TypeFor[config.Config](), docs, s); err != nil {
		return nil, err
	}
	constrain(schema)
	return schema, nil
}

func durationSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: durationPattern, MinLength: new(1)}
}

// secretSchema takes what YAML reads as a number, too: a password may be one.
func secretSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Types: []string{"string", "number"}, WriteOnly: true}
}

// structSchema is jsonschema.For for Prometheus' types, the JSON names of which are not all those of YAML.
func structSchema(t reflect.Type) *jsonschema.Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[commoncfg.Secret]():
		return secretSchema()
	case reflect.TypeFor[commoncfg.URL]():
		return &jsonschema.Schema{Type: "string"}
	case reflect.TypeFor[commoncfg.TLSVersion]():
		return &jsonschema.Schema{Type: "string", Enum: []any{"TLS10", "TLS11", "TLS12", "TLS13"}}
	}
	switch t.Kind() {
	case reflect.Struct:
		known, rest := fields.Of(t)
		s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}, AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}}}
		for _, f := range known {
			s.Properties[f.Key] = structSchema(f.Type)
			s.PropertyOrder = append(s.PropertyOrder, f.Key)
		}
		if rest != nil {
			s.AdditionalProperties = structSchema(rest)
		}
		return s
	case reflect.Map:
		return &jsonschema.Schema{Type: "object", AdditionalProperties: structSchema(t.Elem())}
	case reflect.Slice:
		return &jsonschema.Schema{Type: "array", Items: structSchema(t.Elem())}
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.String:
		return &jsonschema.Schema{Type: "string"}
	case reflect.Interface:
		return &jsonschema.Schema{}
	}
	panic(fmt.Sprintf("no schema for %s", t))
}

// withoutNull takes away what is good for Go's nil, but is refused in a file.
func withoutNull(s *jsonschema.Schema) {
	s.Types = slices.DeleteFunc(s.Types, func(t string) bool { return t == "null" })
	if len(s.Types) == 1 {
		s.Type, s.Types = s.Types[0], nil
	}
	for _, p := range s.Properties {
		withoutNull(p)
	}
	for _, p := range []*jsonschema.Schema{s.Items, s.AdditionalProperties} {
		if p != nil {
			withoutNull(p)
		}
	}
}

// describe gives every key its description and its default.
func describe(s *jsonschema.Schema, t reflect.Type, docs *comments, values sample) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Map:
		return describe(s.AdditionalProperties, t.Elem(), docs, values)
	case reflect.Slice:
		return describe(s.Items, t.Elem(), docs, values)
	case reflect.Struct:
		known, rest := fields.Of(t)
		for _, f := range known {
			p := s.Properties[f.Key]
			if p == nil {
				continue // of a type that takes one value
			}
			text, err := docs.of(f)
			if err != nil {
				return err
			}
			p.Description = strings.ReplaceAll(text, "`", "")
			if def := values.defaultOf(f); def != nil {
				if p.Default, err = json.Marshal(def); err != nil {
					return err
				}
			}
			if err := describe(p, f.Type, docs, values); err != nil {
				return err
			}
		}
		if rest != nil {
			return describe(s.AdditionalProperties, rest, docs, values)
		}
	}
	return nil
}

// constrain adds the rules of which a schema can tell.
func constrain(s *jsonschema.Schema) {
	labels := func(p *jsonschema.Schema) {
		p.PropertyNames = &jsonschema.Schema{Pattern: labelPattern}
		p.AdditionalProperties = &jsonschema.Schema{Types: []string{"string", "number", "boolean"}}
	}
	atLeast := func(p *jsonschema.Schema, least float64) { p.Minimum = &least }
	between := func(p *jsonschema.Schema, least, most float64) { p.Minimum, p.Maximum = &least, &most }

	global := s.Properties["global"].Properties
	labels(global["labels"])
	atLeast(global["max_in_flight"], 1)

	s.Properties["probes"].PropertyNames = &jsonschema.Schema{Pattern: namePattern, MaxLength: new(64)}
	probe := s.Properties["probes"].AdditionalProperties.Properties
	atLeast(probe["shared_prefix_tokens"], 0)
	atLeast(probe["max_output_tokens"], 1)
	probe["connection"].Enum = []any{config.ConnectionFresh, config.ConnectionReuse}
	between(probe["temperature"], 0, 2)
	probe["top_p"].ExclusiveMinimum, probe["top_p"].Maximum = new(0.0), new(1.0)
	atLeast(probe["min_output_tokens"], 0)
	probe["cache_salt"].MinLength, probe["reasoning_effort"].MinLength = new(1), new(1)
	probe["tools"].MinItems = new(1)
	tool := probe["tools"].Items.Properties
	tool["type"].Enum = []any{"function"}
	tool["function"].Properties["name"].Pattern = functionPattern
	tool["function"].Properties["parameters"].Type = "object"
	format := probe["response_format"].Properties
	format["type"].Enum = []any{config.FormatText, config.FormatJSONObject, config.FormatJSONSchema}
	format["json_schema"].Properties["name"].Pattern = functionPattern
	format["json_schema"].Properties["schema"].Type = "object"
	probe["abandonment"].MinItems = new(1)
	between(probe["abandonment"].Items.Properties["share"], 0, 1)

	target := s.Properties["targets"].Items.Properties
	target["name"].Pattern, target["name"].MaxLength = namePattern, new(64)
	target["url"].Pattern = `^https?://[^@?#]+$`
	for _, name := range config.Protocols() {
		target["protocol"].Enum = append(target["protocol"].Enum, name)
	}
	target["model"].MinLength = new(1)
	target["probes"].UniqueItems = true
	labels(target["labels"])
	atLeast(target["max_in_flight"], 1)
	for _, p := range target["budget"].Properties {
		atLeast(p, 0)
	}
	target["max_tokens_field"].Enum = []any{config.MaxTokens, config.MaxCompletionTokens}
	target["gpus"].UniqueItems = true
	target["gpus"].Items.Pattern = `^(GPU|MIG)-`
	engine := target["engine"].Properties
	engine["metrics_url"].Pattern = `^https?://[^@?#]+$`
	for _, kind := range config.EngineKinds() {
		engine["kind"].Enum = append(engine["kind"].Enum, kind)
	}
	engine["custom"].PropertyNames = new(jsonschema.Schema)
	for _, name := range config.EngineMetrics() {
		engine["custom"].PropertyNames.Enum = append(engine["custom"].PropertyNames.Enum, name)
	}
	labels(engine["match"])
	metric := engine["custom"].AdditionalProperties.Properties
	metric["scale"].ExclusiveMinimum = new(0.0)
	labels(metric["match"])
	price := target["price"].Properties
	for _, key := range []string{"input", "cached_input", "output", "per_hour"} {
		atLeast(price[key], 0)
	}
	price["currency"].Pattern = `^[A-Z]{3}$`

	objective := s.Properties["objectives"].Items.Properties
	objective["name"].Pattern, objective["name"].MaxLength = namePattern, new(64)
	for _, name := range config.Indicators() {
		objective["indicator"].Enum = append(objective["indicator"].Enum, name)
	}
	objective["goal"].ExclusiveMinimum, objective["goal"].ExclusiveMaximum = new(0.0), new(1.0)
}
