package api

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Options are what the API is made of. Functions are called for each request, from many goroutines; those that are nil have
// nothing to tell, and what they would do is answered by 404.
type Options struct {
	Lifecycle bool         // whether requests may change the state of the prober
	Logger    *slog.Logger // required
	Recent    *Recent      // required: the newest requests, to which results are handed

	Targets   func() []Target                // what is probed
	Baselines func(target string) []Baseline // what was pinned of a target
	Ramps     func() []Ramp                  // those that are configured, or are still running
	Runs      func() *runs.Store             // the records of runs; nil while there are none

	// Start begins a ramp and returns its run, or nil where that is over already. The error is ErrNotFound, a *BusyError or
	// ErrUnavailable.
	Start func(ctx context.Context, ramp string) (*Running, error)

	// Stop ends the run of a ramp, and does not wait for it. The error is ErrNotFound or ErrNotRunning.
	Stop func(ramp string) error

	// Run asks a probe of a target once, within its budgets, and returns all results: the tries, turns or members of the
	// burst. The error is ErrNotFound, a *RefusedError or ErrUnavailable.
	Run func(ctx context.Context, target, probe string) ([]*prober.Result, error)
}

// What the functions of Options return.
var (
	ErrNotFound    = errors.New("not found")
	ErrNotRunning  = errors.New("the ramp is not running")
	ErrUnavailable = errors.New("the prober is shutting down")
)

// BusyError says that a ramp cannot begin because another one loads a target.
type BusyError struct {
	Target string
	Ramp   string // the one that loads it
}

// Error implements error.
func (e *BusyError) Error() string { return "target " + e.Target + " is loaded by the ramp " + e.Ramp }

// RefusedError says that a probe is not asked now, and why.
type RefusedError struct {
	Reason string        // a word: budget_requests, paused, in_flight, ...
	Words  string        // what to do about it
	After  time.Duration // when it is worth another try; 0: not known
}

// Error implements error.
func (e *RefusedError) Error() string { return e.Words }

// Target is one endpoint that is probed.
type Target struct {
	Name, Model, Protocol string
	Labels                map[string]string // its own
	Probes                []Probe
	Objectives            []Objective
	PausedUntil           time.Time // the server has asked to be left alone until then; zero: it has not
	Engine                *Engine   // nil: none is configured
	GPUs                  []GPU
}

// Probe is a probe of a target.
type Probe struct {
	Name     string
	Stream   bool
	Interval time.Duration // between two requests; of bursts, the idleness before one; 0: not known
	Next     time.Time     // when it is due; zero: not known
}

// Objective is a promise about the requests of a probe: a share of them, the goal, is within the threshold.
type Objective struct {
	Name, Probe string
	Indicator   string  // ttft, duration, tpot, output_tokens_per_second, queue_wait or availability
	Threshold   float64 // seconds, or tokens per second; 0 for availability
	Goal        float64 // above 0, below 1
}

// Baseline is what a quantile of an indicator was when it was pinned.
type Baseline struct {
	Probe, Indicator string
	Quantile         float64 // 0 to 1
	Seconds          float64
	Run              string // the id of the run that it comes from; may be empty
	SavedAt          time.Time
}

// Engine is what the serving software behind a target says of itself.
type Engine struct {
	Kind             string
	Up               bool      // whether its metrics could be read
	At               time.Time // when they were
	Running, Waiting *float64  // requests; nil: not known
	KVCache          *float64  // the share of its cache that is in use, 0 to 1; nil: not known
}

// GPU is one GPU behind a target.
type GPU struct {
	UUID      string
	Known     bool     // false: nobody can tell how it is
	Lost      string   // why it cannot be read any more; empty: it can
	Throttled []string // the reasons for which it is held down, those that come of heat or of lack of power alone
	XID       string   // the last error that the driver reported of late; empty: none
}

// Ramp is a load run as it is configured.
type Ramp struct {
	Name     string
	Targets  []string  // all that it loads
	Schedule string    // as it is written; empty: by hand only
	Next     time.Time // zero: there is no next time
	Paused   bool
	Running  *Running // nil: it is not
}

// Running is a run that is under way.
type Running struct {
	ID       string // empty: it has only just begun
	Ramp     string
	Trigger  record.Trigger
	Started  time.Time
	Progress *ramp.Snapshot // nil: nothing yet
}
