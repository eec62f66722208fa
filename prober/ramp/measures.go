package ramp

import (
	"errors"
	"net/http"
	"syscall"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// measures are a result's times, counted from when the question was wanted.
//
//	intended      dispatched     first token        end
//	   |─────────────|───────────────|───────────────|
//	   |<──────── ttft ─────────────>|               |
//	   |             |<─ dispatched ─>               |
//	   |<──────────────── duration ─────────────────>|
//
// A further try of a question that failed is counted from when the question was first wanted, for that is how long the user
// has been waiting. A later turn of a conversation is wanted when the answer before it is there.
type measures struct {
	ttft, ttftDispatched         time.Duration
	duration, durationDispatched time.Duration
	tpot                         time.Duration
	rate                         float64
	hasTTFT, hasTPOT, hasRate    bool

	delay time.Duration // of the prober's own
	first bool          // try of its question: only there the delay is known
	waits []queuewait.Wait
	cost  float64
}

// measure takes them from a result. Wanted is when the whole asking was.
func measure(r *prober.Result, wanted time.Time) measures {
	t := &r.Timeline
	m := measures{first: r.Request.Attempt <= 1}
	from := t.Intended
	if !m.first {
		switch first := r.Request.FirstDispatched; {
		case r.Request.Turn <= 1:
			from = wanted
		case !first.IsZero() && first.Before(from):
			from = first
		}
	}
	if m.ttftDispatched, m.hasTTFT = r.TTFT(); m.hasTTFT {
		m.ttftDispatched = max(m.ttftDispatched, 0)
		m.ttft = max(t.FirstToken.Sub(from), 0)
	}
	m.durationDispatched = max(r.Duration(), 0)
	m.duration = max(t.End.Sub(from), 0)
	m.tpot, m.hasTPOT = prober.TPOT(r)
	m.rate, m.hasRate = prober.TokensPerSecond(r)
	m.delay = max(r.DispatchDelay(), 0)
	return m
}

// fold adds a result to the statistics of its probe.
func fold(s *record.Stats, r *prober.Result, m *measures) {
	s.Sent++
	if s.Outcomes == nil {
		s.Outcomes = map[string]int{}
	}
	s.Outcomes[string(r.Outcome)]++
	if r.Retried {
		s.Retried++
	}
	if r.Outcome == prober.OK {
		record1(&s.Duration, m.duration)
		record1(&s.DurationDispatched, m.durationDispatched)
	} else {
		blame(s, r)
	}
	if m.hasTTFT {
		record1(&s.TTFT, m.ttft)
		record1(&s.TTFTDispatched, m.ttftDispatched)
	}
	if m.hasTPOT {
		record1(&s.TPOT, m.tpot)
	}
	if m.hasRate {
		record1(&s.OutputRate, record.RateTime(m.rate))
	}
	for d, n := range prober.InterTokenLatencies(r) {
		if s.ITL == nil {
			s.ITL = new(record.Histogram)
		}
		s.ITL.RecordN(d, n)
	}
	for _, w := range m.waits {
		if s.QueueWait == nil {
			s.QueueWait = map[string]*record.Histogram{}
		}
		h := s.QueueWait[string(w.Source)]
		record1(&h, w.Queue)
		s.QueueWait[string(w.Source)] = h
	}
	if r.Usage.Known {
		s.PromptTokens += int64(r.Usage.PromptTokens)
		s.CachedPromptTokens += int64(r.Usage.CachedTokens)
	}
	s.OutputTokens += int64(r.OutputTokens)
	if r.OutputSource == prober.TokensEvents {
		s.EstimatedTokens += int64(r.OutputTokens)
	}
	s.Cost += m.cost
}

// blame says who gave up on a failed request, where it can be told.
func blame(s *record.Stats, r *prober.Result) {
	switch r.Outcome {
	case prober.TimeoutConnect, prober.TimeoutFirstToken, prober.TimeoutIdle, prober.TimeoutTotal:
		s.TimedOutByClient++
		return
	}
	switch r.HTTPStatus {
	case http.StatusRequestTimeout, http.StatusGatewayTimeout, 524: // the last is Cloudflare's
		s.TimedOutByServer++
		return
	}
	if errors.Is(r.Err, syscall.ECONNRESET) || errors.Is(r.Err, syscall.EPIPE) {
		s.Reset++
	}
}

// record1 counts d in a histogram that is made when it is first needed.
func record1(h **record.Histogram, d time.Duration) {
	if *h == nil {
		*h = new(record.Histogram)
	}
	(*h).Record(d)
}

// pack makes the histograms of a stage small, when nothing is added to them any more.
func pack(s *record.Stage) {
	s.DispatchDelay.Pack()
	for _, p := range s.Probes {
		for _, h := range []*record.Histogram{p.TTFT, p.TTFTDispatched, p.Duration, p.DurationDispatched, p.ITL, p.TPOT, p.OutputRate} {
			h.Pack()
		}
		for _, h := range p.QueueWait {
			h.Pack()
		}
	}
}
