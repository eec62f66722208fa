package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/llmprober/llm_prober/bench/internal/process"
)

// report is what came of it. Times are in seconds.
type report struct {
	Idle    *figures        `json:"idle,omitempty"`
	Fleet   *figures        `json:"fleet,omitempty"`
	Machine process.Machine `json:"machine"`
}

func (r *report) put(name string, f *figures) {
	if name == "idle" {
		r.Idle = f
	} else {
		r.Fleet = f
	}
}

// each calls do with those that were measured.
func (r *report) each(do func(name string, f *figures)) {
	if r.Idle != nil {
		do("idle", r.Idle)
	}
	if r.Fleet != nil {
		do("fleet", r.Fleet)
	}
}

// missed names all that is over its limit, slack times as large, and what makes the figures say nothing.
func (r *report) missed(slack float64) error {
	var errs []error
	r.each(func(name string, f *figures) { errs = append(errs, f.missed(name, slack)) })
	return errors.Join(errs...)
}

// missed is that of one case.
func (f *figures) missed(name string, slack float64) error {
	var errs []error
	over := func(what string, got, limit float64, format string, scale float64) {
		if limit *= slack; limit > 0 && got > limit {
			errs = append(errs, fmt.Errorf("%s: %s is "+format+", over "+format, name, what, got*scale, limit*scale))
		}
	}
	over("cpu_share", f.CPUShare, f.limits.cpuShare, "%.3f %% of one core", 100)
	over("rss_bytes", float64(f.RSS), float64(f.limits.rss), "%.1f MB", 1e-6)
	over("scrape_seconds", f.ScrapeTook, f.limits.scrape, "%.1f ms", 1e3)
	over("start_seconds", f.StartTook, f.limits.start, "%.2f s", 1)
	switch {
	case f.Requests == 0:
		errs = append(errs, fmt.Errorf("%s: nothing was asked: choose a longer --duration", name))
	case f.Failed > 0 || f.Skipped > 0:
		errs = append(errs, fmt.Errorf("%s: %.0f requests failed and %.0f were skipped: the figures are not those of the work that was asked for", name, f.Failed, f.Skipped))
	}
	return errors.Join(errs...)
}

// write writes the report for people.
func (r *report) write(w io.Writer) error {
	var errs []error
	say := func(format string, args ...any) {
		_, err := fmt.Fprintf(w, format, args...)
		errs = append(errs, err)
	}
	r.each(func(name string, f *figures) {
		say("%s: %d targets x %d probes each %gs, engine metrics of %d; %.0f s with %d scrapes, %.0f requests (%.0f failed, %.0f skipped), %.0f output tokens\n",
			name, f.Targets, f.Probes, f.Interval, f.Engines, f.Seconds, f.Scraped, f.Requests, f.Failed, f.Skipped, f.OutputTokens)
		say("  CPU     %.3f %% of one core\n", 100*f.CPUShare)
		say("  memory  %.1f MB resident, peak %.1f MB; Go heap up to %.1f MB; %.0f MB allocated, %.0f collections\n", float64(f.RSS)/1e6, float64(f.PeakRSS)/1e6, f.Heap/1e6, f.Allocated/1e6, f.Collections)
		for _, s := range f.Formats {
			say("  scrape  %-11s median %.1f ms, max %.1f ms of %d; %.2f MB sent, %.2f MB unpacked; %d series\n",
				s.Format, 1e3*s.Median, 1e3*s.Max, s.Scrapes, float64(s.Bytes)/1e6, float64(s.Unpacked)/1e6, f.Series)
		}
		say("  start   %.2f s to ready, %.2f s to a whole /metrics\n", f.ReadyTook, f.StartTook)
		say("  holds   %d goroutines, %d threads, %d descriptors\n", f.Goroutines, f.Threads, f.Files)
	})
	say("on %s\n", r.Machine)
	return errors.Join(errs...)
}
