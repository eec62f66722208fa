package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/api"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Whatever /probe is asked: it is refused in a few words, or names a probe of the configuration at an address that is allowed,
// within the time that the asker has.
func FuzzOnDemand(f *testing.F) {
	for _, seed := range [][2]string{
		{"target=http://127.0.0.1:1/v1&module=p", "10"}, {"target=http://127.0.0.1:1/v1&module=p&model=m&debug=true", ""}, {"target=http://evil/&module=p", "0.4"},
		{"target=http://127.0.0.1:1/v1&module=p&module=q", "NaN"}, {"target=http://127.0.0.1:1@evil/v1&module=p", "1e308"}, {"a;b&%zz", "-1"}, {"module=%1b[2J&target=%e2%80%ae", "\x1b"},
		{"target=http://127.0.0.1:1/v1&module=p&model=%00%0a", "86401"}, {"target=http://127.0.0.1:1/v1&module=other", "1"},
	} {
		f.Add(seed[0], seed[1])
	}
	cfg, err := config.Parse("f", []byte(`
probes:
  p: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s}
  other: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s}
targets: [{name: t, url: "http://h/v1", model: m, probes: [p]}]
probe_on_demand: {allow: ["http://127.0.0.1:1/v1"], template: {model: m, probes: [p]}}
`), config.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query, timeout string) {
		r := httptest.NewRequest(http.MethodGet, "/probe", nil)
		r.URL.RawQuery = query
		r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", timeout)
		check := func(err error) {
			refused, ok := errors.AsType[*refusal](err)
			if !ok || refused.status < 400 || refused.status > 499 || len(refused.text) > 2000+6*len(query) {
				t.Errorf("%q, %q: %v; want a refusal", query, timeout, err)
			}
		}
		a, err := parseOnDemand(r)
		if err != nil {
			check(err)
			return
		}
		if a.within < 0 || a.within > 24*time.Hour || a.url == "" || a.module == "" {
			t.Fatalf("%q, %q: %+v", query, timeout, a)
		}
		with, tc, err := a.target(cfg)
		if err != nil {
			check(err)
			return
		}
		if a.module != "p" || !strings.HasPrefix(tc.URL, "http://127.0.0.1:1/v1") || tc.Model == "" || with.Target("t") == nil || len(cfg.Targets) != 1 {
			t.Errorf("%q asks %s for %q", query, tc, a.module)
		}
	})
}

// Whatever a prober, or what only seems to be one, answers: the gate opens for nothing but a verdict that says so, and what it
// says is printable.
func FuzzVerdict(f *testing.F) {
	for _, seed := range []struct {
		status     uint16
		kind, body string
	}{
		{200, "application/json", isReady}, {200, "application/json; charset=utf-8", isDegraded}, {200, "application/json", isNotReady}, {200, "text/html", isReady}, {500, "application/json", isReady},
		{404, "application/problem+json", `{"detail":"\u001b[2J\nready"}`}, {200, "application/json", `{"verdict":"ready"}{"verdict":"not_ready"}`}, {200, "application/json", `{"verdict":"ready","Verdict":"not_ready"}`},
		{200, "application/json", `{"verdict":"degraded","reasons":[null],"notes":["\u202e"]}`},
	} {
		f.Add(seed.status, seed.kind, []byte(seed.body))
	}
	base := &url.URL{Scheme: "http", Host: "prober"}
	f.Fuzz(func(t *testing.T, status uint16, kind string, body []byte) {
		client := &http.Client{Transport: said{&http.Response{StatusCode: int(status), Status: "status", Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(body))}}}
		c := &gateCommand{url: base, target: "chat"}
		v, got, err := c.ask(t.Context(), client)
		if (v == nil) == (err == nil) {
			t.Fatalf("ask = %v, %v", v, err)
		}
		if err != nil {
			checkShown(t, "the error", err.Error())
			return
		}
		if status != http.StatusOK || v.Verdict != api.Ready && v.Verdict != api.Degraded && v.Verdict != api.NotReady || !bytes.Contains(bytes.ToLower(body), []byte(v.Verdict)) && !bytes.Contains(body, []byte(`\u`)) {
			t.Fatalf("%d %q %q is %s", status, kind, body, v.Verdict)
		}
		for _, c.output = range []string{"text", "json"} {
			var b bytes.Buffer
			c.say(printable.NewWriter(&b), v, got)
			checkShown(t, "the gate", b.String())
		}
	})
}

// said answers every request with the same.
type said struct{ response *http.Response }

func (s said) RoundTrip(r *http.Request) (*http.Response, error) {
	s.response.Request = r
	return s.response, nil
}

// Whatever Prometheus, or what only seems to be it, answers: there are values, or an error in a few words.
func FuzzPrometheusAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"target":"chat","probe":"p"},"value":[1795305600,"0.25"]}]}}`, `{"status":"error","error":"\u001b[2J\n"}`,
		`{"status":"success","data":{"result":[{"value":[1,"NaN"]},{"value":[1,"+Inf"]},{"metric":{"probe":"\u202e"},"value":[1,"1"]}]}}`, `{"status":"success","data":{"result":[null]}}`, `[]`, ``,
	} {
		f.Add(uint16(200), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status uint16, body []byte) {
		client := &http.Client{Transport: said{&http.Response{StatusCode: int(status), Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}}}
		vector, err := queryPrometheus(t.Context(), client, &url.URL{Scheme: "http", Host: "prometheus"}, "up")
		if err != nil {
			if len(err.Error()) > 8000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			return
		}
		for _, sample := range vector {
			if sample == nil {
				t.Fatalf("%q has a sample that is none", body)
			}
		}
	})
}

// Whatever stands behind --shard and --start-at: a shard is one of those that there are, and a time is after 2000 and the same
// once it is written and read again.
func FuzzShard(f *testing.F) {
	for _, seed := range []string{"0/4", "3/4", "4/4", "-1/4", "0/0", "0x1/4", "1/4/5", "1 /4", "0/1000000000", "2026-03-01T02:00:00Z", "soak-29538840+2m", "soak-29538840", "x-1+-5m", "a-4294967295+2540400h", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		shard, shards, err := shardOf(text)
		if err == nil && text != "" && (shard < 0 || shard >= shards || shards > record.MaxShards) || (err != nil || text == "") && (shard != 0 || shards != 0) {
			t.Errorf("shardOf(%q) = %d, %d, %v", text, shard, shards, err)
		}
		begin, err := startTime(text)
		if err != nil {
			return
		}
		if again, err := startTime(begin.Format(time.RFC3339Nano)); begin.Year() < 10000 && (err != nil || !again.Equal(begin)) {
			t.Errorf("startTime(%q) = %v; read again %v, %v", text, begin, again, err)
		}
	})
}
