package main

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
)

func minutes(of ...int) (values []promql.FPoint) {
	for _, m := range of {
		values = append(values, promql.FPoint{T: int64(m) * 60_000, F: 1})
	}
	return values
}

func TestFired(t *testing.T) {
	const m = time.Minute
	for _, tt := range []struct {
		name     string
		hold     time.Duration
		keep     time.Duration
		values   []promql.FPoint
		from, to []time.Duration
	}{
		{name: "never true", values: nil},
		{name: "at once without for", values: minutes(3), from: []time.Duration{3 * m}, to: []time.Duration{4 * m}},
		{name: "shorter than for", hold: 2 * m, values: minutes(3, 4)},
		{name: "for reached", hold: 2 * m, values: minutes(3, 4, 5), from: []time.Duration{5 * m}, to: []time.Duration{6 * m}},
		{name: "a gap begins anew", hold: 2 * m, values: minutes(3, 4, 6, 7)},
		{name: "twice", hold: m, values: minutes(1, 2, 6, 7), from: []time.Duration{2 * m, 7 * m}, to: []time.Duration{3 * m, 8 * m}},
		{name: "kept over a gap", hold: m, keep: 5 * m, values: minutes(1, 2, 6, 7), from: []time.Duration{2 * m}, to: []time.Duration{13 * m}},
		{name: "until the end", values: minutes(98, 99, 100), from: []time.Duration{98 * m}, to: []time.Duration{100 * m}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := rule{Rule: rulefmt.Rule{Alert: "A", For: model.Duration(tt.hold), KeepFiringFor: model.Duration(tt.keep)}, every: m}
			got := fired(r, tt.values, 100*m)
			if len(got) != len(tt.from) {
				t.Fatalf("fired = %v; want %d times", got, len(tt.from))
			}
			for i, f := range got {
				if want := (firing{"A", tt.from[i], tt.to[i]}); f != want {
					t.Errorf("fired[%d] = %v; want %v", i, f, want)
				}
			}
		})
	}
}

// TestReplayIsStepwise: what a replay records is what an evaluation at a single time gives, for every rule of the study.
func TestReplayIsStepwise(t *testing.T) {
	rules, err := loadRules("../../alerts/rules")
	if err != nil {
		t.Fatal(err)
	}
	order, err := needed(rules, judgedAlerts())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, native := range []bool{false, true} {
		const length = 28 * time.Hour
		s := probed(newEndpoint(7, length, injection{}), setting{interval: 30 * time.Second, native: native}, length)
		engine := newEngine()
		if _, err := replay(ctx, engine, s, order, length); err != nil {
			t.Fatal(err)
		}
		compared := 0
		for _, r := range order {
			if r.Record == "" {
				continue
			}
			for _, at := range []time.Duration{4 * time.Hour, 25 * time.Hour, 26*time.Hour + 40*time.Minute} {
				q, err := engine.NewInstantQuery(ctx, s, nil, r.Expr, time.UnixMilli(at.Milliseconds()))
				if err != nil {
					t.Fatal(err)
				}
				result := q.Exec(ctx)
				vector, err := result.Vector()
				if err != nil {
					t.Fatalf("%s: %v", r.Record, err)
				}
				for _, want := range vector {
					l := labels.NewBuilder(want.Metric).Set(labels.MetricName, r.Record).Labels()
					if got := valueAt(s, l, at); math.Abs(got-want.F) > 1e-9*math.Abs(want.F) && !(math.IsNaN(got) && math.IsNaN(want.F)) {
						t.Errorf("native %v: %s at %s = %v; want %v", native, r.Record, at, got, want.F)
					}
					compared++
				}
				q.Close()
			}
		}
		if compared < 50 {
			t.Errorf("native %v: %d values compared", native, compared)
		}
	}
}

func valueAt(s *store, l labels.Labels, at time.Duration) float64 {
	for _, found := range s.byName[l.Get(labels.MetricName)] {
		if labels.Equal(found.labels, l) {
			for _, v := range found.samples {
				if v.t == at.Milliseconds() {
					return v.f
				}
			}
		}
	}
	return math.Inf(-1)
}

// TestModel: the months have what they are said to have.
func TestModel(t *testing.T) {
	const length = 7 * 24 * time.Hour
	plain, doubled := newEndpoint(3, length, injection{}), newEndpoint(3, length, injection{factor: 2, at: 24 * time.Hour})
	var before, after float64
	for at := time.Duration(0); at < length; at += time.Minute {
		p, d := plain.ask(at), doubled.ask(at)
		if at < 24*time.Hour {
			before = max(before, math.Abs(d.ttft/p.ttft-1))
		} else {
			after = max(after, math.Abs(d.ttft/p.ttft-2))
		}
	}
	if before > 1e-9 || after > 1e-9 {
		t.Errorf("a doubled time to first token is off by %g before and %g after it was injected; want 0", before, after)
	}
}
