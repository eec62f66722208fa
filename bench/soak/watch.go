package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"syscall"
	"time"

	"github.com/llmprober/llm_prober/bench/internal/process"
)

// sample is what was seen at one moment.
type sample struct {
	requests, failed, skipped float64 // so far
	at                        time.Time

	heap, goroutines, series float64
	delay                    *process.Histogram // of dispatch, so far
	page                     process.Page
}

// memory is resident memory at one moment, which is looked at more often than all else.
type memory struct {
	at             time.Time
	rss            float64
	files, threads float64
}

// soak is a run.
type soak struct {
	*settings
	mix     *mix
	file    string // the configuration
	server  string // whom it asks
	prober  *process.Process
	scraper *process.Scraper

	samples  []sample
	memories []memory
	reloads  int
	guest    bool
}

var (
	servesSimulator = regexp.MustCompile(` url=http://([^/\s]+)`)
	servesProber    = regexp.MustCompile(`msg="Listening on" address=(\S+)`)
)

// How often things happen beside the probes.
const (
	eachMemory = time.Second
	eachReload = 20 * time.Second
	eachPage   = 10 * time.Second
)

// measure starts a simulator and a prober, and watches the latter.
func (s *settings) measure(ctx context.Context, m *mix, dir string) (r *report, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sim, err := process.Start(ctx, servesSimulator, s.binary, "simulate", "--listen-address=127.0.0.1:0", "--model=sim-8b",
		"--first-token="+s.firstToken.String(), "--per-token="+s.perToken.String(), fmt.Sprintf("--mean-output-tokens=%v", s.tokens), "--per-request-metrics")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sim.Stop()) }()
	k := &soak{settings: s, mix: m, file: dir + "/soak.yml", server: "http://" + sim.Address}
	if err := k.configure(s.fill > 0); err != nil {
		return nil, err
	}
	k.prober, err = process.Start(ctx, servesProber, s.binary, "--config.file="+k.file, "--storage.path="+dir+"/data",
		"--web.listen-address=127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, k.prober.Stop()) }()
	k.scraper = process.NewScraper(k.prober.Address)
	defer k.scraper.Close()

	if s.fill > 0 {
		if err := k.watch(ctx, s.fill, false); err != nil {
			return nil, err
		}
		if err := k.configure(false); err != nil {
			return nil, err
		}
		if err := k.prober.Signal(syscall.SIGHUP); err != nil {
			return nil, err
		}
	}
	if err := k.watch(ctx, s.warmUp, true); err != nil {
		return nil, err
	}
	return s.lasting(func() (*report, error) { return k.window(ctx) })
}

// window watches for the duration, and says what came of it.
func (k *soak) window(ctx context.Context) (*report, error) {
	k.samples, k.memories, k.reloads = nil, nil, 0
	begin, err := k.prober.Usage()
	if err != nil {
		return nil, err
	}
	if err := k.watch(ctx, k.duration, true); err != nil {
		return nil, err
	}
	end, err := k.prober.Usage()
	if err != nil {
		return nil, err
	}
	return k.report((end.CPU - begin.CPU).Seconds() / end.At.Sub(begin.At).Seconds())
}

// configure writes the configuration.
func (k *soak) configure(filling bool) error {
	text, err := k.mix.file(k.server, filling, k.guest)
	if err != nil {
		return err
	}
	return os.WriteFile(k.file, text, 0o600)
}

// watch looks at the prober for a while, and does what users do: it scrapes, looks at pages and, with reloads, adds a target and
// takes it away.
func (k *soak) watch(ctx context.Context, d time.Duration, reloads bool) error {
	over := time.NewTimer(d)
	defer over.Stop()
	looks, scrapes, pages, hangups := time.NewTicker(eachMemory), time.NewTicker(k.scrapeInterval), time.NewTicker(eachPage), time.NewTicker(eachReload)
	for _, t := range []*time.Ticker{looks, scrapes, pages, hangups} {
		defer t.Stop()
	}
	if err := k.scrape(ctx); err != nil {
		return err
	}
	for {
		var err error
		select {
		case <-over.C:
			return k.scrape(ctx)
		case <-looks.C:
			err = k.look()
		case <-scrapes.C:
			err = k.scrape(ctx)
		case <-pages.C:
			err = k.visit(ctx)
		case <-hangups.C:
			if reloads {
				k.guest = !k.guest
				k.reloads++
				err = errors.Join(k.configure(false), k.prober.Signal(syscall.SIGHUP))
			}
		case <-k.prober.Done():
			err = fmt.Errorf("the prober has ended:\n%s", k.prober.Log.Tail())
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func (k *soak) look() error {
	u, err := k.prober.Usage()
	k.memories = append(k.memories, memory{u.At, float64(u.RSS), float64(u.Files), float64(u.Threads)})
	return err
}

// visit looks at pages, as a human does.
func (k *soak) visit(ctx context.Context) error {
	for _, path := range []string{"/", "/targets/demo-00", "/api/v1/targets"} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+k.prober.Address+path, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		if response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s, %w", path, response.Status, err)
		}
	}
	return nil
}

// scrape scrapes, and keeps what the prober says of itself.
func (k *soak) scrape(ctx context.Context) error {
	scrape, err := k.scraper.Scrape(ctx, process.Protobuf)
	if err != nil {
		return err
	}
	page, err := scrape.Page()
	if err != nil {
		return err
	}
	s := sample{at: time.Now(), series: float64(page.Series())}
	var errs [6]error
	s.requests, errs[0] = page.Sum("llm_probe_requests_total")
	answered, err := page.Sum("llm_probe_requests_total", "outcome", "ok")
	s.failed, errs[4] = s.requests-answered, err
	s.skipped, errs[5] = page.Sum("llm_probe_skipped_total")
	// What the next collection waits for is what the last one left, by a factor: unlike what is allocated now, it does not
	// depend on how long ago that was.
	s.heap, errs[1] = page.Sum("go_memstats_next_gc_bytes")
	s.goroutines, errs[2] = page.Sum("go_goroutines")
	s.delay, errs[3] = page.Histogram("llm_prober_dispatch_delay_seconds")
	if n := len(k.samples); n > 1 {
		k.samples[n-1].page = nil // only the first and the last are asked for more
	}
	s.page = page
	k.samples = append(k.samples, s)
	return errors.Join(errs[:]...)
}
