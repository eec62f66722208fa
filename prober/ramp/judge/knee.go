package judge

import (
	"fmt"
	"math"
	"strings"

	"github.com/llmprober/llm_prober/prober/ramp/chance"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// enough is the share of the work asked for that must be done meanwhile for a load to be sustained.
const enough = 0.9

// standing is whether a load held all objectives.
type standing struct {
	point
	held, missed bool
	confidence   float64
	broke        string  // the first objective that was missed, in words
	over         float64 // the largest value by its threshold, infinite where there is no such percentile; 0: no objective of a time
}

// stand judges a point by all objectives of its lane.
func stand(run *record.Run, lane string, p point) standing {
	st := standing{point: p, held: true, confidence: 1}
	known := false
	for _, o := range run.Objectives {
		if !o.Applies(lane) {
			continue
		}
		h := p.held(o)
		if h.Total == 0 {
			continue
		}
		known = true
		st.held = st.held && h.Held
		st.confidence = min(st.confidence, h.Confidence)
		if h.Missed && !st.missed {
			st.missed, st.broke = true, objectiveWords(o, h.Probe)
		}
		switch o.Indicator {
		case record.Availability, record.OutputRate:
		default:
			st.over = max(st.over, h.Value/o.Threshold)
		}
	}
	if p.shareHigh < enough {
		st.held, st.missed = false, true
		if st.broke == "" {
			st.broke = "only " + percent(p.share) + " of the work was done meanwhile"
		}
	}
	st.held = st.held && known && !st.missed
	return st
}

// held judges a point. A part of a rising stage has windows only: it holds an objective if that is so of clearly more than
// half of them.
func (p *point) held(o record.Objective) record.Held {
	if p.stage != nil {
		return p.stage.Held(o)
	}
	good, total := 0, 0
	var values []float64
	for _, w := range p.windows {
		v, ok := windowValue(w, o)
		if !ok {
			continue
		}
		total++
		values = append(values, v)
		if v <= o.Threshold && failures(w) == 0 || o.Indicator == record.Availability && v >= o.Threshold {
			good++
		}
	}
	if total == 0 {
		return record.Held{}
	}
	h := record.Held{Good: good, Total: total, Probe: o.Probe, Value: median(values)}
	held, missed := 1-chance.AtLeast(good, total, .5), 1-chance.AtMost(good, total, .5)
	h.Held, h.Missed = held >= record.Confidence, missed >= record.Confidence
	h.Confidence = max(held, missed)
	return h
}

// windowValue is what a window says of an objective; false: nothing.
func windowValue(w record.Window, o record.Objective) (float64, bool) {
	if o.Indicator == record.Availability {
		ended := w.OK + failures(w)
		return float64(w.OK) / float64(max(ended, 1)), ended > 0
	}
	q, ok := map[string]record.Quantiles{record.TTFT: w.TTFT, record.Duration: w.Duration, record.TPOT: w.TPOT, "itl": w.ITL}[o.Indicator]
	if !ok || q.N == 0 {
		return 0, false
	}
	switch {
	case o.Percentile <= 50:
		return q.P50, true
	case o.Percentile <= 90:
		return q.P90, true
	case o.Percentile <= 95:
		return q.P95, true
	}
	return q.P99, true
}

// kneeOf finds the knee of a lane; nil where it has no objectives, or no load that says anything of them.
func kneeOf(run *record.Run, l *record.Lane, points []point) *record.Knee {
	applies := false
	for _, o := range run.Objectives {
		applies = applies || o.Applies(l.Name)
	}
	if !applies || len(points) == 0 {
		return nil
	}
	k := &record.Knee{Lane: l.Name, Open: l.Open, Bend: bend(points)}
	var at, beyond *standing
	for _, p := range points {
		st := stand(run, l.Name, p)
		if st.missed {
			beyond = &st
			break
		}
		if st.held {
			at = &st
		}
	}
	found := l.Search != nil && l.Search.Knee > 0
	if at == nil && beyond == nil && !found {
		return nil // too few requests at every load
	}
	if at != nil {
		k.HeldAt, k.Load, k.Confidence = at.load, at.load, at.confidence
	}
	if beyond != nil {
		k.MissedAt, k.Broke = beyond.load, beyond.broke
	}
	if at != nil && beyond != nil {
		k.Load = between(at, beyond)
	}
	if found && l.Search.Knee >= k.HeldAt {
		// A search looks again at both ends before it is done: its own word is the better one.
		k.HeldAt, k.MissedAt, k.Confidence = l.Search.Knee, l.Search.Above, l.Search.Confidence
		k.Load = max(k.Load, k.HeldAt)
		if k.MissedAt > 0 {
			k.Load = min(k.Load, k.MissedAt)
		}
	}
	for _, p := range points {
		if p.load == k.HeldAt {
			k.RequestsPerSecond, k.TokensPerSecond, k.InFlight = p.done, p.tokens, p.inFlight
		}
	}
	return k
}

// between guesses where between two loads the knee is.
func between(at, beyond *standing) float64 {
	load := at.load
	if at.over > 0 && beyond.over > 1 && at.over < 1 {
		part := 0.0
		if !math.IsInf(beyond.over, 1) {
			part = -math.Log(at.over) / (math.Log(beyond.over) - math.Log(at.over))
		}
		load = at.load * math.Pow(beyond.load/at.load, part)
	}
	if beyond.share < .97 { // it was full: what it did then is what it can do
		full := min(max(beyond.done, at.load), beyond.load)
		if at.over == 0 || beyond.over <= 1 || math.IsInf(beyond.over, 1) {
			return full
		}
		return min(max(load, at.load), full)
	}
	return min(max(load, at.load), beyond.load)
}

// bend is where two straight lines through the logarithm of the p95 TTFT over the load meet: those of the pair that leaves
// the least squares. 0 where one line does as well, or there are too few loads.
func bend(points []point) float64 {
	var x, y []float64
	for i := range points {
		if v := points[i].p95(record.TTFT); v > 0 {
			x = append(x, points[i].load)
			y = append(y, math.Log(v))
		}
	}
	if len(x) < 5 {
		return 0
	}
	_, _, whole := line(x, y)
	best, at := math.Inf(1), 0.0
	for i := 2; i <= len(x)-2; i++ {
		a1, b1, left := line(x[:i], y[:i])
		a2, b2, right := line(x[i:], y[i:])
		if b2 <= b1 || left+right >= best {
			continue
		}
		best = left + right
		at = min(max((a1-a2)/(b2-b1), x[i-1]), x[i])
	}
	if best > whole/2 {
		return 0
	}
	return at
}

// line fits y = a + bx by least squares, and says what they leave.
func line(x, y []float64) (a, b, left float64) {
	mx, my := average(x), average(y)
	var xx, xy float64
	for i := range x {
		xx += (x[i] - mx) * (x[i] - mx)
		xy += (x[i] - mx) * (y[i] - my)
	}
	if xx > 0 {
		b = xy / xx
	}
	a = my - b*mx
	for i := range x {
		r := y[i] - a - b*x[i]
		left += r * r
	}
	return a, b, left
}

// kneeWords is the knee in a sentence.
func kneeWords(k *record.Knee) string {
	switch {
	case k.HeldAt == 0:
		return fmt.Sprintf("No load held all objectives: at %s, the lowest that was clear, %s was missed.", loadWords(k.Open, k.MissedAt), k.Broke)
	case k.MissedAt == 0:
		return fmt.Sprintf("All objectives held up to %s, the highest load that was tried and clear (confidence %s): %s and %s output tokens/s.",
			loadWords(k.Open, k.HeldAt), sure(k.Confidence), rateWords(k.RequestsPerSecond), number(k.TokensPerSecond))
	}
	return fmt.Sprintf("The knee is at about %s: all objectives held at %s (confidence %s; %s output tokens/s, %s under way), and at %s %s.",
		loadWords(k.Open, k.Load), loadWords(k.Open, k.HeldAt), sure(k.Confidence), number(k.TokensPerSecond), amount(k.InFlight, "request"), loadWords(k.Open, k.MissedAt), brokeWords(k.Broke))
}

func brokeWords(broke string) string {
	if strings.HasPrefix(broke, "only ") {
		return broke
	}
	return broke + " was missed"
}
