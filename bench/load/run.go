package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

// settings are what is asked for.
type settings struct {
	rate     float64
	streams  int
	duration time.Duration
}

// report is what came of it. Times are in seconds.
type report struct {
	Rate         float64 `json:"requests_per_second"`
	Streams      int     `json:"streams"`
	Seconds      float64 `json:"seconds"`
	CPUs         int     `json:"cpus"`
	Planned      int     `json:"planned"`
	Sent         int     `json:"sent"`
	Shed         int     `json:"shed"`
	Failed       int     `json:"failed"`
	OpenStreams  int     `json:"open_streams_mean"`
	LatenessP50  float64 `json:"dispatch_lateness_p50_seconds"`
	LatenessP99  float64 `json:"dispatch_lateness_p99_seconds"`
	LatenessMax  float64 `json:"dispatch_lateness_max_seconds"`
	TTFTP99      float64 `json:"ttft_p99_seconds"`       // of short requests, from the intended time
	CPUSeconds   float64 `json:"cpu_seconds_per_second"` // server included
	Invalid      string  `json:"invalid,omitempty"`
	StreamFailed int     `json:"streams_failed"`
}

func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	app := kingpin.New("load", "Measure how late requests are dispatched under load.")
	helped := false
	app.Writer(stdout).Terminate(func(int) { helped = true })
	var s settings
	app.Flag("rate", "Short requests a second.").Default("2000").Float64Var(&s.rate)
	app.Flag("streams", "Streams held open meanwhile.").Default("2000").IntVar(&s.streams)
	app.Flag("duration", "How long.").Default("1m").DurationVar(&s.duration)
	output := app.Flag("output", "text, or json.").Default("text").Enum("text", "json")
	if _, err := app.Parse(args); err != nil || helped {
		return err
	}
	r, err := s.measure(ctx)
	if err != nil {
		return err
	}
	if *output == "json" {
		return json.NewEncoder(stdout).Encode(r)
	}
	_, err = fmt.Fprintf(stdout, "%.0f requests/s and %d open streams for %.0f s on %d CPUs: %d of %d sent, %d failed, %d of the streams\n"+
		"dispatch lateness p50 %.3f ms, p99 %.3f ms, max %.3f ms; TTFT p99 %.3f ms; %.2f CPUs in use, server included\n%s",
		r.Rate, r.OpenStreams, r.Seconds, r.CPUs, r.Sent, r.Planned, r.Failed, r.StreamFailed,
		1e3*r.LatenessP50, 1e3*r.LatenessP99, 1e3*r.LatenessMax, 1e3*r.TTFTP99, r.CPUSeconds, r.Invalid)
	return err
}

// measure runs the ramp against the server: first the streams are opened, 400 a second, then the short requests come.
func (s *settings) measure(ctx context.Context) (*report, error) {
	opening := max(time.Duration(float64(s.streams)/400*float64(time.Second)), time.Second) + time.Second
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	serving, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	srv := &server{hold: s.duration + opening + time.Second}
	wg.Go(func() { srv.serve(serving, l) })

	client, err := transport.New(transport.Options{Reuse: true, MaxIdle: 10_000})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ask, err := asker(client, "http://"+l.Addr().String()+"/short")
	if err != nil {
		return nil, err
	}
	hold, err := asker(client, "http://"+l.Addr().String()+"/stream")
	if err != nil {
		return nil, err
	}
	plan := ramp.Plan{
		Name: "load", Target: "bare", Drain: 30 * time.Second,
		Lanes: []ramp.Lane{{
			Name: "short", MaxInFlight: 20_000, Process: workload.Poisson{},
			Probes: map[string]ramp.Probe{"short": {Ask: ask}}, Mix: ramp.Mix{"short": 1},
			Stages: []ramp.Stage{{Over: opening}, {From: s.rate, To: s.rate, Over: s.duration, WarmUp: -1}},
		}},
	}
	if s.streams > 0 {
		rate := float64(s.streams) / (opening - time.Second).Seconds()
		plan.Lanes = append(plan.Lanes, ramp.Lane{
			Name: "streams", MaxInFlight: 2 * s.streams,
			Probes: map[string]ramp.Probe{"stream": {Ask: hold}}, Mix: ramp.Mix{"stream": 1},
			Stages: []ramp.Stage{{From: rate, To: rate, Over: opening - time.Second, WarmUp: -1}, {Over: s.duration + time.Second}},
		})
	}
	watch := &cpuMeter{}
	rec, err := ramp.Run(ctx, plan, watch)
	if err != nil {
		return nil, err
	}
	if rec.Stopped != "" {
		return nil, fmt.Errorf("stopped: %s", rec.Stopped)
	}
	stage := rec.Lanes[0].Stages[1]
	r := &report{
		Rate: s.rate, Streams: s.streams, Seconds: stage.Measured().Seconds(), CPUs: runtime.GOMAXPROCS(0),
		Planned: stage.Planned, Sent: stage.Sent, Shed: stage.Shed, Invalid: stage.Invalid,
		LatenessP50: stage.DispatchDelay.Quantile(.5).Seconds(), LatenessP99: stage.DispatchDelay.Quantile(.99).Seconds(),
		LatenessMax: stage.DispatchDelay.Max().Seconds(), CPUSeconds: watch.share(),
	}
	if p := stage.Probes["short"]; p != nil {
		r.Failed, r.TTFTP99 = p.Failed(), p.TTFT.Quantile(.99).Seconds()
	}
	if s.streams > 0 {
		r.OpenStreams = int(rec.Lanes[1].Stages[1].InFlight + .5)
		r.StreamFailed = rec.Lanes[1].Stages[0].Probes["stream"].Failed()
	}
	return r, nil
}

// asker asks one question of that base.
func asker(client *transport.Client, base string) (ramp.Ask, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		return nil, err
	}
	p := prober.New(prober.Options{URL: u, Protocol: protocol, Client: client})
	call := wire.Call{Model: "bare", Stream: true, MaxOutputTokens: 1, Messages: []wire.Message{{Role: "user", Content: "Say a."}}}
	return func(ctx context.Context, intended time.Time, sink prober.Sink) {
		sink.Observe(p.Do(ctx, &prober.Request{
			ID: prober.NewID(), Target: "bare", Probe: "short", Intended: intended, Call: call, Limits: prober.Limits{Total: 10 * time.Minute},
		}))
	}, nil
}

// cpuMeter measures the process's CPU time while short requests are sent.
type cpuMeter struct {
	ramp.Unobserved
	mu         sync.Mutex
	from, to   time.Time
	began, end time.Duration
}

// StageStarted implements ramp.Observer.
func (m *cpuMeter) StageStarted(w ramp.Where, _ record.Kind, begin, _ float64) {
	if w.Lane == "short" && begin > 0 {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.from, m.began = time.Now(), cpu()
	}
}

// Progress implements ramp.Observer.
func (m *cpuMeter) Progress(s *ramp.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.from.IsZero() && s.Lanes[0].Planned > 0 {
		m.to, m.end = time.Now(), cpu()
	}
}

// share is how many CPUs were in use.
func (m *cpuMeter) share() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.to.After(m.from) {
		return 0
	}
	return (m.end - m.began).Seconds() / m.to.Sub(m.from).Seconds()
}

// cpu is the CPU time of the process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
