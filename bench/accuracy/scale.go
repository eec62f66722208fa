package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// scaleReport is what came of holding many streams open at once.
type scaleReport struct {
	Streams  int     `json:"streams"`
	PerToken float64 `json:"configured_per_token_seconds"`
	Tokens   int     `json:"tokens_per_answer"`
	Seconds  float64 `json:"seconds"` // in which all streams were open

	RequestsFailed  int     `json:"requests_failed"`
	Failure         string  `json:"failure_example,omitempty"`
	Degraded        int     `json:"requests_degraded"`
	Events          int64   `json:"events"`
	EventsLost      int64   `json:"events_lost"`
	EventsUnmatched int64   `json:"events_unmatched"`
	EventsUnmarked  int64   `json:"events_unmarked"`
	EventsPerSecond float64 `json:"events_per_second"` // over the whole run, with the opening and the closing
	KernelShare     float64 `json:"kernel_stamp_share"`

	ReceiveError byClock  `json:"receive_error_seconds"`
	Lateness     *summary `json:"server_lateness_seconds"`
	ClockMoved   float64  `json:"wall_clock_moved_seconds"`
	CPUPerEvent  float64  `json:"cpu_seconds_per_event"`

	// What one stream adds to the client's memory, taken at the end of the time in which all are open.
	RSSPerStream     float64 `json:"rss_bytes_per_stream"`
	PeakRSSPerStream float64 `json:"peak_rss_bytes_per_stream"`
	HeapPerStream    float64 `json:"heap_bytes_per_stream"`  // reachable: after a collection
	StackPerStream   float64 `json:"stack_bytes_per_stream"` // goroutine stacks
	PeakRSS          int64   `json:"peak_rss_bytes"`         // with what the benchmark itself remembers

	// Descriptors and goroutines of the client, and descriptors of the server.
	Before held `json:"before"`
	Open   held `json:"open"`
	After  held `json:"after"`
	Closed bool `json:"closed"` // after is as before

	Machine machine `json:"machine"`
}

// held is what must be given back.
type held struct {
	Files       int `json:"files"`
	Goroutines  int `json:"goroutines"`
	ServerFiles int `json:"server_files"`
}

func holds(target *server) held {
	h := held{Files: openFiles(os.Getpid()), Goroutines: runtime.NumGoroutine(), ServerFiles: -1}
	if target.cmd != nil {
		h.ServerFiles = openFiles(target.cmd.Process.Pid)
	}
	return h
}

// scale holds streams open for the duration and reports.
func (s *setting) scale(ctx context.Context, streams int, stdout io.Writer, output string) error {
	if need := uint64(streams) + 100; maxFiles() < need {
		return fmt.Errorf("%d streams need %d open files, and %d are allowed: ulimit -n %d", streams, need, maxFiles(), need)
	}
	r, err := against(ctx, s, s.pace, func(target *server) (*scaleReport, error) { return s.hold(ctx, target, streams) })
	if err != nil {
		return err
	}
	if output == "json" {
		err = json.NewEncoder(stdout).Encode(r)
	} else {
		err = writeScale(stdout, r)
	}
	if err == nil && (r.EventsLost != 0 || r.RequestsFailed != 0 || !r.Closed) {
		err = errSilent
	}
	return err
}

func (s *setting) hold(ctx context.Context, target *server, streams int) (*scaleReport, error) {
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		return nil, err
	}
	options := s.transport()
	options.Dial = dialFrom(streams/(ports()/2) + 1)
	client, err := transport.New(options)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	spread := max(time.Second, time.Duration(streams)*time.Millisecond)
	l := &load{
		target: target, client: client, protocol: protocol, streams: streams,
		tokens: int((spread+s.duration+unpunctual)/s.pace.perToken) + 3, // so that none ends before the last has been open for the duration
		spread: spread, scatter: s.pace.perToken,
	}
	var free func()
	if l.stamps, free, err = newSends(streams, l.tokens); err != nil {
		return nil, err
	}
	defer free()
	r := &scaleReport{Streams: streams, PerToken: s.pace.perToken.Seconds(), Tokens: l.tokens, Machine: describeMachine()}

	// What a first request leaves behind for good is no part of what a stream costs.
	first := &load{target: target, client: client, protocol: protocol, streams: 1, tokens: 1}
	first.run(ctx, time.Now(), time.Now(), func(result *prober.Result, _ *sends) { err = result.Err })
	if err != nil {
		return nil, fmt.Errorf("first request: %w", err)
	}
	madeBefore, err := target.made(ctx)
	if err != nil {
		return nil, err
	}
	f := &figures{wall: newWallClock(), firstToken: s.pace.firstToken, tokens: l.tokens}
	var base, full, live runtime.MemStats
	runtime.GC()
	debug.FreeOSMemory()
	resetPeak()
	r.Before = atRest(ctx, target)
	runtime.ReadMemStats(&base)
	baseRSS, _ := memory()
	var m meter
	before := m.start()

	start := time.Now()
	open := start.Add(spread + s.pace.perToken + s.pace.firstToken)
	end := open.Add(s.duration)
	var wg sync.WaitGroup
	wg.Go(func() { l.run(ctx, start, start, f.add) })
	if sleepUntil(ctx, open) && sleepUntil(ctx, end) {
		r.Open = holds(target)
		rss, peak := memory()
		runtime.ReadMemStats(&full)
		runtime.GC()
		runtime.ReadMemStats(&live)
		per := func(a, b int64) float64 { return float64(a-b) / float64(streams) }
		r.RSSPerStream, r.PeakRSSPerStream, r.PeakRSS = per(rss, baseRSS), per(peak, baseRSS), peak
		r.HeapPerStream = per(int64(live.HeapAlloc), int64(base.HeapAlloc))
		r.StackPerStream = per(int64(full.StackInuse), int64(base.StackInuse))
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	after := m.stop()
	client.Close()
	r.After, r.Closed = givenBack(ctx, target, r.Before)
	r.Closed = r.Closed && r.Open.Files-r.After.Files >= streams // there was something to give back

	made, err := target.made(ctx)
	if err != nil {
		return nil, err
	}
	moved, err := f.wall.moved()
	if err != nil {
		return nil, err
	}
	r.ClockMoved = moved.Seconds()
	r.Seconds = s.duration.Seconds()
	r.CPUPerEvent = (after.cpu - before.cpu).Seconds() / float64(max(1, f.events))
	r.EventsLost = max(made-madeBefore, f.expected()) - f.events
	r.RequestsFailed, r.Degraded, r.Events = f.failed, f.degraded, f.events
	r.EventsUnmatched, r.EventsUnmarked = f.unmatched, f.unmarked
	r.EventsPerSecond = float64(f.events) / after.at.Sub(before.at).Seconds()
	r.Failure = f.failure()
	r.KernelShare = float64(f.stamped) / float64(max(1, f.events-f.unmatched))
	r.ReceiveError, r.Lateness = f.byClock(&f.receive), f.lateness.summarise()
	return r, nil
}

// unpunctual is how late a machine that stands still may look at what is open.
const unpunctual = 3 * time.Second

// atRest waits until nothing that ended a moment ago is being given back any more.
func atRest(ctx context.Context, target *server) held {
	h := holds(target)
	for range 100 {
		sleepUntil(ctx, time.Now().Add(50*time.Millisecond))
		before := h
		if h = holds(target); h == before {
			break
		}
	}
	return h
}

// givenBack waits until no more is held than before, for some seconds at most: the kernel and the server see the end of a
// connection a little after us.
func givenBack(ctx context.Context, target *server, before held) (after held, all bool) {
	const patience, look = 10 * time.Second, 10 * time.Millisecond
	for waited := time.Duration(0); ; waited += look {
		after = holds(target)
		all = after.Files <= before.Files && after.Goroutines <= before.Goroutines && after.ServerFiles <= before.ServerFiles
		if all || waited >= patience || !sleepUntil(ctx, time.Now().Add(look)) {
			return after, all
		}
	}
}

// dialFrom dials from that many loopback addresses in turn: one address has ports for some ten thousand connections.
// One means whatever the system takes.
func dialFrom(addresses int) func(context.Context, string, string) (net.Conn, error) {
	if addresses <= 1 {
		return nil
	}
	var n atomic.Uint32
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		from := byte(1 + n.Add(1)%uint32(addresses))
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}
		return d.DialContext(ctx, network, addr)
	}
}

func writeScale(w io.Writer, r *scaleReport) error {
	ms := func(s *summary) string {
		if s == nil {
			return "none"
		}
		return fmt.Sprintf("mean %.3f  p50 %.3f  p99 %.3f  max %.3f ms", s.Mean*1e3, s.P50*1e3, s.P99*1e3, s.Max*1e3)
	}
	_, err := fmt.Fprintf(w, `%d streams open for %v s, an event each every %v s
events             %d, lost %d; requests failed %d, degraded %d
receive, kernel    %s
receive, user      %s
server late        %s
CPU                %.1f µs per event
memory per stream  RSS %.1f KiB (peak %.1f), reachable heap %.1f KiB, stacks %.1f KiB
files              %d before, %d open, %d after; of the server %d, %d, %d
goroutines         %d before, %d open, %d after
`, r.Streams, r.Seconds, r.PerToken, r.Events, r.EventsLost, r.RequestsFailed, r.Degraded,
		ms(r.ReceiveError.Kernel), ms(r.ReceiveError.User), ms(r.Lateness), r.CPUPerEvent*1e6,
		r.RSSPerStream/1024, r.PeakRSSPerStream/1024, r.HeapPerStream/1024, r.StackPerStream/1024,
		r.Before.Files, r.Open.Files, r.After.Files, r.Before.ServerFiles, r.Open.ServerFiles, r.After.ServerFiles,
		r.Before.Goroutines, r.Open.Goroutines, r.After.Goroutines)
	return err
}
