package api

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

type rampJSON struct {
	Name     string     `json:"name"`
	Targets  []string   `json:"targets"`
	Schedule string     `json:"schedule,omitempty"`
	Next     *time.Time `json:"next,omitempty"`
	Paused   bool       `json:"paused"`
	Running  *runJSON   `json:"running,omitempty"`
}

// progressJSON is a run at one moment.
type progressJSON struct {
	At     time.Time  `json:"at"`
	Left   float64    `json:"left_seconds"` // at most
	Ending string     `json:"ending,omitempty"`
	Cost   float64    `json:"cost"`
	Lanes  []laneJSON `json:"lanes"`
}

type laneJSON struct {
	Lane       string             `json:"lane"`
	Target     string             `json:"target"`
	Stage      int                `json:"stage"`
	StageName  string             `json:"stage_name"`
	Kind       string             `json:"kind"`
	Open       bool               `json:"open"`
	Planned    float64            `json:"planned_load"`
	Achieved   float64            `json:"sent_per_second"`
	InFlight   int                `json:"in_flight"`
	Sent       int                `json:"sent"`
	OK         int                `json:"ok"`
	Failed     int                `json:"failed"`
	Shed       int                `json:"shed"`
	TTFT       *quantilesJSON     `json:"ttft_seconds,omitempty"`
	TokenRate  float64            `json:"output_tokens_per_second"`
	Objectives []record.Judgement `json:"objectives"`
}

// ramps are those that there are, by name.
func (a *api) ramps() []Ramp {
	if a.Ramps == nil {
		return nil
	}
	return slices.SortedFunc(slices.Values(a.Ramps()), func(x, y Ramp) int { return cmp.Compare(x.Name, y.Name) })
}

// ramp is the one that a path names.
func (a *api) ramp(r *http.Request) (*Ramp, error) {
	name := r.PathValue("ramp")
	for _, ramp := range a.ramps() {
		if ramp.Name == name {
			return &ramp, nil
		}
	}
	return nil, noRamp(name)
}

func (a *api) listRamps(w http.ResponseWriter, r *http.Request) error {
	q := parseQuery(r.URL.RawQuery, []string{"limit", "cursor"})
	limit, after := q.limit(), q.cursor("m")
	if q.wrong != nil {
		return q.wrong
	}
	list := page[rampJSON]{Items: []rampJSON{}}
	for _, ramp := range a.ramps() {
		switch {
		case ramp.Name <= after:
		case len(list.Items) == limit:
			list.Next = newCursor("m", list.Items[limit-1].Name)
			return reply(w, http.StatusOK, list)
		default:
			j := rampJSON{Name: ramp.Name, Targets: append([]string{}, ramp.Targets...), Schedule: ramp.Schedule, Next: when(ramp.Next), Paused: ramp.Paused}
			if ramp.Running != nil {
				j.Running = new(runningOf(&ramp))
			}
			list.Items = append(list.Items, j)
		}
	}
	return reply(w, http.StatusOK, list)
}

// runningOf is a run that is under way, as lists have it.
func runningOf(r *Ramp) runJSON {
	j := runJSON{ID: r.Running.ID, State: "running", Ramp: r.Name, Trigger: string(r.Running.Trigger), Started: r.Running.Started.Round(0).UTC()}
	if len(r.Targets) == 1 {
		j.Target = r.Targets[0]
	}
	return j
}

func runningDetail(r *Ramp) runDetailJSON {
	return runDetailJSON{runJSON: runningOf(r), Progress: progressOf(r.Running.Progress)}
}

func progressOf(s *ramp.Snapshot) *progressJSON {
	if s == nil {
		return nil
	}
	p := &progressJSON{At: s.At.Round(0).UTC(), Left: s.Left.Seconds(), Ending: s.Ending, Cost: s.Cost, Lanes: []laneJSON{}}
	for _, l := range s.Lanes {
		j := laneJSON{
			Lane: l.Lane, Target: l.Target, Stage: l.Index, StageName: l.Stage, Kind: string(l.Kind), Open: l.Open,
			Planned: l.Planned, Achieved: l.Achieved, InFlight: l.InFlight, Sent: l.Sent, OK: l.OK, Failed: l.Failed, Shed: l.Shed,
			TokenRate: l.TokenRate, Objectives: append([]record.Judgement{}, l.Objectives...),
		}
		if l.TTFTN > 0 {
			j.TTFT = &quantilesJSON{N: l.TTFTN, P50: l.TTFTP50.Seconds(), P95: l.TTFTP95.Seconds()}
		}
		p.Lanes = append(p.Lanes, j)
	}
	return p
}

// startRamp answers as soon as the run has begun.
func (a *api) startRamp(w http.ResponseWriter, r *http.Request) error {
	ramp, err := a.ramp(r)
	if err != nil {
		return err
	}
	if a.Start == nil {
		return noRamp(ramp.Name)
	}
	run, err := a.Start(r.Context(), ramp.Name)
	busy, isBusy := errors.AsType[*BusyError](err)
	switch {
	case errors.Is(err, ErrNotFound):
		return noRamp(ramp.Name)
	case errors.Is(err, ErrUnavailable):
		return problem(http.StatusServiceUnavailable, "unavailable", "%v", err)
	case isBusy:
		p := problem(http.StatusConflict, "busy", "%v: wait for it, or stop it", busy)
		p.Target, p.Ramp = busy.Target, busy.Ramp
		return p
	case err != nil:
		return err
	}
	a.Logger.Info("ramp started over HTTP", "ramp", ramp.Name, "by", r.RemoteAddr)
	// Relative, so that it holds behind a proxy that takes a prefix away as well.
	location := "runs/current"
	if run == nil { // it is over already
		run = &Running{Ramp: ramp.Name, Trigger: record.ByAPI, Started: time.Now()}
	} else if run.ID != "" {
		location = "../../runs/" + url.PathEscape(run.ID)
	}
	w.Header().Set("Location", location)
	ramp.Running = run
	return reply(w, http.StatusAccepted, runningOf(ramp))
}

func (a *api) getCurrent(w http.ResponseWriter, r *http.Request) error {
	if q := parseQuery(r.URL.RawQuery, nil); q.wrong != nil {
		return q.wrong
	}
	ramp, err := a.ramp(r)
	if err != nil {
		return err
	}
	if ramp.Running == nil {
		return problem(http.StatusNotFound, "not_running", "the ramp %s is not running; GET %s/runs?ramp=%s lists its runs", ramp.Name, Prefix, url.QueryEscape(ramp.Name))
	}
	return reply(w, http.StatusOK, runningDetail(ramp))
}

// stopRamp answers as soon as the run has been told to end, which takes it a moment.
func (a *api) stopRamp(w http.ResponseWriter, r *http.Request) error {
	ramp, err := a.ramp(r)
	if err != nil {
		return err
	}
	if a.Stop == nil {
		return noRamp(ramp.Name)
	}
	switch err := a.Stop(ramp.Name); {
	case errors.Is(err, ErrNotFound):
		return noRamp(ramp.Name)
	case errors.Is(err, ErrNotRunning):
		return problem(http.StatusConflict, "not_running", "the ramp %s is not running", ramp.Name)
	case err != nil:
		return err
	}
	a.Logger.Info("ramp stopped over HTTP", "ramp", ramp.Name, "by", r.RemoteAddr)
	stopping := struct {
		Ramp  string `json:"ramp"`
		Run   string `json:"run,omitempty"`
		State string `json:"state"`
	}{Ramp: ramp.Name, State: "stopping"}
	if ramp.Running != nil {
		stopping.Run = ramp.Running.ID
	}
	return reply(w, http.StatusAccepted, stopping)
}
