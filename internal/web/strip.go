package web

import (
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// strip is the course of one request: its steps, then its tokens, on one axis of time.
//
//	|dns|connect|tls|....header....|.......first token.......| | | || | | | |  end
type strip struct {
	id      string
	end     time.Time
	outcome prober.Outcome
	took    time.Duration
	steps   []step
	ticks   []float32     // when chunks came, as shares of took; no more than maxTicks
	chunks  int           // how many came
	stream  time.Duration // from the first token to the last; 0 for a single one
	tokens  int           // 0: not known
	counted bool          // whether the server counted them
}

// step is one part of a request.
type step struct {
	name     string  // for people
	class    string  // for the style sheet
	done     bool    // false: the failure came before its end
	from, to float64 // shares of the strip's length
	took     time.Duration
}

// maxTicks is how many ticks there are room for: beyond it they would merge into a solid block anyway.
const maxTicks = 250

// newStrip makes the strip of r, which may have failed: it then shows how far the request came. nil where r took no time.
func newStrip(r *prober.Result) *strip {
	t := &r.Timeline
	took := r.Duration()
	if took <= 0 {
		return nil
	}
	s := &strip{
		id: idOf(r), end: t.End, outcome: r.Outcome, took: took,
		chunks: len(r.Chunks), tokens: max(0, r.OutputTokens), counted: r.OutputSource == prober.TokensUsage || r.OutputSource == prober.TokensChunks,
	}
	if !t.FirstToken.IsZero() && !t.LastToken.IsZero() {
		s.stream = max(0, t.LastToken.Sub(t.FirstToken))
	}
	s.addStep("DNS", "dns", t, t.DNSStart, t.DNSDone)
	s.addStep("connection", "connect", t, t.ConnectStart, t.ConnectDone)
	s.addStep("TLS", "tls", t, t.TLSStart, t.TLSDone)
	s.addStep("header", "wait", t, t.Wrote, t.Headers)
	if r.Request.Call.Stream {
		s.addStep("first token", "first", t, t.Headers, t.FirstToken)
		s.addStep("tokens", "decode", t, t.FirstToken, t.LastToken)
	} else {
		s.addStep("answer", "decode", t, t.Headers, t.End)
	}
	s.ticks = ticks(r.Chunks, took)
	return s
}

// addStep adds what happened between two moments. A step that did not begin is left out; one that did not end lasted until the failure.
func (s *strip) addStep(name, class string, t *prober.Timeline, from, to time.Time) {
	if from.IsZero() {
		return
	}
	done := !to.IsZero()
	if !done {
		to = t.End
	}
	start, stop := from.Sub(t.Dispatched), to.Sub(t.Dispatched)
	s.steps = append(s.steps, step{
		name: name, class: class, done: done, took: max(0, stop-start),
		from: share(start, s.took), to: share(max(start, stop), s.took),
	})
}

// ticks are the arrivals of chunks as shares of took. Too many are put on a grid, on which those that would be drawn over each other are one.
func ticks(chunks []prober.Chunk, took time.Duration) []float32 {
	grid := max(1, took/maxTicks)
	if len(chunks) <= maxTicks {
		grid = 1
	}
	var at []float32
	last := time.Duration(-1)
	for _, c := range chunks {
		d := max(0, c.At) / grid * grid
		if d == last {
			continue
		}
		last = d
		at = append(at, float32(share(d, took)))
		if len(at) > maxTicks {
			break // out of order, which no clock does
		}
	}
	return at
}

// share is d as a part of the whole, within it.
func share(d, whole time.Duration) float64 {
	return min(1, max(0, float64(d)/float64(whole)))
}
