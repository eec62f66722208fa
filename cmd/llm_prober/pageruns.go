package main

import (
	"errors"
	"fmt"
	"iter"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/internal/web"
	"github.com/llmprober/llm_prober/prober/ramp/judge"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// errStopped is why a run ends that was stopped on a page or by the API.
var errStopped = errors.New("stopped by hand")

// pageRuns is what the pages show and do of ramps and their runs.
func (d *daemon) pageRuns() *web.RunsSource {
	return &web.RunsSource{
		List: func(f runs.Filter) ([]runs.Info, string, error) {
			store := d.kept()
			if store == nil {
				return nil, "", nil
			}
			return store.List(f)
		},
		Load: func(id string) (*record.Run, error) {
			store := d.kept()
			if store == nil {
				return nil, runs.ErrNotFound
			}
			return store.Load(id)
		},
		Requests: func(id string) iter.Seq2[*runs.Request, error] {
			store := d.kept()
			if store == nil {
				return func(yield func(*runs.Request, error) bool) { yield(nil, runs.ErrNotFound) }
			}
			return store.Requests(id)
		},
		Live: func() []web.LiveRun {
			var live []web.LiveRun
			for _, l := range d.ramps.running() {
				run := web.LiveRun{ID: l.ID, Ramp: l.Ramp, Target: l.Target, Trigger: l.Trigger, Started: l.Started, Snapshot: l.latest.Load()}
				if cfg := d.inForce.Load(); cfg != nil {
					if tc := cfg.Target(l.Target); tc != nil && tc.Price != nil {
						run.Currency = tc.Price.Currency
					}
				}
				live = append(live, run)
			}
			return live
		},
		Ramps: func() []web.Ramp { return d.ramps.page() },
		Start: func(ramp string) error { return d.ramps.cron.Trigger(ramp, record.ByHand) },
		Stop:  func(ramp string) error { return d.ramps.cron.Stop(ramp, errStopped) },
		Compare: func(a, b string) (*record.Comparison, error) {
			store := d.kept()
			if store == nil {
				return nil, runs.ErrNotFound
			}
			old, err := store.Load(a)
			if err != nil {
				return nil, err
			}
			judged, err := store.Load(b)
			if err != nil {
				return nil, err
			}
			if old.Ramp != judged.Ramp {
				return nil, fmt.Errorf("%s is a run of %s, and %s of %s: runs of different ramps do not compare", a, old.Ramp, b, judged.Ramp)
			}
			news, olds := []*record.Run{judged}, []*record.Run{old}
			return judge.Compare(news, olds, judge.SpreadOf(news, olds, d.storage.history(judged, lookedAt(0))), judge.Margin{}), nil
		},
	}
}

// kept is the directory of records; nil where nothing has been kept yet.
func (d *daemon) kept() *runs.Store {
	if !d.storage.exists() {
		return nil
	}
	return d.storage.open()
}
