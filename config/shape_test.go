package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// A type that someone adds is checked, or this fails.
func TestEveryTypeHasARule(t *testing.T) {
	keys := 0
	everyKey(func(path, key string, typ reflect.Type) {
		keys++
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			if typ == reflect.TypeFor[JSON]() {
				return // any value; json.go has its rules
			}
			typ = typ.Elem()
		}
		if _, ok := scalarOf(typ); !ok && typ.Kind() != reflect.Struct && typ.Kind() != reflect.Interface {
			t.Errorf("%s has type %s, for which scalarOf (scalar.go) has no row", join(path, key), typ)
		}
	})
	if keys < 60 {
		t.Errorf("everyKey called its function %d times", keys)
	}
}

func TestPlacesOf(t *testing.T) {
	for key, want := range map[string][]string{
		"interval":      {"probes.<name>", "targets[].engine"},
		"jitter":        {"ramps[]", "probes.<name>"},
		"targets":       {"the top of the file"},
		"authorization": {"targets[].http", "http_sd[].http", "targets[].engine.http"},
		"secrets":       {"targets[].http.http_headers.<name>", "http_sd[].http.http_headers.<name>", "targets[].engine.http.http_headers.<name>"},
		"key_file":      {"targets[].http.tls_config", "http_sd[].http.tls_config", "targets[].http.oauth2.tls_config"},
		"nothing":       nil,
	} {
		if got := placesByKey()[key]; !slices.Equal(got, want) {
			t.Errorf("placesByKey()[%q] = %q; want %q", key, got, want)
		}
	}
}

func TestMaskText(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"probes:", "probes:"},
		{"    interval: [15s", "    interval: [15s"},
		{"    interval: 15s: 3", "    interval: <hidden>"},
		{"    interval: 1.5 s # as before", "    interval: 1.5 s "},
		{"  - {name: chat, model: m probes: [chat]", "  - {name: chat, model: m probes: [<hidden>"},
		{"  chat: {prompt_tokens: 20-60, interval 15s}", "  chat: {prompt_tokens: 20-60, <hidden>"},
		{"  chat: {prmpt_tokens: 20-60}", "  <hidden>"},
		{"targets", "targets"},
		{"  - targets", "  - targets"},
		{"      credentials: sk: 1", "      <hidden>"},
		{"      model: m credentials: sk", "      model: m <hidden>"},
		{"      X-Api-Key: sk: 1", "      <hidden>"},
		{`  headers: {"X-Api-Key" sk}`, "  headers: {<hidden>"},
		{"  headers: sk", "  headers: <hidden>"},
		{"sk", "<hidden>"},
		{"- sk", "- <hidden>"},
		{"    url: http://user:sk@h/v1", "    url: <hidden>"},
		{"    url: http://h:8000/v1", "    url: http://h:8000/v1"},
		{"    url: 'http://h:8000/v1", "    url: 'http://h:8000/v1"},
		{"# sk", ""},
		{"}", "}"},
		{"", ""},
	} {
		got, _ := maskText([]rune(tt.line), 0, 1)
		if strings.TrimRight(got, " ") != strings.TrimRight(tt.want, " ") {
			t.Errorf("maskText(%q) = %q; want %q", tt.line, got, tt.want)
		}
	}
}

// What aliases can do to a small file has an end.
func TestAliasesEnd(t *testing.T) {
	var file strings.Builder
	file.WriteString("probes: {}\ntargets:\n  - &a0 [" + strings.Repeat("x, ", 100) + "]\n")
	for i := range 30 {
		fmt.Fprintf(&file, "  - &a%d [%s]\n", i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 30))
	}
	start := time.Now()
	if _, err := Parse("f", []byte(file.String()), Options{}); err == nil || !strings.Contains(err.Error(), "the aliases of this file stand for more than") {
		t.Errorf("Parse = %v", err)
	}
	t.Logf("took %v", time.Since(start))
}

// Numbers are what they look like: YAML's octal, hexadecimal and short forms are not numbers here.
func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		text, tag      string
		isInt, isFloat bool
	}{
		{"0", "!!int", true, true},
		{"64", "!!int", true, true},
		{"-3", "!!int", true, true},
		{"0.5", "!!float", false, true},
		{"-12.50", "!!float", false, true},
		{"64", "!!str", false, false},
		{"0.5", "!!str", false, false},
		{"0100", "!!int", false, false},
		{"0x10", "!!int", false, false},
		{"0o10", "!!int", false, false},
		{"1_000", "!!int", false, false},
		{"1e3", "!!float", false, false},
		{".5", "!!float", false, false},
		{".inf", "!!float", false, false},
		{".nan", "!!float", false, false},
		{"99999999999999999999", "!!float", false, true},
		{"many", "!!str", false, false},
	} {
		n := &node{tag: tt.tag, text: tt.text}
		if err := checkInt(n); (err == nil) != tt.isInt {
			t.Errorf("checkInt(%s %s) = %v", tt.tag, tt.text, err)
		}
		if err := checkFloat(n); (err == nil) != tt.isFloat {
			t.Errorf("checkFloat(%s %s) = %v", tt.tag, tt.text, err)
		}
	}
}

// Lines are counted as YAML counts them, by whoever reports.
func TestLineEnds(t *testing.T) {
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r", "NEL": "\u0085", "LS": "\u2028", "PS": "\u2029"} {
		for what, last := range map[string]string{"type": "wrong: 1", "YAML": "a: b: c", "text": "a: \xff"} {
			_, err := Parse("f", []byte("probes: {}"+end+"targets: []"+end+last+end), Options{})
			list, ok := err.(ErrorList)
			if !ok || len(list) != 1 || list[0].Line != 3 {
				t.Errorf("%s, fault of %s: %v; want one in line 3", name, what, err)
			}
		}
	}
}
