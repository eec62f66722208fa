package ramp

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// The rule of the warm-up: see the package.
const (
	warmUpPart = 10
	mostWarmUp = 30 * time.Second
)

// A stage is one that has begun and whose requests have not all ended. Its lane's lock guards it.
type stage struct {
	lane *lane
	plan Stage
	mix  *picker
	rec  *record.Stage

	ctx    context.Context // of its requests
	cancel context.CancelCauseFunc

	end     time.Time // planned; rec.To is at most this
	window  time.Duration
	open    map[string]int // measured requests under way, by probe
	pending int            // all requests under way
	over    bool           // nothing begins in it any more
	idle    chan struct{}  // gets a value when pending becomes 0
	ended   chan struct{}  // closed when it is over, all has ended and the observer knows

	atFrom, atTo       float64 // the in-flight integral at the measured part's begin and end
	fromTaken, toTaken bool

	asked, done, ok, failed, shed int    // of all of it, for the progress
	dispatched, late              int    // measured first tries, and those that were later than the bound
	refused                       int    // measured ones that a budget kept back
	unsent                        int    // measured ones for which this machine had no file descriptor, port or memory
	looks                         []look // of a search
}

// where is the stage, for observers.
func (s *stage) where(probe string, measured bool) Where {
	return Where{
		Lane: s.lane.name, Target: s.lane.target, Model: s.lane.model,
		Index: s.rec.Index, Stage: s.rec.Name, Probe: probe, Measured: measured,
	}
}

// measures reports whether a request wanted then counts.
func (s *stage) measures(t time.Time) bool { return !t.Before(s.rec.From) && t.Before(s.rec.To) }

// load is what is planned at a time.
func (s *stage) load(t time.Time) float64 {
	if s.plan.Burst > 0 {
		return 0
	}
	whole := s.end.Sub(s.rec.Started).Seconds()
	if whole <= 0 || t.After(s.end) {
		return s.plan.To
	}
	return s.plan.From + (s.plan.To-s.plan.From)*min(max(t.Sub(s.rec.Started).Seconds()/whole, 0), 1)
}

// warmUp is how long the warm-up of a stage is. Before is the load before it.
func warmUp(s *Stage, kind record.Kind, before float64) time.Duration {
	switch {
	case s.WarmUp > 0:
		return min(s.WarmUp, s.Over)
	case s.WarmUp < 0 || kind != record.Hold || before == s.From:
		return 0
	}
	return min(s.Over/warmUpPart, mostWarmUp)
}

// kind is what a stage is there for, if the plan does not say.
func (s *Stage) kind() record.Kind {
	switch {
	case s.Kind != "":
		return s.Kind
	case s.Burst > 0:
		return record.Spike
	case s.From != s.To:
		return record.Rising
	case s.From == 0:
		return record.Idle
	}
	return record.Hold
}

// name is how a stage is called, if the plan does not say.
func (s *Stage) name(closed bool) string {
	unit := "/s"
	if closed {
		unit = ""
	}
	load := func(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) + unit }
	switch kind := s.kind(); {
	case s.Name != "":
		return s.Name
	case s.Burst > 0:
		return "burst of " + strconv.Itoa(s.Burst)
	case kind == record.Idle:
		return "idle"
	case s.From != s.To:
		return fmt.Sprintf("%s %s to %s", kind, load(s.From), load(s.To))
	default:
		return fmt.Sprintf("%s %s", kind, load(s.From))
	}
}

// validity says why a stage's figures say nothing of the server. Empty: they do.
func (s *stage) validity(bound time.Duration) string {
	if s.late > 1 && s.late*100 > s.dispatched {
		return fmt.Sprintf("%d of %d requests were dispatched more than %v late: the prober could not keep the plan", s.late, s.dispatched, bound)
	}
	if s.refused*100 > s.rec.Planned {
		return fmt.Sprintf("a budget kept back %d of %d requests: the load was not reached", s.refused, s.rec.Planned)
	}
	if s.unsent*100 > s.rec.Planned {
		return fmt.Sprintf("the prober's machine had no file descriptor, port or memory for %d of %d requests: the load was not reached", s.unsent, s.rec.Planned)
	}
	return ""
}

// stats are those of a probe.
func (s *stage) stats(probe string) *record.Stats {
	st := s.rec.Probes[probe]
	if st == nil {
		st = &record.Stats{Outcomes: map[string]int{}}
		s.rec.Probes[probe] = st
	}
	return st
}

// An asking is one question or conversation under way. It takes the results of it.
type asking struct {
	stage    *stage
	probe    string
	wanted   time.Time
	measured bool
	window   *window
	canceled int  // results that we ended
	unsent   bool // one of its requests could not be sent
	failed   bool // the latest result
}

// Observe implements prober.Sink.
func (a *asking) Observe(r *prober.Result) { a.stage.lane.observe(a, r) }

// percent writes a share.
func percent(share float64) string { return strconv.FormatFloat(100*share, 'g', 4, 64) + " %" }
