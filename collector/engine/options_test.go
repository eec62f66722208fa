package engine

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Everything that is wrong is said at once.
func TestOptionsAreChecked(t *testing.T) {
	_, err := New(Options{
		MetricsURL: "chat:8000", Kind: "vlm", Interval: 100 * time.Millisecond, Timeout: time.Second,
		Labels: map[string]string{"0": "a", "target": "b", "reason": "c", "__x": "d", "zone": "\xff", "le": "e"},
		Custom: map[string]Source{
			"queue_wait": {Metric: "a"}, "queue_wait_seconds": {}, "up": {Metric: "b"}, "prompt_tokens_total": {Metric: "c", Scale: -1},
		},
	}, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("no error")
	}
	// The lists of what would be right are tested where they are made.
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i], _, _ = strings.Cut(lines[i], ": want one of")
	}
	want := []string{
		`engine of target "": target must not be empty`,
		`metrics URL "chat:8000": want http://host:port/path`,
		`kind "vlm"`,
		`interval 100ms: want 1s to 10m`,
		`timeout 1s: want above 0 and at most the interval, 100ms`,
		`client missing`,
		`label "0": not a valid name: use letters, digits and _, no digit first, and no leading __`,
		`label "__x": not a valid name: use letters, digits and _, no digit first, and no leading __`,
		`label "le": the name is used by llm_prober itself`,
		`label "reason": the name is used by llm_prober itself`,
		`label "target": the name is used by llm_prober itself`,
		`label "zone": value "\xff" is not UTF-8`,
		`custom "prompt_tokens_total": scale -1: want a number above 0`,
		`custom "queue_wait": no such metric`,
		`custom "queue_wait_seconds": metric must not be empty`,
		`custom "up": no such metric`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	_, err = New(Options{Target: "chat", MetricsURL: "http://a", Kind: KindCustom, Client: new(http.Client)}, slog.New(slog.DiscardHandler))
	if want := `engine of target "chat": kind custom: name at least one metric under custom`; err == nil || err.Error() != want {
		t.Errorf("error %v; want %s", err, want)
	}
}

func TestDefaults(t *testing.T) {
	o, err := Options{Target: "chat", MetricsURL: "http://a", Client: new(http.Client)}.withDefaults()
	if err != nil || o.Kind != KindAuto || o.Interval != 10*time.Second || o.Timeout != 5*time.Second {
		t.Errorf("defaults: %+v, %v", o, err)
	}
	o, err = Options{Target: "chat", MetricsURL: "http://a", Client: new(http.Client), Interval: 2 * time.Second}.withDefaults()
	if err != nil || o.Timeout != 2*time.Second {
		t.Errorf("timeout under a short interval: %v, %v", o.Timeout, err)
	}
}

// served are the engine's own numbers.
func served(t *testing.T, e *Engine) map[string]float64 {
	got := gathered(t, e)
	for name := range got {
		for _, ours := range []string{"scrape_", "last_scrape", "snapshot_", "restarts"} {
			if strings.HasPrefix(name, ours) {
				delete(got, name)
			}
		}
	}
	return got
}

func TestCustom(t *testing.T) {
	const first = `# TYPE my_queue_ms histogram
my_queue_ms_bucket{lane="a",le="100"} 1
my_queue_ms_bucket{lane="a",le="+Inf"} 2
my_queue_ms_sum{lane="a"} 1100
my_queue_ms_count{lane="a"} 2
my_active{lane="a",state="busy"} 3
my_active{lane="b",state="busy"} 4
my_active{lane="a",state="free"} 100
my_mem_percent 45
my_done{reason="stop"} 5
my_done{reason="weird"} 1
my_lengths_sum 1000
`
	second := strings.NewReplacer(`le="+Inf"} 2`, `le="+Inf"} 5`, "1100", "2600", "count{lane=\"a\"} 2", "count{lane=\"a\"} 5",
		`"stop"} 5`, `"stop"} 9`, "sum 1000", "sum 1250").Replace(first)
	custom := map[string]Source{
		"queue_wait_seconds":      {Metric: "my_queue_ms", Scale: 1e-3},
		"requests_running":        {Metric: "my_active", Match: map[string]string{"state": "busy"}},
		"kv_cache_usage_ratio":    {Metric: "my_mem_percent", Scale: .01},
		"requests_finished_total": {Metric: "my_done"},
		"prompt_tokens_total":     {Metric: "my_lengths_sum"},
		"generation_tokens_total": {Metric: "missing"},
	}
	synctest.Test(t, func(t *testing.T) {
		e := serving(t, func(o *Options) { o.Kind, o.Custom = KindCustom, custom }, first, second)
		want := map[string]float64{
			"up": 1, "info{custom}": 1, "instances": 2,
			"requests_running": 7, "kv_cache_usage_ratio": .45,
			"requests_finished_total{stop}": 4, "requests_finished_total{other}": 0, "prompt_tokens_total": 250,
			"queue_wait_seconds_count": 3, "queue_wait_seconds_sum": 1.5,
		}
		if diff := cmp.Diff(want, served(t, e)); diff != "" {
			t.Errorf("custom (-want +got):\n%s", diff)
		}
		// Beside a known kind, it comes before what is known.
		e = serving(t, func(o *Options) {
			o.Custom = map[string]Source{"requests_waiting": {Metric: "my_active", Match: map[string]string{"state": "free"}}}
		}, "vllm:num_requests_waiting 1\nvllm:num_requests_running 2\nvllm:generation_tokens_total 5\n"+first)
		want = map[string]float64{
			"up": 1, "info{vllm}": 1, "instances": 1, "requests_running": 2, "requests_waiting": 100, "generation_tokens_total": 0,
		}
		if diff := cmp.Diff(want, served(t, e)); diff != "" {
			t.Errorf("overlay (-want +got):\n%s", diff)
		}
		// Nothing of what was named is there.
		e = serving(t, func(o *Options) { o.Kind, o.Custom = KindCustom, custom }, "other 1\n")
		if got := gathered(t, e); got["up"] != 0 || got["scrape_failures_total{unrecognised}"] != 1 {
			t.Errorf("nothing there: %v", got)
		}
	})
}

func TestMatch(t *testing.T) {
	const both = `vllm:num_requests_running{model_name="a"} 3
vllm:num_requests_running{model_name="b"} 4
vllm:generation_tokens_total{model_name="a"} 5
process_resident_memory_bytes 7
`
	synctest.Test(t, func(t *testing.T) {
		e := serving(t, func(o *Options) { o.Match = map[string]string{"model_name": "a"} }, both)
		want := map[string]float64{
			"up": 1, "info{vllm}": 1, "instances": 1, "requests_running": 3, "generation_tokens_total": 0, "process_resident_memory_bytes": 7,
		}
		if diff := cmp.Diff(want, served(t, e)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// The places of engines in their interval are spread, and stay where they are.
func TestOffsets(t *testing.T) {
	const n, bins = 1000, 10
	counts := make([]int, bins)
	for i := range n {
		o := Options{Target: strings.Repeat("x", i), MetricsURL: "http://a", Interval: 10 * time.Second}
		at := offset(o)
		if at < 0 || at >= o.Interval || at != offset(o) {
			t.Fatalf("offset = %v", at)
		}
		counts[int(at*bins/o.Interval)]++
	}
	for _, c := range counts {
		if c < n/bins*6/10 || c > n/bins*14/10 {
			t.Errorf("offsets fall into ten parts of the interval as %v", counts)
		}
	}
	e := &Engine{options: Options{Interval: 10 * time.Second}, offset: 3 * time.Second}
	for now, want := range map[time.Duration]time.Duration{0: 13 * time.Second, 3 * time.Second: 10 * time.Second, 4 * time.Second: 9 * time.Second, 8 * time.Second: 5 * time.Second, 9 * time.Second: 14 * time.Second} {
		if got := e.untilNext(time.Unix(0, 0).Add(now)); got != want {
			t.Errorf("untilNext(%v) = %v; want %v", now, got, want)
		}
	}
}
