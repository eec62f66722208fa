package web

import (
	"fmt"
	"strconv"
	"time"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// liveView is a run under way.
type liveView struct {
	Anchor       string
	Ramp, Target string
	Name         string // the ramp's, as it is, for the form; empty: it cannot be named there
	Sub          string
	Left, Ending string
	Done         int // per cent of the time
	Known        bool
	Lanes        []liveLane
	MoreLanes    int
	Stale        string // how old the figures are, where that is too old
	Stopping     bool
}

// liveLane is a lane under way.
type liveLane struct {
	Name, Stage, Sub string
	Facts            []runFact
	Objectives       []liveObjective
}

type liveObjective struct {
	Text, State, Class, Value string
}

// What is shown of a run under way at most.
const (
	mostLiveLanes      = 8
	mostLiveObjectives = 8
)

// staleAfter is when a snapshot is too old to be taken for now: they come twice a second.
const staleAfter = 5 * time.Second

func newLiveView(l *LiveRun, n int, now time.Time) liveView {
	v := liveView{
		Anchor: "live-" + strconv.Itoa(n), Ramp: printable.Line(l.Ramp, maxName), Target: printable.Line(l.Target, maxName), Name: l.Ramp,
		Sub: "since " + l.Started.UTC().Format("15:04:05") + nbsp + "UTC, " + triggerWords(l.Trigger),
	}
	if !plainName(l.Ramp) {
		v.Name = ""
	}
	s := l.Snapshot
	if s == nil {
		v.Left = "it is about to begin"
		return v
	}
	v.Known = true
	spent := now.Sub(s.Started)
	switch {
	case s.Done:
		v.Left, v.Done = "done; its record is being written", 100
	case s.Ending != "":
		v.Ending, v.Stopping = "Ending: "+printable.Line(s.Ending, maxSentence), true
		v.Left = "what is under way ends"
	case s.Left > 0:
		left := max(0, s.Left-now.Sub(s.At))
		v.Left = span(left) + " left at most"
		v.Done = int(100 * spent / max(1, spent+left))
	default:
		v.Left = "the last requests end"
		v.Done = 100
	}
	v.Done = min(100, max(0, v.Done))
	if old := now.Sub(s.At); old > staleAfter && !s.Done {
		v.Stale = "These figures are " + span(old) + " old."
	}
	if s.Cost > 0 {
		v.Sub += ", cost so far " + chart.Number(s.Cost)
		if l.Currency != "" {
			v.Sub += nbsp + printable.Line(l.Currency, 12)
		}
	}
	for i := range s.Lanes[:min(len(s.Lanes), mostLiveLanes)] {
		v.Lanes = append(v.Lanes, newLiveLane(&s.Lanes[i]))
	}
	v.MoreLanes = len(s.Lanes) - len(v.Lanes)
	return v
}

func newLiveLane(l *ramp.LaneSnapshot) liveLane {
	v := liveLane{Name: printable.Line(l.Lane, maxName), Stage: printable.Line(l.Stage, maxStageName)}
	if v.Stage == "" {
		v.Stage = "not begun"
	}
	if !l.Measured {
		v.Sub = "not measured now: warm-up, or the stage is over"
	}
	add := func(name, value, sub, class string) { v.Facts = append(v.Facts, runFact{name, value, sub, class}) }
	if l.Open {
		class := ""
		if l.Planned > 0 && l.Achieved < 0.9*l.Planned && l.Measured {
			class = "warn"
		}
		add("Requests per second", chart.Number(l.Achieved), "planned "+chart.Number(l.Planned), class)
		add("Under way", grouped(l.InFlight), "", "")
	} else {
		add("Under way", grouped(l.InFlight), "planned "+chart.Number(l.Planned), "")
		add("Requests per second", chart.Number(l.Achieved), "", "")
	}
	if l.TTFTN > 0 {
		add("TTFT p50", chart.Seconds(l.TTFTP50.Seconds()), "of "+grouped(l.TTFTN)+" measured", "")
		add("TTFT p95", chart.Seconds(l.TTFTP95.Seconds()), "", "")
	} else {
		add("TTFT p50", "–", "none measured yet", "")
		add("TTFT p95", "–", "", "")
	}
	add("Output tokens per second", chart.Number(l.TokenRate), "", "")
	failed, class := "of "+grouped(l.Ended)+" ended", ""
	if l.Failed > 0 {
		class = "bad"
	}
	if l.Shed > 0 {
		failed += ", " + grouped(l.Shed) + " shed"
	}
	add("Failed in this stage", grouped(l.Failed), failed, class)
	for i := range l.Objectives[:min(len(l.Objectives), mostLiveObjectives)] {
		v.Objectives = append(v.Objectives, newLiveObjective(&l.Objectives[i]))
	}
	return v
}

func newLiveObjective(j *record.Judgement) liveObjective {
	o := liveObjective{Text: promiseText(j.Objective.Indicator, j.Objective.Percentile, j.Objective.Threshold, j.Probe), State: "too few requests to tell"}
	if j.N > 0 {
		o.Value = fmt.Sprintf("%s of %s good", grouped(j.Good), grouped(j.N))
	}
	switch {
	case j.N == 0:
		o.State = "nothing measured yet"
	case j.Confidence >= record.Confidence:
		o.State, o.Class = "✓ holds", "good"
	case j.Confidence <= 1-record.Confidence:
		o.State, o.Class = "✕ missed", "bad"
	}
	return o
}
