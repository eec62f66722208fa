package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/gpu"
	"github.com/llmprober/llm_prober/internal/api"
	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"

	"github.com/google/go-cmp/cmp"
)

// exchange sends a request to h and reads the JSON of the answer, which is to have the given status.
func exchange(t *testing.T, h http.Handler, method, path string, status int) (answer map[string]any, header http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	if w.Code != status {
		t.Fatalf("%s %s = %d; want %d:\n%s", method, path, w.Code, status, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	return answer, w.Header()
}

// TestAPIOfDaemon asks for a verdict, asks a probe by hand, and starts and stops a ramp.
func TestAPIOfDaemon(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	text := fmt.Sprintf(withRamps, url, ", labels: {zone: eu}, headers: {X-Tenant: canary-1}, http: {authorization: {credentials: canary-2}}")
	d, results, registry := started(t, func() string { return text })
	p := newPrograms(d)
	p.apply(d.inForce.Load())
	h := p.handler(true)
	if v, _ := exchange(t, h, "GET", "/api/v1/targets/t/verdict", 200); v["verdict"] != "not_ready" {
		t.Errorf("verdict without evidence = %v", v)
	}
	results.await(t, "t", "fast", prober.OK, 1)
	before, _ := value(t, registry, collector.NameRequests, "target", "t", "outcome", "ok")

	ran, _ := exchange(t, h, "POST", "/api/v1/targets/t/probes/fast/run", 200)
	request := ran["requests"].([]any)[0].(map[string]any)
	if ran["up"] != true || request["probe"] != "fast" || request["outcome"] != "ok" || request["ttft_seconds"].(float64) <= 0 {
		t.Errorf("by hand: %v", ran)
	}
	results.await(t, "t", "fast", prober.OK, 1)
	if after, _ := value(t, registry, collector.NameRequests, "target", "t", "outcome", "ok"); after < before+1 {
		t.Errorf("%v requests are counted; want %v at least", after, before+1)
	}
	settle(t, "requests", func() (int, int) {
		inFlight, _ := value(t, registry, collector.NameInFlight, "target", "t")
		return int(inFlight), 1 // the schedule's
	})
	exchange(t, h, "POST", "/api/v1/targets/t/probes/none/run", 404)

	run, header := exchange(t, h, "POST", "/api/v1/ramps/endless/runs", 202)
	id := run["id"].(string)
	if path.Join("/api/v1/ramps/endless", header.Get("Location")) != "/api/v1/runs/"+id || id == "" {
		t.Errorf("the run %q is at %s", id, header.Get("Location"))
	}
	if busy, _ := exchange(t, h, "POST", "/api/v1/ramps/hand/runs", 409); busy["ramp"] != "endless" || busy["target"] != "t" {
		t.Errorf("busy: %v; want who keeps what busy", busy)
	}
	if live, _ := exchange(t, h, "GET", "/api/v1/runs/"+id, 200); live["state"] != "running" {
		t.Errorf("the run under way: %v", live)
	}
	if target, _ := exchange(t, h, "GET", "/api/v1/targets/t", 200); target["ramp"] != "endless" {
		t.Errorf("the target under load: %v", target)
	}
	exchange(t, h, "DELETE", "/api/v1/ramps/endless/runs/current", 202)
	ended(t, d, "endless")
	exchange(t, h, "DELETE", "/api/v1/ramps/endless/runs/current", 409)
	if done, _ := exchange(t, h, "GET", "/api/v1/runs/"+id, 200); done["state"] != "ended" || done["verdict"] != "cut_short" || done["trigger"] != "api" {
		t.Errorf("the run that was stopped: state %v, verdict %v by %v", done["state"], done["verdict"], done["trigger"])
	}
	exchange(t, h, "POST", "/api/v1/ramps/none/runs", 404)

	for _, path := range []string{"targets", "targets/t", "targets/t/requests", "targets/t/verdict", "ramps", "runs", "runs/" + id, "runs/" + id + "/requests"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/"+path, nil))
		if w.Code != 200 || strings.Contains(w.Body.String(), "canary") {
			t.Errorf("%s = %d, or tells a secret:\n%s", path, w.Code, w.Body)
		}
	}
}

// TestAPIKeepsRequests looks at the requests that the schedule sent, as the sink keeps them.
func TestAPIKeepsRequests(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	d, results, _ := started(t, func() string { return fmt.Sprintf(withRamps, url, "") })
	p := newPrograms(d)
	p.apply(d.inForce.Load())
	d.sinks = append(d.sinks, p.recent)
	if _, err := p.run(t.Context(), "t", "fast"); err != nil {
		t.Fatal(err)
	}
	results.await(t, "t", "fast", prober.OK, 1)
	v, _ := exchange(t, p.handler(false), "GET", "/api/v1/targets/t/verdict", 200)
	if v["verdict"] != "ready" {
		t.Errorf("verdict = %v; want ready", v)
	}
}

// A probe by hand keeps to the budgets and caps, and says which one is in the way.
func TestByHandKeepsBudgets(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	d, _, _ := started(t, func() string { return fmt.Sprintf(withRamps, url, ", budget: {output_tokens_per_hour: 5}") })
	p := newPrograms(d)
	p.apply(d.inForce.Load())
	h := p.handler(true)
	refused := 0
	for range 2 { // the schedule may have been first
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/targets/t/probes/fast/run", nil))
		if w.Code == http.StatusTooManyRequests && strings.Contains(w.Body.String(), `"reason":"budget_output_tokens"`) {
			refused++
		}
	}
	if refused == 0 {
		t.Error("two askings of 5 tokens fit into a budget of 5")
	}
	d.scheduler.Pause("t", time.Now().Add(time.Minute))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/targets/t/probes/fast/run", nil))
	if w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), `"reason":"paused"`) || w.Header().Get("Retry-After") == "" {
		t.Errorf("paused: %d %s", w.Code, w.Body)
	}
}

func TestGPUsOf(t *testing.T) {
	view := gpu.View{State: gpu.StateRunning, Snapshot: &gpu.Snapshot{Devices: []gpu.Device{
		{Identity: gpu.Identity{UUID: "a"}, ClockEvents: map[string]bool{"hw_thermal": true, "sw_power_cap": true}},
		{Identity: gpu.Identity{UUID: "b"}, Lost: "missing"},
	}}, XIDs: []gpu.XIDCount{
		{GPU: gpu.Identity{UUID: "a"}, Code: "63", Count: 1, Last: time.Now().Add(-time.Minute)},
		{GPU: gpu.Identity{UUID: "a"}, Code: "79", Count: 1, Last: time.Now().Add(-time.Hour)},
		{GPU: gpu.Identity{UUID: "a"}, Code: "48"},
	}}
	want := []api.GPU{{UUID: "a", Known: true, Throttled: []string{"hw_thermal"}, XID: "63"}, {UUID: "b", Known: true, Lost: "missing"}}
	if diff := cmp.Diff(want, gpusOf(&view, []string{"a", "b", "another machine's"})); diff != "" {
		t.Errorf("gpusOf (-want +got):\n%s", diff)
	}
	if got := gpusOf(&gpu.View{State: gpu.StateStuck}, []string{"a"}); len(got) != 1 || got[0].Known {
		t.Errorf("without readings: %+v; want one that is not known", got)
	}
	if got := gpusOf(&gpu.View{State: gpu.StateDisabled}, []string{"a"}); got != nil {
		t.Errorf("where no GPUs are read: %+v; want none", got)
	}
}
