package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/printable"
)

// savedVersion is the version of files that Save writes. Load takes no other.
const savedVersion = 1

// maxSaved bounds what Load reads, and thus what a file that is none of ours can cost.
const maxSaved = 512 << 20

// A history is kept in a file as one JSON object, compressed by gzip: results, failures and the day. The courses of successes
// are not in it. It is written and read row by row, for the whole of many probes takes more memory than all else.
//
//	{"version": 1, "saved": TIME, "rows": [ROW, ...]}
type savedRow struct {
	Target   string        `json:"target"`
	Probe    string        `json:"probe"`
	Model    string        `json:"model"`
	Stream   bool          `json:"stream"`
	Results  []savedSample `json:"results"`
	Failures []savedSample `json:"failures"`
	Slots    []savedSlot   `json:"slots,omitempty"`
	Day      []slot        `json:"day,omitempty"` // the same, as it was written before there were slots
}

// savedSlot is a packedSlot.
type savedSlot struct {
	Number int64  `json:"n"`
	Packed []byte `json:"p"`
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
		id: printable.Line(s.ID, maxID), end: s.End, outcome: prober.Outcome(printable.Line(s.Outcome, maxName)), status: s.Status, err: printable.Line(s.Err, maxError),
		latency: max(0, s.Latency), timed: s.Timed, rate: max(0, s.Rate), exact: s.Exact, degraded: s.Degraded,
		clock: prober.Clock(s.Clock), took: max(0, s.Took), tpot: max(0, s.TPOT),
	}
}

func (s *savedSample) exchange() *exchange {
	e := &exchange{sample: s.sample(), attempt: s.Attempt, turn: s.Turn, burst: s.Burst, group: printable.Line(s.Group, maxID)}
	for _, h := range s.Header[:min(len(s.Header), maxHeaders)] {
		e.headers = append(e.headers, header{printable.Line(h.Name, maxHeaderValue), printable.Line(h.Value, maxHeaderValue)})
	}
	return e
}

// Save writes what is kept to a file, which is replaced as a whole or not at all.
func (h *History) Save(path string) error {
	err := replace(path, func(w io.Writer) error {
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return err
		}
		return errors.Join(h.write(z), z.Close())
	})
	if err != nil {
		return fmt.Errorf("save history: %w", err)
	}
	return nil
}

// write writes the JSON.
func (h *History) write(to io.Writer) error {
	w := bufio.NewWriterSize(to, 64<<10)
	begin, err := json.Marshal(time.Now().UTC())
	if err != nil {
		return err
	}
	fmt.Fprintf(w, `{"version":%d,"saved":%s,"rows":[`, savedVersion, begin)
	for i, r := range h.all() {
		if i > 0 {
			w.WriteString(",\n")
		}
		row, err := json.Marshal(r.save())
		if err != nil {
			return err
		}
		w.Write(row)
	}
	w.WriteString("]}\n")
	return w.Flush() // it has the errors of all that was written
}

// save is what is kept of a row.
func (r *rowHistory) save() *savedRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	row := &savedRow{Target: r.Target, Probe: r.Probe, Model: r.Model, Stream: r.Stream}
	for _, s := range r.samples() {
		row.Results = append(row.Results, saveSample(&s))
	}
	for _, e := range r.failures.slice() {
		row.Failures = append(row.Failures, saveExchange(e))
	}
	r.trend.close() // it opens again by itself
	for _, p := range r.trend.packed {
		row.Slots = append(row.Slots, savedSlot{p.number, []byte(p.data)})
	}
	return row
}

// replace puts what write writes at path. Whoever reads sees the old file or the new one, also after a crash.
func replace(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	err = write(f)
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
	loaded, err := readSaved(f)
	if err != nil {
		return fmt.Errorf("load history: %s: %w", path, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loaded = loaded
	return nil
}

// readSaved reads a file that Save wrote, or one from before such files were compressed.
func readSaved(f io.Reader) (map[rowKey]*savedRow, error) {
	buffered := bufio.NewReaderSize(f, 64<<10)
	var r io.Reader = buffered
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		r = z
	}
	limited := &io.LimitedReader{R: r, N: maxSaved + 1}
	rows := map[rowKey]*savedRow{}
	version := 0
	err := eachKey(json.NewDecoder(limited), func(d *json.Decoder, key string) error {
		switch key {
		case "version":
			if err := d.Decode(&version); err != nil {
				return err
			}
			if version != savedVersion {
				return fmt.Errorf("version %d, not %d", version, savedVersion)
			}
			return nil
		case "rows":
			return eachRow(d, func(row *savedRow) { rows[rowKey{row.Target, row.Probe}] = row })
		default:
			var other json.RawMessage
			return d.Decode(&other)
		}
	})
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("more than %d bytes", maxSaved)
	case err != nil:
		return nil, err
	case version == 0:
		return nil, errors.New("it has no version")
	}
	return rows, nil
}

// eachKey reads one object, and has do read the value of each of its keys.
func eachKey(d *json.Decoder, do func(d *json.Decoder, key string) error) error {
	if err := expect(d, '{'); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		if err := do(d, fmt.Sprint(key)); err != nil {
			return err
		}
	}
	return expect(d, '}')
}

// eachRow reads a list of rows, or null.
func eachRow(d *json.Decoder, do func(*savedRow)) error {
	if err := expect(d, '['); err != nil {
		return err
	}
	for d.More() {
		var row *savedRow
		if err := d.Decode(&row); err != nil {
			return err
		}
		if row == nil {
			return errors.New("a row that is null")
		}
		do(row)
	}
	return expect(d, ']')
}

// expect reads one bracket.
func expect(d *json.Decoder, bracket json.Delim) error {
	switch token, err := d.Token(); {
	case err != nil:
		return err
	case token != bracket:
		return fmt.Errorf("%v where %v was expected", token, bracket)
	}
	return nil
}

// into puts what was saved into a row that nobody has yet. What is from the future, or more than there is room for, is left out.
func (s *savedRow) into(r *rowHistory) {
	latest := r.since.Add(time.Minute)
	for _, saved := range s.Results {
		if !saved.End.After(latest) {
			s := saved.sample()
			r.results.add(s.pack())
		}
	}
	for _, saved := range s.Failures {
		if e := saved.exchange(); !saved.End.After(latest) && e.outcome.Failed() {
			r.failures.add(e)
		}
	}
	day := s.Day
	for _, saved := range s.Slots {
		if slot, err := (packedSlot{saved.Number, string(saved.Packed)}).unpack(); err == nil {
			day = append(day, slot)
		}
	}
	for _, slot := range day {
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
	for _, o := range s.Outcomes {
		if o.Count < 0 || o.Count > math.MaxInt32 || len(o.Outcome) > maxName {
			return false
		}
	}
	count := func(n int) bool { return n >= 0 && n <= math.MaxInt32 }
	return count(s.OK) && count(s.Failed) && count(s.Broken) && len(s.Outcomes) <= len(prober.Outcomes()) &&
		(s.Parts == nil || len(s.Parts) == len(newPartSums()))
}
