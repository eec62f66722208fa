package ramp

import (
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Where says where in a run something happened.
type Where struct {
	Lane   string
	Target string // the lane's
	Model  string
	Index  int    // of the stage, from 0
	Stage  string // its name
	Probe  string // of results and of what was shed
	// Measured is whether it counts: warm-up does not.
	Measured bool
}

// Observer sees a run as it goes. Its methods are called from many goroutines and must not block for long.
// Embed Unobserved to implement a part of it only.
type Observer interface {
	// StageStarted is called at the beginning of a stage; the loads are those of the plan.
	StageStarted(w Where, kind record.Kind, begin, end float64)
	// Result is called for each result, warm-up included, but for those that were not sent: it is the stream of all requests'
	// timelines.
	Result(w Where, r *prober.Result)
	// Shed is called for each request that was kept back: reason is ShedInFlight, ShedUnsent, or what Reserve said.
	Shed(w Where, reason string)
	// StageEnded is called once all requests of a stage have ended. The record is complete and not changed any more.
	StageEnded(w Where, s *record.Stage)
	// Progress is called twice a second, and at the end. The snapshot is not changed any more: keep the latest.
	Progress(s *Snapshot)
}

// ShedInFlight is why a request was kept back that would have been more than MaxInFlight.
const ShedInFlight = "in_flight"

// ShedUnsent is why a request was not sent that this machine had no file descriptor, port or memory for. Its stage is invalid
// where these are more than one in a hundred.
const ShedUnsent = "prober_resources"

// Unobserved is an Observer that does nothing.
type Unobserved struct{}

// StageStarted implements Observer.
func (Unobserved) StageStarted(Where, record.Kind, float64, float64) {}

// Result implements Observer.
func (Unobserved) Result(Where, *prober.Result) {}

// Shed implements Observer.
func (Unobserved) Shed(Where, string) {}

// StageEnded implements Observer.
func (Unobserved) StageEnded(Where, *record.Stage) {}

// Progress implements Observer.
func (Unobserved) Progress(*Snapshot) {}

// Observers tells each of its members, in order.
type Observers []Observer

// StageStarted implements Observer.
func (o Observers) StageStarted(w Where, kind record.Kind, begin, end float64) {
	for _, each := range o {
		each.StageStarted(w, kind, begin, end)
	}
}

// Result implements Observer.
func (o Observers) Result(w Where, r *prober.Result) {
	for _, each := range o {
		each.Result(w, r)
	}
}

// Shed implements Observer.
func (o Observers) Shed(w Where, reason string) {
	for _, each := range o {
		each.Shed(w, reason)
	}
}

// StageEnded implements Observer.
func (o Observers) StageEnded(w Where, s *record.Stage) {
	for _, each := range o {
		each.StageEnded(w, s)
	}
}

// Progress implements Observer.
func (o Observers) Progress(s *Snapshot) {
	for _, each := range o {
		each.Progress(s)
	}
}

// Snapshot is a run at one moment.
type Snapshot struct {
	At      time.Time
	Started time.Time
	Left    time.Duration // at most, the last drain left out; 0: the plan is done, or it ends
	Ending  string        // why it ends before its plan is done, in words; empty: it does not
	Done    bool          // nothing is under way any more
	Cost    float64       // so far
	Lanes   []LaneSnapshot
}

// LaneSnapshot is a lane at one moment. Counts are of the stage and of all its requests, warm-up included; times are of
// the measured ones, from the intended time.
type LaneSnapshot struct {
	Where    // Stage is the latest that began; Probe is empty
	Kind     record.Kind
	Open     bool
	Planned  float64 // load at this moment: requests per second, in closed loops requests under way
	Achieved float64 // requests sent per second, over the last 5 s
	InFlight int     // of all stages

	Sent, Ended, OK, Failed, Shed int

	TTFTN     int // how many TTFT there are; 0: P50 and P95 mean nothing
	TTFTP50   time.Duration
	TTFTP95   time.Duration
	TokenRate float64 // output tokens per second of requests that ended in the last 5 s

	Objectives []record.Judgement // of the measured part so far, one for each objective that speaks of the lane

	cost float64
}
