package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober/queuewait"
)

// report is what a run found.
type report struct {
	Loads   []*loadReport `json:"loads"` // ascending; the first is without load
	Machine machine       `json:"machine"`
}

// machine is where it was found.
type machine struct {
	OS   string `json:"os"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
}

// loadReport is what was found at one load. A source that could not be asked has no samples.
type loadReport struct {
	Load    float64         `json:"load"` // share of the server's capacity
	Sources map[string]*row `json:"sources"`
}

// row is how right one source was at one load. Errors are the source's wait less its truth.
type row struct {
	N         int      `json:"n"`
	MeanError float64  `json:"mean_error_seconds"` // of their magnitude
	P95Error  float64  `json:"p95_error_seconds"`
	Relative  *float64 `json:"p95_relative_error"` // of the waits of 20 ms and more; null where they are fewer than 5
	Bias      float64  `json:"bias_seconds"`       // the mean error, with its sign

	TruthMean float64 `json:"truth_mean_seconds"`
	TruthP95  float64 `json:"truth_p95_seconds"`
	QueueMean float64 `json:"scheduler_wait_mean_seconds"` // of the same requests: the part that the scheduler's queue was
	QueueP95  float64 `json:"scheduler_wait_p95_seconds"`

	LateMean float64 `json:"server_late_mean_seconds"` // what the server's process was late by at these requests
	LateP95  float64 `json:"server_late_p95_seconds"`

	Confidence *float64 `json:"confidence,omitempty"` // of the model, on average; the model's rows only

	LeftOut int `json:"left_out,omitempty"` // requests that tell nothing, for the server was late, or the model had learned too little; not among N

	Target string `json:"target"`
	Met    *bool  `json:"target_met"` // null: there are no samples, or there is no target

	samples []compared
}

// compared is what a source said, and what was so.
type compared struct {
	said, truth, queue, late time.Duration
	sure                     float64
}

// The rows: the sources, and more than one way to have them.
const (
	bodyRow      = string(queuewait.Body)
	headerRow    = string(queuewait.Header)
	derivedRow   = string(queuewait.Derived) // llama.cpp's timings
	progressRow  = "derived_progress"        // llama.cpp's progress
	ollamaRow    = "derived_ollama"
	engineRow    = string(queuewait.Engine)
	estimatedRow = string(queuewait.Estimated) // by a target that was asked without load first
	coldRow      = "estimated_cold"            // by one that never was
)

// rows are all of them, in order.
func rows() []string {
	return []string{bodyRow, headerRow, derivedRow, progressRow, ollamaRow, engineRow, estimatedRow, coldRow}
}

func newReport(loads shares) *report {
	r := &report{Machine: machine{runtime.GOOS + "/" + runtime.GOARCH, runtime.NumCPU(), runtime.Version()}}
	for _, load := range append(shares{0}, loads...) {
		l := &loadReport{Load: load, Sources: map[string]*row{}}
		for _, name := range rows() {
			l.Sources[name] = new(row)
		}
		r.Loads = append(r.Loads, l)
	}
	return r
}

// at is the report of one load.
func (r *report) at(load float64) *loadReport {
	i := slices.IndexFunc(r.Loads, func(l *loadReport) bool { return l.Load == load })
	return r.Loads[i]
}

func (l *loadReport) row(name string) *row { return l.Sources[name] }

func (r *row) add(c compared) { r.samples = append(r.samples, c) }

// relativeFrom is the truth from which on a relative error means something.
const relativeFrom = 20 * time.Millisecond

// summarise works out the figures.
func (r *row) summarise(name string, load float64) {
	r.N = len(r.samples)
	r.Target = target(name, load)
	if r.N == 0 {
		return
	}
	var errs, relative, truths, queues, lates, bounded, sure []float64
	for _, s := range r.samples {
		e := math.Abs((s.said - s.truth).Seconds())
		errs = append(errs, e)
		truths = append(truths, s.truth.Seconds())
		queues = append(queues, s.queue.Seconds())
		lates = append(lates, s.late.Seconds())
		sure = append(sure, s.sure)
		r.Bias += (s.said - s.truth).Seconds() / float64(r.N)
		bounded = append(bounded, e/max(0.020, 0.1*s.truth.Seconds()))
		if s.truth >= relativeFrom {
			relative = append(relative, e/s.truth.Seconds())
		}
	}
	r.MeanError, r.P95Error = mean(errs), p95(errs)
	r.TruthMean, r.TruthP95 = mean(truths), p95(truths)
	r.QueueMean, r.QueueP95 = mean(queues), p95(queues)
	r.LateMean, r.LateP95 = mean(lates), p95(lates)
	if len(relative) >= 5 {
		r.Relative = new(p95(relative))
	}
	if name == estimatedRow || name == coldRow {
		r.Confidence = new(mean(sure))
	}
	switch name {
	case bodyRow, headerRow:
		r.Met = new(r.P95Error <= 0.002)
	case derivedRow, progressRow, ollamaRow:
		r.Met = new(r.P95Error <= 0.005)
	case engineRow:
		total := 0.0
		for _, s := range r.samples {
			total += s.said.Seconds() / float64(r.N)
		}
		r.Met = new(math.Abs(total-r.TruthMean) <= 0.05*r.TruthMean)
	case estimatedRow:
		if load == 0 {
			r.Met = new(math.Abs(r.Bias) < 0.005)
			return
		}
		r.Met = new(p95(bounded) <= 1)
	}
}

// target is what a source is meant to be.
func target(name string, load float64) string {
	switch name {
	case bodyRow, headerRow:
		return "p95 error within 2 ms"
	case derivedRow, progressRow, ollamaRow:
		return "p95 error within 5 ms"
	case engineRow:
		return "mean within 5 %"
	case estimatedRow:
		if load == 0 {
			return "bias below 5 ms"
		}
		return "p95 error within 10 % or 20 ms"
	}
	return ""
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// p95 is the smallest value that 95 % do not exceed.
func p95(v []float64) float64 {
	sorted := slices.Sorted(slices.Values(v))
	return sorted[int(math.Ceil(0.95*float64(len(sorted))))-1]
}

// write prints the report.
func (r *report) write(w io.Writer, output string) error {
	for _, l := range r.Loads {
		for name, row := range l.Sources {
			row.summarise(name, l.Load)
		}
	}
	if output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	fmt.Fprintf(w, "%s, %d CPUs, %s; times in ms\n\n", r.Machine.OS, r.Machine.CPUs, r.Machine.Go)
	fmt.Fprintf(w, "%5s  %-16s %5s │ %9s %9s │ %9s %9s │ %6s │ %8s %8s %8s %7s │ %4s │ %s\n", "load", "source", "n",
		"truth", "p95", "in queue", "p95", "late", "bias", "|error|", "p95", "rel p95", "sure", "target")
	for _, l := range r.Loads {
		for _, name := range rows() {
			if err := l.Sources[name].line(w, l.Load, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// line prints one row of the table.
func (r *row) line(w io.Writer, load float64, name string) error {
	if r.N == 0 {
		if load == 0 && name != estimatedRow {
			return nil
		}
		why := "not available"
		if r.LeftOut > 0 {
			why = fmt.Sprintf("the server was late at each of %d", r.LeftOut)
			if name == estimatedRow || name == coldRow {
				why = fmt.Sprintf("too little was learned for each of %d", r.LeftOut)
			}
		}
		_, err := fmt.Fprintf(w, "%4.0f%%  %-16s %5s │ %s\n", 100*load, name, "-", why)
		return err
	}
	relative, met, sure := "-", "", ""
	if r.Confidence != nil {
		sure = fmt.Sprintf("%.2f", *r.Confidence)
	}
	if r.Relative != nil {
		relative = fmt.Sprintf("%.1f %%", 100**r.Relative)
	}
	if r.Met != nil {
		met = r.Target + ": missed"
		if *r.Met {
			met = r.Target + ": met"
		}
	}
	_, err := fmt.Fprintf(w, "%4.0f%%  %-16s %5d │ %9.1f %9.1f │ %9.1f %9.1f │ %6.1f │ %8.2f %8.2f %8.2f %7s │ %4s │ %s\n", 100*load, name, r.N,
		1e3*r.TruthMean, 1e3*r.TruthP95, 1e3*r.QueueMean, 1e3*r.QueueP95, 1e3*r.LateP95, 1e3*r.Bias, 1e3*r.MeanError, 1e3*r.P95Error, relative, sure, met)
	return err
}
