package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// rampView shows a run as it goes: on a terminal a few lines that are drawn over and over, elsewhere a line now and then.
type rampView struct {
	ramp.Unobserved
	name  string
	width int // of the terminal; 0: there is none

	mu    sync.Mutex // protects what follows
	w     io.Writer
	bar   *progressbar.ProgressBar
	lines int       // on the terminal, of the last drawing
	next  time.Time // when the next line is due, without a terminal
}

// plainEvery is how often a line is written where there is no terminal.
const plainEvery = 10 * time.Second

func newRampView(w io.Writer, width int, rc *config.Ramp, set int) *rampView {
	v := &rampView{w: w, width: width, name: printable.Line(rc.Name, maxShownName)}
	if rc.Repeat > 1 {
		v.name = fmt.Sprintf("%s, run %d of %d", v.name, set, rc.Repeat)
	}
	return v
}

// StageStarted implements ramp.Observer.
func (v *rampView) StageStarted(w ramp.Where, kind record.Kind, begin, end float64) {
	if v.width > 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.w, "%s: lane %s: stage %d, %s (%s, load %.4g to %.4g)\n", v.name, printable.Line(w.Lane, maxShownName), w.Index+1, printable.Line(w.Stage, maxShownName), kind, begin, end)
}

// Progress implements ramp.Observer.
func (v *rampView) Progress(s *ramp.Snapshot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.width == 0 {
		if s.At.Before(v.next) && !s.Done {
			return
		}
		v.next = s.At.Add(plainEvery)
		for i := range s.Lanes {
			fmt.Fprintf(v.w, "%s: %s, %s left\n", v.name, laneLine(&s.Lanes[i]), s.Left.Round(time.Second))
		}
		return
	}
	lines := []string{fmt.Sprintf("%s on %s", v.name, targetsOf(s))}
	if s.Ending != "" {
		lines[0] += ": ending, " + printable.Line(s.Ending, maxShown)
	}
	for i := range s.Lanes {
		lines = append(lines, "  "+laneLine(&s.Lanes[i]))
		for _, j := range s.Lanes[i].Objectives {
			lines = append(lines, "    "+judgementLine(&j))
		}
	}
	lines = append(lines, v.barLine(s))
	var b strings.Builder
	if v.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.lines)
	}
	for _, line := range lines {
		fmt.Fprintf(&b, "\x1b[2K%s\n", cut(printable.Escape(line), v.width-1)) // these are the only characters that move the cursor
	}
	if v.lines > len(lines) {
		b.WriteString("\x1b[J")
	}
	v.lines = len(lines)
	io.WriteString(v.w, b.String())
}

// barLine is how far the plan is done, drawn by the library.
func (v *rampView) barLine(s *ramp.Snapshot) string {
	gone := s.At.Sub(s.Started)
	whole := gone + s.Left
	if v.bar == nil {
		v.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(io.Discard), progressbar.OptionSetWidth(max(10, min(v.width-40, 60))),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))
	}
	v.bar.ChangeMax64(max(1, whole.Milliseconds()))
	v.bar.Set64(gone.Milliseconds())
	return fmt.Sprintf("  %s  %s left", strings.TrimSpace(v.bar.String()), s.Left.Round(time.Second))
}

// end leaves the last drawing standing.
func (v *rampView) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lines = 0
}

func targetsOf(s *ramp.Snapshot) string {
	var names []string
	for _, l := range s.Lanes {
		if name := printable.Line(l.Target, maxShownName); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// laneLine is one lane at one moment.
func laneLine(l *ramp.LaneSnapshot) string {
	var b strings.Builder
	unit := "/s"
	if !l.Open {
		unit = " under way"
	}
	fmt.Fprintf(&b, "%s: %s: planned %.4g%s, sent %.4g/s, %d in flight", printable.Line(l.Lane, maxShownName), printable.Line(l.Stage, maxShownName), l.Planned, unit, l.Achieved, l.InFlight)
	if l.TTFTN > 0 {
		fmt.Fprintf(&b, ", TTFT p50 %s p95 %s", shortDuration(l.TTFTP50), shortDuration(l.TTFTP95))
	}
	fmt.Fprintf(&b, ", %.0f tokens/s, %d ok, %d failed", l.TokenRate, l.OK, l.Failed)
	if l.Shed > 0 {
		fmt.Fprintf(&b, ", %d shed", l.Shed)
	}
	return b.String()
}

// judgementLine is how an objective stands.
func judgementLine(j *record.Judgement) string {
	state := "missed"
	if j.Held {
		state = "holds"
	}
	if j.N == 0 {
		state = "nothing to judge yet"
	}
	return fmt.Sprintf("%s of %s: %s (%d of %d within the threshold)", j.Objective.Indicator, printable.Line(j.Probe, maxShownName), state, j.Good, j.N)
}

// cut shortens a line to the width of the terminal, in characters.
func cut(line string, width int) string {
	runes := []rune(line)
	if width > 1 && len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return line
}
