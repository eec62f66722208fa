package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/llmprober/llm_prober/internal/simulator"
)

const withOnDemand = `
global: {degraded_after: 1s}
probes:
  fast: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s}
  talk: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s, turns: 2}
  private: {prompt_tokens: 20, max_output_tokens: 5, interval: 1s}
targets: []
target_files: [{files: [%q]}]
probe_on_demand:
  allow: ["%s"]
  max_in_flight: 1
  template: {model: sim-8b, probes: [fast, talk], http: {authorization: {credentials: canary-1}}}
`

// demand makes /probe of a daemon that allows what is below allow.
func demand(t *testing.T, allow string) *onDemand {
	t.Helper()
	d, _, _ := started(t, func() string { return fmt.Sprintf(withOnDemand, t.TempDir()+"/*.json", allow) })
	o := newOnDemand(d)
	t.Cleanup(o.close)
	return o
}

func (o *onDemand) get(t *testing.T, query string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/probe?"+query, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "canary") {
		t.Errorf("%s tells a secret:\n%s", query, w.Body)
	}
	return w
}

func TestOnDemand(t *testing.T) {
	base := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	o := demand(t, base)
	target := "target=" + url.QueryEscape(base)
	for n := range 2 { // the second one has a registry of its own, too
		w := o.get(t, target+"&module=fast", "X-Prometheus-Scrape-Timeout-Seconds", "10")
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(w.Body)
		if err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d: %v", w.Code, err)
		}
		ttft := families["llm_probe_time_to_first_token_seconds"].GetMetric()
		if families["probe_success"].GetMetric()[0].GetGauge().GetValue() != 1 || len(ttft) != 1 || ttft[0].GetHistogram().GetSampleCount() != 1 {
			t.Errorf("answer %d: success %v, TTFT %v; want 1 and one sample", n, families["probe_success"], ttft)
		}
		for _, name := range []string{"go_goroutines", "llm_engine_up", "llm_prober_config_reloads_total"} {
			if families[name] != nil {
				t.Errorf("%s is on the page, and says nothing of the probe", name)
			}
		}
	}
	if len(o.targets) != 1 {
		t.Errorf("%d endpoints are kept; want 1", len(o.targets))
	}
	w := o.get(t, target+"&module=talk&debug=true")
	for _, want := range []string{"request 1 of 2: ok, HTTP 200 from 127.0.0.1", "request 2 of 2: ok", " ms  first_token\n", "probe_success 1", "Metrics that would have been returned:", "llm_probe_turn_time_to_first_token_seconds"} {
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("debug: %d, lacks %q:\n%.2000s", w.Code, want, w.Body)
		}
	}
}

// Nothing is asked but what is allowed, and nobody is led elsewhere.
func TestOnDemandIsNoOpenRelay(t *testing.T) {
	var mu sync.Mutex
	hits := map[string]int{}
	count := func(name string, h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			hits[name]++
			mu.Unlock()
			h(w, r)
		}
	}
	secret := httptest.NewServer(count("secret", func(http.ResponseWriter, *http.Request) {}))
	defer secret.Close()
	redirects := httptest.NewServer(count("redirects", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, secret.URL, http.StatusTemporaryRedirect)
	}))
	defer redirects.Close()
	o := demand(t, redirects.URL+"/v1")

	w := o.get(t, "target="+url.QueryEscape(redirects.URL+"/v1")+"&module=fast")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "\nprobe_success 0\n") || !strings.Contains(w.Body.String(), `outcome="http_4xx"`) {
		t.Errorf("a redirect: %d\n%s", w.Code, w.Body)
	}
	port := strings.TrimPrefix(secret.URL, "http://127.0.0.1:")
	for _, address := range []string{
		secret.URL, redirects.URL, redirects.URL + "/v1/../admin", redirects.URL + "/v1x", "http://169.254.169.254/latest/meta-data", "http://[::1]:" + port,
		"http://localhost:" + port, "http://2130706433:" + port, "http://0x7f000001:" + port, "http://[::ffff:127.0.0.1]:" + port, "http://127.1:" + port,
		"http://user:pass@" + strings.TrimPrefix(redirects.URL, "http://") + "/v1", redirects.URL + "/v1?x=1", redirects.URL + "/v1#x", "file:///etc/passwd", "gopher://x", "nonsense", "http://a b",
	} {
		w := o.get(t, "target="+url.QueryEscape(address)+"&module=fast")
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "probe_on_demand.allow") {
			t.Errorf("%s = %d %s; want 403 and the cure", address, w.Code, w.Body)
		}
	}
	if w := o.get(t, "target="+url.QueryEscape(redirects.URL+"/v1")+"&module=fast", "Sec-Fetch-Site", "cross-site"); w.Code != http.StatusForbidden {
		t.Errorf("a page of another origin: %d; want 403", w.Code)
	}
	mu.Lock()
	defer mu.Unlock()
	if hits["secret"] != 0 || hits["redirects"] != 1 {
		t.Errorf("asked: %v; want one request, and none where nothing is allowed", hits)
	}
}

func TestOnDemandRefuses(t *testing.T) {
	o := demand(t, "http://127.0.0.1:1/v1")
	const target = "target=http%3A%2F%2F127.0.0.1%3A1%2Fv1"
	for _, test := range []struct {
		query, timeout string
		status         int
		says           string
	}{
		{"", "", 400, "module=PROBE"},
		{target, "", 400, "module=PROBE"},
		{target + "&module=none", "", 400, `no probe "none"`},
		{target + "&module=private", "", 400, `no probe "private"`},
		{target + "&module=fast&module=talk", "", 400, "more than once"},
		{target + "&module=fast&hostname=x", "", 400, `"hostname"`},
		{target + "&module=fast&debug=perhaps", "", 400, "true or false"},
		{target + "&module=fast&model=%00", "", 400, "model"},
		{target + "&module=fast", "soon", 400, "X-Prometheus-Scrape-Timeout-Seconds"},
		{target + "&module=fast", "-1", 400, "X-Prometheus-Scrape-Timeout-Seconds"},
		{"target=%zz", "", 400, "malformed"},
		{target + "&module=fast", "5", 200, "probe_success 0"}, // nobody listens there
	} {
		w := o.get(t, test.query, "X-Prometheus-Scrape-Timeout-Seconds", test.timeout)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) {
			t.Errorf("%s (%s) = %d %s; want %d, %s", test.query, test.timeout, w.Code, w.Body, test.status, test.says)
		}
	}
	o.inFlight = 1
	if w := o.get(t, target+"&module=fast"); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("one too many: %d", w.Code)
	}
	o.inFlight = 0
	o.close()
	if w := o.get(t, target+"&module=fast"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("at the end: %d", w.Code)
	}

	d, _, _ := started(t, func() string { return fmt.Sprintf(withRamps, "http://127.0.0.1:1/v1", "") })
	off := newOnDemand(d)
	defer off.close()
	if w := off.get(t, target+"&module=fast"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "probe_on_demand.allow") {
		t.Errorf("switched off: %d %s; want 403 and the cure", w.Code, w.Body)
	}
}

// What takes longer than Prometheus waits is a timeout, said in time.
func TestOnDemandTimeout(t *testing.T) {
	base := simulated(t, simulator.Options{FirstToken: time.Minute, PerToken: time.Minute})
	o := demand(t, base)
	began := time.Now()
	w := o.get(t, "target="+url.QueryEscape(base)+"&module=fast&debug=1", "X-Prometheus-Scrape-Timeout-Seconds", "3")
	if took := time.Since(began); took > 20*time.Second || !strings.Contains(w.Body.String(), ": timeout_") || !strings.Contains(w.Body.String(), "probe_success 0") {
		t.Errorf("after %v:\n%.500s", took, w.Body)
	}
}

func TestScrapeTimeout(t *testing.T) {
	for header, want := range map[string]time.Duration{"": 0, "10": 9500 * time.Millisecond, "0.5": 250 * time.Millisecond, "1": 500 * time.Millisecond} {
		if got, err := scrapeTimeout(header); err != nil || got != want {
			t.Errorf("scrapeTimeout(%q) = %v, %v; want %v", header, got, err, want)
		}
	}
	for _, header := range []string{"0", "-1", "x", "NaN", "Inf", "1e300"} {
		if got, err := scrapeTimeout(header); err == nil {
			t.Errorf("scrapeTimeout(%q) = %v; want an error", header, got)
		}
	}
}
