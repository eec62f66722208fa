package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// after is what an engine serves after it has read the given pages, ten seconds apart: counters and histograms, by name.
func after(t *testing.T, change func(*Options), pages ...string) (*Engine, map[string]float64) {
	t.Helper()
	e := newTestEngine(t, change)
	before := make(map[string]float64)
	var got map[string]float64
	for i, page := range pages {
		r, err := e.read([]byte(page))
		if err != nil {
			t.Fatalf("page %d: %v", i, err)
		}
		e.accept(r, epoch.Add(time.Duration(i)*10*time.Second), time.Millisecond)
		got = e.totals()
		for name, v := range got {
			if v < before[name] {
				t.Errorf("page %d: %s stepped back from %v to %v", i, name, before[name], v)
			}
			before[name] = v
		}
	}
	return e, got
}

// totals are all counts that e has, those of histograms by bucket.
func (e *Engine) totals() map[string]float64 {
	all := make(map[string]float64)
	short := func(id seriesID) string {
		name := strings.TrimPrefix(id.family, prefix)
		if id.value != "" {
			name += "{" + id.value + "}"
		}
		return name
	}
	for id, v := range e.accumulator.counters {
		all[short(id)] = math.Round(v*1e9) / 1e9
	}
	for id, h := range e.accumulator.histograms {
		all[short(id)+"_count"], all[short(id)+"_sum"] = h.count, math.Round(h.sum*1e9)/1e9
		for i, b := range h.bounds {
			all[fmt.Sprintf("%s_le_%g", short(id), b)] = h.counts[i]
		}
	}
	if e.accumulator.restarts > 0 {
		all["restarts"] = e.accumulator.restarts
	}
	return all
}

// queue is a histogram of two bounds as a page has it.
func queue(metric, labels string, bounds [2]string, counts [3]int, sum float64) string {
	if labels != "" {
		labels += ","
	}
	bare := strings.TrimSuffix(labels, ",")
	return fmt.Sprintf("# TYPE %[1]s histogram\n%[1]s_bucket{%[2]sle=%[3]q} %[5]d\n%[1]s_bucket{%[2]sle=%[4]q} %[6]d\n%[1]s_bucket{%[2]sle=\"+Inf\"} %[7]d\n%[1]s_sum{%[8]s} %[9]v\n%[1]s_count{%[8]s} %[7]d\n",
		metric, labels, bounds[0], bounds[1], counts[0], counts[1], counts[2], bare, sum)
}

func TestRestarts(t *testing.T) {
	const q = "vllm:request_queue_time_seconds"
	vllm := func(lines ...string) string {
		return "# TYPE vllm:generation_tokens_total counter\n" + strings.Join(lines, "\n") + "\n"
	}
	started := func(at time.Time) string { return fmt.Sprintf("process_start_time_seconds %d", at.Unix()) }
	bounds := [2]string{"0.3", "0.5"}
	long := epoch.Add(-time.Hour)

	for _, c := range []struct {
		name  string
		pages []string
		want  map[string]float64
	}{
		{
			name:  "the first page is where counting begins",
			pages: []string{vllm("vllm:generation_tokens_total 500", queue(q, "", bounds, [3]int{3, 4, 5}, 1.5))},
			want: map[string]float64{
				"generation_tokens_total":   0,
				"queue_wait_seconds_le_0.3": 0, "queue_wait_seconds_le_0.5": 0, "queue_wait_seconds_count": 0, "queue_wait_seconds_sum": 0,
			},
		},
		{
			name: "differences",
			pages: []string{
				vllm("vllm:generation_tokens_total 500", queue(q, "", bounds, [3]int{3, 4, 5}, 1.5)),
				vllm("vllm:generation_tokens_total 620", queue(q, "", bounds, [3]int{3, 5, 8}, 4)),
				vllm("vllm:generation_tokens_total 620", queue(q, "", bounds, [3]int{4, 6, 9}, 4.25)),
			},
			want: map[string]float64{
				"generation_tokens_total":   120,
				"queue_wait_seconds_le_0.3": 1, "queue_wait_seconds_le_0.5": 2, "queue_wait_seconds_count": 4, "queue_wait_seconds_sum": 2.75,
			},
		},
		{
			name: "a restart that shows: less than before",
			pages: []string{
				vllm("vllm:generation_tokens_total 500", queue(q, "", bounds, [3]int{3, 4, 5}, 1.5)),
				vllm("vllm:generation_tokens_total 550", queue(q, "", bounds, [3]int{3, 4, 6}, 3.5)),
				vllm("vllm:generation_tokens_total 30", queue(q, "", bounds, [3]int{2, 2, 2}, .25)),
				vllm("vllm:generation_tokens_total 40", queue(q, "", bounds, [3]int{2, 3, 3}, .625)),
			},
			want: map[string]float64{
				"generation_tokens_total": 90, "restarts": 1,
				"queue_wait_seconds_le_0.3": 2, "queue_wait_seconds_le_0.5": 3, "queue_wait_seconds_count": 4, "queue_wait_seconds_sum": 2.625,
			},
		},
		{
			name: "a restart that does not show: more than before, but a younger process",
			pages: []string{
				vllm("vllm:generation_tokens_total 500", started(long), queue(q, "", bounds, [3]int{3, 4, 5}, 1.5)),
				vllm("vllm:generation_tokens_total 600", started(epoch.Add(4*time.Second)), queue(q, "", bounds, [3]int{3, 4, 6}, 3.5)),
			},
			want: map[string]float64{
				"generation_tokens_total": 600, "restarts": 1,
				"queue_wait_seconds_le_0.3": 3, "queue_wait_seconds_le_0.5": 4, "queue_wait_seconds_count": 6, "queue_wait_seconds_sum": 3.5,
			},
		},
		{
			name: "a histogram that caught up in all buckets but not in its sum, when something else shows the restart",
			pages: []string{
				vllm("vllm:generation_tokens_total 500", queue(q, "", bounds, [3]int{1, 2, 3}, 90)),
				vllm("vllm:generation_tokens_total 100", queue(q, "", bounds, [3]int{1, 2, 4}, 2)),
			},
			want: map[string]float64{
				"generation_tokens_total": 100, "restarts": 1,
				"queue_wait_seconds_le_0.3": 1, "queue_wait_seconds_le_0.5": 2, "queue_wait_seconds_count": 4, "queue_wait_seconds_sum": 2,
			},
		},
		{
			name: "a sum that shrinks alone is no restart",
			pages: []string{
				vllm("vllm:generation_tokens_total 500", queue(q, "", bounds, [3]int{1, 2, 3}, 2)),
				vllm("vllm:generation_tokens_total 501", queue(q, "", bounds, [3]int{2, 3, 4}, 1.999)),
			},
			want: map[string]float64{
				"generation_tokens_total":   1,
				"queue_wait_seconds_le_0.3": 1, "queue_wait_seconds_le_0.5": 1, "queue_wait_seconds_count": 1, "queue_wait_seconds_sum": 0,
			},
		},
		{
			name: "rounding of a sum over processes is no restart",
			pages: []string{
				"llamacpp:requests_processing 1\nllamacpp:prompt_seconds_total 1234.5670000000001\n",
				"llamacpp:requests_processing 1\nllamacpp:prompt_seconds_total 1234.567\n",
				"llamacpp:requests_processing 1\nllamacpp:prompt_seconds_total 1236.567\n",
			},
			want: map[string]float64{"prefill_busy_seconds_total": 2},
		},
		{
			name: "one of two ranks restarts",
			pages: []string{
				vllm(`vllm:generation_tokens_total{engine="0"} 500`, `vllm:generation_tokens_total{engine="1"} 700`),
				vllm(`vllm:generation_tokens_total{engine="0"} 510`, `vllm:generation_tokens_total{engine="1"} 5`),
				vllm(`vllm:generation_tokens_total{engine="0"} 520`, `vllm:generation_tokens_total{engine="1"} 6`),
			},
			want: map[string]float64{"generation_tokens_total": 26, "restarts": 1},
		},
		{
			name: "a rank is lost, and comes back within the hour with what it had",
			pages: []string{
				vllm(`vllm:generation_tokens_total{engine="0"} 500`, `vllm:generation_tokens_total{engine="1"} 700`),
				vllm(`vllm:generation_tokens_total{engine="0"} 510`),
				vllm(`vllm:generation_tokens_total{engine="0"} 520`, `vllm:generation_tokens_total{engine="1"} 705`),
			},
			want: map[string]float64{"generation_tokens_total": 25},
		},
		{
			name: "a rank joins",
			pages: []string{
				vllm(`vllm:generation_tokens_total{engine="0"} 500`),
				vllm(`vllm:generation_tokens_total{engine="0"} 510`, `vllm:generation_tokens_total{engine="1"} 7`),
			},
			want: map[string]float64{"generation_tokens_total": 17},
		},
		{
			name: "an update renames a counter",
			pages: []string{
				vllm("vllm:generation_tokens_total 500", "vllm:gpu_prefix_cache_hits_total 100"),
				vllm("vllm:generation_tokens_total 520", "vllm:gpu_prefix_cache_hits_total 130"),
				vllm("vllm:generation_tokens_total 3", "vllm:prefix_cache_hits_total 4"),
				vllm("vllm:generation_tokens_total 5", "vllm:prefix_cache_hits_total 9"),
			},
			want: map[string]float64{"generation_tokens_total": 25, "prefix_cache_hits_tokens_total": 39, "restarts": 1},
		},
		{
			name: "an update drops the suffix of a counter",
			pages: []string{
				vllm("vllm:prompt_tokens_total 500", "vllm:generation_tokens_total 9"),
				vllm("vllm:prompt_tokens 7", "vllm:generation_tokens_total 1"),
				vllm("vllm:prompt_tokens 9", "vllm:generation_tokens_total 1"),
			},
			want: map[string]float64{"generation_tokens_total": 1, "prompt_tokens_total": 9, "restarts": 1},
		},
		{
			name: "a version that has both names is counted once",
			pages: []string{
				vllm("vllm:gpu_prefix_cache_hits_total 100", "vllm:prefix_cache_hits_total 100", "vllm:generation_tokens_total 1"),
				vllm("vllm:gpu_prefix_cache_hits_total 130", "vllm:prefix_cache_hits_total 130", "vllm:generation_tokens_total 1"),
			},
			want: map[string]float64{"generation_tokens_total": 0, "prefix_cache_hits_tokens_total": 30},
		},
		{
			name: "an update renames a histogram and changes its bounds",
			pages: []string{
				vllm(queue("vllm:time_per_output_token_seconds", "", [2]string{"0.01", "0.1"}, [3]int{10, 20, 30}, 9), "vllm:generation_tokens_total 1"),
				vllm(queue("vllm:time_per_output_token_seconds", "", [2]string{"0.01", "0.1"}, [3]int{14, 26, 38}, 12), "vllm:generation_tokens_total 1"),
				vllm(queue("vllm:inter_token_latency_seconds", "", [2]string{"0.01", "0.05"}, [3]int{1, 2, 3}, 1), "vllm:generation_tokens_total 1"),
			},
			want: map[string]float64{
				"generation_tokens_total": 0,
				// 4, 6 and 8 before. What lay between 0.01 and 0.1 may lie below or above 0.05: it stands above.
				"inter_token_latency_seconds_le_0.01": 5, "inter_token_latency_seconds_le_0.05": 6,
				"inter_token_latency_seconds_count": 11, "inter_token_latency_seconds_sum": 4,
			},
		},
		{
			name: "two models with different bounds have those that both have",
			pages: []string{
				vllm(queue(q, `model_name="a"`, [2]string{"0.3", "0.5"}, [3]int{1, 1, 1}, 1), "vllm:generation_tokens_total 1"),
				vllm(queue(q, `model_name="a"`, [2]string{"0.3", "0.5"}, [3]int{2, 3, 4}, 2), "vllm:generation_tokens_total 1") +
					strings.TrimPrefix(queue(q, `model_name="b"`, [2]string{"0.1", "0.5"}, [3]int{10, 20, 30}, 40), "# TYPE "+q+" histogram\n"),
			},
			want: map[string]float64{
				"generation_tokens_total":   0,
				"queue_wait_seconds_le_0.5": 22, "queue_wait_seconds_count": 33, "queue_wait_seconds_sum": 41,
			},
		},
		{
			name: "a balancer in front of two processes: neither's past is ours",
			pages: []string{
				vllm("vllm:generation_tokens_total 100000", started(long)),
				vllm("vllm:generation_tokens_total 200000", started(long.Add(time.Minute))),
				vllm("vllm:generation_tokens_total 100010", started(long)),
				vllm("vllm:generation_tokens_total 100030", started(long)),
			},
			want: map[string]float64{"generation_tokens_total": 20, "restarts": 2},
		},
		{
			name: "another engine takes over the address",
			pages: []string{
				vllm("vllm:generation_tokens_total 100"),
				vllm("vllm:generation_tokens_total 120"),
				"sglang:num_running_reqs 1\nsglang:generation_tokens_total 5000\n",
				"sglang:num_running_reqs 1\nsglang:generation_tokens_total 5005\n",
			},
			want: map[string]float64{"generation_tokens_total": 25, "restarts": 1},
		},
		{
			name: "a start time that is corrected by a second is the same process",
			pages: []string{
				vllm("vllm:generation_tokens_total 100", started(long)),
				vllm("vllm:generation_tokens_total 120", started(long.Add(time.Second))),
			},
			want: map[string]float64{"generation_tokens_total": 20},
		},
		{
			name: "a reason that is announced is there at 0 and keeps its count through a restart",
			pages: []string{
				vllm(`vllm:request_success_total{finished_reason="abort"} 5`),
				vllm(`vllm:request_success_total{finished_reason="abort"} 7`),
				vllm("# TYPE vllm:request_success_total counter", "vllm:generation_tokens_total 0"),
			},
			want: map[string]float64{
				"generation_tokens_total": 0, "requests_finished_total{abort}": 2,
				"requests_finished_total{error}": 0, "requests_finished_total{length}": 0, "requests_finished_total{stop}": 0,
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got := after(t, nil, c.pages...)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever ranks and processes do, what is counted is what happened and was there to be seen.
func TestAccumulationAgainstTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type rank struct{ tokens, read, waits, waitsRead int }
		var (
			ranks       = make([]rank, rapid.IntRange(1, 4).Draw(t, "ranks"))
			told        = rapid.Bool().Draw(t, "the process says when it started")
			now         = epoch
			started     = epoch.Add(-time.Hour)
			tokens      int // counted since the first page and seen
			waits       int
			a           = newAccumulator()
			first       = true
			lastCounter float64
		)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(10 * time.Second)
			switch rapid.IntRange(0, 9).Draw(t, "event") {
			case 0: // all begin anew
				for i := range ranks {
					ranks[i] = rank{}
				}
				started = now.Add(-4 * time.Second)
			case 1: // one rank does, and counts less than it had when the page comes: nothing else could tell
				if !told {
					r := &ranks[rapid.IntRange(0, len(ranks)-1).Draw(t, "rank")]
					*r = rank{}
				}
			default:
				for i := range ranks {
					if rapid.Bool().Draw(t, "busy") {
						ranks[i].tokens += rapid.IntRange(0, 100).Draw(t, "tokens")
						ranks[i].waits += rapid.IntRange(0, 3).Draw(t, "waits")
					}
				}
			}
			var page strings.Builder
			page.WriteString("# TYPE vllm:request_queue_time_seconds histogram\n")
			for i, r := range ranks {
				fmt.Fprintf(&page, "vllm:generation_tokens_total{engine=\"%d\"} %d\n", i, r.tokens)
				fmt.Fprintf(&page, "vllm:request_queue_time_seconds_bucket{engine=\"%d\",le=\"1\"} %d\n", i, r.waits)
				fmt.Fprintf(&page, "vllm:request_queue_time_seconds_bucket{engine=\"%d\",le=\"+Inf\"} %d\n", i, r.waits)
				fmt.Fprintf(&page, "vllm:request_queue_time_seconds_sum{engine=\"%d\"} %v\n", i, .5*float64(r.waits))
				fmt.Fprintf(&page, "vllm:request_queue_time_seconds_count{engine=\"%d\"} %d\n", i, r.waits)
			}
			if told {
				fmt.Fprintf(&page, "process_start_time_seconds %d\n", started.Unix())
			}
			p, err := parse([]byte(page.String()), wantedForTest())
			if err != nil {
				t.Fatal(err)
			}
			n := normaliser{families: newFamilyTable()}
			r, err := n.normalise(p, KindVLLM, rulesOf(KindVLLM))
			if err != nil {
				t.Fatal(err)
			}
			a.add(r, now)
			for i := range ranks {
				if !first {
					tokens += ranks[i].tokens - ranks[i].read
					waits += ranks[i].waits - ranks[i].waitsRead
				}
				ranks[i].read, ranks[i].waitsRead = ranks[i].tokens, ranks[i].waits
			}
			first = false

			got := a.counters[seriesID{family: NameGenerationTokens}]
			if got != float64(tokens) {
				t.Fatalf("generation tokens = %v; want %v", got, tokens)
			}
			if got < lastCounter {
				t.Fatalf("generation tokens stepped back from %v to %v", lastCounter, got)
			}
			lastCounter = got
			h := a.histograms[seriesID{family: NameQueueWait}]
			if h.count != float64(waits) || h.counts[0] != float64(waits) || math.Abs(h.sum-.5*float64(waits)) > 1e-9 {
				t.Fatalf("queue waits = %+v; want %d, of 0.5 s each", h, waits)
			}
		}
	})
}

func wantedForTest() map[string]bool {
	wanted := make(map[string]bool)
	metrics(rulesOf(KindVLLM), func(name string) { wanted[name] = true })
	return wanted
}

func TestForget(t *testing.T) {
	e := newTestEngine(t, nil)
	page := func(i int) *reading {
		r, err := e.read(fmt.Appendf(nil, "vllm:generation_tokens_total{engine=\"%d\"} 5\n", i))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for i := range 2000 { // ranks that come and go for good
		e.accumulator.add(page(i), epoch.Add(time.Duration(i)*10*time.Second))
	}
	if n := len(e.accumulator.before); n > 361 {
		t.Errorf("%d series are remembered; want those of an hour", n)
	}
	if got := e.totals()["generation_tokens_total"]; got != 5*1999 {
		t.Errorf("generation tokens = %v; want %v", got, 5*1999)
	}
	if !slices.Equal(slices.Collect(maps.Keys(e.accumulator.histograms)), nil) {
		t.Error("histograms out of nothing")
	}
}
