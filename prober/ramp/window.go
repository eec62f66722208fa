package ramp

import (
	"math"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// mostWindows bounds the windows of a lane, but that each stage has one at least.
const mostWindows = 240

// windowLength is how long windows are where a lane lasts that long.
func windowLength(longest time.Duration) time.Duration {
	return max(time.Second, (longest+mostWindows-1)/mostWindows)
}

// A window is a slice of a lane's time that may still change: it is done once it is over and all requests that were
// wanted until then have ended.
type window struct {
	record.Window
	stage *stage
	end   time.Time

	open                      int     // requests wanted in it that are under way
	begun, ended              float64 // the in-flight integral at its begin and end
	over                      bool
	ttft, duration, itl, tpot sketch
}

// evenly is how long each window of a stage is, so that all are of one length and near the wanted one.
func evenly(stage, wanted time.Duration) time.Duration {
	n := max(math.Round(stage.Seconds()/wanted.Seconds()), 1)
	return max(time.Duration(math.Ceil(float64(stage)/n)), 1)
}

// take adds a result that was wanted in the window.
func (w *window) take(r *prober.Result, ms *measures) {
	if r.Outcome == prober.OK {
		w.OK++
	} else {
		if w.Outcomes == nil {
			w.Outcomes = map[string]int{}
		}
		w.Outcomes[string(r.Outcome)]++
	}
	w.Tokens += int64(r.OutputTokens)
	if ms.hasTTFT {
		w.ttft.add(ms.ttft, 1)
	}
	if r.Outcome == prober.OK {
		w.duration.add(ms.duration, 1)
	}
	if ms.hasTPOT {
		w.tpot.add(ms.tpot, 1)
	}
	for d, n := range prober.InterTokenLatencies(r) {
		w.itl.add(d, n)
	}
}

// close makes the figures final.
func (w *window) close() record.Window {
	w.InFlight = mean(w.begun, w.ended, w.Length)
	w.TTFT, w.Duration, w.ITL, w.TPOT = w.ttft.quantiles(), w.duration.quantiles(), w.itl.quantiles(), w.tpot.quantiles()
	return w.Window
}
