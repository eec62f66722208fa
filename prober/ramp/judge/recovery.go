package judge

import (
	"fmt"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// A lane is normal again where so many windows in a row are within the band, which is at least that much wider than the
// median before.
const (
	inARow = 3
	wider  = 1.2
)

// recoveryOf is how long a lane took to be normal again; nil where it has no stage that measures that, or nothing is known
// of before. Before and after count the windows outside the band, of those before the overload and of those from the
// backlog's time until it recovered, thinned to so many as are independent.
func recoveryOf(l *record.Lane) (r *record.RecoveryTime, before, after tally) {
	at := slices.IndexFunc(l.Stages, func(s record.Stage) bool { return s.Kind == record.Recovery })
	if at < 1 {
		return nil, before, after
	}
	back := &l.Stages[at]
	// The overload is the highest load before; normal is what came before that, of steady stages no more loaded than now.
	peak := at - 1
	for i := range at {
		if l.Stages[i].End > l.Stages[peak].End {
			peak = i
		}
	}
	over := &l.Stages[peak]
	var normal []record.Window
	for i := range peak {
		if s := &l.Stages[i]; s.Invalid == "" && steadyKind(s.Kind) && s.Begin == s.End && s.End <= 1.05*back.End {
			normal = append(normal, s.Steady()...)
		}
	}
	was := pick(normal, ttftP95)
	if len(was) < inARow || len(back.Windows) == 0 {
		return nil, before, after
	}
	r = &record.RecoveryTime{Lane: l.Name, Indicator: record.TTFT, Normal: median(was)}
	r.Band = max(wider*r.Normal, quantile(was, .95))
	r.Expected = backlog(l, over, back)
	begin := back.Started

	within, outside := 0, 0 // windows in a row
	var since time.Time
	for _, w := range back.Windows {
		end := w.Start.Add(w.Length)
		if w.TTFT.N == 0 && failures(w) == 0 {
			continue // nothing was asked
		}
		r.Worst = max(r.Worst, w.TTFT.P95)
		if w.TTFT.P95 <= r.Band && failures(w) == 0 {
			if within == 0 && !r.Recovered {
				since = w.Start
			}
			within, outside = within+1, 0
			if within == inARow && !r.Recovered {
				r.Recovered = true
			}
		} else {
			within, outside = 0, outside+1
			if outside == inARow {
				r.Recovered = false // it did not stay
			}
		}
		r.Seconds = end.Sub(begin).Seconds()
	}
	if r.Recovered {
		r.Seconds = max(since.Sub(begin).Seconds(), 0)
	}
	for _, w := range back.Windows {
		at := w.Start.Sub(begin).Seconds()
		if at < 1.5*r.Expected || at >= r.Seconds || w.TTFT.N == 0 && failures(w) == 0 {
			continue
		}
		after.windows++
		if w.TTFT.P95 > r.Band || failures(w) > 0 {
			after.bad++
		}
	}
	for _, v := range was {
		before.windows++
		if v > r.Band {
			before.bad++
		}
	}
	m := meanOf(logs(was))
	each := m.n / m.worth(max(m.rho, leastRho))
	return r, before.thinned(each), after.thinned(each)
}

// thinned is the tally of one window of each so many.
func (t tally) thinned(each float64) tally {
	t.windows = int(float64(t.windows) / each)
	t.bad = min(int(float64(t.bad)/each), t.windows)
	return t
}

// backlog is how long working it off takes at the throughput of the overload: what was asked for and not done meanwhile,
// by what is left of the throughput beside the load that goes on. 0 where nothing is left, or all was done.
func backlog(l *record.Lane, over, back *record.Stage) float64 {
	p := pointOf(l, over.End, []*record.Stage{over})
	if len(p.windows) == 0 || p.offered == 0 {
		return 0
	}
	owed := (p.offered - p.done) * p.seconds
	left := p.done - back.End
	if owed <= 0 {
		return 1e-3 // nothing was left to do: any delay is its own
	}
	if left <= 0 {
		return 0
	}
	return owed / left
}

func recoveryWords(r *record.RecoveryTime) string {
	if !r.Recovered {
		return fmt.Sprintf("It has not recovered %s after the overload: p95 TTFT was %s before and is normal up to %s.", seconds(r.Seconds), seconds(r.Normal), seconds(r.Band))
	}
	if r.Seconds == 0 {
		return fmt.Sprintf("It was normal again at once after the overload (p95 TTFT up to %s).", seconds(r.Band))
	}
	return fmt.Sprintf("It recovered in %s after the overload: p95 TTFT back to %s or less, %s before, %s at worst.", seconds(r.Seconds), seconds(r.Band), seconds(r.Normal), seconds(r.Worst))
}
