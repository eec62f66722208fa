package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// firing is one time that an alert fired, for one set of labels. Times are since the start of the replay.
type firing struct {
	alert      string
	from, till time.Duration // till is the end of the replay for one that did not resolve
}

func newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples:       math.MaxInt,
		Timeout:          time.Hour,
		LookbackDelta:    5 * time.Minute,
		EnableAtModifier: true,
		Parser:           parser.NewParser(parser.Options{}),
	})
}

// replay evaluates the rules over a store from its time 0 to end, adds what they record to the store, and tells when alerts fired.
func replay(ctx context.Context, engine *promql.Engine, s *store, rules []rule, end time.Duration) ([]firing, error) {
	var firings []firing
	for _, r := range rules {
		q, err := engine.NewRangeQuery(ctx, s, nil, r.Expr, time.UnixMilli(0), time.UnixMilli(end.Milliseconds()), r.every)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name(), err)
		}
		result := q.Exec(ctx)
		if result.Err != nil {
			return nil, fmt.Errorf("%s: %w", r.name(), result.Err)
		}
		matrix, err := result.Matrix()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name(), err)
		}
		for _, found := range matrix {
			if r.Alert != "" {
				firings = append(firings, fired(r, found.Floats, end)...)
				continue
			}
			s.put(recorded(r, found, end))
		}
		q.Close()
	}
	return firings, nil
}

// recorded is a result as the series that Prometheus would have stored: with a stale marker after each run of values.
func recorded(r rule, found promql.Series, end time.Duration) *series {
	b := labels.NewBuilder(found.Metric).Set(labels.MetricName, r.Record)
	for name, v := range r.Labels {
		b.Set(name, v)
	}
	out := &series{labels: b.Labels()}
	every := r.every.Milliseconds()
	for i, p := range found.Floats {
		out.add(p.T, p.F)
		if next := p.T + every; next <= end.Milliseconds() && (i+1 == len(found.Floats) || found.Floats[i+1].T != next) {
			out.add(next, staleMarker())
		}
	}
	return out
}

// fired is what becomes of an alert whose expression had values at these times.
func fired(r rule, values []promql.FPoint, end time.Duration) (firings []firing) {
	every := r.every.Milliseconds()
	hold, keep := time.Duration(r.For).Milliseconds(), time.Duration(r.KeepFiringFor).Milliseconds()
	for i := 0; i < len(values); {
		last := i
		for last+1 < len(values) && values[last+1].T == values[last].T+every {
			last++
		}
		if from := values[i].T + hold; from <= values[last].T {
			till := min(values[last].T+every+keep, end.Milliseconds())
			if n := len(firings); n > 0 && firings[n-1].till.Milliseconds() >= values[i].T {
				firings[n-1].till = ms(till) // kept firing over the gap
			} else {
				firings = append(firings, firing{alert: r.Alert, from: ms(from), till: ms(till)})
			}
		}
		i = last + 1
	}
	return firings
}

func ms(t int64) time.Duration { return time.Duration(t) * time.Millisecond }
