package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/wire"
)

const ms = time.Millisecond

var (
	chat  = Row{Target: "chat", Model: "llama", Probe: "interactive", Stream: true, Interval: 15 * time.Second}
	batch = Row{Target: "chat", Model: "llama", Probe: "batch", Interval: time.Minute}
)

// answer is a successful result of row that ended now: streamed, the first token after ttft and then one chunk of one token per gap;
// or, for a row that does not stream, whole after ttft.
func answer(row Row, ttft, gap time.Duration, tokens int) *prober.Result {
	took := ttft + time.Duration(tokens-1)*gap + ms
	if !row.Stream {
		took = ttft + ms
	}
	begin := time.Now().Add(-took)
	at := func(d time.Duration) time.Time { return begin.Add(d) }
	r := &prober.Result{
		Request:    &prober.Request{ID: "req-1", Target: row.Target, Probe: row.Probe, Intended: begin, Call: wire.Call{Model: row.Model, Stream: row.Stream}},
		Outcome:    prober.OK,
		HTTPStatus: 200,
		Clock:      prober.ClockKernel,
		Timeline: prober.Timeline{
			Intended: begin, Dispatched: begin,
			DNSStart: at(0), DNSDone: at(2 * ms), ConnectStart: at(2 * ms), ConnectDone: at(5 * ms), TLSStart: at(5 * ms), TLSDone: at(20 * ms),
			WriteStart: at(20 * ms), Wrote: at(20 * ms),
			End: at(took),
		},
		Usage:        wire.Usage{Known: true, PromptTokens: 40, OutputTokens: tokens},
		OutputTokens: tokens,
		OutputSource: prober.TokensUsage,
	}
	t := &r.Timeline
	if !row.Stream {
		t.Headers = at(ttft)
		return r
	}
	t.Headers, t.FirstEvent, t.FirstToken, t.FirstOutput = at(40*ms), at(40*ms), at(ttft), at(ttft)
	t.LastToken = at(took - ms)
	for i := range tokens {
		r.Chunks = append(r.Chunks, prober.Chunk{At: ttft + time.Duration(i)*gap, Tokens: 1})
	}
	return r
}

// failure is a result of row that ended now, having got a header but no token.
func failed(row Row, o prober.Outcome, text string) *prober.Result {
	r := answer(row, 250*ms, 0, 1)
	r.Outcome, r.Err = o, errors.New(text)
	r.Chunks, r.OutputTokens, r.OutputSource, r.Usage = nil, 0, prober.TokensNone, wire.Usage{}
	t := &r.Timeline
	t.FirstEvent, t.FirstToken, t.FirstOutput, t.LastToken = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return r
}

// unconnected is a result of row that never reached the server.
func unconnected(row Row, text string) *prober.Result {
	r := failed(row, prober.Connect, text)
	r.HTTPStatus, r.Clock = 0, ""
	t := &r.Timeline
	t.ConnectDone, t.TLSStart, t.TLSDone, t.WriteStart, t.Wrote, t.Headers = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return r
}

func newHandler(t testing.TB, o Options) http.Handler {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	h, err := Handler(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func newHistory(rows ...Row) *History {
	h := NewHistory()
	h.Apply(rows)
	return h
}

// all is the view of all rows that h has.
func all(h *History) []rowView {
	seen := make(map[string]bool)
	var views []rowView
	for _, r := range h.all() {
		if target := r.key().target; !seen[target] {
			seen[target] = true
			views = append(views, h.view(target)...)
		}
	}
	return views
}

// only is the view of the one row that h has.
func only(t testing.TB, h *History) rowView {
	t.Helper()
	views := all(h)
	if len(views) != 1 {
		t.Fatalf("%d rows; want 1", len(views))
	}
	return views[0]
}

// statusOf is the status of what h has now, with nothing known behind it.
func statusOf(h *History, next NextRun) *status {
	now := time.Now()
	return newStatus(h.summaries(now), now, next, new(Options).readBehind())
}

// rowsOf are the rows of a status, in the order in which they are shown.
func rowsOf(s *status) (rows []statusRow) {
	for _, t := range s.Targets {
		rows = append(rows, t.Rows...)
	}
	return rows
}

// hostile is every kind of text that must stay text.
var hostile = fmt.Sprintf(`<script>alert(1)</script> "'><img src=x onerror=alert(2)> {{.}} javascript:alert(3) %c[31m%c%c]]> --> </svg>`, 0x1b, 0x202e, 0)
