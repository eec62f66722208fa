package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v4"

	"github.com/llmprober/llm_prober/config"
)

// dir is the folder of package config, seen from here.
const dir = "../.."

func TestCurrent(t *testing.T) {
	files, err := generate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 {
		t.Errorf("generate gave %d files; want 2", len(files))
	}
	for path, want := range files {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is stale; run go generate ./config (-want +got):\n%s", path, diff)
		}
	}
}

// loadSchema reads the schema as it is on disk, not as it is made.
func loadSchema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// instance reads a YAML file as an editor does: into what JSON knows.
func instance(t *testing.T, path string) any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Load(data, &v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	asJSON, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if err := json.Unmarshal(asJSON, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestGoodFilesFitTheSchema(t *testing.T) {
	schema := loadSchema(t)
	paths, err := filepath.Glob(filepath.Join(dir, "testdata/good/*.yml"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range append(paths, filepath.Join(dir, "llm_prober.example.yml")) {
		if err := schema.Validate(instance(t, path)); err != nil {
			t.Errorf("%s does not fit the schema: %v", path, err)
		}
	}
}

// What a schema can tell, this one does.
func TestBadFilesDoNotFitTheSchema(t *testing.T) {
	schema := loadSchema(t)
	for _, name := range []string{
		"abandonment_empty", "abandonment_share", "boolean_as_word", "budget_negative", "cache_salt_empty", "connection_unknown", "duplicate_probe_of_target",
		"duration_unknown_unit", "duration_with_fraction", "duration_without_unit", "duration_wrong_order", "engine_custom_metric", "engine_custom_unknown",
		"engine_kind", "engine_url", "engine_url_password", "engine_url_query", "engine_url_scheme", "engine_without_url", "expect_contains_value",
		"expect_regexp_empty", "extra_body_list", "gpus_index", "gpus_twice", "label_name", "list_for_mapping", "list_for_value", "mapping_for_list",
		"mapping_for_secret", "max_in_flight_negative", "max_in_flight_zero", "max_output_tokens_zero", "max_tokens_field", "min_output_tokens_negative",
		"missing_keys", "missing_sections", "model_empty", "name_of_probe", "name_of_target", "name_of_target_too_long", "no_value", "number_as_word",
		"number_in_quotes", "number_with_fraction", "objective_goal", "objective_indicator", "objective_missing_keys", "objective_name",
		"objective_threshold_zero", "price_currency", "price_negative", "protocol_unknown", "range_from_nothing", "range_of_nothing", "range_of_words",
		"range_open", "reasoning_effort_empty", "response_format_schema", "response_format_unknown", "root_is_a_list", "secret_manager_reference",
		"seed_with_fraction", "shared_prefix_negative", "temperature", "temperature_in_words", "tls_version", "tool_name", "tool_parameters", "tool_type",
		"tool_unknown_key", "tool_without_name", "tools_empty", "tools_value", "top_p", "unknown_key", "unknown_key_at_the_top", "unknown_key_secret",
		"url_fragment", "url_password", "url_query", "url_scheme", "url_without_scheme", "value_for_list", "value_for_mapping",
	} {
		if err := schema.Validate(instance(t, filepath.Join(dir, "testdata/bad", name+".yml"))); err == nil {
			t.Errorf("%s fits the schema", name)
		}
	}
}

// Each type is checked by itself: the tags of a struct are equal in name, and in whether the key may be left out.
func TestTagsAreEqual(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var check func(reflect.Type)
	check = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			check(typ.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if typ.PkgPath() != reflect.TypeFor[config.Config]().PkgPath() || isScalar(typ) || seen[typ] {
			return
		}
		seen[typ] = true
		for f := range typ.Fields() {
			if !f.IsExported() {
				continue
			}
			if f.Tag.Get("yaml") == ",inline" && f.Anonymous {
				check(f.Type)
				continue
			}
			yamlName, yamlOptions, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			jsonName, jsonOptions, _ := strings.Cut(f.Tag.Get("json"), ",")
			optional := jsonOptions == "omitempty" || jsonOptions == "omitzero" // the latter for structs, which are never empty to JSON
			if yamlName == "" || yamlName != jsonName || (yamlOptions == "omitempty") != optional {
				t.Errorf("%s.%s has the tag %s", typ, f.Name, f.Tag)
			}
			check(f.Type)
		}
	}
	check(reflect.TypeFor[config.Config]())
	if len(seen) < 5 {
		t.Errorf("checked %d types; want at least 5", len(seen))
	}
}

func TestReferenceNamesEveryKeyOfTheExample(t *testing.T) {
	reference, err := os.ReadFile(filepath.Join(dir, "../docs/configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	var visit func(v any)
	visit = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, inner := range v {
				if _, isMap := inner.(map[string]any); !isMap && k != "vantage" && k != "team" && !bytes.Contains(reference, []byte("| `"+k+"` |")) {
					t.Errorf("the reference lacks %q", k)
				}
				if k == "parameters" || k == "mix" { // whose keys are names of the user's
					continue
				}
				visit(inner)
			}
		case []any:
			for _, inner := range v {
				visit(inner)
			}
		}
	}
	visit(instance(t, filepath.Join(dir, "llm_prober.example.yml")))
}

func TestDefaults(t *testing.T) {
	docs, err := parseComments(filepath.Join(dir, "types.go"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSample()
	if err != nil {
		t.Fatal(err)
	}
	sections, err := sectionsOf(reflect.TypeFor[config.Config](), "", docs, s)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, sec := range sections {
		for _, k := range sec.Keys {
			got[strings.Trim(strings.Join(sec.Paths, ""), "`")+"/"+k.Name] = k.Default
		}
	}
	for key, want := range map[string]string{
		"global/timeout":                  "`1m`",
		"global/connect_timeout":          "`10s`",
		"global/first_token_timeout":      "`timeout`",
		"global/labels":                   "",
		"probes.<name>/idle_timeout":      "global's",
		"probes.<name>/stream":            "`true`",
		"probes.<name>/prompt_tokens":     "required, or `prompts`",
		"probes.<name>/turns":             "",
		"probes.<name>.retry/backoff":     "`1s`",
		"targets[]/max_in_flight":         "`8`",
		"targets[]/protocol":              "`openai_chat`",
		"probes.<name>/max_output_tokens": "required",
		"probes.<name>/temperature":       "",
		"probes.<name>.tools[]/type":      "`function`",
		"targets[].engine/kind":           "`auto`",
		"targets[].engine/interval":       "`15s`",
		"targets[].engine/timeout":        "`5s`",
		"targets[]/max_tokens_field":      "`max_tokens`",
		"objectives[]/goal":               "required",
		"targets/":                        "",
		"ramps[]/drain":                   "`1m`",
		"ramps[].abort/error_share":       "`0.5`",
		"ramps[].abort/ttft_p95":          "",
		"ramps[].compare/max_regression":  "`10%`",
		"ramps[].lanes[]/name":            "",
		"ramps[].lanes[]/max_in_flight":   "`1000`",
		"ramps[].shape.search/tolerance":  "`5%`",
		"ramps[].shape.mix_sweep/shares":  "`[0, 0.1, 0.2, 0.4]`",
		"http_sd[]/refresh_interval":      "`1m`",
	} {
		if got[key] != want {
			t.Errorf("default of %s = %q; want %q", key, got[key], want)
		}
	}
}
