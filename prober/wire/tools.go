package wire

import (
	"encoding/json"
	"fmt"
)

// function is one tool in the OpenAI function-tool shape, which is the one that calls have.
type function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"` // a JSON schema; nil: the function takes none
	Strict      *bool           `json:"strict,omitempty"`
}

// functions reads the tools, for protocols that have a shape of their own.
func (o *Options) functions() ([]function, error) {
	if o.Tools == nil {
		return nil, nil
	}
	var tools []struct {
		Type     string    `json:"type"`
		Function *function `json:"function"`
	}
	if err := json.Unmarshal(o.Tools, &tools); err != nil {
		return nil, fmt.Errorf("read tools: %w", err)
	}
	var out []function
	for i, t := range tools {
		if t.Type != "function" || t.Function == nil || t.Function.Name == "" {
			return nil, fmt.Errorf(`read tools: element %d is not {"type":"function","function":{"name":...}}; put tools of the server's own shape into extra`, i)
		}
		out = append(out, *t.Function)
	}
	return out, nil
}

// format is OpenAI's response_format.
type format struct {
	Type       string `json:"type"` // "text", "json_object" or "json_schema"
	JSONSchema struct {
		Name        string          `json:"name,omitempty"`
		Description string          `json:"description,omitempty"`
		Schema      json.RawMessage `json:"schema,omitempty"`
		Strict      *bool           `json:"strict,omitempty"`
	} `json:"json_schema"`
}

// format reads the response format, for protocols that have a shape of their own. Its zero value asks for nothing.
func (o *Options) format() (format, error) {
	var f format
	if o.ResponseFormat == nil {
		return f, nil
	}
	if err := json.Unmarshal(o.ResponseFormat, &f); err != nil {
		return f, fmt.Errorf("read response format: %w", err)
	}
	switch {
	case f.Type == "text" || f.Type == "json_object":
	case f.Type == "json_schema" && f.JSONSchema.Schema != nil:
	default:
		return f, fmt.Errorf(`read response format: want type "text", "json_object", or "json_schema" with a schema, got %s`, o.ResponseFormat)
	}
	return f, nil
}
