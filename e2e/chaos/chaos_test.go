//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/e2e/process"
)

// What the environment says.
const (
	duration = "LLM_PROBER_CHAOS"        // how long things go wrong, as 3m; without it the test is skipped
	seed     = "LLM_PROBER_CHAOS_SEED"   // of what goes wrong when; without it a new one, which is printed
	binary   = "LLM_PROBER_CHAOS_BINARY" // the prober
)

// What is flat: what there may be more of at the end than after the beginning. Goroutines and files vary by the requests that are
// under way, one or two of each for each of some fifteen targets. Of the heap, the histories of the pages and of the API take up to
// some 200 KiB a probe, and the list of runs its part, once they are full: 3.5 MiB in half an hour. What is resident follows
// the heap's peaks, the highest of which are those of ten thousand mistakes in a configuration.
const (
	moreGoroutines = 12
	moreFiles      = 12
	moreHeap       = 8 << 20
	moreResident   = 48 << 20
)

// TestChaos has everything go wrong that doc.go lists, at random and at once, and then looks at what the prober made of it.
func TestChaos(t *testing.T) {
	if os.Getenv(duration) == "" {
		t.Skip(duration + " does not say how long: run make chaos")
	}
	total, err := time.ParseDuration(os.Getenv(duration))
	if err != nil {
		t.Fatalf("%s: %v", duration, err)
	}
	source, err := strconv.ParseUint(os.Getenv(seed), 10, 64)
	if os.Getenv(seed) == "" {
		source, err = rand.Uint64N(1e6), nil
	}
	if err != nil {
		t.Fatalf("%s: %v", seed, err)
	}
	t.Logf("%s=%d", seed, source)
	started := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(t.Output(), "%6.1fs  "+format+"\n", append([]any{time.Since(started).Seconds()}, args...)...)
	}

	r := newRig(t, os.Getenv(binary))
	w := newWatch(r.address)
	watching, unwatch := context.WithCancel(t.Context())
	var watcher sync.WaitGroup
	watcher.Go(func() { w.run(watching) })
	watcher.Go(func() { r.stalls(watching) })
	defer watcher.Wait()
	defer unwatch()

	// First nothing is wrong.
	process.Await(t, time.Minute, "all targets have been asked, and the GPU and the engine are read", func() error {
		p := w.newest()
		if p == nil {
			return errors.New("there is no page")
		}
		for _, target := range r.targets() {
			if p.sum("llm_probe_requests_total", `target="`+target+`"`) < 3 {
				return fmt.Errorf("not %s", target)
			}
		}
		return r.well(p)
	})
	if _, err := r.ramp(t.Context()); err != nil { // it leaves a baseline, whose series must stay
		t.Fatal(err)
	}
	process.Await(t, 30*time.Second, "there is a baseline", func() error {
		if w.newest().count("llm_baseline_seconds") == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	w.begin()
	const pages = 10
	warm := time.Now()
	process.Await(t, time.Minute, "it is known how the prober is when all is well", func() error {
		if since := time.Since(warm); since < pages*time.Second {
			return fmt.Errorf("it is known for %s", since)
		}
		return nil
	})
	before, first := w.usual(pages), w.newest()
	say("before: %v", before)

	// Then everything is.
	wrong, cancel := context.WithTimeoutCause(t.Context(), total, errors.New("the test is over"))
	defer cancel()
	var errs struct {
		sync.Mutex
		list []error
	}
	var running sync.WaitGroup
	begin := func(run func() error) {
		running.Go(func() {
			if err := run(); err != nil {
				say("%v", err)
				errs.Lock()
				defer errs.Unlock()
				errs.list = append(errs.list, err)
			}
		})
	}
	random := func(name string) *rand.Rand {
		hash := fnv.New64a()
		hash.Write([]byte(name))
		return rand.New(rand.NewPCG(source, hash.Sum64()))
	}
	for _, s := range append(slices.Clone(r.scripts), r.engine(w)) {
		begin(func() error { return s.run(wrong, random(s.target), random(s.kind), say) })
	}
	troubles := []trouble{r.files(), r.reloads(), r.readers(), r.worker()}
	if r.isolated {
		troubles = append(troubles, r.disk())
	}
	for _, x := range troubles {
		begin(func() error { return x.run(wrong, random(x.name), say) })
	}
	ended := make(chan struct{})
	go func() { defer close(ended); running.Wait() }()
	select {
	case <-ended:
	case <-r.prober.Done():
		cancel()
		<-ended
		t.Fatalf("the prober ended: %v", r.prober.Err())
	}
	for _, err := range errs.list {
		t.Error(err)
	}

	// And then nothing again.
	say("all is lifted")
	http.DefaultClient.CloseIdleConnections()
	calm := time.Now()
	var after figures
	flat := process.Poll(2*time.Minute, func() error {
		if err := r.well(w.newest()); err != nil {
			calm = time.Now() // a worker that hangs is not missed at once
			return err
		}
		if since := time.Since(calm); since < pages*time.Second {
			return fmt.Errorf("all has been well only for %s", since)
		}
		after = w.usual(pages)
		if after.goroutines > before.goroutines+moreGoroutines || after.files > before.files+moreFiles ||
			after.heap > before.heap+moreHeap || after.resident > before.resident+moreResident {
			return fmt.Errorf("%v; before %v", after, before)
		}
		return nil
	})
	say("after: %v", after)
	unwatch()
	watcher.Wait()

	var requests []request
	var bad []string
	last, counted := r.count(t, w, &requests, &bad)
	tookEnd := time.Now()
	r.prober.Stop()
	say("the prober ended %s after it was asked to", time.Since(tookEnd).Round(time.Millisecond))

	of := map[string][]request{}
	for _, q := range requests {
		of[q.target] = append(of[q.target], q)
	}
	t.Run("outcomes", func(t *testing.T) {
		for _, line := range bad {
			t.Errorf("the log has: %.2000s", line)
		}
		r.outcomes(t, of)
		if counted != nil {
			t.Errorf("/metrics and the log do not agree: %v", counted)
		}
	})
	t.Run("rate", func(t *testing.T) { r.rate(t, of, first, last) })
	t.Run("series", func(t *testing.T) { series(t, r, w) })
	t.Run("flat", func(t *testing.T) {
		if flat != nil {
			t.Error(flat)
		}
	})
	t.Run("faults", func(t *testing.T) { r.faults(t, first, last) })
	t.Run("shutdown", func(t *testing.T) {
		if err := r.prober.Err(); err != nil {
			t.Errorf("the prober ended with %v; want in order", err)
		}
		if r.isolated {
			if _, err := os.Stat(r.storage + "/history"); err != nil {
				t.Errorf("what a restart would forget was not kept: %v", err)
			}
		}
	})
	for _, fault := range []string{"names", "disk"} {
		t.Run(fault, func(t *testing.T) {
			if !r.isolated {
				t.Skipf("NOT TESTED: this user may not have namespaces here: %s", os.Getenv(outside))
			}
		})
	}
}

// well says what is not well of what is away for a while when things go wrong.
func (r *rig) well(p *page) error {
	switch {
	case p.sum("llm_engine_up", `target="engined"`) != 1:
		return errors.New("the engine is not read")
	case p.count("llm_gpu_power_draw_watts")+p.count("llm_gpu_up") == 0 || p.sum("llm_gpu_up") == 0:
		return errors.New("the GPU is not read")
	}
	return nil
}

// count reads the log and /metrics until they have spoken of the same requests of each target, probe and outcome: requests go on, and the
// log may be a moment behind, or before.
func (r *rig) count(t *testing.T, w *watch, requests *[]request, bad *[]string) (last *page, disagreement error) {
	t.Helper()
	type key struct{ target, probe, outcome string }
	agreed := map[key]bool{}
	disagreement = process.Poll(30*time.Second, func() error {
		p, err := w.look()
		if err != nil {
			return err
		}
		last = p
		if *requests, *bad, err = readRequests(r.prober.Log); err != nil {
			t.Fatal(err)
		}
		logged, total := map[key]float64{}, map[string]float64{}
		for _, q := range *requests {
			logged[key{q.target, q.probe, q.outcome}]++
			if q.outcome != "unsent" {
				total[q.target]++
			}
		}
		var wrong []error
		agree := func(k key, got, want float64) {
			if agreed[k] = agreed[k] || got == want; !agreed[k] {
				wrong = append(wrong, fmt.Errorf("%v: %v on /metrics, %v in the log", k, got, want))
			}
		}
		for k, n := range logged {
			if k.target == "guest" || k.outcome == "canceled" {
				continue
			}
			name, label := "llm_probe_requests_total", `outcome="`+k.outcome+`"`
			if k.outcome == "unsent" {
				name, label = "llm_probe_skipped_total", `reason="prober_resources"`
			}
			agree(k, p.sum(name, `target="`+k.target+`"`, `probe="`+k.probe+`"`, label), n)
		}
		for _, target := range r.targets() {
			agree(key{target: target}, p.sum("llm_probe_requests_total", `target="`+target+`"`), total[target])
		}
		return errors.Join(wrong...)
	})
	if last == nil {
		t.Fatalf("/metrics does not answer: %v", disagreement)
	}
	return last, disagreement
}

// outcomes checks each request against what was wrong with its target at its time, and that each fault was met.
func (r *rig) outcomes(t *testing.T, of map[string][]request) {
	seen, fell := map[string]map[string]int{}, map[string]int{}
	report := func(wrong []string) {
		for i, text := range wrong {
			if i == 10 {
				t.Errorf("... and %d more", len(wrong)-i)
				break
			}
			t.Error(text)
		}
	}
	for _, s := range r.scripts {
		wrong, met, wholly := s.judge(of[s.target], r.disturbed)
		report(wrong)
		for name, n := range wholly {
			fell[name] += n
		}
		for name, outcomes := range met {
			if seen[name] == nil {
				seen[name] = map[string]int{}
			}
			for o, n := range outcomes {
				seen[name][o] += n
			}
		}
	}
	for target, want := range r.control {
		always := script{target: target, spans: []span{{name: "always", want: want}}}
		wrong, met, _ := always.judge(of[target], r.disturbed)
		report(wrong)
		seen[target] = met["always"]
	}
	guest := script{target: "guest", spans: []span{{name: "guest", want: []string{"ok", "canceled"}}}}
	wrong, _, _ := guest.judge(of["guest"], r.disturbed)
	report(wrong)

	var lines []string
	for _, s := range r.scripts {
		for _, st := range s.states {
			if fell[st.name] == 0 {
				t.Errorf("no request fell into %q of %s", st.name, s.target)
			}
		}
	}
	for name, outcomes := range seen {
		lines = append(lines, fmt.Sprintf("%-20s %v", name, outcomes))
	}
	slices.Sort(lines)
	t.Logf("requests that nothing else could have disturbed, by state and outcome:\n%s", strings.Join(lines, "\n"))
}

// rate checks that each probe was asked once in each interval, or counted as skipped, and the control ones without any exception.
func (r *rig) rate(t *testing.T, of map[string][]request, first, last *page) {
	took := last.at.Sub(first.at)
	for _, target := range r.targets() {
		label := `target="` + target + `"`
		more := func(family string, labels ...string) float64 {
			return last.sum(family, append(labels, label)...) - first.sum(family, append(labels, label)...)
		}
		probes := float64(last.count("llm_probe_up", label))
		requests, skipped := more("llm_probe_requests_total"), more("llm_probe_skipped_total")
		want := probes * took.Seconds() / interval.Seconds()
		if got := requests + skipped; got < want-2*probes || got > want+2*probes {
			t.Errorf("%s: %v requests and %v skipped in %s; want %.1f together", target, requests, skipped, took, want)
		}
		if n := more("llm_probe_canceled_total"); n != 0 {
			t.Errorf("%s: %v requests were canceled; want none, for its configuration never changed", target, n)
		}
		unsent := more("llm_probe_skipped_total", `reason="prober_resources"`)
		if _, fixed := r.control[target]; fixed && skipped != unsent && !r.stood() {
			t.Errorf("%s: %v requests were skipped; want none but the %v for want of files", target, skipped, unsent)
		}
		if n := more("llm_probe_skipped_total", `reason="missed"`); n != 0 && !r.stood() {
			t.Errorf("%s: %v ticks were missed; want none", target, n)
		}
		byProbe := map[string][]time.Time{}
		for _, q := range of[target] {
			byProbe[q.probe] = append(byProbe[q.probe], q.from)
		}
		for probe, at := range byProbe {
			slices.SortFunc(at, time.Time.Compare)
			gap := time.Duration(0)
			for i := range len(at) - 1 {
				gap = max(gap, at[i+1].Sub(at[i]))
			}
			t.Logf("%-10s %-6s %4.0f requests, %2.0f skipped in all; longest gap %s", target, probe, requests, skipped, gap.Round(time.Millisecond))
			if _, fixed := r.control[target]; fixed && gap > 2*interval && !r.stood() {
				t.Errorf("%s/%s: nothing was asked for %s", target, probe, gap)
			}
		}
	}
}

// series checks that /metrics was served, lost nothing, and never stepped back.
func series(t *testing.T, r *rig, w *watch) {
	for _, f := range w.deaf {
		if !slices.ContainsFunc(r.disturbed, func(s span) bool { return s.deaf && s.touches(f.from, f.to) }) {
			t.Errorf("scrape at %s: %v", f.from.Format("15:04:05"), f.err)
		}
	}
	always, now := w.missing(r.disturbed)
	for _, text := range always[:min(len(always), 20)] {
		t.Errorf("series lost: %s", text)
	}
	for _, text := range now[:min(len(now), 20)] {
		t.Errorf("series not there at the end: %s", text)
	}
	for _, text := range w.back[:min(len(w.back), 20)] {
		t.Errorf("step back: %s", text)
	}
	slowest := slices.MaxFunc(w.pages, func(a, b figures) int { return int(1e6 * (a.duration - b.duration)) })
	most := slices.MaxFunc(w.pages, func(a, b figures) int { return int(a.resident - b.resident) })
	t.Logf("%d pages with %d series; %d scrapes failed while they might; the slowest took %.0f ms; at most %v",
		len(w.pages), len(w.must), len(w.deaf), 1000*slowest.duration, most)
}

// faults checks that the troubles were real.
func (r *rig) faults(t *testing.T, first, last *page) {
	restarts := func(reason string) float64 {
		label := `reason="` + reason + `"`
		return last.sum("llm_gpu_collector_restarts_total", label) - first.sum("llm_gpu_collector_restarts_total", label)
	}
	if got, want := restarts("crashed"), float64(r.kills.Load()); got != want || want == 0 {
		t.Errorf("%v workers crashed; want %v, as were killed", got, want)
	}
	if got, want := restarts("silent"), float64(r.hangs.Load()); got != want {
		t.Errorf("%v workers were silent; want %v, as were stopped", got, want)
	}
	reloads := map[string]float64{}
	for _, result := range []string{"success", "failure"} {
		reloads[result] = last.sum("llm_prober_config_reloads_total", `result="`+result+`"`)
		if reloads[result] < 2 {
			t.Errorf("%v reloads ended in %s; want many", reloads[result], result)
		}
	}
	if r.hung < few {
		t.Errorf("at most %d readers hung at once; want %d", r.hung, few)
	}
	spans := map[string]int{}
	for _, s := range r.disturbed {
		spans[s.name]++
	}
	if unsent := last.sum("llm_probe_skipped_total", `reason="prober_resources"`); spans["files"] == 0 || unsent == 0 {
		t.Errorf("files were short %d times, and %v requests were not sent for that; want some", spans["files"], unsent)
	}
	var failures []string
	for key, v := range last.values {
		if v > 0 && matches(key, "llm_engine_scrape_failures_total", `target="engined"`) {
			failures = append(failures, fmt.Sprintf("%s %v", key, v))
		}
	}
	slices.Sort(failures)
	t.Logf("workers: %d killed, %d stopped; reloads: %v; disturbed: %v; readers that hung at once: %d; ramps on a full disk: %d, with room: %d; engine: %v",
		r.kills.Load(), r.hangs.Load(), reloads, spans, r.hung, r.unwritten.Load(), r.written.Load(), failures)
	if r.isolated && (r.unwritten.Load() == 0 || r.written.Load() == 0) {
		t.Error("the disk was never full")
	}
}
