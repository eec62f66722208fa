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
	levelPattern    = `^[0-9]+(\.[0-9]+)?/[smh]$`
	percentPattern  = `^[0-9]+(\.[0-9]+)?%$`
	clockPattern    = `^([01]?[0-9]|2[0-4]):[0-5][0-9]$`
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
	http := structSchema(reflect.TypeFor[httpClientConfig]()) // which stands in many places
	schema, err := jsonschema.For[config.Config](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[model.Duration]():   durationSchema(),
		reflect.TypeFor[config.Range]():     {AnyOf: []*jsonschema.Schema{{Type: "integer", Minimum: new(1.0)}, {Type: "string", Pattern: rangePattern}}},
		reflect.TypeFor[config.Threshold](): {AnyOf: []*jsonschema.Schema{{Type: "number", ExclusiveMinimum: new(0.0)}, durationSchema()}},
		reflect.TypeFor[config.Level]():     {AnyOf: []*jsonschema.Schema{{Type: "string", Pattern: levelPattern}, {Type: "integer", Minimum: new(0.0)}}},
		reflect.TypeFor[config.Percent]():   {Type: "string", Pattern: percentPattern},
		reflect.TypeFor[config.TimeOfDay](): {Type: "string", Pattern: clockPattern},
		reflect.TypeFor[config.RetryOn]():   retrySchema(),
		reflect.TypeFor[config.Schedule]():  {Type: "string", MinLength: new(1)},
		reflect.TypeFor[config.Regexp]():    {Type: "string", MinLength: new(1)},
		reflect.TypeFor[config.JSON]():      {},
		reflect.TypeFor[config.Secret]():    secretSchema(),
		reflect.TypeFor[httpClientConfig](): {Ref: "#/$defs/http"},
	}})
	if err != nil {
		return nil, err
	}
	schema.Schema = "https://json-schema.org/draft/2020-12/schema"
	schema.Title = "The configuration of llm_prober"
	schema.Defs = map[string]*jsonschema.Schema{"http": http}
	withoutNull(schema)
	if err := describe(schema, reflect.TypeFor[config.Config](), docs, s); err != nil {
		return nil, err
	}
	if err := describe(http, reflect.TypeFor[httpClientConfig](), docs, s); err != nil {
		return nil, err
	}
	constrain(schema)
	return schema, nil
}

func durationSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: durationPattern, MinLength: new(1)}
}

func retrySchema() *jsonschema.Schema {
	outcomes := &jsonschema.Schema{Type: "string"}
	for _, name := range config.RetryOutcomes() {
		outcomes.Enum = append(outcomes.Enum, name)
	}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "integer", Minimum: new(400.0), Maximum: new(599.0)}, outcomes}}
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
		return &jsonschema.Schema{Type: "string", Enum: []any{"TLS12", "TLS13"}}
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
	s.Types = slices.DeleteFunc(s.Types, func(t string) bool { return t == "null" || t == "" })
	switch len(s.Types) {
	case 0: // a pointer to what has several forms
		s.Types = nil
	case 1:
		s.Type, s.Types = s.Types[0], nil
	}
	if s.Ref != "" {
		s.Type, s.Types = "", nil
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
	if s == nil || s.Ref != "" { // of anything, or described by itself
		return nil
	}
	switch t.Kind() {
	case reflect.Map:
		return describe(s.AdditionalProperties, t.Elem(), docs, values)
	case reflect.Slice:
		return describe(s.Items, t.Elem(), docs, values)
	case reflect.Struct:
		known, rest := fields.Of(t)
		for _, f := range known {
			if len(f.Unless) > 0 {
				s.Required = slices.DeleteFunc(s.Required, func(key string) bool { return key == f.Key })
				either := &jsonschema.Schema{}
				for _, key := range append([]string{f.Key}, f.Unless...) {
					either.AnyOf = append(either.AnyOf, &jsonschema.Schema{Required: []string{key}})
				}
				s.AllOf = append(s.AllOf, either)
			}
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

	probe["instruction"].MinLength = new(1)
	between(probe["turns"], 2, 50)
	between(probe["burst"].Properties["size"], 1, 1000)
	between(probe["retry"].Properties["attempts"], 2, 10)
	probe["retry"].Properties["on"].MinItems, probe["retry"].Properties["on"].UniqueItems = new(1), true
	probe["prompts"].Properties["file"].MinLength = new(1)
	for _, key := range []string{"output_tokens_per_hour", "requests_per_minute"} {
		atLeast(global["budget"].Properties[key], 0)
	}
	costs := global["budget"].Properties["cost_per_day"]
	costs.PropertyNames = &jsonschema.Schema{Pattern: `^[A-Z]{3}$`}
	costs.AdditionalProperties.ExclusiveMinimum = new(0.0)

	target := s.Properties["targets"].Items.Properties
	target["name"].Pattern, target["name"].MaxLength = namePattern, new(64)
	target["url"].Pattern = `^https?://[^@?#]+$`
	constrainTarget(target, false)
	for _, key := range []string{"target_files", "http_sd"} {
		source := s.Properties[key].Items.Properties
		source["name"].Pattern, source["name"].MaxLength = namePattern, new(64)
		atLeast(source["max_targets"], 1)
		constrainTarget(source["template"].Properties, true)
	}
	files := s.Properties["target_files"].Items.Properties["files"]
	files.MinItems, files.UniqueItems = new(1), true
	files.Items.Pattern = `\.(json|yml|yaml)$`
	s.Properties["http_sd"].Items.Properties["url"].Pattern = `^https?://[^@]+$`
	demand := s.Properties["probe_on_demand"].Properties
	demand["allow"].MinItems, demand["allow"].Items.Pattern = new(1), `^https?://[^@?#%\\ ]+$`
	atLeast(demand["max_in_flight"], 1)
	constrainTarget(demand["template"].Properties, true)
	constrainRamp(s.Properties["ramps"].Items)

	objective := s.Properties["objectives"].Items.Properties
	objective["name"].Pattern, objective["name"].MaxLength = namePattern, new(64)
	for _, name := range config.Indicators() {
		objective["indicator"].Enum = append(objective["indicator"].Enum, name)
	}
	objective["goal"].ExclusiveMinimum, objective["goal"].ExclusiveMaximum = new(0.0), new(1.0)
}

func labels(p *jsonschema.Schema) {
	p.PropertyNames = &jsonschema.Schema{Pattern: labelPattern}
	p.AdditionalProperties = &jsonschema.Schema{Types: []string{"string", "number", "boolean"}}
}

func atLeast(p *jsonschema.Schema, least float64) { p.Minimum = &least }

func between(p *jsonschema.Schema, least, most float64) { p.Minimum, p.Maximum = &least, &most }

func oneOfWords(p *jsonschema.Schema, words []string) {
	for _, word := range words {
		p.Enum = append(p.Enum, word)
	}
}

// constrainTarget adds the rules of targets, or of templates of them.
func constrainTarget(target map[string]*jsonschema.Schema, template bool) {
	oneOfWords(target["protocol"], config.Protocols())
	target["model"].MinLength = new(1)
	target["probes"].UniqueItems = true
	labels(target["labels"])
	atLeast(target["max_in_flight"], 1)
	for _, p := range target["budget"].Properties {
		atLeast(p, 0)
	}
	oneOfWords(target["max_tokens_field"], []string{config.MaxTokens, config.MaxCompletionTokens})
	target["gpus"].UniqueItems = true
	target["gpus"].Items.Pattern = `^(GPU|MIG)-`
	engine := target["engine"].Properties
	engine["metrics_url"].Pattern = `^https?://[^@?#]+$`
	if template {
		engine["metrics_url"].Pattern = `^(https?://[^@?#]+|/.*)$`
	}
	oneOfWords(engine["kind"], config.EngineKinds())
	engine["custom"].PropertyNames = new(jsonschema.Schema)
	oneOfWords(engine["custom"].PropertyNames, config.EngineMetrics())
	labels(engine["match"])
	metric := engine["custom"].AdditionalProperties.Properties
	metric["scale"].ExclusiveMinimum = new(0.0)
	labels(metric["match"])
	price := target["price"].Properties
	for _, key := range []string{"input", "cached_input", "output", "per_hour", "gpu_hour_cost"} {
		atLeast(price[key], 0)
	}
	price["currency"].Pattern = `^[A-Z]{3}$`
}

// constrainRamp adds the rules of ramps.
func constrainRamp(s *jsonschema.Schema) {
	mix := func(p *jsonschema.Schema) {
		p.MinProperties = new(1)
		p.AdditionalProperties.ExclusiveMinimum = new(0.0)
	}
	ramp := s.Properties
	ramp["name"].Pattern, ramp["name"].MaxLength = namePattern, new(64)
	between(ramp["repeat"], 1, 100)
	atLeast(ramp["seed"], 0)
	mix(ramp["mix"])
	days := ramp["blackouts"].Items.Properties["days"]
	days.MinItems, days.UniqueItems = new(1), true
	oneOfWords(days.Items, []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"})

	shape := ramp["shape"]
	shape.MinProperties, shape.MaxProperties = new(1), new(1)
	mix(shape.Properties["noisy_neighbour"].Properties["mix"])
	shares := shape.Properties["mix_sweep"].Properties["shares"]
	shares.MinItems = new(2)
	between(shares.Items, 0, 1)
	for _, p := range shape.Properties {
		if times := p.Properties["times"]; times != nil {
			between(times, 1, 1000)
		}
	}
	between(shape.Properties["step"].Properties["steps"], 2, 1000)
	between(shape.Properties["baseline"].Properties["requests"], 1, 10_000)
	between(shape.Properties["burst_after_idle"].Properties["size"], 1, 10_000)
	between(shape.Properties["search"].Properties["requests"], 0, 1_000_000)

	ramp["lanes"].MinItems = new(1)
	lane := ramp["lanes"].Items.Properties
	lane["name"].Pattern, lane["name"].MaxLength = namePattern, new(64)
	mix(lane["mix"])
	atLeast(lane["concurrency"], 1)
	atLeast(lane["max_in_flight"], 1)
	arrivals := lane["arrivals"].Properties
	oneOfWords(arrivals["process"], config.Processes())
	atLeast(arrivals["burstiness"], 0.01)
	arrivals["speed"].ExclusiveMinimum = new(0.0)
	lane["stages"].MinItems = new(1)
	stage := lane["stages"].Items
	mix(stage.Properties["mix"])
	stage.Properties["name"].Pattern, stage.Properties["name"].MaxLength = namePattern, new(64)
	for _, key := range []string{"to", "hold", "step", "spike", "idle"} {
		stage.OneOf = append(stage.OneOf, &jsonschema.Schema{Required: []string{key}})
	}
	between(stage.Properties["step"].Properties["count"], 1, 1000)

	objective := ramp["objectives"].Items.Properties
	oneOfWords(objective["indicator"], config.Indicators())
	objective["percentile"].Minimum, objective["percentile"].ExclusiveMaximum = new(1.0), new(100.0)
	abort := ramp["abort"].Properties
	abort["error_share"].ExclusiveMinimum, abort["error_share"].Maximum = new(0.0), new(1.0)
	abort["cost"].ExclusiveMinimum, abort["victims"].ExclusiveMinimum = new(0.0), new(1.0)
	atLeast(abort["waiting"], 1)
	atLeast(abort["in_flight"], 1)
	compare := ramp["compare"].Properties
	compare["with"].Pattern = `^(previous|previous_passed|last_[1-9][0-9]*|baseline:.+)$`
	compare["confidence"].ExclusiveMinimum, compare["confidence"].ExclusiveMaximum = new(0.5), new(1.0)
}
