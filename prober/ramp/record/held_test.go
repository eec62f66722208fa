package record

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// served is a stage whose requests had these times to first token, and so many that failed or were shed.
func served(ttft time.Duration, good, slow, failed, shed int) *Stage {
	s := &Stats{Sent: good + slow + failed, Shed: shed, Outcomes: map[string]int{"ok": good + slow, "overloaded": failed}, TTFT: &Histogram{}}
	s.TTFT.RecordN(ttft, good)
	s.TTFT.RecordN(10*ttft, slow)
	return &Stage{Planned: good + slow + failed + shed, Probes: map[string]*Stats{"chat": s}}
}

func TestHeld(t *testing.T) {
	p95 := Objective{Indicator: TTFT, Percentile: 95, Threshold: .5}
	for _, test := range []struct {
		name         string
		stage        *Stage
		o            Objective
		held, missed bool
		value        float64
		good, total  int
	}{
		{"all good, too few to tell", served(100*time.Millisecond, 30, 0, 0, 0), p95, false, false, .1, 30, 30},
		{"all good and enough", served(100*time.Millisecond, 60, 0, 0, 0), p95, true, false, .1, 60, 60},
		{"a tenth is slow", served(100*time.Millisecond, 180, 20, 0, 0), p95, false, true, 1, 180, 200},
		{"just at the goal", served(100*time.Millisecond, 95, 5, 0, 0), p95, false, false, .1, 95, 100},
		{"failures are infinitely slow", served(100*time.Millisecond, 180, 0, 20, 0), p95, false, true, math.Inf(1), 180, 200},
		{"what was shed is too", served(100*time.Millisecond, 180, 0, 0, 20), p95, false, true, math.Inf(1), 180, 200},
		{"availability", served(100*time.Millisecond, 400, 0, 1, 0), Objective{Indicator: Availability, Threshold: .98}, true, false, 400. / 401, 400, 401},
		{"unknown", served(100*time.Millisecond, 60, 0, 0, 0), Objective{Indicator: TPOT, Percentile: 95, Threshold: 1}, false, false, math.NaN(), 0, 0},
		{"another probe", served(100*time.Millisecond, 60, 0, 0, 0), Objective{Probe: "rag", Indicator: TTFT, Percentile: 95, Threshold: 1}, false, false, math.NaN(), 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.stage.Held(test.o)
			if got.Held != test.held || got.Missed != test.missed || got.Good != test.good || got.Total != test.total {
				t.Errorf("Held() = %+v; want held %v, missed %v, %d of %d good", got, test.held, test.missed, test.good, test.total)
			}
			same := got.Value == test.value || math.IsNaN(got.Value) && math.IsNaN(test.value)
			if !same && !(math.Abs(got.Value-test.value) < .002*test.value) {
				t.Errorf("Held().Value = %v; want %v", got.Value, test.value)
			}
		})
	}
}

// TestHeldOfEachProbe tells of the worst one.
func TestHeldOfEachProbe(t *testing.T) {
	s := served(100*time.Millisecond, 100, 0, 0, 0)
	s.Probes["rag"] = served(time.Second, 100, 0, 0, 0).Probes["chat"]
	got := s.Held(Objective{Indicator: TTFT, Percentile: 95, Threshold: .5})
	if !got.Missed || got.Probe != "rag" {
		t.Errorf("Held() = %+v; want rag to miss it", got)
	}
}

func TestHeldOfRates(t *testing.T) {
	s := served(time.Second, 100, 0, 0, 0)
	s.Probes["chat"].OutputRate = &Histogram{}
	s.Probes["chat"].OutputRate.RecordN(RateTime(50), 99)
	s.Probes["chat"].OutputRate.RecordN(RateTime(5), 1)
	o := Objective{Indicator: OutputRate, Percentile: 95, Threshold: 40}
	if got := s.Held(o); !got.Held || got.Good != 99 || math.Abs(got.Value-50) > .1 {
		t.Errorf("Held() = %+v; want it held at 50 tokens/s", got)
	}
}

// TestOneDefinition holds the percentile of an objective to that of its stage, which has no failures, and both to what was counted.
func TestOneDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "n")
		stats := &Stats{Sent: n, Outcomes: map[string]int{"ok": n}, TTFT: &Histogram{}, OutputRate: &Histogram{}}
		for range n {
			v := rapid.IntRange(1, 200).Draw(t, "v")
			stats.TTFT.Record(time.Duration(v) * unit)
			stats.OutputRate.Record(time.Duration(v) * unit)
		}
		s := &Stage{Planned: n, Probes: map[string]*Stats{"chat": stats}}
		bound := time.Duration(rapid.IntRange(1, 200).Draw(t, "bound")) * unit
		for _, o := range []Objective{
			{Indicator: TTFT, Threshold: bound.Seconds()},
			{Indicator: OutputRate, Threshold: TimeRate(bound)},
		} {
			o.Percentile = float64(rapid.IntRange(1, 99).Draw(t, "percentile"))
			j, h := s.Judge(o), s.Held(o)
			if j.Value != h.Value {
				t.Fatalf("p%v %s of %d: Judge has %v, Held %v", o.Percentile, o.Indicator, n, j.Value, h.Value)
			}
			within := h.Value <= o.Threshold
			if o.Indicator == OutputRate {
				within = h.Value >= o.Threshold
			}
			if within != j.Held {
				t.Fatalf("p%v %s of %d is %v, threshold %v; %d good, held %v", o.Percentile, o.Indicator, n, h.Value, o.Threshold, j.Good, j.Held)
			}
		}
	})
}
