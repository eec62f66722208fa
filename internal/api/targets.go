package api

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// page is one page of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next_cursor,omitempty"`
}

type targetJSON struct {
	Name     string            `json:"name"`
	Model    string            `json:"model"`
	Protocol string            `json:"protocol"`
	Labels   map[string]string `json:"labels"`
	Up       *bool             `json:"up"` // every probe's newest request succeeded; null: there is none yet
	Paused   *time.Time        `json:"paused_until,omitempty"`
	Ramp     string            `json:"ramp,omitempty"` // that loads it now
	Probes   []probeJSON       `json:"probes"`
	Engine   *engineJSON       `json:"engine,omitempty"`
	GPUs     []gpuJSON         `json:"gpus"`
}

type probeJSON struct {
	Name       string          `json:"name"`
	Stream     bool            `json:"stream"`
	Interval   *float64        `json:"interval_seconds,omitempty"`
	Next       *time.Time      `json:"next,omitempty"`
	Up         *bool           `json:"up"`
	Last       *lastJSON       `json:"last,omitempty"`
	Requests   int             `json:"requests"`        // that are looked at here
	Since      *time.Time      `json:"since,omitempty"` // the end of the oldest of them
	Failed     int             `json:"failed"`
	TTFT       *quantilesJSON  `json:"ttft_seconds,omitempty"`
	Duration   *quantilesJSON  `json:"duration_seconds,omitempty"`
	Objectives []objectiveJSON `json:"objectives"`
}

type lastJSON struct {
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"`
	Error   string    `json:"error,omitempty"`
}

// quantilesJSON are those of successful requests.
type quantilesJSON struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
}

type objectiveJSON struct {
	Name      string  `json:"name"`
	Indicator string  `json:"indicator"`
	Threshold float64 `json:"threshold"`
	Goal      float64 `json:"goal"`
	Requests  int     `json:"requests"` // judged, of those that are looked at
	Bad       int     `json:"bad"`
}

type engineJSON struct {
	Kind    string     `json:"kind"`
	Up      bool       `json:"up"`
	At      *time.Time `json:"at,omitempty"`
	Running *float64   `json:"requests_running,omitempty"`
	Waiting *float64   `json:"requests_waiting,omitempty"`
	KVCache *float64   `json:"kv_cache_usage_ratio,omitempty"`
}

type gpuJSON struct {
	UUID      string   `json:"uuid"`
	Known     bool     `json:"known"`
	Lost      string   `json:"lost,omitempty"`
	Throttled []string `json:"throttled"`
	XID       string   `json:"xid,omitempty"`
}

// targets are those that are probed, by name.
func (a *api) targets() []Target {
	if a.Targets == nil {
		return nil
	}
	return slices.SortedFunc(slices.Values(a.Targets()), func(x, y Target) int { return cmp.Compare(x.Name, y.Name) })
}

// target is the one that a path names.
func (a *api) target(r *http.Request) (*Target, error) {
	name := r.PathValue("target")
	for _, t := range a.targets() {
		if t.Name == name {
			return &t, nil
		}
	}
	return nil, noTarget(name)
}

// loads says which ramp loads each target now.
func (a *api) loads() map[string]string {
	by := map[string]string{}
	for _, r := range a.ramps() {
		if r.Running != nil {
			for _, target := range r.Targets {
				by[target] = r.Name
			}
		}
	}
	return by
}

func (a *api) listTargets(w http.ResponseWriter, r *http.Request) error {
	q := parseQuery(r.URL.RawQuery, []string{"limit", "cursor"})
	limit, after := q.limit(), q.cursor("t")
	if q.wrong != nil {
		return q.wrong
	}
	all := page[targetJSON]{Items: []targetJSON{}}
	loads := a.loads()
	for _, t := range a.targets() {
		switch {
		case t.Name <= after:
		case len(all.Items) == limit:
			all.Next = newCursor("t", all.Items[limit-1].Name)
			return reply(w, http.StatusOK, all)
		default:
			all.Items = append(all.Items, a.describe(&t, loads[t.Name]))
		}
	}
	return reply(w, http.StatusOK, all)
}

func (a *api) getTarget(w http.ResponseWriter, r *http.Request) error {
	if q := parseQuery(r.URL.RawQuery, nil); q.wrong != nil {
		return q.wrong
	}
	t, err := a.target(r)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, a.describe(t, a.loads()[t.Name]))
}

// describe says how a target is.
func (a *api) describe(t *Target, ramp string) targetJSON {
	j := targetJSON{
		Name: t.Name, Model: t.Model, Protocol: t.Protocol, Labels: map[string]string{}, Ramp: ramp,
		Probes: []probeJSON{}, GPUs: []gpuJSON{},
	}
	maps.Copy(j.Labels, t.Labels)
	if t.PausedUntil.After(time.Now()) {
		j.Paused = when(t.PausedUntil)
	}
	for i := range t.Probes {
		p := a.describeProbe(t, &t.Probes[i])
		j.Probes = append(j.Probes, p)
		if p.Up != nil {
			j.Up = new(*p.Up && (j.Up == nil || *j.Up))
		}
	}
	if e := t.Engine; e != nil {
		j.Engine = &engineJSON{Kind: e.Kind, Up: e.Up, At: when(e.At), Running: finite(e.Running), Waiting: finite(e.Waiting), KVCache: finite(e.KVCache)}
	}
	for _, g := range t.GPUs {
		j.GPUs = append(j.GPUs, gpuJSON{
			UUID: text(g.UUID, maxName), Known: g.Known, Lost: text(g.Lost, maxName), Throttled: append([]string{}, g.Throttled...), XID: text(g.XID, maxName),
		})
	}
	return j
}

func (a *api) samples(target, probe string) []Sample {
	var samples []Sample
	for _, q := range a.Recent.newest(target, probe) {
		samples = append(samples, q.sample())
	}
	return samples
}

func (a *api) describeProbe(t *Target, p *Probe) probeJSON {
	j := probeJSON{Name: p.Name, Stream: p.Stream, Next: when(p.Next), Objectives: []objectiveJSON{}}
	if p.Interval > 0 {
		j.Interval = new(p.Interval.Seconds())
	}
	all := a.Recent.newest(t.Name, p.Name)
	var ttft, duration []float64
	var samples []Sample
	for _, q := range all {
		samples = append(samples, q.sample())
		switch {
		case q.outcome.Failed():
			j.Failed++
			continue
		case !math.IsNaN(q.ttft):
			ttft = append(ttft, q.ttft)
		}
		if !math.IsNaN(q.duration) {
			duration = append(duration, q.duration)
		}
	}
	j.Requests, j.TTFT, j.Duration = len(all), quantiles(ttft), quantiles(duration)
	if len(all) > 0 {
		last := all[0]
		j.Last = &lastJSON{At: last.end.UTC(), Outcome: string(last.outcome), Error: last.err}
		j.Since = when(all[len(all)-1].end)
		j.Up = new(!last.outcome.Failed())
	}
	for _, o := range t.Objectives {
		if o.Probe != p.Name {
			continue
		}
		n, bad := o.count(samples)
		j.Objectives = append(j.Objectives, objectiveJSON{Name: o.Name, Indicator: o.Indicator, Threshold: o.Threshold, Goal: o.Goal, Requests: n, Bad: bad})
	}
	return j
}

func quantiles(values []float64) *quantilesJSON {
	if len(values) == 0 {
		return nil
	}
	return &quantilesJSON{N: len(values), P50: quantile(values, 0.5), P95: quantile(values, 0.95)}
}

// when is nil for no time.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.Round(0).UTC())
}

// finite is nil for what JSON has no number for.
func finite(v *float64) *float64 {
	if v == nil {
		return nil
	}
	return known(*v)
}

// failedOutcome stands for all outcomes that are failures.
const failedOutcome = "failed"

func (a *api) listRequests(w http.ResponseWriter, r *http.Request) error {
	q := parseQuery(r.URL.RawQuery, []string{"limit", "cursor", "probe", "outcome"})
	outcomes := []string{failedOutcome}
	for _, o := range prober.Outcomes() {
		outcomes = append(outcomes, string(o))
	}
	limit, probe, outcome := q.limit(), q.name("probe"), q.oneOf("outcome", outcomes...)
	after, from := q.cursor("q"), (*request)(nil)
	if after != "" {
		if from = requestAt(after); from == nil {
			q.fail("cursor", "the cursor is not one that this list gave")
		}
	}
	if q.wrong != nil {
		return q.wrong
	}
	t, err := a.target(r)
	if err != nil {
		return err
	}
	var all []*request
	for _, p := range t.Probes {
		if probe == "" || p.Name == probe {
			all = append(all, a.Recent.all(t.Name, p.Name)...)
		}
	}
	slices.SortFunc(all, byAge)
	list := page[*requestJSON]{Items: []*requestJSON{}}
	var last *request
	for _, k := range all {
		switch {
		case from != nil && byAge(k, from) <= 0:
		case outcome == failedOutcome && !k.outcome.Failed(), outcome != "" && outcome != failedOutcome && outcome != string(k.outcome):
		case len(list.Items) == limit:
			list.Next = newCursor("q", strconv.FormatInt(last.at, 10)+":"+last.id)
			return reply(w, http.StatusOK, list)
		default:
			last = k
			list.Items = append(list.Items, k.json())
		}
	}
	return reply(w, http.StatusOK, list)
}

// requestAt is a request that stands where a cursor points; nil: it points nowhere.
func requestAt(at string) *request {
	nanos, id, ok := strings.Cut(at, ":")
	n, err := strconv.ParseInt(nanos, 10, 64)
	if !ok || err != nil {
		return nil
	}
	return &request{at: n, id: id}
}

func (a *api) getVerdict(w http.ResponseWriter, r *http.Request) error {
	q := parseQuery(r.URL.RawQuery, []string{"max_age"}, "probe")
	maxAge, only := q.duration("max_age"), q.values["probe"]
	if q.wrong != nil {
		return q.wrong
	}
	t, err := a.target(r)
	if err != nil {
		return err
	}
	for _, name := range only {
		if !slices.ContainsFunc(t.Probes, func(p Probe) bool { return p.Name == name }) {
			q.fail("probe", "target %s has no probe %q", t.Name, text(name, maxName))
			return q.wrong
		}
	}
	return reply(w, http.StatusOK, Judge(a.evidence(t, maxAge, only)))
}

// evidence is what is known of a target. only are the probes that are looked at; none: all.
func (a *api) evidence(t *Target, maxAge time.Duration, only []string) Evidence {
	e := Evidence{
		Target: t.Name, Now: time.Now(), MaxAge: maxAge, PausedUntil: t.PausedUntil, Ramp: a.loads()[t.Name], Engine: t.Engine, GPUs: t.GPUs,
	}
	var pinned []Baseline
	if a.Baselines != nil {
		pinned = a.Baselines(t.Name)
	}
	for _, p := range t.Probes {
		if len(only) > 0 && !slices.Contains(only, p.Name) {
			continue
		}
		e.Probes = append(e.Probes, ProbeEvidence{
			Name: p.Name, Interval: p.Interval, Samples: a.samples(t.Name, p.Name),
			Objectives: slices.DeleteFunc(slices.Clone(t.Objectives), func(o Objective) bool { return o.Probe != p.Name }),
			Baselines:  slices.DeleteFunc(slices.Clone(pinned), func(b Baseline) bool { return b.Probe != p.Name }),
		})
	}
	return e
}

// ranJSON is what an asking by hand brought.
type ranJSON struct {
	Up       bool           `json:"up"` // every question was answered
	Requests []*requestJSON `json:"requests"`
}

func (a *api) runProbe(w http.ResponseWriter, r *http.Request) error {
	t, err := a.target(r)
	if err != nil {
		return err
	}
	probe := r.PathValue("probe")
	if !slices.ContainsFunc(t.Probes, func(p Probe) bool { return p.Name == probe }) || a.Run == nil {
		return problem(http.StatusNotFound, "no_such_probe", "target %s has no probe %q", t.Name, text(probe, maxName))
	}
	patient(w)
	results, err := a.Run(r.Context(), t.Name, probe)
	refused, isRefused := errors.AsType[*RefusedError](err)
	switch {
	case errors.Is(err, ErrNotFound):
		return problem(http.StatusNotFound, "no_such_probe", "target %s has no probe %q any more", t.Name, text(probe, maxName))
	case errors.Is(err, ErrUnavailable):
		return problem(http.StatusServiceUnavailable, "unavailable", "%v", err)
	case isRefused:
		p := problem(http.StatusTooManyRequests, "refused", "the probe is not asked now: %s", refused.Words)
		p.Reason, p.after = refused.Reason, refused.After
		return p
	case err != nil:
		return err
	}
	ran := ranJSON{Up: len(results) > 0, Requests: []*requestJSON{}}
	for _, result := range results {
		if !result.Retried && result.Outcome != prober.OK {
			ran.Up = false
		}
		ran.Requests = append(ran.Requests, newRequest(result, a.Recent.wait).json())
	}
	return reply(w, http.StatusOK, ran)
}

// patient takes the server's time limits off an answer that takes as long as somebody else does.
func patient(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	// A writer that has no deadlines, as in tests, needs none taken off.
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Time{})
}
