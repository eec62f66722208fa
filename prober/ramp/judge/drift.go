package judge

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// A drift is looked for in stages of so many windows at least, and matters from such a rise on.
const (
	soaks  = 24
	drifts = 0.1
)

// drift names a lane that becomes slower under an unchanged load, of all its soaks the one that shows it best.
func drift(run *record.Run, l *record.Lane) *record.Finding {
	type series struct {
		name string
		of   func(record.Window) (record.Quantiles, float64)
	}
	looked := []series{{"TTFT", ttft}, {"TPOT", tpot}, {"duration", duration}}
	stages := 0
	var best *record.Finding
	var in *record.Stage
	for i := range l.Stages {
		s := &l.Stages[i]
		windows := s.Steady()
		if s.Kind != record.Hold || s.Begin != s.End || s.Invalid != "" || len(windows) < soaks {
			continue
		}
		stages++
		if outran(l, s, windows) {
			continue // a queue that grows from the start is no drift: the load is too high
		}
		for _, each := range looked {
			t := driftOf(logs(pick(windows, each.of)))
			if t.total < math.Log1p(drifts) || best != nil && t.p >= best.P {
				continue
			}
			minutes := windows[len(windows)-1].Start.Sub(windows[0].Start).Minutes()
			in = s
			best = &record.Finding{
				Pattern: record.Drift, Lane: l.Name, P: t.p, Change: new(math.Exp(t.total)), Test: "Mann-Kendall at several scales, its variance corrected for autocorrelation; Theil-Sen slope",
				Words: fmt.Sprintf("Drift: under an unchanged load of %s the median %s rose by %s in %s.",
					loadWords(l.Open, s.End), each.name, percent(math.Expm1(t.total)), seconds(60*minutes)),
				Evidence: fmt.Sprintf("Mann-Kendall over %d windows: tau = %s, %s; slope %s an hour",
					len(windows), number(t.tau), chanceOf(t.p), change(math.Expm1(t.total)/max(minutes, 1e-9)*60)),
			}
		}
	}
	if best == nil || best.P > level/float64(3*stages) {
		return nil
	}
	best.Cause = driftCause(run, in)
	return best
}

// outran reports whether the load was more than could be done from the stage's beginning on.
func outran(l *record.Lane, s *record.Stage, windows []record.Window) bool {
	half := *s
	half.Windows = windows[:len(windows)/2]
	half.Planned = 0
	for _, w := range half.Windows {
		half.Planned += w.Planned
	}
	half.From = windows[0].Start
	last := half.Windows[len(half.Windows)-1]
	half.To = last.Start.Add(last.Length)
	p := pointOf(l, s.End, []*record.Stage{&half})
	return p.shareHigh < .95
}

// driftCause is what changed beside it in the engine or the GPUs, in words.
func driftCause(run *record.Run, s *record.Stage) string {
	var causes []string
	within := func(t time.Time) bool { return !t.Before(s.From) && t.Before(s.To) }
	engine := func(of func(*record.EngineSample) *float64) (x []float64) {
		for _, sample := range run.Samples {
			if within(sample.At) && sample.Engine != nil {
				if v := of(sample.Engine); v != nil {
					x = append(x, *v)
				}
			}
		}
		return x
	}
	throttled := map[string]bool{}
	gpus := map[string][]record.GPUSample{}
	for _, sample := range run.Samples {
		if within(sample.At) {
			for _, g := range sample.GPUs {
				gpus[g.UUID] = append(gpus[g.UUID], g)
				for _, why := range g.Throttled {
					throttled[why] = true
				}
			}
		}
	}
	const shown = .01
	var slower, hotter, fuller float64
	for _, samples := range gpus {
		gpu := func(of func(record.GPUSample) *float64, sign float64) trend {
			var x []float64
			for _, g := range samples {
				if v := of(g); v != nil {
					x = append(x, sign**v)
				}
			}
			t := driftOf(x)
			if t.p > shown {
				return trend{}
			}
			if m := math.Abs(average(x)); m > 0 {
				t.slope = t.total / m
			}
			return t
		}
		slower = max(slower, gpu(func(g record.GPUSample) *float64 { return g.SMClock }, -1).slope)
		hotter = max(hotter, gpu(func(g record.GPUSample) *float64 { return g.Temperature }, 1).total)
		fuller = max(fuller, gpu(func(g record.GPUSample) *float64 { return g.MemoryUsed }, 1).slope)
	}
	if slower > .03 {
		cause := "heat: the SM clock fell by " + percent(slower)
		if hotter > 0 {
			cause += ", the temperature rose by " + number(hotter) + " °C"
		}
		if len(throttled) > 0 {
			var why []string
			for reason := range throttled {
				why = append(why, reason)
			}
			slices.Sort(why)
			cause += ", throttled by " + list(why)
		}
		causes = append(causes, cause)
	}
	if fuller > .02 {
		causes = append(causes, "a leak or fragmentation: the GPU's memory in use rose by "+percent(fuller))
	}
	if t := driftOf(engine(func(e *record.EngineSample) *float64 { return e.KVUsage })); t.p <= shown && t.total > .05 {
		causes = append(causes, "a leak of KV cache: its use rose by "+number(100*t.total)+" points")
	}
	if t := driftOf(engine(func(e *record.EngineSample) *float64 { return e.Waiting })); t.p <= shown && t.total > 1 {
		causes = append(causes, "the engine's queue grew by "+number(t.total)+" requests")
	}
	if len(causes) == 0 {
		return ""
	}
	return list(causes)
}
