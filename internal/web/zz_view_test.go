package web

import (
	"errors"
	"fmt"
	"math/rand"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/wire"
)

func TestZZView(t *testing.T) {
	addr := os.Getenv("ZZ_VIEW")
	if addr == "" {
		t.Skip()
	}
	h := NewHistory()
	rows := []Row{chat, {Target: "chat", Model: "llama", Probe: "rag", Stream: true, Interval: time.Minute}, batch, {Target: "code", Model: "qwen-coder", Probe: "interactive", Stream: true, Interval: 15 * time.Second}, {Target: "embedding-of-a-long-name", Model: "m", Probe: "interactive", Stream: true, Interval: 15 * time.Second}, {Target: "new", Model: "m", Probe: "interactive", Stream: true}}
	h.Apply(rows)
	now := time.Now()
	shift := func(r *prober.Result, d time.Duration) *prober.Result {
		tl := &r.Timeline
		for _, p := range []*time.Time{&tl.Intended, &tl.Dispatched, &tl.DNSStart, &tl.DNSDone, &tl.ConnectStart, &tl.ConnectDone, &tl.TLSStart, &tl.TLSDone, &tl.WriteStart, &tl.Wrote, &tl.Headers, &tl.FirstEvent, &tl.FirstToken, &tl.FirstOutput, &tl.LastToken, &tl.End} {
			if !p.IsZero() {
				*p = p.Add(-d)
			}
		}
		return r
	}
	_ = now
	rnd := rand.New(rand.NewSource(1))
	one := func(row Row, ago time.Duration, i int) {
		ttft := time.Duration(220+rnd.ExpFloat64()*60+float64(i%200)) * ms
		r := answer(row, ttft, 18*ms, 40)
		if i%5 == 0 && row.Stream {
			for j := 20; j < len(r.Chunks); j++ {
				r.Chunks[j].At += 400 * ms
			}
			r.Timeline.LastToken = r.Timeline.LastToken.Add(400 * ms)
			r.Timeline.End = r.Timeline.End.Add(400 * ms)
		}
		r.Request.ID = fmt.Sprintf("%032x", rnd.Int63())
		r.Request.Call.Messages = []wire.Message{{Role: "user", Content: "Tell me it's a story of " + row.Target + "\n<b>now</b>"}}
		r.Request.Call.MaxOutputTokens = 64
		r.FinishReason = "stop"
		r.RemoteAddr = "10.0.0.7:8000"
		r.Header = http.Header{"Server": {"uvicorn"}, "X-Request-Id": {"abc"}, "X-Ratelimit-Remaining": {"17"}}
		if i%41 == 3 {
			r.Request.Attempt = 1
			r.Retried = true
			f := failed(row, prober.RateLimited, "HTTP 429: slow down, please: the organisation has used its share")
			f.Request.ID = fmt.Sprintf("%032x", rnd.Int63())
			r = f
			r.HTTPStatus = 429
		}
		r = shift(r, ago)
		reportOf(h, r)
	}
	for i := 6000; i > 0; i-- {
		one(chat, time.Duration(i)*15*time.Second, i)
	}
	for _, row := range rows[1:4] {
		for i := 150; i > 0; i-- {
			one(row, time.Duration(i)*15*time.Second, i)
		}
	}
	for i := 20; i > 0; i-- {
		h.Observe(shift(unconnected(rows[4], "connect: dial tcp 10.0.0.9:8000: connection refused"), time.Duration(i)*15*time.Second))
	}
	f := failed(rows[3], prober.TimeoutFirstToken, hostile)
	f.Err = errors.New(hostile)
	h.Observe(f)
	o := Options{History: h, Version: "0.3.0", Config: func() string {
		return "global:\n  timeout: 60s\ntargets:\n  - name: chat\n    url: http://vllm:8000/v1\n    http: {authorization: {credentials: <secret>}}\n"
	}}
	o.Objectives = func() []Objective {
		return []Objective{{Name: "chat_ttft", Target: "chat", Probe: "interactive", Indicator: "ttft", Threshold: 0.6, Goal: 0.99, Events: 6000, Bad: 31}, {Name: "chat_up", Target: "chat", Probe: "interactive", Indicator: "availability", Goal: 0.995, Events: 6000, Bad: 12}, {Name: "code_ttft", Target: "code", Probe: "interactive", Indicator: "ttft", Threshold: 0.3, Goal: 0.95, Events: 600, Bad: 60}}
	}
	o.Engines = func() []Engine {
		return []Engine{{Target: "chat", Kind: "vllm", Up: true, Running: new(12.0), Waiting: new(3.0), KVCache: new(0.71)}, {Target: "code", Kind: "sglang", Problem: "HTTP 404"}}
	}
	o.GPUs = func() []GPU {
		return []GPU{{Target: "chat", Name: "GPU 0 (H100)"}, {Target: "chat", Name: "GPU 1 (H100)", Throttled: "power cap"}}
	}
	o.Schedule = func() Schedule {
		return Schedule{InFlight: 1, MaxInFlight: 32, Jobs: []Job{{Target: "chat", Probe: "interactive", Next: time.Now().Add(7 * time.Second), Interval: 15 * time.Second, Jitter: 2 * time.Second}, {Target: "chat", Probe: "wake_up", Interval: 10 * time.Minute, Burst: 8}},
			Pauses:  []Pause{{Target: "code", Until: time.Now().Add(42 * time.Second)}},
			Ramps:   []Ramp{{Name: "nightly_soak", Target: "chat", Schedule: "0 2 * * *", Times: []time.Time{time.Now().Add(5 * time.Hour)}, Takes: 57 * time.Minute, Verdict: "pass"}, {Name: "hourly_ladder", Target: "code", Schedule: "15 * * * *", Times: []time.Time{time.Now().Add(time.Hour), time.Now().Add(2 * time.Hour), time.Now().Add(3 * time.Hour)}, Takes: 10 * time.Minute, Verdict: "regressed"}},
			Budgets: []Budget{{Measure: "requests_per_minute", Used: 14, Limit: 60}, {Target: "chat", Measure: "output_tokens_per_hour", Used: 48000, Limit: 50000, RoomIn: 3 * time.Minute}, {Target: "chat", Measure: "cost_per_day", Currency: "USD", Used: 1.284, Limit: 5}}}
	}
	o.Endpoint = func(string) (Endpoint, bool) {
		return Endpoint{URL: "http://user:pw@vllm:8000/v1?key=abc", Protocol: "openai_chat", Headers: []string{"Authorization"}}, true
	}
	o.Metrics = []Metric{{Name: "llm_probe_time_to_first_token_seconds", Type: "histogram", Group: "Latency", Help: "Time to the first token.", Note: "Dispatch to token."}, {Name: "llm_probe_requests_total", Type: "counter", Group: "Requests", Help: "Requests.", Labels: []string{"outcome"}}}
	mux := http.NewServeMux()
	mux.Handle("/", newHandler(t, o))
	big := behindCrowd(200)
	big.History, big.Prefix = crowd(200), "/big"
	mux.Handle("/big/", newHandler(t, big))
	go func() {
		for i := 0; ; i++ {
			time.Sleep(3 * time.Second)
			one(chat, 0, i)
		}
	}()
	t.Log(http.ListenAndServe(addr, mux))
}

func reportOf(h *History, r *prober.Result) {
	h.Observe(r)
	if r.Outcome != prober.OK || !r.Request.Call.Stream {
		return
	}
	r.Timing = wire.ServerTiming{Known: true, QueueSeconds: 0.05 + r.Timeline.FirstToken.Sub(r.Timeline.Dispatched).Seconds()/4, PrefillSeconds: 0.1, DecodeSeconds: -1, LoadSeconds: -1, TotalSeconds: -1, FirstTokenSeconds: -1}
	rep := viewTarget.Judge(r, nil)
	h.Explain(r, &rep)
}

var viewTarget = queuewait.NewTarget()
