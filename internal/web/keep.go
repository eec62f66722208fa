package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// savedVersion is the version of files that Save writes. Load takes no other.
const savedVersion = 1

// maxSaved bounds what Load reads, and thus what a file that is none of ours can cost.
const maxSaved = 512 << 20

// saved is a history as it is kept in a file: results, failures and the day. The courses of successes are not in it.
type saved struct {
	Version int         `json:"version"`
	Saved   time.Time   `json:"saved"`
	Rows    []*savedRow `json:"rows"`
}

type savedRow struct {
	Target   string        `json:"target"`
	Probe    string        `json:"probe"`
	Model    string        `json:"model"`
	Stream   bool          `json:"stream"`
	Results  []savedSample `json:"results"`
	Failures []savedSample `json:"failures"`
	Day      []slot        `json:"day"`
}

type savedSample struct {
	ID       string        `json:"id"`
	End      time.Time     `json:"end"`
	Outcome  string        `json:"outcome"`
	Status   int           `json:"status,omitempty"`
	Err      string        `json:"err,omitempty"`
	Latency  time.Duration `json:"latency,omitempty"` // nanoseconds, as all durations here
	Timed    bool          `json:"timed,omitempty"`
	Rate     float64       `json:"rate,omitempty"`
	Exact    bool          `json:"exact,omitempty"`
	Degraded bool          `json:"degraded,omitempty"`
	Clock    string        `json:"clock,omitempty"`
	Took     time.Duration `json:"took,omitempty"`
	TPOT     time.Duration `json:"tpot,omitempty"`
	Header   []header      `json:"header,omitempty"`
	Attempt  int           `json:"attempt,omitempty"`
	Turn     int           `json:"turn,omitempty"`
	Burst    int           `json:"burst,omitempty"`
	Group    string        `json:"group,omitempty"`
}

func saveSample(s *sample) savedSample {
	return savedSample{
		ID: s.id, End: s.end.Round(0), Outcome: string(s.outcome), Status: s.status, Err: s.err, Latency: s.latency, Timed: s.timed,
		Rate: s.rate, Exact: s.exact, Degraded: s.degraded, Clock: string(s.clock), Took: s.took, TPOT: s.tpot,
	}
}

func saveExchange(e *exchange) savedSample {
	s := saveSample(&e.sample)
	s.Header, s.Attempt, s.Turn, s.Burst, s.Group = e.headers, e.attempt, e.turn, e.burst, e.group
	return s
}

// sample is what was saved, bounded anew: a file may hold anything.
func (s *savedSample) sample() sample {
	return sample{
		id: printable(s.ID, maxID), end: s.End, outcome: prober.Outcome(printable(s.Outcome, maxName)), status: s.Status, err: printable(s.Err, maxError),
		latency: max(0, s.Latency), timed: s.Timed, rate: max(0, s.Rate), exact: s.Exact, degraded: s.Degraded,
		clock: prober.Clock(s.Clock), took: max(0, s.Took), tpot: max(0, s.TPOT),
	}
}

func (s *savedSample) exchange() *exchange {
	e := &exchange{sample: s.sample(), attempt: s.Attempt, turn: s.Turn, burst: s.Burst, group: printable(s.Group, maxID)}
	for _, h := range s.Header[:min(len(s.Header), maxHeaders)] {
		e.headers = append(e.headers, header{printable(h.Name, maxHeaderValue), printable(h.Value, maxHeaderValue)})
	}
	return e
}

// Save writes what is kept to a file, which is replaced as a whole or not at all.
func (h *History) Save(path string) error {
	state := saved{Version: savedVersion, Saved: time.Now().UTC()}
	for _, r := range h.all() {
		r.mu.Lock()
		row := &savedRow{Target: r.Target, Probe: r.Probe, Model: r.Model, Stream: r.Stream, Day: r.trend.clone()}
		for _, s := range r.results.slice() {
			row.Results = append(row.Results, saveSample(&s))
		}
		for _, e := range r.failures.slice() {
			row.Failures = append(row.Failures, saveExchange(e))
		}
		r.mu.Unlock()
		state.Rows = append(state.Rows, row)
	}
	data, err := json.Marshal(&state)
	if err != nil {
		return fmt.Errorf("save history: %w", err)
	}
	if err := replace(path, data); err != nil {
		return fmt.Errorf("save history: %w", err)
	}
	return nil
}

// replace puts data at path. Whoever reads sees the old file or the new one, also after a crash.
func replace(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Load reads what Save wrote. Rows take it over as they come by Apply, if they are about the same model; call it before the
// first one. A file that is not there is no error; after any error the history is as it was.
func (h *History) Load(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load history: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSaved+1))
	if err != nil {
		return fmt.Errorf("load history: %w", err)
	}
	if len(data) > maxSaved {
		return fmt.Errorf("load history: %s: more than %d bytes", path, maxSaved)
	}
	var state saved
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&state); err != nil {
		return fmt.Errorf("load history: %s: %w", path, err)
	}
	if state.Version != savedVersion {
		return fmt.Errorf("load history: %s: version %d, not %d", path, state.Version, savedVersion)
	}
	loaded := make(map[rowKey]*savedRow, len(state.Rows))
	for _, row := range state.Rows {
		if row == nil {
			return fmt.Errorf("load history: %s: a row that is null", path)
		}
		loaded[rowKey{row.Target, row.Probe}] = row
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loaded = loaded
	return nil
}

// into puts what was saved into a row that nobody has yet. What is from the future, or more than there is room for, is left out.
func (s *savedRow) into(r *rowHistory) {
	latest := r.since.Add(time.Minute)
	for _, saved := range s.Results {
		if !saved.End.After(latest) {
			r.results.add(saved.sample())
		}
	}
	for _, saved := range s.Failures {
		if e := saved.exchange(); !saved.End.After(latest) && e.outcome.Failed() {
			r.failures.add(e)
		}
	}
	for _, slot := range s.Day {
		if slot.begin().After(latest) || !slot.sound() {
			continue
		}
		if own := r.trend.at(slot.begin()); own != nil {
			*own = slot
		}
	}
}

// sound reports whether a slot from a file is one that could have been made here.
func (s *slot) sound() bool {
	for _, sketch := range []sketch{s.TTFT, s.Took, s.TPOT} {
		if len(sketch) > sketchMost {
			return false
		}
		for i, b := range sketch {
			if b.Top < 0 || b.Top > 2000 || i > 0 && b.Top <= sketch[i-1].Top {
				return false
			}
		}
	}
	return s.OK >= 0 && s.Failed >= 0 && s.Broken >= 0 && len(s.Outcomes) <= len(prober.Outcomes()) &&
		(s.Parts == nil || len(s.Parts) == len(newPartSums()))
}
