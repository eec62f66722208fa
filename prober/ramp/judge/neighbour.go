package judge

import (
	"fmt"
	"math"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// neighboursOf are what the spikes of each lane do to the lanes that have none.
func neighboursOf(run *record.Run) []record.NeighbourShift {
	var shifts []record.NeighbourShift
	for i := range run.Lanes {
		n := &run.Lanes[i]
		var bursts []*record.Stage
		for j := range n.Stages {
			if n.Stages[j].Kind == record.Spike {
				bursts = append(bursts, &n.Stages[j])
			}
		}
		if len(bursts) == 0 {
			continue
		}
		for j := range run.Lanes {
			v := &run.Lanes[j]
			if i == j || hasSpikes(v) {
				continue
			}
			if s, ok := neighbourShift(v, bursts); ok {
				s.Victim, s.Neighbour = v.Name, n.Name
				shifts = append(shifts, s)
			}
		}
	}
	return shifts
}

func hasSpikes(l *record.Lane) bool {
	for i := range l.Stages {
		if l.Stages[i].Kind == record.Spike {
			return true
		}
	}
	return false
}

// neighbourShift compares the victim's windows in bursts with those outside. Windows that are partly in a burst, and those
// that follow one for as long as it lasted, belong to neither: the backlog of a burst is still there after it.
func neighbourShift(v *record.Lane, bursts []*record.Stage) (record.NeighbourShift, bool) {
	var in, out []record.Window
	for i := range v.Stages {
		s := &v.Stages[i]
		if s.Invalid != "" || !steadyKind(s.Kind) || s.Begin != s.End {
			continue
		}
		for _, w := range s.Steady() {
			switch near(w, bursts) {
			case 1:
				in = append(in, w)
			case -1:
				out = append(out, w)
			}
		}
	}
	during, between := meanOf(logs(pick(in, ttftP95))), meanOf(logs(pick(out, ttftP95)))
	d := during.from(between)
	if !d.known {
		return record.NeighbourShift{}, false
	}
	low, high := d.within()
	return record.NeighbourShift{
		Indicator: record.TTFT,
		During:    average(pick(in, ttftP95)), Between: average(pick(out, ttftP95)),
		DuringP50: average(pick(in, ttft)), BetweenP50: average(pick(out, ttft)),
		Ratio: math.Exp(d.by), Low: math.Exp(low), High: math.Exp(min(high, 50)),
		P: d.above(0), Windows: len(in),
	}, true
}

// near is 1 for a window in a burst, -1 for one far from all, 0 for one between.
func near(w record.Window, bursts []*record.Stage) int {
	end := w.Start.Add(w.Length)
	for _, b := range bursts {
		after := b.Ended.Add(max(b.Ended.Sub(b.Started), 5*time.Second))
		switch {
		case !w.Start.Before(b.Started) && !end.After(b.Ended):
			return 1
		case end.After(b.Started) && w.Start.Before(after):
			return 0
		}
	}
	return -1
}

func neighbourWords(s *record.NeighbourShift) string {
	return fmt.Sprintf("While %s bursts, %s has a p95 TTFT of %s and a p50 of %s, between the bursts %s and %s: × %s (95 %% between %s and %s).",
		s.Neighbour, s.Victim, seconds(s.During), seconds(s.DuringP50), seconds(s.Between), seconds(s.BetweenP50), number(s.Ratio), number(s.Low), number(s.High))
}
