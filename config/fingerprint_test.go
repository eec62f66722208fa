package config

import (
	"reflect"
	"strings"
	"testing"
)

const fingerprinted = `
global: {timeout: 50s, labels: {vantage: eu}}
probes:
  chat: {prompt_tokens: 20-60, max_output_tokens: 64, interval: 15s}
  rag: {prompt_tokens: 400, max_output_tokens: 64, interval: 15s}
targets:
  - name: a
    url: http://127.0.0.1:8000/v1
    model: m
    probes: [chat, rag]
    headers: {X-Key: "${KEY}", X-Other: b}
    http: {authorization: {credentials: c}, proxy_url: "http://u:p@127.0.0.1:3128"}
`

func parseText(t *testing.T, text, key string) *Config {
	t.Helper()
	c, err := Parse("f", []byte(text), Options{LookupEnv: func(string) (string, bool) { return key, true }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFingerprint(t *testing.T) {
	before := parseText(t, fingerprinted, "k")
	for _, tt := range []struct {
		name, old, new   string
		key              string
		probe, targetToo bool // what changes
	}{
		{name: "nothing", key: "k"},
		{name: "another name", old: "name: a", new: "name: b", key: "k", targetToo: true},
		{name: "another url", old: "8000", new: "8001", key: "k", targetToo: true},
		{name: "the same url", old: "/v1", new: "/v1/", key: "k"},
		{name: "another secret in the environment", key: "l", targetToo: true},
		{name: "another secret in the file", old: "credentials: c", new: "credentials: d", key: "k", targetToo: true},
		{name: "another password of the proxy", old: "u:p@", new: "u:q@", key: "k", targetToo: true},
		{name: "the same secret, written out", old: "${KEY}", new: "k", key: "k"},
		{name: "a value in another header", old: `{X-Key: "${KEY}", X-Other: b}`, new: `{X-Key: b, X-Other: "${KEY}"}`, key: "k", targetToo: true},
		{name: "the same header, written otherwise", old: "X-Key", new: "x-key", key: "k"},
		{name: "probes in another order", old: "[chat, rag]", new: "[rag, chat]", key: "k"},
		{name: "one probe less", old: "[chat, rag]", new: "[chat]", key: "k", targetToo: true},
		{name: "a default, written out", old: "model: m", new: "model: m, max_in_flight: 8, protocol: openai_chat, budget: {}, labels: {}", key: "k"},
		{name: "the default of Prometheus, written out", old: "credentials: c}", new: "credentials: c, type: Bearer}", key: "k"},
		{name: "redirects", old: "http: {", new: "http: {follow_redirects: true, ", key: "k", targetToo: true},
		{name: "a label of global's", old: "vantage: eu", new: "vantage: us", key: "k", targetToo: true},
		{name: "global's label, written out", old: "model: m", new: "model: m, labels: {vantage: eu}", key: "k"},
		{name: "another timeout of global's", old: "50s", new: "51s", key: "k", probe: true},
		{name: "the same timeout, written otherwise", old: "50s", new: "50000ms", key: "k"},
		{name: "the timeout in the probe", old: "prompt_tokens: 20-60", new: "timeout: 50s, prompt_tokens: 20-60", key: "k"},
		{name: "another length", old: "20-60", new: "20-61", key: "k", probe: true},
		{name: "not streamed", old: "prompt_tokens: 20-60", new: "stream: false, prompt_tokens: 20-60", key: "k", probe: true},
		{name: "streamed, as is the default", old: "prompt_tokens: 20-60", new: "stream: true, prompt_tokens: 20-60", key: "k"},
		{name: "another temperature", old: "prompt_tokens: 20-60", new: "temperature: 0, prompt_tokens: 20-60", key: "k", probe: true},
		{name: "another seed", old: "prompt_tokens: 20-60", new: "seed: 0, prompt_tokens: 20-60", key: "k", probe: true},
		{name: "a tool", old: "prompt_tokens: 20-60", new: "tools: [{function: {name: f}}], prompt_tokens: 20-60", key: "k", probe: true},
		{name: "further fields", old: "prompt_tokens: 20-60", new: "extra_body: {a: null}, prompt_tokens: 20-60", key: "k", probe: true},
		{name: "an expectation", old: "prompt_tokens: 20-60", new: "expect: {regexp: a}, prompt_tokens: 20-60", key: "k", probe: true},
		{name: "further fields of the target", old: "model: m", new: "model: m, extra_body: {a: 1}", key: "k", targetToo: true},
		{name: "an engine", old: "model: m", new: "model: m, engine: {metrics_url: http://h/metrics}", key: "k", targetToo: true},
		{name: "another probe", old: "400", new: "401", key: "k"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(fingerprinted, tt.old, tt.new, 1)
			if strings.Contains(tt.new, ": ") && strings.HasPrefix(tt.old, "model") { // a block mapping has one key per line
				text = strings.Replace(fingerprinted, tt.old, strings.ReplaceAll(tt.new, ", ", "\n    "), 1)
			}
			if tt.old != "" && text == fingerprinted {
				t.Fatalf("%q is not in the file", tt.old)
			}
			after := parseText(t, text, tt.key)
			if got := after.Probes["chat"].Fingerprint() != before.Probes["chat"].Fingerprint(); got != tt.probe {
				t.Errorf("the probe's fingerprint changed: %v; want %v", got, tt.probe)
			}
			if got := after.Targets[0].Fingerprint() != before.Targets[0].Fingerprint(); got != tt.targetToo {
				t.Errorf("the target's fingerprint changed: %v; want %v", got, tt.targetToo)
			}
		})
	}
}

// Each field of a type that is made of one value counts, whoever adds it.
func TestFingerprintCoversEveryField(t *testing.T) {
	for _, v := range []any{
		Probe{}, Prompts{}, Burst{}, Retry{}, Tool{}, Function{}, ResponseFormat{}, JSONSchema{}, Expect{}, Abandonment{},
		Target{}, TargetSettings{}, Budget{}, Engine{}, EngineMetric{}, Price{}, HTTPClientConfig{},
		Ramp{}, Blackout{}, Shape{}, Lane{}, Arrivals{}, Stage{}, Step{}, Spike{}, Level{}, RampObjective{}, Abort{}, Compare{},
		BaselineShape{}, StepShape{}, LinearShape{}, SpikeShape{}, SoakShape{}, BurstAfterIdleShape{}, SearchShape{}, MixSweepShape{}, NoisyNeighbourShape{}, RecoveryShape{},
	} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			changed := reflect.New(typ).Elem()
			field := changed.Field(i)
			switch field.Kind() {
			case reflect.String:
				field.SetString("x")
			case reflect.Int, reflect.Int64:
				field.SetInt(1)
			case reflect.Bool:
				field.SetBool(true)
			case reflect.Float64:
				field.SetFloat(1)
			case reflect.Pointer:
				field.Set(reflect.New(field.Type().Elem()))
			case reflect.Slice:
				field.Set(reflect.MakeSlice(field.Type(), 1, 1))
			case reflect.Map:
				field.Set(reflect.MakeMap(field.Type()))
				field.SetMapIndex(reflect.ValueOf("x"), reflect.Zero(field.Type().Elem()))
			default: // a struct: its own fields are what counts
				continue
			}
			if fingerprint(changed.Interface()) == fingerprint(v) {
				t.Errorf("%s.%s does not change the fingerprint", typ, typ.Field(i).Name)
			}
		}
	}
}

// A fingerprint stays what it was: a restart compares it with what an older process wrote.
func TestFingerprintIsStable(t *testing.T) {
	p := parseText(t, fingerprinted, "k").Probes["chat"].Fingerprint()
	for range 20 {
		c := parseText(t, fingerprinted, "k")
		if got := c.Probes["chat"].Fingerprint(); got != p {
			t.Fatalf("fingerprint = %x; was %x", got, p)
		}
	}
}
