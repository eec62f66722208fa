package web

import (
	"iter"
	"time"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// RunsSource is where the pages of ramps and their runs get what they show. Its functions may be called at the same time.
// One that is nil says that there is no such thing, but for List and Load, which are required.
type RunsSource struct {
	List     func(runs.Filter) (infos []runs.Info, next string, err error) // as runs.Store has it
	Load     func(id string) (*record.Run, error)                          // as runs.Store has it; the record is not changed
	Requests func(id string) iter.Seq2[*runs.Request, error]               // as runs.Store has it
	Live     func() []LiveRun
	Ramps    func() []Ramp // those of the configuration

	// Start begins a run by hand and does not wait for it; Stop ends the one under way. Their errors are shown as text.
	// Neither is called unless Options.Lifecycle is set and the request came from one of our own pages.
	Start func(ramp string) error
	Stop  func(ramp string) error

	Compare func(a, b string) (*record.Comparison, error) // run b against run a, by their ids
}

// LiveRun is a run under way.
type LiveRun struct {
	ID, Ramp, Target string
	Trigger          record.Trigger
	Started          time.Time
	Snapshot         *ramp.Snapshot // the latest; nil: none yet
	Currency         string         // of its cost; empty: not known
}
