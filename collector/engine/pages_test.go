package engine

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newTestEngine makes an engine that is not run.
func newTestEngine(t testing.TB, change func(*Options)) *Engine {
	t.Helper()
	o := Options{Target: "chat", MetricsURL: "http://127.0.0.1:8000/metrics", Client: new(http.Client)}
	if change != nil {
		change(&o)
	}
	e, err := New(o, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Each page in testdata reads as the golden file beside it says.
func TestPages(t *testing.T) {
	pages, err := filepath.Glob("testdata/*.page")
	if err != nil || len(pages) < 40 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, path := range pages {
		name := strings.TrimSuffix(filepath.Base(path), ".page")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r, err := newTestEngine(t, nil).read(data)
			golden(t, strings.TrimSuffix(path, ".page")+".golden", readingText(r, err))
		})
	}
}

// readingText is a reading for people: what the page says in our words, before anything is compared with earlier pages.
func readingText(r *reading, err error) string {
	var b strings.Builder
	if err != nil {
		fmt.Fprintf(&b, "not read: %s: %v\n", reasonOf(err), err)
		return b.String()
	}
	fmt.Fprintf(&b, "kind %s, instances %d\n", r.kind, r.instances)
	name := func(id seriesID) string {
		short := strings.TrimPrefix(id.family, prefix)
		if id.value != "" {
			return fmt.Sprintf("%s{%s}", short, id.value)
		}
		return short
	}
	section := func(title string, lines map[seriesID]string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s\n", title)
		for _, id := range slices.SortedFunc(maps.Keys(lines), seriesID.compare) {
			fmt.Fprintf(&b, "  %s %s\n", name(id), lines[id])
		}
	}
	gauges := make(map[seriesID]string)
	for id, v := range r.gauges {
		gauges[id] = fmt.Sprintf("%.10g", v)
	}
	section("gauges", gauges)

	sums, counters := make(map[seriesID]float64), make(map[seriesID]string)
	for _, id := range r.announced {
		sums[id] += 0
	}
	for _, c := range r.counters {
		sums[c.id] += c.value
	}
	for id, v := range sums {
		counters[id] = fmt.Sprintf("%.10g", v)
	}
	section("counters", counters)

	merged, histograms := make(map[seriesID]*histogram), make(map[seriesID]string)
	for _, h := range r.histograms {
		merge(merged, h.id, h.histogram)
	}
	for id, h := range merged {
		histograms[id] = h.text()
	}
	section("histograms", histograms)
	return b.String()
}

// text is h with the bounds at which something was observed.
func (h *histogram) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "count %.10g, sum %.10g, %d bounds", h.count, h.sum, len(h.bounds))
	below := 0.0
	for i, n := range h.counts {
		if n != below {
			fmt.Fprintf(&b, ", %.4g: %.10g", h.bounds[i], n)
			below = n
		}
	}
	return b.String()
}
