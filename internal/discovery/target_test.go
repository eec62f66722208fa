package discovery

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"testing"

	diffs "github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/config"
)

// found is a target at a place of the tests.
func found(address string, labels ...string) entry {
	f := entry{place: "f: [0].targets[0]", address: address, labels: map[string]string{}}
	for i := 0; i < len(labels); i += 2 {
		f.labels[labels[i]] = labels[i+1]
	}
	return f
}

func newTestMapping(t testing.TB, template string) mapping {
	t.Helper()
	c := configure(t, allProbes+"target_files:\n- files: [f.json]\n  template: "+template+"\n")
	return mapping{c, &c.TargetFiles[0].Template}
}

func TestTarget(t *testing.T) {
	const gpu = "GPU-5f2b0000-0000-0000-0000-000000000000"
	const withEngine = `{model: llama, probes: [chat], labels: {region: eu, team: a}, engine: {metrics_url: %s, kind: sglang, interval: 30s}}`
	for _, c := range []struct {
		name     string
		template string // nothing: the usual one
		found    entry
		want     func(*config.Target) // what differs from the template
	}{
		{"a host and a port", "", found("host:8000"), func(t *config.Target) {
			t.Name, t.URL = "host-8000-llama", "http://host:8000/v1"
		}},
		{"a host alone", "", found("host"), func(t *config.Target) { t.Name, t.URL = "host-llama", "http://host/v1" }},
		{"a base URL", "", found("https://host/api/v1/"), func(t *config.Target) { t.Name, t.URL = "host-llama", "https://host/api/v1" }},
		{"a base URL without a path, and labels for other addresses", "", found("http://host:8000", "__path", "/x", "__scheme", "https"), func(t *config.Target) {
			t.Name, t.URL = "host-8000-llama", "http://host:8000"
		}},
		{"a scheme and a path", "", found("host:8000", "__scheme", "https", "__path", "/llm/v1"), func(t *config.Target) {
			t.Name, t.URL = "host-8000-llama", "https://host:8000/llm/v1"
		}},
		{"no path", "", found("host:8000", "__path", "/"), func(t *config.Target) { t.Name, t.URL = "host-8000-llama", "http://host:8000" }},
		{"an address with a path", "", found("host:8000/a", "__path", "/b"), func(t *config.Target) {
			t.Name, t.URL = "host-8000-llama", "http://host:8000/a"
		}},
		{"an IPv6 address, a model with a slash", "", found("[fd00::1]:8000", "__model", "meta-llama/Llama 3"), func(t *config.Target) {
			t.Name, t.URL, t.Model = "fd00--1-8000-meta-llama-Llama-3", "http://[fd00::1]:8000/v1", "meta-llama/Llama 3"
		}},
		{"an IPv4 address", "", found("10.0.0.1:8000"), func(t *config.Target) { t.Name, t.URL = "_10.0.0.1-8000-llama", "http://10.0.0.1:8000/v1" }},
		{"all labels", "",
			found("HOST:8000", "__name", "n", "__model", "m", "__protocol", "openai_completions", "__probes", "rag, chat", "__metrics_url", "http://other:1/metrics",
				"__engine", "vllm", "__gpus", ","+gpu+",", "team", "x", "rack", "r1"),
			func(t *config.Target) {
				t.Name, t.URL, t.Model, t.Protocol, t.Probes, t.GPUs = "n", "http://HOST:8000/v1", "m", "openai_completions", []string{"rag", "chat"}, []string{gpu}
				t.Labels = map[string]string{"region": "eu", "team": "x", "rack": "r1"}
				t.MaxTokensField = ""
				t.Engine = &config.Engine{MetricsURL: "http://other:1/metrics", Kind: "vllm", Interval: 15e9, Timeout: 5e9}
			}},
		{"labels that say nothing", "",
			found("host:1", "__meta_kubernetes_pod_name", "p", "__address__", "x", "__scheme__", "https", "__param_a", "b", "__name__", "m", "__tmp", "x", "team", "", "__model", ""),
			func(t *config.Target) { t.Name, t.URL = "host-1-llama", "http://host:1/v1" }},
		{"the metrics at a path", "", found("https://host:1/v1", "__metrics_url", "/m"), func(t *config.Target) {
			t.Name, t.URL = "host-1-llama", "https://host:1/v1"
			t.Engine = &config.Engine{MetricsURL: "https://host:1/m", Kind: "auto", Interval: 15e9, Timeout: 5e9}
		}},
		{"an engine alone", "", found("host:1", "__engine", "trtllm"), func(t *config.Target) {
			t.Name, t.URL = "host-1-llama", "http://host:1/v1"
			t.Engine = &config.Engine{MetricsURL: "http://host:1/prometheus/metrics", Kind: "trtllm", Interval: 15e9, Timeout: 5e9}
		}},
		{"the template's engine, at each target", fmt.Sprintf(withEngine, "/m"), found("host:1"), func(t *config.Target) {
			t.Name, t.URL = "host-1-llama", "http://host:1/v1"
			t.Engine = &config.Engine{MetricsURL: "http://host:1/m", Kind: "sglang", Interval: 30e9, Timeout: 5e9}
		}},
		{"the template's engine is another", fmt.Sprintf(withEngine, "http://all/m"), found("host:1", "__engine", "vllm"), func(t *config.Target) {
			t.Name, t.URL = "host-1-llama", "http://host:1/v1"
			t.Engine = &config.Engine{MetricsURL: "http://all/m", Kind: "vllm", Interval: 30e9, Timeout: 5e9}
		}},
		{"a protocol with other words", "", found("host:1", "__protocol", "anthropic_messages"), func(t *config.Target) {
			t.Name, t.URL, t.Protocol, t.MaxTokensField = "host-1-llama", "http://host:1", "anthropic_messages", ""
		}},
		{"a protocol with another path", "", found("host:1", "__protocol", "gemini"), func(t *config.Target) {
			t.Name, t.URL, t.Protocol, t.MaxTokensField = "host-1-llama", "http://host:1/v1beta", "gemini", ""
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := newTestMapping(t, cmp.Or(c.template, aTemplate)).targets([]entry{c.found})
			if err != nil {
				t.Fatal(err)
			}
			want := configure(t, allProbes+`  - {name: t, url: "http://t", model: llama, probes: [chat], labels: {region: eu, team: a}}`).Targets[1]
			c.want(want)
			if diff := diffs.Diff(want.String(), list[0].String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if want.Fingerprint() != list[0].Fingerprint() {
				t.Errorf("the fingerprint is that of another target")
			}
		})
	}
}

// A target that is found is the same as one that is written in the configuration with these values.
func TestTargetAsConfigured(t *testing.T) {
	for _, protocol := range config.Protocols() {
		t.Run(protocol, func(t *testing.T) {
			m := newTestMapping(t, "{}")
			list, err := m.targets([]entry{found("http://host/x", "__name", "n", "__model", "m", "__protocol", protocol, "__probes", "chat", "__metrics_url", "/m", "a", "b")})
			if err != nil {
				t.Fatal(err)
			}
			written := configure(t, allProbes+`  - {name: n, url: "http://host/x", model: m, protocol: `+protocol+`, probes: [chat], labels: {a: b}, engine: {metrics_url: "http://host/m"}}`).Targets[1]
			if diff := diffs.Diff(written.String(), list[0].String()); diff != "" || written.Fingerprint() != list[0].Fingerprint() {
				t.Errorf("(-configured +found):\n%s", diff)
			}
		})
	}
}

func TestTargetFaults(t *testing.T) {
	for _, c := range []struct {
		name, want string
		found      entry
	}{
		{"no host", `address "http://": write a base URL such as http://host:8000/v1, or host:port`, found("http://")},
		{"a port that is none", `address "host:x": write a base URL such as http://host:8000/v1, or host:port`, found("host:x")},
		{"a port out of range", "url: the URL's port is not between 1 and 65535", found("host:99999")},
		{"a scheme", "url: a target is spoken to over http:// or https://", found("ftp://host")},
		{"credentials", "url: credentials do not belong into the URL; put them under http, as basic_auth or authorization", found("http://u:p@host")},
		{"a query", "url: the base URL has no query (?) and no fragment (#)", found("http://host/v1?a=b")},
		{"the path of requests", "url: the base URL ends before /chat/completions, which requests add to it", found("http://host/v1/chat/completions")},
		{"a space", "url: a URL has no spaces", found("http://host/a b")},
		{"a protocol", `protocol: unknown protocol "openai_chatt"; did you mean "openai_chat"?`, found("host", "__protocol", "openai_chatt")},
		{"a name", "name: a target's name begins with a letter or underscore and has only letters, digits, _, . and -", found("host", "__name", "a b")},
		{"a long name", "name: a target's name has at most 64 characters", found("host", "__name", strings.Repeat("a", 65))},
		{"a long model", "model: a label's value has at most 128 characters", found("host", "__name", "n", "__model", strings.Repeat("a", 129))},
		{"a probe", `probes[1]: there is no probe "chit"; did you mean "chat"?`, found("host", "__probes", "rag,chit")},
		{"a probe twice", `probes[1]: probe "rag" is listed twice`, found("host", "__probes", "rag,rag")},
		{"no probe", "label __probes names no probe; leave it out for the template's", found("host", "__probes", " , ")},
		{"a reserved label", `labels.model: the label "model" is used by the metrics themselves; choose another name`, found("host", "model", "x")},
		{"a label", "labels.a-b: a label's name begins with a letter or underscore and has only letters, digits and _", found("host", "a-b", "x")},
		{"a label's value", "labels.a: a label's value has at most 128 characters", found("host", "a", strings.Repeat("ü", 129))},
		{"a control character", "labels.a: a label's value has no control characters, such as U+0007", found("host", "a", "x\a")},
		{"a GPU", "gpus[0]: not the UUID of a GPU or a MIG device", found("host", "__gpus", "0")},
		{"an engine", `engine.kind: unknown kind "vlm"; did you mean "vllm"?`, found("host", "__engine", "vlm")},
		{"an engine that says nothing", "engine.kind: the kind custom reads what custom names, which is missing", found("host", "__engine", "custom")},
		{"the page of metrics", "engine.metrics_url: the URL of the metrics has no query (?) and no fragment (#)", found("host", "__metrics_url", "/metrics?a=b")},
		{"a slip of the pen", "label __modle: did you mean __model?", found("host", "__modle", "m")},
		{"one probe", "label __probe: did you mean __probes?", found("host", "__probe", "chat")},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newTestMapping(t, aTemplate).targets([]entry{found("sound:1"), c.found, found("sound:2")})
			if err == nil || !strings.HasPrefix(err.Error(), c.found.place+": "+c.want) {
				t.Errorf("the error is %v; want %q", err, c.want)
			}
		})
	}
	for _, c := range []struct {
		name, template, want string
		found                entry
	}{
		{"no model", "{probes: [chat]}", "no model; set the label __model, or the template's model", found("host")},
		{"a budget", "{model: m, probes: [chat], budget: {output_tokens_per_hour: 100}}", `probes[0]: probe "rag" would never run`, found("host", "__probes", "rag")},
		{"a name of the file's", aTemplate, `the name "own" is that of a target of the configuration file, too; give one of them another with the label __name`, found("host", "__name", "own")},
		{"a name twice", aTemplate, `the name "sound-llama" is that of f: [0].targets[0], too; give one of them another with the label __name`, found("sound")},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newTestMapping(t, c.template).targets([]entry{found("sound", "__model", "llama"), c.found})
			if err == nil || !strings.HasPrefix(err.Error(), c.found.place+": "+c.want) {
				t.Errorf("the error is %v; want %q", err, c.want)
			}
		})
	}
	t.Run("more than can be told", func(t *testing.T) {
		var list []entry
		for i := range 8 {
			list = append(list, entry{place: fmt.Sprint(i), address: "host", labels: map[string]string{"model": "x"}})
		}
		_, err := newTestMapping(t, aTemplate).targets(list)
		if err == nil || strings.Count(err.Error(), "\n") != maxTold || !strings.HasSuffix(err.Error(), "\nand 3 more") {
			t.Errorf("the error is %v; want %d and how many more", err, maxTold)
		}
	})
}

func TestNameOf(t *testing.T) {
	long := strings.Repeat("m", 80)
	m := newTestMapping(t, aTemplate)
	name := func(model string) string {
		list, err := m.targets([]entry{found("host:1", "__model", model)})
		if err != nil {
			t.Fatal(err)
		}
		return list[0].Name
	}
	a, b := name(long), name(long+"m")
	if len(a) != maxName || len(b) != maxName || a == b || !strings.HasPrefix(a, "host-1-mmm") {
		t.Errorf("long models give the names %q and %q; want two of %d characters that begin alike", a, b, maxName)
	}
	if again := name(long); again != a {
		t.Errorf("the name is %q, then %q", a, again)
	}
}

func TestNear(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"model", "models", true}, {"models", "model", true}, {"model", "modle", true}, {"model", "nodel", true}, {"model", "mode", true}, {"odel", "model", true},
		{"model", "medal", false}, {"model", "modell_", false}, {"", "a", true}, {"", "ab", false}, {"ab", "ba", true}, {"abc", "cba", false},
	} {
		if got := near(c.a, c.b); got != c.want {
			t.Errorf("near(%q, %q) = %t; want %t", c.a, c.b, got, c.want)
		}
	}
}

// No two targets share what one of them can change, for each is used by goroutines of its own.
func TestNothingIsShared(t *testing.T) {
	m := newTestMapping(t, `
    model: m
    probes: [chat]
    labels: {a: b}
    headers: {X-Api-Key: k}
    extra_body: {a: 1}
    gpus: [GPU-5f2b0000-0000-0000-0000-000000000000]
    price: {input: 1, output: 2, currency: USD}
    engine: {metrics_url: /metrics, match: {a: b}}
    http:
      oauth2: {client_id: c, client_secret: s, token_url: "http://t/", endpoint_params: {a: b}, claims: {a: [b]}, scopes: [s]}
      http_headers: {X: {values: [y]}}
`)
	list, err := m.targets([]entry{found("a"), found("b")})
	if err != nil {
		t.Fatal(err)
	}
	owners := map[uintptr]string{}
	var walk func(v reflect.Value, owner, path string)
	walk = func(v reflect.Value, owner, path string) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Map, reflect.Slice:
			if v.IsNil() || v.Kind() == reflect.Slice && v.Cap() == 0 {
				return
			}
			if other := owners[v.Pointer()]; other != "" && other != owner {
				t.Errorf("%s is shared by %s and %s", path, other, owner)
			}
			owners[v.Pointer()] = owner
		}
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem(), owner, path)
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() {
					walk(v.Field(i), owner, path+"."+f.Name)
				}
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i), owner, path+"[]")
			}
		case reflect.Map:
			for at := v.MapRange(); at.Next(); {
				walk(at.Value(), owner, path+"[]")
			}
		}
	}
	walk(reflect.ValueOf(m.template), "the template", "template")
	walk(reflect.ValueOf(list[0]), "the first", "target")
	walk(reflect.ValueOf(list[1]), "the second", "target")
	if len(owners) < 3*10 {
		t.Errorf("only %d pointers were looked at", len(owners))
	}
}
