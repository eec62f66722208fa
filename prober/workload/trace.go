package workload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxTrace     = 20_000_000 // arrivals: 160 MB; a week of a large service
	maxTraceLine = 1 << 20    // bytes; some traces name the blocks of each prompt
	maxTraceTime = 9e9        // seconds: about what time.Duration can hold
)

// Trace is a recording of when requests came. It is not changed once read.
type Trace struct {
	times []time.Duration // since the earliest
	kind  string
}

// LoadTrace reads a trace from a file, as [ReadTrace] does.
func LoadTrace(path string) (*Trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	defer f.Close()
	return ReadTrace(path, f)
}

// ReadTrace reads a trace: one arrival on each line, in any order. The earliest is at time 0. All lines are of one kind:
//
//	12.25                                     seconds since anything
//	2023-11-16 18:17:03.9799600               a time, as in RFC 3339 with a blank or a T, with a zone or without
//	{"timestamp": 27482, "input_length": 90}  milliseconds since anything, as Mooncake's traces have them
//
// After a comma there may be more, as in the traces of Azure and of BurstGPT. There may be a first line with the columns'
// names; where the first of them ends in "ms", numbers are milliseconds. If lines cannot be used, the error is a [*BadLines].
// The name is that of the file, for errors.
func ReadTrace(name string, r io.Reader) (*Trace, error) {
	t := new(Trace)
	reader := traceReader{numbers: "seconds", unit: time.Second}
	var bad BadLines
	first := true
	for it, err := range items(r, maxTraceLine) {
		if err != nil {
			return nil, fmt.Errorf("trace %s: %w", name, err)
		}
		if first && it.fault == nil && reader.header(it.text) {
			first = false
			continue
		}
		first = false
		if len(t.times) == maxTrace {
			return nil, &LineError{name, it.line, fmt.Sprintf("more than %d arrivals", maxTrace), "take a part of the file"}
		}
		at, f := time.Duration(0), it.fault
		if f == nil {
			at, f = reader.time(it.text)
		}
		if f != nil {
			bad.add(&LineError{name, it.line, f.what, f.cure})
			continue
		}
		t.times = append(t.times, at)
	}
	if bad.Count > 0 {
		return nil, &bad
	}
	if len(t.times) == 0 {
		return nil, fmt.Errorf("trace %s: no arrivals in it; write one time on each line", name)
	}
	t.kind = reader.kind
	slices.Sort(t.times)
	earliest := t.times[0]
	for i := range t.times {
		t.times[i] -= earliest
	}
	return t, nil
}

// Kind says what the lines of the file were: "seconds", "milliseconds", "times" or "JSON objects with milliseconds".
func (t *Trace) Kind() string { return t.kind }

// Len is the number of arrivals.
func (t *Trace) Len() int { return len(t.times) }

// Duration is how long after the first arrival the last one came.
func (t *Trace) Duration() time.Duration { return t.times[len(t.times)-1] }

// Arrivals returns the arrivals at the times at which they came. To have them at a tenth of the rate, as bursty as they
// are, take one shard of ten.
func (t *Trace) Arrivals() *Arrivals { return &Arrivals{source: &replay{t.times}, every: 1} }

// replay is the source of a trace's arrivals.
type replay struct{ left []time.Duration }

func (r *replay) next() (time.Duration, bool) {
	if len(r.left) == 0 {
		return 0, false
	}
	at := r.left[0]
	r.left = r.left[1:]
	return at, true
}

// A traceReader reads the lines of one trace.
type traceReader struct {
	numbers string        // what numbers are
	unit    time.Duration // and how long 1 is
	kind    string        // of the first good line, and so of all
	zero    time.Time     // the first time
}

// header takes a first line with the names of columns.
func (r *traceReader) header(line []byte) bool {
	name, _, _ := strings.Cut(strings.ToLower(string(line)), ",")
	name = strings.Trim(name, ` "`)
	if name == "" || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	if strings.HasSuffix(name, "ms") {
		r.numbers, r.unit = "milliseconds", time.Millisecond
	}
	return true
}

// time reads one line.
func (r *traceReader) time(line []byte) (time.Duration, *fault) {
	at, kind, f := r.parse(line)
	switch {
	case f != nil:
		return 0, f
	case r.kind == "":
		r.kind = kind
	case r.kind != kind:
		return 0, &fault{"one of " + kind + " after lines of " + r.kind, "let all lines be of one kind"}
	}
	return at, nil
}

func (r *traceReader) parse(line []byte) (time.Duration, string, *fault) {
	if line[0] == '{' {
		var request struct {
			Timestamp *float64 `json:"timestamp"`
		}
		if json.Unmarshal(line, &request) != nil || request.Timestamp == nil {
			return 0, "", &fault{`no JSON object with a number "timestamp"`, `write {"timestamp": MILLISECONDS}`}
		}
		at, f := duration(*request.Timestamp, time.Millisecond)
		return at, "JSON objects with milliseconds", f
	}
	first, _, _ := bytes.Cut(line, []byte(","))
	text := strings.Trim(string(first), ` "`)
	if x, err := strconv.ParseFloat(text, 64); err == nil {
		at, f := duration(x, r.unit)
		return at, r.numbers, f
	}
	if len(text) > 10 && text[10] == 'T' {
		text = text[:10] + " " + text[11:]
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00"} {
		at, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if r.zero.IsZero() {
			r.zero = at
		}
		since := at.Sub(r.zero)
		if math.Abs(since.Seconds()) > maxTraceTime/2 {
			return 0, "", &fault{"a time more than a century from the first one", "mend it"}
		}
		return since, "times", nil
	}
	return 0, "", &fault{"no time", "begin the line with seconds (12.25), or with a time (2006-01-02 15:04:05.25)"}
}

// duration is x times the unit.
func duration(x float64, unit time.Duration) (time.Duration, *fault) {
	if seconds := x * unit.Seconds(); !(seconds >= 0 && seconds <= maxTraceTime) {
		return 0, &fault{"a time that is negative or too long", fmt.Sprintf("give 0 to %.0f seconds", maxTraceTime)}
	}
	return time.Duration(math.Round(x * float64(unit))), nil
}
