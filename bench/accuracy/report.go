package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
)

// machine is where a figure was taken.
type machine struct {
	OS          string `json:"os"`
	Kernel      string `json:"kernel,omitempty"`
	CPU         string `json:"cpu,omitempty"`
	CPUs        int    `json:"cpus"`
	Go          string `json:"go"`
	LoadAverage string `json:"load_average_before,omitempty"` // of one minute: who else was at work
}

func newMachine() machine {
	return machine{OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()}
}

// byClock is a figure by each clock. Kernel is null where the kernel stamped nothing.
type byClock struct {
	Kernel *summary `json:"kernel"`
	User   *summary `json:"user"`
}

// row is the report of one number of streams. Docs: bench/README.md, docs/accuracy.md.
type row struct {
	Streams    int     `json:"streams"`
	Over       string  `json:"over"`
	Connection string  `json:"connection"`
	FirstToken float64 `json:"configured_first_token_seconds"`
	PerToken   float64 `json:"configured_per_token_seconds"`
	Tokens     int     `json:"tokens_per_answer"`
	Seconds    float64 `json:"seconds"`

	Requests        int     `json:"requests"`
	RequestsFailed  int     `json:"requests_failed"`
	Failure         string  `json:"failure_example,omitempty"`
	Degraded        int     `json:"requests_degraded"`
	Events          int64   `json:"events"`
	EventsLost      int64   `json:"events_lost"` // made by the server, by its own count, and not received
	EventsUnmatched int64   `json:"events_unmatched"`
	EventsUnmarked  int64   `json:"events_unmarked"` // off by more than 10 ms in answers that are not marked as degraded
	EventsPerSecond float64 `json:"events_per_second"`
	KernelShare     float64 `json:"kernel_stamp_share"`
	SharedShare     float64 `json:"shared_stamp_share"`

	TTFT          byClock  `json:"ttft_seconds"` // as the prober reports it: from dispatch
	TTFTError     byClock  `json:"ttft_error_seconds"`
	ReceiveError  byClock  `json:"receive_error_seconds"`
	OwnStamp      byClock  `json:"own_stamp_receive_error_seconds"`
	FirstReceive  byClock  `json:"ttft_receive_error_seconds"`
	TTFTBound     byClock  `json:"ttft_error_bound_seconds"`
	OverConfig    byClock  `json:"ttft_over_configured_seconds"`
	Lateness      *summary `json:"server_lateness_seconds"`
	RequestDelay  *summary `json:"request_delay_seconds"`
	WriteBracket  *summary `json:"write_bracket_seconds"`
	Dispatch      *summary `json:"dispatch_delay_seconds"`
	Connect       *summary `json:"connect_seconds"` // null: all on connections that were open
	ClockMoved    float64  `json:"wall_clock_moved_seconds"`
	TruthChecked  int      `json:"ground_truth_checked"`
	TruthDistance float64  `json:"ground_truth_distance_seconds"` // the largest

	CPUPerEvent      float64 `json:"cpu_seconds_per_event"`
	AllocsPerRequest float64 `json:"allocs_per_request"`
	PeakRSS          int64   `json:"peak_rss_bytes"`

	// While all answers are under way; null with --rounds=0.
	AllocsPerEvent *float64      `json:"allocs_per_event"`
	RatioGo        *float64      `json:"cpu_ratio_to_bare_go"`
	RatioGoRounds  []float64     `json:"cpu_ratio_to_bare_go_rounds"` // ascending
	RatioEpoll     *float64      `json:"cpu_ratio_to_bare_epoll"`     // null, too, where there is no epoll
	Steady         []*readerCost `json:"steady_state"`

	Machine machine `json:"machine"`
}

func writeRow(w io.Writer, output string, r *row, first bool) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(r)
	}
	if first {
		m := r.Machine
		fmt.Fprintf(w, "%s %s, %d × %s, %s, load %s\n", m.OS, m.Kernel, m.CPUs, m.CPU, m.Go, m.LoadAverage)
		fmt.Fprintf(w, "first token %v s, then one each %v s, %d tokens, over %s, connections: %s; times in ms\n\n",
			r.FirstToken, r.PerToken, r.Tokens, r.Over, r.Connection)
		fmt.Fprintf(w, "%7s %9s %5s │ %-23s │ %-23s │ %-15s │ %-15s │ %-13s │ %s\n", "", "", "",
			"TTFT error, kernel", "TTFT error, user", "receive, kernel", "receive, user", "server late", "of the client")
		fmt.Fprintf(w, "%7s %9s %5s │ %7s %7s %7s │ %7s %7s %7s │ %7s %7s │ %7s %7s │ %6s %6s │ %8s %7s %8s %9s %7s\n",
			"streams", "events/s", "lost", "mean", "p50", "p99", "mean", "p50", "p99", "p50", "p99", "p50", "p99", "p50", "p99",
			"µs/event", "×bareGo", "×epoll", "alloc/ev", "RSS MiB")
	}
	ms := func(s *summary, f func(*summary) float64) string {
		if s == nil {
			return "-"
		}
		return fmt.Sprintf("%.3f", f(s)*1e3)
	}
	mean := func(s *summary) float64 { return s.Mean }
	p50 := func(s *summary) float64 { return s.P50 }
	p99 := func(s *summary) float64 { return s.P99 }
	number := func(format string, f *float64) string {
		if f == nil {
			return "-"
		}
		return fmt.Sprintf(format, *f)
	}
	k, u := r.TTFTError.Kernel, r.TTFTError.User
	_, err := fmt.Fprintf(w, "%7d %9.0f %5d │ %7s %7s %7s │ %7s %7s %7s │ %7s %7s │ %7s %7s │ %6s %6s │ %8.2f %7s %8s %9s %7.1f\n",
		r.Streams, r.EventsPerSecond, r.EventsLost, ms(k, mean), ms(k, p50), ms(k, p99), ms(u, mean), ms(u, p50), ms(u, p99),
		ms(r.ReceiveError.Kernel, p50), ms(r.ReceiveError.Kernel, p99), ms(r.ReceiveError.User, p50), ms(r.ReceiveError.User, p99),
		ms(r.Lateness, p50), ms(r.Lateness, p99), r.CPUPerEvent*1e6, number("%.2f", r.RatioGo), number("%.2f", r.RatioEpoll), number("%.4f", r.AllocsPerEvent), float64(r.PeakRSS)/(1<<20))
	return err
}
