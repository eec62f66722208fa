package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// timesOf asks for a few tokens and returns when they came, since the request.
func timesOf(t *testing.T, client *http.Client, id string, tokens int) []time.Duration {
	t.Helper()
	begin := time.Now()
	return contentTimes(readEvents(t, ask(t, client, id, hello(fmt.Sprintf(`"stream":true,"max_tokens":%d,`, tokens))), begin))
}

func TestChanges(t *testing.T) {
	// A hello's first token comes after 12 ms, the others 11 ms apart; with fixed times it is the same.
	fixed := Options{FirstToken: 12 * ms, PerToken: 11 * ms}
	for _, test := range []struct {
		name    string
		changes []Change
		more    func(*Options)
		fixed   bool // also with fixed times
		at      time.Duration
		want    []time.Duration
	}{
		{"before", []Change{{"throttle=2", time.Minute, 0}}, nil, true, 59 * time.Second, []time.Duration{12 * ms, 23 * ms, 34 * ms}},
		{"throttle", []Change{{"throttle=2", time.Minute, 0}}, nil, true, time.Minute, []time.Duration{24 * ms, 46 * ms, 68 * ms}},
		{"throttle for a while", []Change{{"throttle=2", time.Minute, time.Minute}}, nil, true, 2 * time.Minute, []time.Duration{12 * ms, 23 * ms, 34 * ms}},
		{"in the middle of an answer", []Change{{"throttle=2", time.Minute, 0}}, nil, true, time.Minute - 20*ms, []time.Duration{12 * ms, 23 * ms, 45 * ms}},
		{"leak", []Change{{"leak=50%", time.Hour, 0}}, nil, true, 3 * time.Hour, []time.Duration{24 * ms, 46 * ms, 68 * ms}},
		{"leak, compressed", []Change{{"leak=50", time.Hour, 0}}, func(o *Options) { o.Compress = 3600 }, true, 3 * time.Second, []time.Duration{24 * ms, 46 * ms, 68 * ms}},
		{"slower prefill", []Change{{"prefill_per_token=250us", time.Minute, 0}}, nil, false, time.Minute, []time.Duration{15 * ms, 26 * ms, 37 * ms}},
		{"faster steps", []Change{{"step_base=4ms", time.Minute, 0}, {"step_per_sequence=2ms", time.Minute, 0}}, nil, false, time.Minute, []time.Duration{7 * ms, 13 * ms, 19 * ms}},
		{"prompts in pieces", []Change{{"max_batched_tokens=8", time.Minute, 0}}, nil, false, time.Minute, []time.Duration{23 * ms, 34 * ms, 45 * ms}},
		{"the latest wins", []Change{{"throttle=3", time.Minute, 0}, {"throttle=2", 2 * time.Minute, 0}}, nil, true, time.Hour, []time.Duration{24 * ms, 46 * ms, 68 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			engines := []Options{roundEngine()}
			if test.fixed {
				engines = append(engines, fixed)
			}
			for _, o := range engines {
				o.Changes = test.changes
				if test.more != nil {
					test.more(&o)
				}
				inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
					time.Sleep(test.at)
					got := timesOf(t, client, "r", 3)
					for i := range got { // where hours pass in seconds, a leak is felt within an answer
						got[i] = got[i].Round(ms)
					}
					if d := cmp.Diff(test.want, got); d != "" {
						t.Errorf("fixed %v: tokens came at (-want +got):\n%s", o.fixed(), d)
					}
				})
			}
		})
	}
}

func TestBatchingChange(t *testing.T) {
	o := roundEngine()
	o.Changes = []Change{{Set: "max_running=1", After: time.Minute}, {Set: "max_queued=2", After: 2 * time.Minute}}
	inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
		waits := func() (waits []time.Duration, refused int) {
			var wg sync.WaitGroup
			var mu sync.Mutex
			for i := range 3 {
				wg.Go(func() {
					id := fmt.Sprint("r", i)
					time.Sleep(time.Duration(i) * time.Microsecond)
					resp := ask(t, client, id, hello(`"stream":true,"max_tokens":2,`))
					readAll(t, resp)
					mu.Lock()
					defer mu.Unlock()
					if resp.StatusCode != http.StatusOK {
						refused++
					}
				})
			}
			wg.Wait()
			for i := range 3 {
				if tr, _ := s.Truth(fmt.Sprint("r", i)); tr.QueueWait != nil {
					waits = append(waits, time.Duration(*tr.QueueWait).Round(ms))
				}
			}
			return waits, refused
		}
		for _, want := range []struct {
			at      time.Duration
			waits   []time.Duration
			refused int
		}{
			{0, []time.Duration{0, 12 * ms, 12 * ms}, 0},
			{time.Minute, []time.Duration{0, 23 * ms, 46 * ms}, 0},
			{2 * time.Minute, []time.Duration{0, 23 * ms}, 1},
		} {
			time.Sleep(want.at - time.Since(s.created))
			got, refused := waits()
			if d := cmp.Diff(want.waits, got); d != "" || refused != want.refused {
				t.Errorf("after %v %d were refused, the others waited (-want +got):\n%s", want.at, refused, d)
			}
		}
	})
}

func TestColdStart(t *testing.T) {
	for _, o := range []Options{roundEngine(), {FirstToken: 12 * ms, PerToken: 11 * ms}} {
		o.Dialect = "ollama"
		o.Changes = []Change{{Set: "cold_start=5s/10m"}}
		inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
			native := func(id string) string {
				req, err := http.NewRequest(http.MethodPost, "http://sim/api/chat", strings.NewReader(`{"stream":false,"messages":[{"role":"user","content":"Hello there, how are you?"}],"options":{"num_predict":2}}`))
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
			for _, x := range []struct {
				id   string
				idle time.Duration
				load time.Duration
			}{{"first", 0, 5 * time.Second}, {"warm", 9 * time.Minute, 0}, {"cold", 11 * time.Minute, 5 * time.Second}, {"warm again", time.Second, 0}} {
				time.Sleep(x.idle)
				begin := time.Now()
				body := native(x.id)
				if got := time.Since(begin); got != x.load+23*ms {
					t.Errorf("%s took %v; want %v", x.id, got, x.load+23*ms)
				}
				tr, _ := s.Truth(x.id)
				if tr.Load != int64(x.load) || *tr.QueueWait != int64(x.load) {
					t.Errorf("%s: the truth is a load of %v and a wait of %v; want %v", x.id, time.Duration(tr.Load), time.Duration(*tr.QueueWait), x.load)
				}
				if told := fmt.Sprintf(`"load_duration":%d,`, x.load); strings.Contains(body, told) != (x.load > 0) {
					t.Errorf("%s: %s; want %s, or nothing of it", x.id, body, told)
				}
			}
			// Who comes while it is being loaded waits for the rest of it.
			time.Sleep(time.Hour)
			var wg sync.WaitGroup
			wg.Go(func() { native("one") })
			wg.Go(func() {
				time.Sleep(2 * time.Second)
				native("two")
			})
			wg.Wait()
			if tr, _ := s.Truth("two"); tr.Load != int64(3*time.Second) || *tr.QueueWait != int64(3*time.Second) {
				t.Errorf("two: the truth is %+v; want a load of 3s", tr)
			}
		})
	}
}

func TestRestart(t *testing.T) {
	for _, o := range []Options{roundEngine(), {FirstToken: 12 * ms, PerToken: 11 * ms}} {
		o.Changes = []Change{{Set: "restart=2s", After: time.Minute}, {Set: "leak=100"}}
		inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
			readAll(t, ask(t, client, "before", hello(`"max_tokens":2,`)))
			wantMetric(t, get(t, client, "/metrics"), "vllm:request_success_total", `finished_reason="length"`, 1)
			time.Sleep(time.Minute - 100*ms - time.Since(s.created))
			var wg sync.WaitGroup
			for _, fields := range []string{`"stream":true,`, ``} {
				wg.Go(func() {
					req, err := http.NewRequest(http.MethodPost, "http://sim/v1/chat/completions", strings.NewReader(hello(fields+`"max_tokens":1000,`)))
					if err != nil {
						t.Error(err)
						return
					}
					req.Header.Set("X-Request-Id", "under way"+fields)
					resp, err := client.Do(req)
					if err == nil {
						_, err = partial(resp)
					}
					if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
						t.Errorf("an answer under way with %q ended with %v; want it to break off", fields, err)
					}
					if got := time.Since(s.created); got != time.Minute {
						t.Errorf("it ended after %v; want a minute", got)
					}
				})
			}
			wg.Wait()
			if tr, _ := s.Truth(`under way"stream":true,`); tr.Finish != "dead" || tr.OutputTokens == 0 {
				t.Errorf("its truth is %+v; want it dead, after some tokens", tr)
			}
			time.Sleep(time.Second)
			for _, path := range []string{"/health", "/metrics", "/v1/models"} {
				if resp, err := client.Get("http://sim" + path); err == nil {
					t.Errorf("while the engine is down %s answers %d", path, resp.StatusCode)
				}
			}
			get(t, client, "/control/engine") // ours answers
			time.Sleep(time.Second)
			if got := s.engine.load(); got != (load{}) {
				t.Errorf("afterwards load() = %+v; want nothing", got)
			}
			page := get(t, client, "/metrics")
			wantMetric(t, page, "vllm:request_success_total", `finished_reason="length"`, 0)
			wantMetric(t, page, "vllm:e2e_request_latency_seconds_count", "", 0)
			readAll(t, ask(t, client, "after", hello(`"max_tokens":2,`)))
			wantMetric(t, get(t, client, "/metrics"), "vllm:request_success_total", `finished_reason="length"`, 1)
		})
	}
}

// TestRestartOverTCP breaks off lent answers, and refuses connections afterwards as a dead process does.
func TestRestartOverTCP(t *testing.T) {
	s, addr := overTCP(t, Options{FirstToken: ms, PerToken: ms})
	resp, err := postTCP(t.Context(), addr, "r", 30000) // half a minute
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1000); err != nil {
		t.Fatal(err)
	}
	if err := s.changes.add([]Change{{Set: "restart=1h"}}, s.clock.now()); err != nil {
		t.Fatal(err)
	}
	if _, err := partial(resp); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the answer ended with %v; want %v", err, io.ErrUnexpectedEOF)
	}
	if _, err := postTCP(t.Context(), addr, "r", 10); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("while it is down a request ends with %v; want %v", err, syscall.ECONNRESET)
	}
}

func TestEngineControl(t *testing.T) {
	inBubble(t, roundEngine(), func(t *testing.T, s *Server, client *http.Client) {
		post := func(body string) (int, string) {
			resp, err := client.Post("http://sim/control/engine", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, readAll(t, resp)
		}
		time.Sleep(time.Minute)
		status, body := post(`[{"set":"throttle=2","after":"10s","for":"1m"}]`)
		if want := `[{"set":"throttle=2","after":"1m10s","for":"1m0s"}]` + "\n"; status != http.StatusOK || body != want {
			t.Errorf("POST /control/engine = %d %s; want 200 %s", status, body, want)
		}
		if got := timesOf(t, client, "r", 1); got[0] != 12*ms {
			t.Errorf("before it the first token came after %v; want 12ms", got)
		}
		time.Sleep(10 * time.Second)
		if got := timesOf(t, client, "r", 1); got[0] != 24*ms {
			t.Errorf("with it the first token came after %v; want 24ms", got)
		}
		time.Sleep(time.Minute)
		if got := timesOf(t, client, "r", 1); got[0] != 12*ms {
			t.Errorf("after it the first token came after %v; want 12ms", got)
		}
		for _, bad := range []string{
			`[{"set":"unheard_of=1"}]`, `[{"set":"throttle=0"}]`, `[{"set":"throttle"}]`, `[{"set":"leak=-1"}]`, `[{"set":"max_running=0"}]`, `[{"set":"restart=0s"}]`,
			`[{"set":"restart=1s","for":"1s"}]`, `[{"set":"step_base=-1s"}]`, `[{"set":"cold_start=x"}]`, `[{"set":"throttle=2","after":"-1s"}]`, `[{"set":"throttle=2","at":"1s"}]`, `{`,
		} {
			if status, text := post(bad); status != http.StatusBadRequest {
				t.Errorf("POST %s = %d %s; want 400", bad, status, text)
			}
		}
		if _, err := New(Options{Changes: []Change{{Set: "nonsense"}}}); err == nil {
			t.Error("New() with a change that means nothing = nil; want an error")
		}
		var list []Change
		if err := json.Unmarshal([]byte(get(t, client, "/control/engine")), &list); err != nil || len(list) != 1 {
			t.Errorf("the list is %+v, %v; want the one change", list, err)
		}
	})
}

func TestParseChange(t *testing.T) {
	for _, test := range []struct {
		text string
		want Change
		ok   bool
	}{
		{"throttle=1.5", Change{Set: "throttle=1.5"}, true},
		{"throttle=1.5@10m", Change{Set: "throttle=1.5", After: 10 * time.Minute}, true},
		{"throttle=1.5@10m+5m", Change{Set: "throttle=1.5", After: 10 * time.Minute, For: 5 * time.Minute}, true},
		{"throttle=1.5+5m", Change{Set: "throttle=1.5", For: 5 * time.Minute}, true},
		{"throttle=1.5@10", Change{}, false},
		{"throttle=1.5+5", Change{}, false},
	} {
		got, err := ParseChange(test.text)
		if test.ok != (err == nil) || test.ok && got != test.want {
			t.Errorf("ParseChange(%q) = %+v, %v; want %+v, %v", test.text, got, err, test.want, test.ok)
		}
	}
}

func TestConstants(t *testing.T) {
	var o Options
	for _, text := range []string{"step_base=3ms", "kv_tokens=70000", "preempt=true", "max_batched_tokens=512"} {
		if err := o.Set(text); err != nil {
			t.Errorf("Set(%q) = %v", text, err)
		}
	}
	want := Options{StepBase: 3 * ms, KVTokens: 70000, Preempt: true, MaxBatchedTokens: 512}
	if o.StepBase != want.StepBase || o.KVTokens != want.KVTokens || !o.Preempt || o.MaxBatchedTokens != want.MaxBatchedTokens {
		t.Errorf("the options are %+v; want %+v", o, want)
	}
	for _, text := range []string{"step_base=3", "preempt=perhaps", "kv_tokens", "nonsense=1"} {
		if err := o.Set(text); err == nil {
			t.Errorf("Set(%q) = nil; want an error", text)
		}
	}
}
