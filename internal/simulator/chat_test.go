package simulator

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// event is one data line of a stream and when it came.
type event struct {
	at   time.Duration // since the request was sent
	data string
}

// readEvents reads a stream to its end.
func readEvents(t *testing.T, resp *http.Response, begin time.Time) []event {
	t.Helper()
	defer resp.Body.Close()
	var all []event
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		if data, ok := strings.CutPrefix(sc.Text(), "data: "); ok {
			all = append(all, event{time.Since(begin), data})
		}
	}
	if err := sc.Err(); err != nil {
		t.Errorf("reading the stream: %v", err)
	}
	return all
}

// completion is a whole answer, as a client reads it.
type completion struct {
	Choices []struct {
		Message      struct{ Content, Reasoning string }
		FinishReason *finishReason `json:"finish_reason"`
	}
	Usage struct {
		CompletionTokens int `json:"completion_tokens"`
	}
}

// contentTimes are when the events with content came.
func contentTimes(all []event) []time.Duration {
	var at []time.Duration
	for _, e := range all {
		if strings.Contains(e.data, `"delta":{"content":"`) {
			at = append(at, e.at)
		}
	}
	return at
}

func truthOf(t *testing.T, client *http.Client, id string) Truth {
	t.Helper()
	var tr Truth
	page := get(t, client, "/ground_truth?request_id="+id)
	if err := json.Unmarshal([]byte(page), &tr); err != nil {
		t.Fatalf("truth of %s: %v in %s", id, err, page)
	}
	return tr
}

// roundEngine has steps of 10 ms, 1 ms more for each sequence and each 16 prompt tokens: a hello costs 12 ms, then 11.
func roundEngine() Options {
	return Options{StepBase: 10 * ms, StepPerSequence: ms, PrefillPerToken: ms / 16}
}

func TestQueueWait(t *testing.T) {
	o := roundEngine()
	o.MaxRunning, o.PerRequestMetrics = 1, true
	inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
		// Three requests at 0, 1 and 2 ms, of two tokens: 12 + 11 ms each, one after the other.
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * ms)
				begin := time.Now()
				id := fmt.Sprint("r", i)
				resp := ask(t, client, id, hello(`"stream":true,"max_tokens":2,"stream_options":{"include_usage":true},`))
				if got := time.Since(begin); got != 0 {
					t.Errorf("%s: the header came after %v; want at once", id, got)
				}
				all := readEvents(t, resp, begin)
				wait := time.Duration(i)*23*ms - time.Duration(i)*ms
				want := []time.Duration{wait + 12*ms, wait + 23*ms}
				if d := cmp.Diff(want, contentTimes(all)); d != "" {
					t.Errorf("%s: tokens came at (-want +got):\n%s", id, d)
				}
				if role := all[0]; !strings.Contains(role.data, `"role":"assistant"`) || role.at != want[0] {
					t.Errorf("%s: the first event is %+v; want the role, with the first token", id, role)
				}
				if usage := all[len(all)-2].data; !strings.Contains(usage, fmt.Sprintf(`"time_to_first_token_ms":12,"generation_time_ms":11,"queue_time_ms":%d,"mean_itl_ms":11`, wait/ms)) {
					t.Errorf("%s: the usage event is %s; want a queue wait of %v, 12 ms to the first token, 11 ms more", id, usage, wait)
				}
				got := truthOf(t, client, id)
				if got.State != "finished" || got.Finish != "length" || *got.QueueWait != int64(wait) || *got.Prefill != int64(12*ms) ||
					*got.FirstToken != int64(want[0]) || *got.LastToken != int64(want[1]) || got.PromptTokens != 16 || got.OutputTokens != 2 {
					t.Errorf("%s: truth = %+v; want a wait of %v and tokens at %v", id, got, wait, want)
				}
				if got.ArrivalUnixNano != begin.UnixNano() {
					t.Errorf("%s: arrival = %d; want %d", id, got.ArrivalUnixNano, begin.UnixNano())
				}
				for k, tok := range got.Tokens {
					if tok.Due != int64(want[k]) || tok.Sent != tok.Due || tok.SentUnixNano != got.ArrivalUnixNano+tok.Sent || tok.SentMonoNano != got.ArrivalMonoNano+tok.Sent {
						t.Errorf("%s: truth of token %d = %+v; want it due and sent at %v", id, k, tok, want[k])
					}
				}
			})
		}
		time.Sleep(5 * ms)
		page := get(t, client, "/metrics")
		wantMetric(t, page, "vllm:num_requests_running", "", 1)
		wantMetric(t, page, "vllm:num_requests_waiting", "", 2)
		wg.Wait()

		page = get(t, client, "/metrics")
		wantMetric(t, page, "vllm:num_requests_running", "", 0)
		wantMetric(t, page, "vllm:num_requests_waiting", "", 0)
		wantMetric(t, page, "vllm:prompt_tokens_total", "", 48)
		wantMetric(t, page, "vllm:generation_tokens_total", "", 6)
		wantMetric(t, page, "vllm:request_success_total", `finished_reason="length"`, 3)
		wantMetric(t, page, "vllm:request_success_total", `finished_reason="abort"`, 0)
		wantMetric(t, page, "vllm:request_queue_time_seconds_count", "", 3) // the wait of 0 counts too
		wantMetric(t, page, "vllm:request_queue_time_seconds_sum", "", .022+.044)
		wantMetric(t, page, "vllm:time_to_first_token_seconds_sum", "", .012+.034+.056) // with the queue
		wantMetric(t, page, "vllm:inter_token_latency_seconds_sum", "", 3*.011)
		wantMetric(t, page, "vllm:inter_token_latency_seconds_count", "", 3)
		wantMetric(t, page, "vllm:request_prefill_time_seconds_sum", "", 3*.012)
		wantMetric(t, page, "vllm:request_decode_time_seconds_sum", "", 3*.011)
		wantMetric(t, page, "vllm:request_inference_time_seconds_sum", "", 3*.023)
		wantMetric(t, page, "vllm:e2e_request_latency_seconds_sum", "", .023+.045+.067)
		wantMetric(t, page, "vllm:iteration_tokens_total_sum", "", 48+6)
		wantMetric(t, page, "vllm:iteration_tokens_total_count", "", 6)
		wantMetric(t, page, "vllm:request_prompt_tokens_sum", "", 48)
		wantMetric(t, page, "vllm:request_generation_tokens_sum", "", 6)
		wantMetric(t, page, "vllm:kv_cache_usage_perc", "", 0)
	})
}

// wantMetric checks one sample of a /metrics page: the one of that name whose labels contain label.
func wantMetric(t *testing.T, page, name, label string, want float64) {
	t.Helper()
	for line := range strings.Lines(page) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest[0] != '{' && rest[0] != ' ' || !strings.Contains(rest, label) {
			continue
		}
		var got float64
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' ')+1:], &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%s{%s} = %v; want %v", name, label, got, want)
		}
		return
	}
	t.Errorf("%s{%s} is missing", name, label)
}

func TestFixedTimes(t *testing.T) {
	inBubble(t, Options{FirstToken: 350 * ms, PerToken: 25 * ms}, func(t *testing.T, s *Server, client *http.Client) {
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 777 * time.Microsecond)
				begin := time.Now()
				got := contentTimes(readEvents(t, ask(t, client, fmt.Sprint(i), hello(`"stream":true,"max_tokens":5,`)), begin))
				want := []time.Duration{350 * ms, 375 * ms, 400 * ms, 425 * ms, 450 * ms}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("stream %d: tokens came at (-want +got):\n%s", i, d)
				}
			})
		}
		wg.Wait()
		page := get(t, client, "/metrics")
		wantMetric(t, page, "vllm:request_success_total", `finished_reason="length"`, 500)
		wantMetric(t, page, "vllm:time_to_first_token_seconds_sum", "", 500*.35)
		wantMetric(t, page, "vllm:request_queue_time_seconds_sum", "", 0)
	})
}

func TestDisconnectFreesTheSlot(t *testing.T) {
	for _, test := range []struct {
		name   string
		fields string
	}{
		{"stream", `"stream":true,"max_tokens":1000,`},
		{"whole", `"max_tokens":1000,`},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := roundEngine()
			o.MaxRunning = 1
			inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
				ctx, leave := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				for _, id := range []string{"running", "waiting"} {
					wg.Go(func() {
						req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://sim/v1/chat/completions", strings.NewReader(hello(test.fields)))
						if err != nil {
							t.Error(err)
							return
						}
						req.Header.Set("X-Request-Id", id)
						if resp, err := client.Do(req); err == nil {
							bufio.NewReader(resp.Body).WriteTo(discard{}) //nolint:errcheck // it is cut off
							resp.Body.Close()
						}
					})
					time.Sleep(ms)
				}
				time.Sleep(100 * ms)
				if got := s.engine.load(); got.running != 1 || got.waiting != 1 {
					t.Errorf("load() = %+v; want 1 running and 1 waiting", got)
				}
				leave()
				wg.Wait()
				synctest.Wait()
				if got := s.engine.load(); got != (load{}) {
					t.Errorf("after the clients left load() = %+v; want nothing", got)
				}
				for id, made := range map[string]int{"running": 9, "waiting": 0} {
					if got, _ := s.Truth(id); got.Finish != "abort" || got.OutputTokens != made {
						t.Errorf("the truth of %s is %q after %d tokens; want abort after %d", id, got.Finish, got.OutputTokens, made)
					}
				}
				page := get(t, client, "/metrics")
				wantMetric(t, page, "vllm:request_success_total", `finished_reason="abort"`, 2)
				wantMetric(t, page, "vllm:e2e_request_latency_seconds_count", "", 0)
			})
		})
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func TestBoundedQueueAnswers503(t *testing.T) {
	o := roundEngine()
	o.MaxQueued = 1
	inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
		first := ask(t, client, "first", hello(`"stream":true,"max_tokens":3,`))
		second := ask(t, client, "second", hello(`"stream":true,"max_tokens":3,`))
		body := readAll(t, second)
		if second.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"code":503`) {
			t.Errorf("the second request got %d %s; want 503", second.StatusCode, body)
		}
		if got := readAll(t, first); !strings.Contains(got, "[DONE]") {
			t.Errorf("the first request got %s; want it complete", got)
		}
	})
}

func TestCacheUsage(t *testing.T) {
	o := roundEngine()
	o.MaxModelLen, o.KVTokens = 1000, 1000
	inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
		resp := ask(t, client, "r", hello(`"stream":true,"max_tokens":100,`))
		time.Sleep(12*ms + 3*11*ms + ms) // 4 tokens made, the next on its way
		wantMetric(t, get(t, client, "/metrics"), "vllm:kv_cache_usage_perc", "", 2./63)
		readAll(t, resp)
	})
}

func TestServerStopEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{PlainTimers: true})
		if err != nil {
			t.Fatal(err)
		}
		l := newPipeListener()
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Serve(ctx, l); err != nil {
				t.Errorf("Serve() = %v; want nil", err)
			}
		})
		client := &http.Client{Transport: &http.Transport{DialContext: l.dial, DisableKeepAlives: true}}
		for i, fault := range []string{"", "hang_before_headers", "hang_after_headers", "stall=1h", "endless"} {
			for _, fields := range []string{`"stream":true,`, ``} {
				wg.Go(func() {
					req, err := http.NewRequest(http.MethodPost, "http://sim/v1/chat/completions", strings.NewReader(hello(fields)))
					if err != nil {
						t.Error(err)
						return
					}
					req.Header.Set("X-Request-Id", fmt.Sprint(i, fields))
					req.Header.Set(faultHeader, fault)
					if resp, err := client.Do(req); err == nil {
						bufio.NewReader(resp.Body).WriteTo(discard{}) //nolint:errcheck // it is cut off
						resp.Body.Close()
					}
				})
			}
		}
		time.Sleep(time.Second)
		begin := time.Now()
		stop()
		wg.Wait()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("everything ended %v after the stop; want within a second", took)
		}
		if err := s.Run(t.Context()); err == nil {
			t.Error("a second Run() = nil; want an error")
		}
	})
}

func TestLengths(t *testing.T) {
	// With a mean of 40 and a cap of 60, a geometric draw stops early in 1-(39/40)^59, about 78 % of all cases.
	inBubble(t, Options{MeanOutputTokens: 40, FirstToken: ms}, func(t *testing.T, s *Server, client *http.Client) {
		stops, tokens := 0, 0
		for i := range 400 {
			var answer completion
			body := readAll(t, ask(t, client, fmt.Sprint(i), `{"max_tokens":60,"min_tokens":5,"messages":[{"role":"user","content":"x"}]}`))
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			n := answer.Usage.CompletionTokens
			switch why := *answer.Choices[0].FinishReason; {
			case why == finishStop && n >= 5 && n < 60:
				stops++
			case why == finishLength && n == 60:
			default:
				t.Fatalf("an answer of %d tokens ended by %q", n, why)
			}
			tokens += n
		}
		if stops < 280 || stops > 345 {
			t.Errorf("%d of 400 answers stopped early; want about 312", stops)
		}
		if mean := float64(tokens) / 400; mean < 27 || mean > 36 {
			t.Errorf("the mean length is %v; want about 31", mean)
		}
	})
}

func TestSameSeedSameAnswer(t *testing.T) {
	inBubble(t, Options{MeanOutputTokens: 50, FirstToken: ms}, func(t *testing.T, s *Server, client *http.Client) {
		text := func(body string) string {
			var answer completion
			if err := json.Unmarshal([]byte(readAll(t, ask(t, client, "r", body))), &answer); err != nil {
				t.Fatal(err)
			}
			return answer.Choices[0].Message.Content
		}
		a, b, other := text(hello(`"max_tokens":90,`)), text(hello(`"max_tokens":90,`)), text(`{"seed":8,"max_tokens":90,"messages":[{"role":"user","content":"x"}]}`)
		if a != b || a == other || a == "" {
			t.Errorf("with the same seed %q and %q, with another %q; want the first two alike", a, b, other)
		}
		// And what is streamed is what is given whole.
		var streamed strings.Builder
		for _, e := range readEvents(t, ask(t, client, "r", hello(`"max_tokens":90,"stream":true,`)), time.Now()) {
			var chunk struct {
				Choices []struct{ Delta struct{ Content string } }
			}
			if e.data == "[DONE]" {
				continue
			}
			if err := json.Unmarshal([]byte(e.data), &chunk); err != nil {
				t.Fatal(err)
			}
			streamed.WriteString(chunk.Choices[0].Delta.Content)
		}
		if streamed.String() != a {
			t.Errorf("streamed %q; want %q", streamed.String(), a)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for _, test := range []struct {
		opts Options
		want string
	}{
		{Options{MaxRunning: -1}, "simulator: option MaxRunning is out of range"},
		{Options{MeanOutputTokens: .5}, "simulator: option MeanOutputTokens is out of range"},
		{Options{FirstToken: -1}, "simulator: option FirstToken is out of range"},
		{Options{KVTokens: 100}, "simulator: option KVTokens (100) is below MaxModelLen (32768): the longest request could never run"},
		{Options{MaxBatchedTokens: 8}, "simulator: option MaxBatchedTokens (8) is below MaxRunning (64): a full batch could not make a token each"},
		{Options{Compress: -1}, "simulator: option Compress is out of range"},
		{Options{ReasoningEffort: "heroic"}, "simulator: option ReasoningEffort is out of range"},
		{Options{Profile: "abacus"}, `simulator: unknown profile "abacus": choose of h100-8b, a100-8b, l4-8b, 4xh100-70b`},
		{Options{Changes: []Change{{Set: "throttle"}}}, `simulator: change "throttle": "" is not a factor above 0`},
		{Options{Tokenizer: "c"}, `simulator: unknown tokenizer "c": choose "a" or "b"`},
		{Options{Faults: []Fault{{"cut", 1}}}, `simulator: fault "cut" needs an argument`},
		{Options{Faults: []Fault{{"empty", 2}}}, `simulator: fault "empty": share 2 is not between 0 and 1`},
	} {
		if _, err := New(test.opts); err == nil || err.Error() != test.want {
			t.Errorf("New(%+v) = %v; want %s", test.opts, err, test.want)
		}
	}
}
