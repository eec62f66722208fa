package web

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is drawn is drawn here, as the data of SVG paths in a fixed grid; the templates put it into shapes, and the style sheet colours them.

// The grid of the bars: one bar per result, the newest at the right.
const (
	barStep   = 4
	barsWide  = shownBars * barStep
	barsHigh  = 32
	barLeast  = 2 // so that the fastest answer can be seen
	clipTimes = 4 // a bar ends at this many medians: one slow answer shall not flatten the rest
)

// bars are the newest results as paths of upright lines.
type bars struct {
	Wide, High           int
	OK, Degraded, Failed string
	Title                string
}

func newBars(results []sample) bars {
	shown := results[max(0, len(results)-shownBars):]
	b := bars{Wide: barsWide, High: barsHigh}
	var latencies []time.Duration
	for _, s := range shown {
		if s.timed {
			latencies = append(latencies, s.latency)
		}
	}
	var most time.Duration
	if len(latencies) > 0 {
		most = max(1, min(slices.Max(latencies), clipTimes*quantile(latencies, 0.5)))
	}
	var ok, degraded, failed strings.Builder
	for i, s := range shown {
		x := barsWide - (len(shown)-i)*barStep + barStep/2
		switch {
		case s.outcome.Failed():
			upright(&failed, x, barsHigh)
		case !s.timed:
		default:
			high := max(barLeast, barsHigh*min(1, float64(s.latency)/float64(most)))
			if s.degraded {
				upright(&degraded, x, high)
			} else {
				upright(&ok, x, high)
			}
		}
	}
	b.OK, b.Degraded, b.Failed = ok.String(), degraded.String(), failed.String()
	if len(shown) == 0 {
		b.Title = "No results yet"
		return b
	}
	b.Title = fmt.Sprintf("The last %s, newest at the right", plural(len(shown), "result", "results"))
	if len(latencies) > 0 {
		b.Title += fmt.Sprintf(": %s to %s", duration(slices.Min(latencies)), duration(slices.Max(latencies)))
	}
	if n := failures(shown); n > 0 {
		b.Title += fmt.Sprintf(", %d failed", n)
	}
	return b
}

// upright adds a line from the ground up.
func upright(b *strings.Builder, x int, high float64) {
	fmt.Fprintf(b, "M%d %dV%s", x, barsHigh, coordinate(barsHigh-high))
}

// coordinate writes v with one decimal at most.
func coordinate(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// The grid of a strip.
const (
	stripWide = 1000
	stripHigh = 24
	stepTop   = 8
	stepHigh  = 8
)

// stripView is a strip, drawn.
type stripView struct {
	Wide, High int
	Steps      []stepView
	Keys       []stepKey
	Ticks      string // a path
	End        string // class of the end mark
	Title      string
	Took       string
	Tokens     string
	Failed     string // the outcome, where it is a failure
	At         time.Time
	ID         string
}

// stepView is a step, drawn.
type stepView struct {
	Name, Class, Took string
	X, Wide           string
	Y, High           int
}

// stepKey tells below the strip what a colour means and how long it took. The steps of setting up a connection share one.
type stepKey struct{ Name, Class, Took string }

func newStripView(s *strip) *stripView {
	v := &stripView{Wide: stripWide, High: stripHigh, End: "ok", Took: duration(s.took), At: s.end, ID: s.id}
	if s.outcome.Failed() {
		v.End, v.Failed = "failed", string(s.outcome)
	}
	for _, st := range s.steps {
		v.Steps = append(v.Steps, stepView{
			Name: stepName(st.name, st.done), Class: st.class, Took: duration(st.took),
			X: coordinate(stripWide * st.from), Wide: coordinate(stripWide * (st.to - st.from)), Y: stepTop, High: stepHigh,
		})
	}
	v.Keys = stepKeys(s.steps)
	var title []string
	for _, k := range v.Keys {
		title = append(title, k.Name+" "+k.Took)
	}
	v.Title = strings.Join(append(title, "all "+v.Took), ", ")
	var ticks strings.Builder
	for _, t := range s.ticks {
		fmt.Fprintf(&ticks, "M%s 2V%d", coordinate(stripWide*float64(t)), stripHigh-2)
	}
	v.Ticks = ticks.String()
	v.Tokens = tokensText(s)
	return v
}

func stepName(name string, done bool) string {
	if done {
		return name
	}
	return "no " + name
}

func stepKeys(steps []step) []stepKey {
	var keys []stepKey
	var setUp time.Duration
	up := true
	for i, st := range steps {
		switch st.class {
		case "dns", "connect", "tls":
			setUp += st.took
			up = up && st.done
			if i+1 < len(steps) && (steps[i+1].class == "connect" || steps[i+1].class == "tls") {
				continue
			}
			keys = append(keys, stepKey{stepName("connection", up), "connect", duration(setUp)})
		default:
			keys = append(keys, stepKey{stepName(st.name, st.done), st.class, duration(st.took)})
		}
	}
	return keys
}

// tokensText says how much came and how it came.
func tokensText(s *strip) string {
	var parts []string
	switch {
	case s.tokens > 0 && s.counted:
		parts = append(parts, plural(s.tokens, "token", "tokens"))
	case s.tokens > 0:
		parts = append(parts, "≈"+nbsp+plural(s.tokens, "token", "tokens"))
	}
	if s.chunks > 0 && (!s.counted || s.chunks != s.tokens) {
		parts = append(parts, "in "+plural(s.chunks, "chunk", "chunks"))
	}
	return strings.Join(parts, " ")
}
