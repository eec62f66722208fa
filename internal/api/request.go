package api

import (
	"math"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// request is what is kept of a result: no text of the question or of the answer, and nothing that grows with them.
type request struct {
	id, target, probe string
	stream            bool
	intended, end     time.Time
	at                int64                    // end, by the wall clock in nanoseconds: orders lists
	steps             [stepCount]time.Duration // since intended; missing where it did not happen

	outcome    prober.Outcome
	err        string // one line, bounded, without credentials
	status     int
	retryAfter time.Duration

	ttft, duration, tpot, wait, rate float64 // seconds, and tokens per second; NaN: not known

	usage                   bool
	prompt, cached, output  int
	source                  prober.TokenSource
	finish, remote          string
	clock                   prober.Clock
	attempt, turn, burst    int
	retried, cold, reused   bool
	late                    bool // the prober was
	dispatched, receiveLate time.Duration
}

// missing is the time of a step that did not happen.
const missing = time.Duration(math.MinInt64)

const stepCount = 15

// steps are those of a timeline, by name.
func steps(t *prober.Timeline) [stepCount]struct {
	name string
	at   time.Time
} {
	return [stepCount]struct {
		name string
		at   time.Time
	}{
		{"dispatched", t.Dispatched}, {"dns_start", t.DNSStart}, {"dns_done", t.DNSDone},
		{"connect_start", t.ConnectStart}, {"connect_done", t.ConnectDone}, {"tls_start", t.TLSStart}, {"tls_done", t.TLSDone},
		{"write_start", t.WriteStart}, {"wrote", t.Wrote}, {"headers", t.Headers}, {"first_event", t.FirstEvent},
		{"first_token", t.FirstToken}, {"first_output", t.FirstOutput}, {"last_token", t.LastToken}, {"end", t.End},
	}
}

func newRequest(r *prober.Result, wait func(*prober.Result) (time.Duration, bool)) *request {
	q := r.Request
	k := &request{
		id: text(q.ID, maxName), target: q.Target, probe: q.Probe, stream: q.Call.Stream,
		intended: r.Timeline.Intended.Round(0).UTC(), end: r.Timeline.End,
		outcome: r.Outcome, status: r.HTTPStatus, retryAfter: r.RetryAfter,
		ttft: math.NaN(), duration: math.NaN(), tpot: math.NaN(), wait: math.NaN(), rate: math.NaN(),
		usage: r.Usage.Known, prompt: r.Usage.PromptTokens, cached: r.Usage.CachedTokens, output: r.OutputTokens, source: r.OutputSource,
		finish: text(r.FinishReason, maxName), remote: text(r.RemoteAddr, maxName), clock: r.Clock,
		attempt: max(q.Attempt, 1), turn: q.Turn, burst: q.Burst, retried: r.Retried, cold: q.Cold, reused: r.Reused,
		late: r.Degraded, dispatched: r.DispatchDelay(), receiveLate: r.ReceiveDelay,
	}
	if k.end.IsZero() {
		k.end = time.Now()
	}
	k.at = k.end.UnixNano()
	for i, s := range steps(&r.Timeline) {
		k.steps[i] = missing
		if !s.at.IsZero() {
			k.steps[i] = s.at.Sub(r.Timeline.Intended)
		}
	}
	if r.Err != nil {
		k.err = text(r.Err.Error(), maxError)
	}
	if d, ok := r.TTFT(); ok {
		k.ttft = d.Seconds()
	}
	if !r.Timeline.End.IsZero() {
		k.duration = r.Duration().Seconds()
	}
	if d, ok := prober.TPOT(r); ok {
		k.tpot = d.Seconds()
	}
	if v, ok := prober.TokensPerSecond(r); ok {
		k.rate = v
	}
	if wait != nil {
		if d, ok := wait(r); ok {
			k.wait = d.Seconds()
		}
	}
	return k
}

// sample is what a verdict looks at.
func (q *request) sample() Sample {
	return Sample{
		At: q.end, Outcome: q.outcome, Retried: q.retried, Late: q.late,
		TTFT: q.ttft, Duration: q.duration, TPOT: q.tpot, QueueWait: q.wait, Rate: q.rate,
	}
}

// requestJSON is a request in answers. Absent members are not known.
type requestJSON struct {
	ID       string    `json:"id"`
	Target   string    `json:"target"`
	Probe    string    `json:"probe"`
	Stream   bool      `json:"stream"`
	Intended time.Time `json:"intended"`

	Outcome    string   `json:"outcome"`
	Error      string   `json:"error,omitempty"`
	HTTPStatus int      `json:"http_status,omitempty"`
	RetryAfter *float64 `json:"retry_after_seconds,omitempty"`

	TTFT      *float64 `json:"ttft_seconds,omitempty"`
	Duration  *float64 `json:"duration_seconds,omitempty"`
	TPOT      *float64 `json:"time_per_output_token_seconds,omitempty"`
	Rate      *float64 `json:"output_tokens_per_second,omitempty"`
	QueueWait *float64 `json:"queue_wait_seconds,omitempty"`

	PromptTokens *int   `json:"prompt_tokens,omitempty"`
	CachedTokens *int   `json:"cached_prompt_tokens,omitempty"`
	OutputTokens int    `json:"output_tokens"`
	OutputSource string `json:"output_tokens_source,omitempty"`
	FinishReason string `json:"finish_reason,omitempty"`

	Attempt int  `json:"attempt"`
	Retried bool `json:"retried"`
	Turn    int  `json:"turn,omitempty"`
	Burst   int  `json:"burst,omitempty"`
	Cold    bool `json:"cold"`

	Remote        string  `json:"remote_address,omitempty"`
	Reused        bool    `json:"connection_reused"`
	Clock         string  `json:"clock,omitempty"`
	Degraded      bool    `json:"measurement_degraded"`
	DispatchDelay float64 `json:"dispatch_delay_seconds"`
	ReceiveDelay  float64 `json:"receive_delay_seconds"`

	Timeline map[string]float64 `json:"timeline_seconds"` // since intended
	Phases   map[string]float64 `json:"phases_seconds"`
}

func (q *request) json() *requestJSON {
	j := &requestJSON{
		ID: q.id, Target: q.target, Probe: q.probe, Stream: q.stream, Intended: q.intended,
		Outcome: string(q.outcome), Error: q.err, HTTPStatus: q.status,
		TTFT: known(q.ttft), Duration: known(q.duration), TPOT: known(q.tpot), Rate: known(q.rate), QueueWait: known(q.wait),
		OutputTokens: q.output, OutputSource: string(q.source), FinishReason: q.finish,
		Attempt: q.attempt, Retried: q.retried, Turn: q.turn, Burst: q.burst, Cold: q.cold,
		Remote: q.remote, Reused: q.reused, Clock: string(q.clock), Degraded: q.late,
		DispatchDelay: q.dispatched.Seconds(), ReceiveDelay: q.receiveLate.Seconds(),
		Timeline: map[string]float64{}, Phases: map[string]float64{},
	}
	if q.retryAfter > 0 {
		j.RetryAfter = new(q.retryAfter.Seconds())
	}
	if q.usage {
		j.PromptTokens, j.CachedTokens = new(q.prompt), new(q.cached)
	}
	for i, s := range steps(new(prober.Timeline)) {
		if q.steps[i] != missing {
			j.Timeline[s.name] = q.steps[i].Seconds()
		}
	}
	for phase, d := range prober.Phases(q.skeleton()) {
		j.Phases[string(phase)] = d.Seconds()
	}
	return j
}

// skeleton is a result with as much as the phases need.
func (q *request) skeleton() *prober.Result {
	at := func(step int) time.Time {
		if q.steps[step] == missing {
			return time.Time{}
		}
		return q.intended.Add(q.steps[step])
	}
	r := &prober.Result{Request: new(prober.Request), Outcome: q.outcome}
	r.Request.Call.Stream = q.stream
	r.Timeline = prober.Timeline{
		Intended: q.intended, Dispatched: at(0), DNSStart: at(1), DNSDone: at(2), ConnectStart: at(3), ConnectDone: at(4),
		TLSStart: at(5), TLSDone: at(6), WriteStart: at(7), Wrote: at(8), Headers: at(9), FirstEvent: at(10),
		FirstToken: at(11), FirstOutput: at(12), LastToken: at(13), End: at(14),
	}
	return r
}

// known is nil for NaN.
func known(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
