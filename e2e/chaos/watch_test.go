//go:build linux

package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// watch scrapes once a second, as a Prometheus does that trusts nobody.
type watch struct {
	scraper *scraper

	mu     sync.Mutex // protects what follows
	must   map[string]bool
	last   map[string]float64 // the newest value of each series that must not step back, though it be away for a while
	latest *page
	pages  []figures
	deaf   []failure // scrapes that failed
	back   []string  // steps back
	lost   map[string]lost
}

// failure is a scrape that failed.
type failure struct {
	from, to time.Time
	err      error
}

// lost is when a series was missing.
type lost []time.Time

// figures are what must stay flat.
type figures struct {
	at                       time.Time
	goroutines, files        float64
	resident, heap, duration float64 // bytes, bytes, seconds of the scrape
}

func (f figures) String() string {
	return fmt.Sprintf("%.0f goroutines, %.0f files, %.1f MiB resident, %.1f MiB of heap", f.goroutines, f.files, f.resident/(1<<20), f.heap/(1<<20))
}

func newWatch(address string) *watch {
	return &watch{scraper: newScraper(address), last: map[string]float64{}, lost: map[string]lost{}}
}

// run scrapes until ctx ends.
func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look()
		}
	}
}

// look scrapes once, and compares.
func (w *watch) look() (*page, error) {
	from := time.Now()
	p, err := w.scraper.scrape()
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.deaf = append(w.deaf, failure{from, time.Now(), err})
		return nil, err
	}
	w.take(p, time.Since(from))
	return p, nil
}

// take compares a page, which took so long to get, with those before it.
func (w *watch) take(p *page, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range p.grows {
		v := p.values[key]
		if old, known := w.last[key]; known && v < old && !passing(key) {
			w.back = append(w.back, fmt.Sprintf("%s: %s from %v to %v", p.at.Format("15:04:05"), key, old, v))
		}
		w.last[key] = v
	}
	for key := range w.must {
		if _, there := p.values[key]; !there {
			w.lost[key] = append(w.lost[key], p.at)
		}
	}
	w.latest = p
	w.pages = append(w.pages, figures{
		at: p.at, goroutines: p.sum("go_goroutines"), files: p.sum("process_open_fds"),
		resident: p.sum("process_resident_memory_bytes"), heap: p.sum("go_memstats_heap_alloc_bytes"), duration: took.Seconds(),
	})
}

// passing reports whether a series comes and goes by its nature: those of a run of a ramp, and of a target that is taken away.
func passing(key string) bool {
	if strings.Contains(key, `target="guest"`) {
		return true
	}
	return strings.HasPrefix(key, "llm_ramp_") && strings.Contains(key, "lane=")
}

// withdrawn reports whether a series speaks of something that is not asked now: a GPU without a worker, an engine whose page
// hangs. What is not known is not told; it must come back.
func withdrawn(key string) bool {
	return strings.HasPrefix(key, "llm_gpu_") || strings.HasPrefix(key, "llm_engine_")
}

// begin makes what is there now what must be there from now on.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.must = map[string]bool{}
	for key := range w.latest.values {
		if !passing(key) {
			w.must[key] = true
		}
	}
}

// newest is the newest page.
func (w *watch) newest() *page {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest
}

// usual is what the last pages have in common: the median of each figure, and of the heap the least, which is what is in use.
func (w *watch) usual(pages int) figures {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.pages[max(0, len(w.pages)-pages):]
	median := func(of func(figures) float64) float64 {
		var all []float64
		for _, f := range last {
			all = append(all, of(f))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	u := figures{
		at:         last[len(last)-1].at,
		goroutines: median(func(f figures) float64 { return f.goroutines }),
		files:      median(func(f figures) float64 { return f.files }),
		resident:   median(func(f figures) float64 { return f.resident }),
		duration:   median(func(f figures) float64 { return f.duration }),
	}
	u.heap = slices.MinFunc(last, func(a, b figures) int { return int(a.heap - b.heap) }).heap
	return u
}

// missing lists the series that were not always there, but for those that may be away then, and those that are not there now.
func (w *watch) missing(disturbed []span) (always, now []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(w.lost)) {
		l := w.lost[key]
		if withdrawn(key) || strings.HasPrefix(key, "process_") && !slices.ContainsFunc(l, func(at time.Time) bool { return !short(at, disturbed) }) {
			continue
		}
		always = append(always, fmt.Sprintf("%s: not on %d pages, %s to %s", key, len(l), l[0].Format("15:04:05"), l[len(l)-1].Format("15:04:05")))
	}
	for _, key := range slices.Sorted(maps.Keys(w.must)) {
		if _, there := w.latest.values[key]; !there {
			now = append(now, key)
		}
	}
	return always, now
}

// short reports whether files were short when a page was rendered, up to some seconds before it was here: then there is none for /proc
// either, from which client_golang has what it says of the process.
func short(at time.Time, disturbed []span) bool {
	return slices.ContainsFunc(disturbed, func(s span) bool { return s.name == "files" && s.touches(at.Add(-3*time.Second), at) })
}
