package simulator

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// longHello is a chat request of about so many prompt tokens that begins with a text of its own.
func longHello(begin string, words int, fields string) string {
	return `{"model":"sim-8b","seed":7,` + fields + `"messages":[{"role":"user","content":"` + begin + strings.Repeat(" word", words) + `"}]}`
}

func TestPrefixCacheIsTold(t *testing.T) {
	for _, test := range []struct{ dialect, path, told string }{
		{"vllm", "/v1/chat/completions", `"prompt_tokens_details":{"cached_tokens":%d}`},
		{"sglang", "/v1/chat/completions", `"prompt_tokens_details":{"cached_tokens":%d}`},
		{"openai", "/v1/chat/completions", `"prompt_tokens_details":{"cached_tokens":%d,`},
		{"llamacpp", "/v1/chat/completions", `"prompt_tokens_details":{"cached_tokens":%[1]d}},`},
		{"llamacpp", "/v1/chat/completions", `"timings":{"cache_n":%d,`},
		{"llamacpp", "/v1/messages", `"cache_read_input_tokens":%d,`},
		{"anthropic", "/v1/messages", `"cache_read_input_tokens":%d,`},
	} {
		o := roundEngine()
		o.Dialect, o.PrefixCache = test.dialect, true
		inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
			ask := func(id, body string) string {
				req, err := http.NewRequest(http.MethodPost, "http://sim"+test.path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("X-Request-Id", id)
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				return readAll(t, resp)
			}
			const fields = `"stream":true,"max_tokens":3,"stream_options":{"include_usage":true},`
			for _, x := range []struct {
				id, begin string
				whole     bool
				cached    int // of 110 prompt tokens: 6 full blocks of 16
			}{{"first", "one", false, 0}, {"again", "one", false, 96}, {"other", "two", false, 0}, {"whole", "two", true, 96}} {
				f := fields
				if x.whole {
					f = `"max_tokens":3,`
				}
				body := ask(x.id, longHello(x.begin, 100, f))
				if want := fmt.Sprintf(test.told, x.cached); !strings.Contains(body, want) {
					t.Errorf("%s, %s: %s; want %s", test.dialect, x.id, body, want)
				}
				tr, _ := s.Truth(x.id)
				if tr.CachedTokens != x.cached || tr.PromptTokens != 110 {
					t.Errorf("%s, %s: %d of %d tokens were cached; want %d of 110", test.dialect, x.id, tr.CachedTokens, tr.PromptTokens, x.cached)
				}
				if want := int64(11*ms) + int64(110-x.cached)*int64(ms)/16; *tr.Prefill != want {
					t.Errorf("%s, %s: the prefill took %v; want %v", test.dialect, x.id, time.Duration(*tr.Prefill), time.Duration(want))
				}
			}
			if test.dialect == "vllm" {
				ask("salted", longHello("one", 100, `"cache_salt":"x","max_tokens":1,`))
				if tr, _ := s.Truth("salted"); tr.CachedTokens != 0 {
					t.Errorf("with a salt %d tokens were cached; want none", tr.CachedTokens)
				}
				page := get(t, client, "/metrics")
				wantMetric(t, page, "vllm:prefix_cache_queries_total", "", 5*110)
				wantMetric(t, page, "vllm:prefix_cache_hits_total", "", 2*96)
				wantMetric(t, page, "vllm:prompt_tokens_by_source_total", `source="local_cache_hit"`, 2*96)
				wantMetric(t, page, "vllm:prompt_tokens_by_source_total", `source="local_compute"`, 5*110-2*96)
			}
		})
	}
}

// TestPreemptionIsTold runs two answers that the cache cannot hold: the second waits in its middle.
func TestPreemptionIsTold(t *testing.T) {
	o := roundEngine()
	o.MaxModelLen, o.KVTokens, o.Preempt = 96, 96, true
	inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * ms)
				if body := readAll(t, ask(t, client, fmt.Sprint("r", i), hello(`"stream":true,"max_tokens":64,`))); contents(body) != 64 {
					t.Errorf("r%d has %d tokens; want 64", i, contents(body))
				}
			})
		}
		wg.Wait()
		first, _ := s.Truth("r0")
		second, _ := s.Truth("r1")
		if first.Preemptions != 0 || second.Preemptions != 1 || second.RequeueWait <= 0 || second.RecomputedTokens < 16 || second.OutputTokens != 64 {
			t.Errorf("the truths are %+v and %+v; want the second put back once", first, second)
		}
		gap := int64(0)
		for i := 1; i < len(second.Tokens); i++ {
			gap = max(gap, second.Tokens[i].Due-second.Tokens[i-1].Due)
		}
		if gap <= second.RequeueWait {
			t.Errorf("the longest gap between its tokens is %v; want more than the %v that it waited again", time.Duration(gap), time.Duration(second.RequeueWait))
		}
		page := get(t, client, "/metrics")
		wantMetric(t, page, "vllm:num_preemptions_total", "", 1)
		wantMetric(t, page, "vllm:prompt_tokens_recomputed_total", "", float64(second.RecomputedTokens))
		wantMetric(t, page, "vllm:request_queue_time_seconds_sum", "", float64(*second.QueueWait)/1e9)
	})
}

// TestWholeAnswersSayTheirWait has two requests run one after the other.
func TestWholeAnswersSayTheirWait(t *testing.T) {
	for _, test := range []struct {
		dialect, fields string
		told            func(h http.Header, body string) bool
	}{
		{"tgi", "", func(h http.Header, _ string) bool {
			return h.Get("X-Queue-Time") == "22" && h.Get("X-Inference-Time") == "23" && h.Get("X-Total-Time") == "45" && h.Get("X-Time-Per-Token") == "11"
		}},
		{"sglang", `"return_meta_info":true,`, func(_ http.Header, body string) bool {
			return strings.Contains(body, `"queue_time":0.022,"prefill_launch_latency":0.012,"inference_time":0.023,"e2e_latency":0.045`)
		}},
	} {
		o := roundEngine()
		o.Dialect, o.MaxRunning = test.dialect, 1
		inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
			var wg sync.WaitGroup
			wg.Go(func() { readAll(t, ask(t, client, "first", hello(`"max_tokens":2,`))) })
			time.Sleep(ms)
			resp := ask(t, client, "second", hello(`"max_tokens":2,`+test.fields))
			if body := readAll(t, resp); !test.told(resp.Header, body) {
				t.Errorf("%s: %v %s; want a wait of 22 ms", test.dialect, resp.Header, body)
			}
			wg.Wait()
		})
	}
}
