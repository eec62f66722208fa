package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// store is where runs are on record; nil: there are none.
func (a *api) store() *runs.Store {
	if a.Runs == nil {
		return nil
	}
	return a.Runs()
}

// runJSON is a run in lists.
type runJSON struct {
	ID       string     `json:"id"`
	State    string     `json:"state"` // running or ended
	Ramp     string     `json:"ramp"`
	Target   string     `json:"target,omitempty"`
	Model    string     `json:"model,omitempty"`
	Shape    string     `json:"shape,omitempty"`
	Trigger  string     `json:"trigger"`
	Nominal  *time.Time `json:"nominal,omitempty"`
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended,omitempty"`
	Set      int        `json:"set,omitempty"`
	Sets     int        `json:"sets,omitempty"`
	Shard    *int       `json:"shard,omitempty"` // nil: it is not spread, or the sum of its shards
	Shards   int        `json:"shards,omitempty"`
	Merged   []int      `json:"merged,omitempty"` // the shards that were added up in it
	Verdict  string     `json:"verdict,omitempty"`
	Requests *keptJSON  `json:"requests,omitempty"`
}

// keptJSON is what is on record of a run's single requests.
type keptJSON struct {
	Written int    `json:"written"`
	Dropped int    `json:"dropped"`
	Error   string `json:"error,omitempty"`
}

func runOf(i *runs.Info) runJSON {
	j := runJSON{
		ID: i.ID, State: "ended", Ramp: i.Ramp, Target: i.Target, Model: i.Model, Shape: i.Shape, Trigger: string(i.Trigger),
		Nominal: when(i.Nominal), Started: i.Started.UTC(), Ended: when(i.Ended), Set: i.Set, Sets: i.Sets, Shards: i.Shards, Merged: i.Merged, Verdict: string(i.Verdict),
	}
	if i.Shards > 0 && len(i.Merged) == 0 {
		j.Shard = new(i.Shard)
	}
	if k := i.Requests; k != nil {
		j.Requests = &keptJSON{Written: k.Written, Dropped: k.Dropped, Error: text(k.Error, maxError)}
	}
	return j
}

func (a *api) listRuns(w http.ResponseWriter, r *http.Request) error {
	q := parseQuery(r.URL.RawQuery, []string{"limit", "cursor", "ramp", "target", "verdict", "since"})
	var verdicts []string
	for _, v := range record.Verdicts() {
		verdicts = append(verdicts, string(v))
	}
	f := runs.Filter{
		Ramp: q.name("ramp"), Target: q.name("target"), Verdict: record.Verdict(q.oneOf("verdict", verdicts...)),
		Since: q.time("since"), After: q.cursor("r"), Limit: q.limit(),
	}
	if f.After != "" && !isPlace(f.After) {
		q.fail("cursor", "the cursor is not one that this list gave")
	}
	if q.wrong != nil {
		return q.wrong
	}
	list := page[runJSON]{Items: []runJSON{}}
	if store := a.store(); store != nil {
		infos, next, err := store.List(f)
		if err != nil {
			return fmt.Errorf("list runs: %w", err)
		}
		for _, i := range infos {
			list.Items = append(list.Items, runOf(&i))
		}
		list.Next = newCursor("r", next)
	}
	return reply(w, http.StatusOK, list)
}

// isPlace tells whether a text could be one that a list of runs gave for the next one.
func isPlace(at string) bool {
	started, id, ok := strings.Cut(at, ".")
	_, err := strconv.ParseInt(started, 10, 64)
	return ok && err == nil && runs.ValidID(id)
}

// runDetailJSON is all of a run but what only charts need: see stageJSON for the figures.
type runDetailJSON struct {
	runJSON
	Progress    *progressJSON       `json:"progress,omitempty"` // of one that is running
	Environment *record.Environment `json:"environment,omitempty"`
	Config      json.RawMessage     `json:"config,omitempty"`
	Objectives  []record.Objective  `json:"objectives,omitempty"`
	Rules       []string            `json:"rules,omitempty"`
	Stopped     string              `json:"stopped,omitempty"`
	Abort       *record.Abort       `json:"abort,omitempty"`
	Reasons     []string            `json:"reasons,omitempty"`
	Stages      []stageJSON         `json:"stages,omitempty"`
	Searches    []searchJSON        `json:"searches,omitempty"`
	Diagnosis   *record.Diagnosis   `json:"diagnosis,omitempty"`
	Comparison  *record.Comparison  `json:"comparison,omitempty"`
}

type searchJSON struct {
	Lane string `json:"lane"`
	record.Search
}

// stageJSON are the figures of one stage of one lane. Times count from the intended time of each request.
type stageJSON struct {
	Lane     string               `json:"lane"`
	Target   string               `json:"target"`
	Index    int                  `json:"index"`
	Name     string               `json:"name"`
	Kind     string               `json:"kind"`
	Open     bool                 `json:"open"`
	Begin    float64              `json:"begin_load"`
	End      float64              `json:"end_load"`
	From     *time.Time           `json:"measured_from,omitempty"`
	To       *time.Time           `json:"measured_to,omitempty"`
	Planned  int                  `json:"planned"`
	Sent     int                  `json:"sent"`
	Shed     int                  `json:"shed"`
	Unended  int                  `json:"unended"`
	Invalid  string               `json:"invalid,omitempty"`
	InFlight float64              `json:"in_flight_mean"`
	Probes   map[string]statsJSON `json:"probes"`
}

type statsJSON struct {
	Sent         int            `json:"sent"`
	Outcomes     map[string]int `json:"outcomes"`
	PromptTokens int64          `json:"prompt_tokens"`
	OutputTokens int64          `json:"output_tokens"`
	Cost         float64        `json:"cost,omitempty"`
	TTFT         *spreadJSON    `json:"ttft_seconds,omitempty"`
	Duration     *spreadJSON    `json:"duration_seconds,omitempty"`
	ITL          *spreadJSON    `json:"inter_token_latency_seconds,omitempty"`
	TPOT         *spreadJSON    `json:"time_per_output_token_seconds,omitempty"`
}

// spreadJSON is a distribution in a few numbers.
type spreadJSON struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

func spreadOf(h *record.Histogram) *spreadJSON {
	if h.Count() == 0 {
		return nil
	}
	at := func(q float64) float64 { return h.Quantile(q).Seconds() }
	return &spreadJSON{N: h.Count(), Mean: h.Mean().Seconds(), P50: at(0.5), P90: at(0.9), P95: at(0.95), P99: at(0.99), Max: h.Max().Seconds()}
}

func stagesOf(run *record.Run) (stages []stageJSON, searches []searchJSON) {
	for i := range run.Lanes {
		l := &run.Lanes[i]
		if l.Search != nil {
			searches = append(searches, searchJSON{Lane: l.Name, Search: *l.Search})
		}
		for k := range l.Stages {
			s := &l.Stages[k]
			j := stageJSON{
				Lane: l.Name, Target: l.Target, Index: s.Index, Name: s.Name, Kind: string(s.Kind), Open: l.Open, Begin: s.Begin, End: s.End,
				From: when(s.From), To: when(s.To), Planned: s.Planned, Sent: s.Sent, Shed: s.Shed, Unended: s.Unended,
				Invalid: s.Invalid, InFlight: s.InFlight, Probes: map[string]statsJSON{},
			}
			for probe, st := range s.Probes {
				outcomes := map[string]int{}
				maps.Copy(outcomes, st.Outcomes)
				j.Probes[probe] = statsJSON{
					Sent: st.Sent, Outcomes: outcomes, PromptTokens: st.PromptTokens, OutputTokens: st.OutputTokens, Cost: st.Cost,
					TTFT: spreadOf(st.TTFT), Duration: spreadOf(st.Duration), ITL: spreadOf(st.ITL), TPOT: spreadOf(st.TPOT),
				}
			}
			stages = append(stages, j)
		}
	}
	return stages, searches
}

func (a *api) getRun(w http.ResponseWriter, r *http.Request) error {
	if q := parseQuery(r.URL.RawQuery, nil); q.wrong != nil {
		return q.wrong
	}
	id := r.PathValue("run")
	for _, ramp := range a.ramps() {
		if ramp.Running != nil && ramp.Running.ID == id && id != "" {
			return reply(w, http.StatusOK, runningDetail(&ramp))
		}
	}
	store := a.store()
	if store == nil || !runs.ValidID(id) {
		return noRun(id)
	}
	info, err := store.Info(id)
	if err != nil {
		return a.unreadable(id, err)
	}
	run, err := store.Load(id)
	if err != nil {
		return a.unreadable(id, err)
	}
	stages, searches := stagesOf(run)
	return reply(w, http.StatusOK, runDetailJSON{
		runJSON: runOf(info), Environment: &run.Environment, Config: run.Config, Objectives: run.Objectives, Rules: run.Rules,
		Stopped: run.Stopped, Abort: run.Abort, Reasons: run.Reasons, Stages: stages, Searches: searches,
		Diagnosis: run.Diagnosis, Comparison: run.Comparison,
	})
}

// unreadable is the answer where a record cannot be had.
func (a *api) unreadable(id string, err error) error {
	newer, isNewer := errors.AsType[*runs.NewerError](err)
	switch {
	case errors.Is(err, runs.ErrNotFound):
		return noRun(id)
	case isNewer:
		return problem(http.StatusInternalServerError, "newer_record", "the record of %s was written by a newer version of llm_prober (schema %d, this one reads %d)", id, newer.Schema, newer.Reads)
	}
	return fmt.Errorf("run %s: %w", id, err)
}

// streamWithin is how long a reader may take for a piece of a stream.
const streamWithin = 30 * time.Second

func (a *api) streamRequests(w http.ResponseWriter, r *http.Request) error {
	q := parseQuery(r.URL.RawQuery, []string{"format"})
	format := q.oneOf("format", "jsonl", "csv")
	if q.wrong != nil {
		return q.wrong
	}
	id, store := r.PathValue("run"), a.store()
	if store == nil || !runs.ValidID(id) {
		return noRun(id)
	}
	if info, err := store.Info(id); err != nil {
		return a.unreadable(id, err)
	} else if info.Requests == nil {
		return problem(http.StatusNotFound, "no_requests", "the single requests of %s were not kept", id)
	}
	select {
	case a.streams <- struct{}{}:
		defer func() { <-a.streams }()
	default:
		p := problem(http.StatusTooManyRequests, "too_many_streams", "%d readers are reading requests already", maxStreams)
		p.after = streamWithin
		return p
	}
	kind := "application/jsonl"
	if format == "csv" {
		kind = "text/csv; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	if r.Method == http.MethodHead {
		return nil
	}
	patient(w)
	out := &paced{ResponseWriter: w, control: http.NewResponseController(w)}
	err := writeRequests(out, format, shown(store.Requests(id)))
	switch {
	case err == nil || r.Context().Err() != nil:
		return nil
	case !out.begun:
		return a.unreadable(id, err)
	}
	a.warn("api: the requests of a run could not be read to their end", slog.String("run", id), slog.Any("err", err))
	panic(http.ErrAbortHandler) // so that the reader sees that it has not got all
}

func writeRequests(w http.ResponseWriter, format string, requests iter.Seq2[*runs.Request, error]) error {
	if format == "csv" {
		return runs.WriteRequestsCSV(w, requests)
	}
	enc := json.NewEncoder(w)
	for r, err := range requests {
		if err != nil {
			return err
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// shown are the requests as they may be seen: error texts as everywhere here.
func shown(requests iter.Seq2[*runs.Request, error]) iter.Seq2[*runs.Request, error] {
	return func(yield func(*runs.Request, error) bool) {
		for r, err := range requests {
			if r != nil {
				r.Error, r.FinishReason, r.RemoteAddr = text(r.Error, maxError), text(r.FinishReason, maxName), text(r.RemoteAddr, maxName)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// paced gives each piece of a stream its own time limit: a reader that has stopped reading must not keep its place for ever.
type paced struct {
	http.ResponseWriter
	control *http.ResponseController
	begun   bool
	limited time.Time
}

// Write implements io.Writer.
func (p *paced) Write(b []byte) (int, error) {
	p.begun = true
	if now := time.Now(); now.Sub(p.limited) > time.Second {
		p.limited = now
		_ = p.control.SetWriteDeadline(now.Add(streamWithin)) // see patient
	}
	return p.ResponseWriter.Write(b)
}
