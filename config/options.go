package config

import (
	"encoding/json"
	"regexp"
	"slices"
)

// The values of a target's max_tokens_field.
const (
	MaxTokens           = "max_tokens"
	MaxCompletionTokens = "max_completion_tokens"
)

// The values of a probe's tool_choice that are no function's name, and of expect.tool_called.
const (
	ToolChoiceAuto     = "auto"     // the model decides
	ToolChoiceNone     = "none"     // no function is called
	ToolChoiceRequired = "required" // some function is called
	AnyTool            = "*"        // expected is a call of any function
)

// The types of a response_format.
const (
	FormatText       = "text"
	FormatJSONObject = "json_object"
	FormatJSONSchema = "json_schema"
)

// RequestOptions are the parts of a request that not every server takes, as one probe of one target sends them.
// Its fields are those of wire.Options, so that one converts into the other. The zero value sends nothing special.
type RequestOptions struct {
	Temperature *float64
	TopP        *float64
	Seed        *int64

	IgnoreEOS       bool
	MinTokens       int
	CacheSalt       string
	ReasoningEffort string
	Tools           json.RawMessage // JSON array in the OpenAI function-tool shape; nil: none
	ToolChoice      string
	ResponseFormat  json.RawMessage // JSON object; nil: none

	MaxTokensField  string
	ContinuousUsage bool
	ReturnTokenIDs  bool
	APIVersion      string

	Extra map[string]json.RawMessage // the probe's and the target's together; of two with one name the target's
}

// RequestOptions returns what p sends to t. What is in it is not to be changed.
func (p *Probe) RequestOptions(t *Target) RequestOptions {
	o := RequestOptions{
		Temperature: p.Temperature, TopP: p.TopP, Seed: p.Seed,
		IgnoreEOS: p.IgnoreEOS, MinTokens: p.MinOutputTokens, CacheSalt: p.CacheSalt, ReasoningEffort: p.ReasoningEffort,
		ToolChoice:     p.ToolChoice,
		MaxTokensField: t.MaxTokensField, ContinuousUsage: t.ContinuousUsage, ReturnTokenIDs: t.ReturnTokenIDs,
		APIVersion: t.APIVersion,
	}
	if len(p.Tools) > 0 {
		o.Tools = encodeJSON(p.Tools)
	}
	if p.ResponseFormat != nil {
		o.ResponseFormat = encodeJSON(p.ResponseFormat)
	}
	for _, extra := range []map[string]JSON{p.ExtraBody, t.ExtraBody} {
		for name, value := range extra {
			if o.Extra == nil {
				o.Extra = map[string]json.RawMessage{}
			}
			o.Extra[name] = json.RawMessage(value)
		}
	}
	return o
}

// encodeJSON is for values of this package, which can all be written.
func encodeJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

var functionPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// options checks what a probe sends beside its prompt.
func (v *validator) options(p *Probe, at *node) {
	if p.Temperature != nil {
		v.must(*p.Temperature >= 0 && *p.Temperature <= 2, at.get("temperature"), "a temperature is between 0 and 2")
	}
	if p.TopP != nil {
		v.must(*p.TopP > 0 && *p.TopP <= 1, at.get("top_p"), "top_p is above 0 and at most 1; leave it out for all tokens")
	}
	v.must(p.MinOutputTokens >= 0, at.get("min_output_tokens"), "min_output_tokens must not be negative")
	if at.get("max_output_tokens") != nil {
		v.must(p.MinOutputTokens <= p.MaxOutputTokens, at.get("min_output_tokens"),
			"min_output_tokens %d is more than max_output_tokens, which is %d", p.MinOutputTokens, p.MaxOutputTokens)
	}
	v.notEmpty(at.get("cache_salt"), "cache_salt")
	v.notEmpty(at.get("reasoning_effort"), "reasoning_effort")
	v.tools(p, at)
	v.format(p.ResponseFormat, at.get("response_format"))
	v.extraBody(at.get("extra_body"))
	v.expect(p, at.get("expect"), at)
}

// notEmpty reports a text that is written as nothing.
func (v *validator) notEmpty(n *node, key string) {
	if n != nil {
		v.must(n.text != "", n, "%s is empty; leave it out", key)
	}
}

func (v *validator) tools(p *Probe, at *node) {
	list := at.get("tools")
	if list != nil {
		v.must(len(list.children) > 0, list, "the list of tools is empty; leave it out")
	}
	lines := map[string]int{} // of each function
	for i, t := range p.Tools {
		item := list.item(i)
		if item == nil {
			continue
		}
		v.must(t.Type == "function", item.get("type"), "the tool is no function; put what the server alone knows into extra_body")
		function := item.get("function")
		name := function.get("name")
		v.must(functionPattern.MatchString(t.Function.Name), name, "a function's name has letters, digits, _ and -, 64 at most")
		if name != nil {
			line, again := lines[t.Function.Name]
			v.must(!again, name, "function %q is already defined in line %d", t.Function.Name, line)
			lines[t.Function.Name] = name.line
			special := []string{ToolChoiceAuto, ToolChoiceNone, ToolChoiceRequired}
			v.must(!slices.Contains(special, t.Function.Name), name, "a function cannot be called %q, which is a tool_choice", t.Function.Name)
		}
		v.must(t.Function.Parameters == nil || t.Function.Parameters.isObject(), function.get("parameters"), "a JSON schema is a mapping")
	}
	if choice := at.get("tool_choice"); choice != nil {
		known := []string{ToolChoiceAuto, ToolChoiceNone, ToolChoiceRequired}
		v.toolName(choice, p, at, known, "tool_choice")
	}
}

// toolName checks a name that stands for a function of the probe, or is one of the words that may stand there as well.
func (v *validator) toolName(n *node, p *Probe, at *node, words []string, key string) {
	if at.get("extra_body").has("tools") {
		return // of which the names are not known here
	}
	if !at.has("tools") {
		v.must(false, n, "%s needs tools, which the probe has not", key)
		return
	}
	names := slices.Clone(words)
	for _, t := range p.Tools {
		names = append(names, t.Function.Name)
	}
	if at.get("tools") != nil {
		v.must(slices.Contains(names, n.text), n, "the probe has no tool %q%s", n.text, didYouMean(n.text, names))
	}
}

func (v *validator) format(f *ResponseFormat, at *node) {
	if f == nil || at == nil {
		return
	}
	types := []string{FormatText, FormatJSONObject, FormatJSONSchema}
	kind, schema := at.get("type"), at.get("json_schema")
	v.must(slices.Contains(types, f.Type), kind, "unknown type %q%s", f.Type, didYouMean(f.Type, types))
	if kind != nil && slices.Contains(types, f.Type) {
		v.must(f.Type == FormatJSONSchema || !at.has("json_schema"), schema, "json_schema goes with the type json_schema, not with %s", f.Type)
		v.must(f.Type != FormatJSONSchema || at.has("json_schema"), kind, "the type json_schema needs json_schema, which is missing")
	}
	if f.JSONSchema != nil {
		v.must(functionPattern.MatchString(f.JSONSchema.Name), schema.get("name"), "a schema's name has letters, digits, _ and -, 64 at most")
		v.must(f.JSONSchema.Schema.isObject(), schema.get("schema"), "a JSON schema is a mapping")
	}
}

// extraBody checks the names of further fields. Those that the prober must have for itself cannot be set.
func (v *validator) extraBody(n *node) {
	if n == nil {
		return
	}
	reserved := map[string]string{
		"stream":   "use the probe's stream",
		"model":    "use the target's model",
		"messages": "the prober writes the prompt",
		"prompt":   "the prober writes the prompt",
		"input":    "the prober writes the prompt",
		"inputs":   "the prober writes the prompt",
		"contents": "the prober writes the prompt",
	}
	caps := []string{"max_tokens", "max_completion_tokens", "max_output_tokens"}
	for _, value := range n.children {
		if value.key.bad {
			continue
		}
		name := value.key.text
		cure, isReserved := reserved[name]
		v.must(!isReserved, value.key, "the field %s cannot be set here: %s", name, cure)
		v.must(!slices.Contains(caps, name) || value.isNull(), value.key, "the field %s can only be taken away here, with null: use max_output_tokens, which budgets count", name)
	}
}

func (v *validator) expect(p *Probe, n, probe *node) {
	if n == nil {
		return
	}
	for i, text := range p.Expect.Contains {
		v.must(text != "", n.get("contains").item(i), "an empty text is in every answer; leave it out")
	}
	v.notEmpty(n.get("regexp"), "regexp")
	if called := n.get("tool_called"); called != nil {
		v.toolName(called, p, probe, []string{AnyTool}, "tool_called")
		v.must(p.ToolChoice != ToolChoiceNone, called, "no tool is called with the tool_choice none")
	}
}

// dialect checks what a target's server wants to be asked.
func (v *validator) dialect(t *TargetSettings, at *node) {
	fields := []string{MaxTokens, MaxCompletionTokens}
	v.must(slices.Contains(fields, t.MaxTokensField), at.get("max_tokens_field"), "unknown max_tokens_field %q%s", t.MaxTokensField, didYouMean(t.MaxTokensField, fields))
	v.extraBody(at.get("extra_body"))
}

var versionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`)
