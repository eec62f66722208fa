//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/e2e/process"
)

// The times that a step of the chain may take on a busy machine with two cores; they are reached only when it fails.
const (
	soon  = time.Minute
	later = 3 * time.Minute // ramps begin at full minutes, and are run until one is as expected

	// How long what has become slower is news: 23 hours on, it is itself what is compared with. The alert comes once more than half
	// of what is compared is slow, which may be of an hour or, where that has too few requests, of six; and where a noisy hour of the
	// day before is what it is compared with, once that is over.
	news = 23 * time.Hour / 360

	step = time.Second // of the dashboards
)

// TestChain is the whole of it. It is one test, for all of it is one Prometheus: first the bad night and the broken GPU while
// a day of history comes together, then what is slower than that day, and at last all that was recorded meanwhile.
func TestChain(t *testing.T) {
	bin := os.Getenv("LLM_PROBER_E2E")
	if bin == "" {
		t.Skip("LLM_PROBER_E2E does not name the folder of the programs: run make e2e")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, root, bin)
	t.Cleanup(func() {
		t.Logf("%s in all; the webhook received:\n%s", time.Since(r.started).Round(time.Second), r.webhook.summary())
	})

	t.Run("first day", func(t *testing.T) {
		t.Run("xid", func(t *testing.T) { t.Parallel(); badGPU(t, r) })
		t.Run("nightly ramp", func(t *testing.T) { t.Parallel(); nightly(t, r) })
		t.Run("reload", func(t *testing.T) { t.Parallel(); reload(t, r) })
		t.Run("history", func(t *testing.T) { t.Parallel(); history(t, r) })
	})
	t.Run("second day", func(t *testing.T) {
		t.Run("regression", func(t *testing.T) { t.Parallel(); regression(t, r) })
		t.Run("target down", func(t *testing.T) { t.Parallel(); targetDown(t, r) })
	})
	t.Run("rules", func(t *testing.T) { rules(t, r) })
	for _, job := range jobs {
		t.Run("dashboards/"+job, func(t *testing.T) { dashboards(t, r, job) })
	}
	t.Run("exemplars", func(t *testing.T) { exemplars(t, r) })
	t.Run("pint", func(t *testing.T) { pint(t, r) })
}

// badGPU has the GPU report an error after which it cannot be relied on, and then fail in other ways: errors that are counted, a
// call that fails, and a library that takes its process along.
func badGPU(t *testing.T, r *rig) {
	values := map[string]string{}
	answer := func(key, value string) {
		values[key] = value
		r.write(t, filepath.Base(r.gpuFile), gpu(t, r.root, values))
	}
	process.Await(t, soon, "the GPUs are read", r.found(fmt.Sprintf(`count(llm_gpu_up == 1) == 2 * %d`, len(jobs))))
	since := time.Now()
	answer("xid", "1 0 79")
	r.webhook.await(t, since, soon, "pager", "firing", "LLMGPUXIDCritical", "", jobs...)
	r.webhook.await(t, since, soon, "pager", "resolved", "LLMGPUXIDCritical", "", jobs...)

	errs := 0
	counted := r.grows(`llm_gpu_ecc_errors_total{lifetime="volatile"}`, "llm_gpu_remapped_rows_total", "llm_gpu_clock_event_seconds_total")
	process.Await(t, soon, "the errors are counted", func() error { // and go on until they are
		errs++
		values["fi.3"] = fmt.Sprintf("u64 %d", 3+2*errs)                          // corrected memory errors
		values["fi.74"] = fmt.Sprintf("u64 %d", 4_500_000_000+5_000_000_000*errs) // seconds more at the power limit
		answer("RemappedRows", fmt.Sprintf("%d 0 0 0", 2+errs))
		return counted()
	})
	answer("PowerUsage", "!999")
	process.Await(t, soon, "the failed call is counted", r.grows("llm_gpu_collector_errors_total"))
	answer("PowerUsage", "@crash")
	process.Await(t, soon, "the process is replaced", r.grows("llm_gpu_collector_restarts_total"))
	answer("PowerUsage", "612345")
}

// nightly has a scheduled ramp fail, for its server is slow, and pass once that is repaired.
func nightly(t *testing.T, r *rig) {
	r.webhook.await(t, r.started, later, "tickets", "firing", "LLMRampFailed", "night", jobs...)
	since := time.Now()
	r.night.change(t, "throttle=1")
	r.webhook.await(t, since, later, "tickets", "resolved", "LLMRampFailed", "night", jobs...)
	process.Await(t, later, "the ramp has passed", r.found(fmt.Sprintf(`count(llm_ramp_last_verdict{ramp="nightly", verdict="pass"} == 1) == %d`, len(jobs))))
}

// reload has the prober refuse a configuration, and take it once it is repaired.
func reload(t *testing.T, r *rig) {
	good, since := string(read(t, r.proberFile)), time.Now()
	r.reload(t, good+"\nnonsense: true\n")
	r.webhook.await(t, since, soon, "tickets", "firing", "LLMProberReloadFailed", "", jobs...)
	r.reload(t, good)
	r.webhook.await(t, since, soon, "tickets", "resolved", "LLMProberReloadFailed", "", jobs...)
}

// history waits for a day, with which the next one can be compared: it is known how it was at this time of that day.
func history(t *testing.T, r *rig) {
	for _, name := range []string{"p50_1h_baseline", "p90_1h_baseline", "p50_6h_baseline", "p90_6h_baseline"} {
		for _, target := range []string{"steady", "fragile"} {
			expr := fmt.Sprintf(`count(target_probe:llm_probe_time_to_first_token_seconds:%s{target=%q, probe="talk"}) == %d`, name, target, len(jobs))
			process.Await(t, 6*time.Minute, target+" has "+name, r.found(expr))
		}
	}
	if early := r.webhook.find(r.started, "firing", "LLMTTFTRegression", ""); len(early) > 0 {
		t.Errorf("a regression before anything was slower: %v", early[0])
	}
}

// By how much servers are made slower: the time to first token is then 0.1 to 0.15 s, whether a request has to wait for one step of the
// engine or for two. That is a classic bucket that is further above what it was than the 0.05 s that the rule wants; and an hour still
// has some seventy requests, of the fifty without which the rule looks at six.
const (
	slower  = "throttle=5" // where most wait for two
	slowest = "throttle=6" // where most wait for one
)

// regression makes a server slower, and repairs it.
func regression(t *testing.T, r *rig) {
	since := time.Now()
	r.steady.change(t, slower)
	r.webhook.await(t, since, news, "tickets", "firing", "LLMTTFTRegression", "steady", jobs...)
	r.steady.change(t, "throttle=1")
	r.webhook.over(t, since, 2*soon, "LLMTTFTRegression", "steady", jobs...)
}

// targetDown has a server be slow for so long that the alert outlasts it, kills it, and starts it again.
func targetDown(t *testing.T, r *rig) {
	since := time.Now()
	r.fragile.change(t, slowest)
	r.webhook.await(t, since, news, "tickets", "firing", "LLMTTFTRegression", "fragile", jobs...)
	// Once it is down, six hours are what is compared: nothing new comes to them, so that the alert lasts for most of them.
	process.Await(t, news, "the slowness is in most of six hours", r.found(fmt.Sprintf(`count(
		target_probe:llm_probe_time_to_first_token_seconds:p50_6h{target="fragile", probe="talk"} - target_probe:llm_probe_time_to_first_token_seconds:p50_6h_baseline{target="fragile", probe="talk"} > 0.05
			and target_probe:llm_probe_time_to_first_token_seconds:p90_6h{target="fragile", probe="talk"} > 1.2 * target_probe:llm_probe_time_to_first_token_seconds:p90_6h_baseline{target="fragile", probe="talk"}
	) == %d`, len(jobs))))

	since = time.Now()
	r.fragile.Kill()
	t.Log("fragile: killed")
	r.webhook.await(t, since, soon, "pager", "firing", "LLMTargetDown", "fragile", jobs...)

	// That it is slow is still known to Prometheus, and told to nobody.
	process.Await(t, soon, "the regression is inhibited by the target's being down", func() error {
		down, err := r.alertmanager.alerts(`alertname="LLMTargetDown"`, `target="fragile"`)
		if err != nil {
			return err
		}
		slow, err := r.alertmanager.alerts(`alertname="LLMTTFTRegression"`, `target="fragile"`)
		if err != nil {
			return err
		}
		if len(slow) == 0 {
			return fmt.Errorf("there is no regression")
		}
		for _, s := range slow {
			if s.Status.State != "suppressed" {
				return fmt.Errorf("the regression of job %s is %s", s.Labels["job"], s.Status.State)
			}
			if !slices.ContainsFunc(down, func(d held) bool { return slices.Contains(s.Status.InhibitedBy, d.Fingerprint) }) {
				return fmt.Errorf("the regression of job %s is inhibited by something else: %v", s.Labels["job"], s.Status.InhibitedBy)
			}
		}
		return nil
	})

	since = time.Now()
	r.fragile.restart(t)
	t.Log("fragile: started again")
	counted, last := r.grows(`llm_engine_restarts_total{target="fragile"}`), time.Now()
	process.Await(t, soon, "its restart is counted", func() error {
		err := counted()
		if err != nil && time.Since(last) > 10*time.Second {
			r.fragile.Kill()
			r.fragile.restart(t)
			last = time.Now()
		}
		return err
	})
	r.webhook.await(t, since, soon, "pager", "resolved", "LLMTargetDown", "fragile", jobs...)
	process.Await(t, 2*soon, "no regression is left", func() error {
		left, err := r.alertmanager.alerts(`alertname="LLMTTFTRegression"`, `target="fragile"`)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d are", len(left))
		}
		return err
	})
}

// rules checks that Prometheus could evaluate every rule, and that every recording rule recorded something.
func rules(t *testing.T, r *rig) {
	// The last to come: it is what a ramp found a day ago.
	process.Await(t, later, "there is a knee of the day before", r.found(`target_ramp:llm_ramp_last_knee_requests_per_second:baseline`))
	groups, err := r.prometheus.rules()
	if err != nil {
		t.Fatal(err)
	}
	recorded := 0
	for _, g := range groups {
		t.Logf("group %-22s every %gs, evaluated in %.0f ms", g.Name, g.Interval, 1000*g.EvaluationTime)
		for _, rule := range g.Rules {
			if rule.Health != "ok" || rule.LastError != "" {
				t.Errorf("%s is %s: %s", rule.Name, rule.Health, rule.LastError)
			}
			if rule.Type != "recording" {
				continue
			}
			recorded++
			// What has only just been recorded is between the steps of the first look.
			process.Await(t, soon, rule.Name+" has been recorded", func() error {
				result, err := r.prometheus.during(rule.Name, r.started, 2*time.Second)
				if err == nil && !slices.ContainsFunc(result, series.known) {
					err = fmt.Errorf("nothing is: %s", rule.Query)
				}
				return err
			})
		}
	}
	if recorded == 0 {
		t.Error("there are no recording rules")
	}
}

// exemplars checks that the times to first token lead to requests.
func exemplars(t *testing.T, r *rig) {
	for _, name := range []string{"llm_probe_time_to_first_token_seconds", "llm_probe_time_to_first_token_seconds_bucket"} {
		if n, err := r.prometheus.exemplars(name, r.started); err != nil || n == 0 {
			t.Errorf("%s has %d exemplars with a request's id, error %v", name, n, err)
		}
	}
}

// pint has the shipped rules, in real time, checked against what Prometheus has: no series that they read may be missing.
func pint(t *testing.T, r *rig) {
	config := r.write(t, "pint.hcl", fmt.Sprintf(`
parser { schema = "prometheus" }
prometheus "e2e" { uri = %q }
checks { enabled = ["promql/series"] }
`, r.prometheus.url))
	var out []byte
	// A scrape that fails takes its series away until the next one. What there is not now pint looks for at each fifth minute, of which
	// there may have been one.
	process.Await(t, 6*time.Minute, "pint finds no fault", func() (err error) {
		out, err = exec.Command(r.program("pint"), "--no-color", "--config", config, "lint", "--fail-on=warning", filepath.Join(r.root, "alerts/rules")).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return err
	})
	t.Logf("pint:\n%s", out)
}

// empty lists what may have no data, and why: `DASHBOARD/PANEL/QUERY`, and the reason.
func empty(t *testing.T) map[string]string {
	list := map[string]string{}
	comment := regexp.MustCompile(`^(\S+)\s+(\S.*)$`)
	for line := range strings.Lines(string(read(t, "testdata/empty.txt"))) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := comment.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("testdata/empty.txt: %q has no reason", line)
		}
		list[m[1]] = m[2]
	}
	return list
}

// dashboards evaluates every expression of every dashboard for one job, and expects data. A dashboard that shows one target at
// a time is asked for each target, and has data if it has for one: no target has all kinds of probes.
func dashboards(t *testing.T, r *rig, job string) {
	all, err := loadDashboards(filepath.Join(r.root, "dashboards"))
	if err != nil {
		t.Fatal(err)
	}
	excused := empty(t)
	asked := 0
	deadline := time.Now().Add(later)
	for _, d := range all {
		shown, err := d.shown()
		if err != nil {
			t.Error(err)
			continue
		}
		choices := d.choices(t, r, job)

		// evaluate reports whether there are data for one of the choices.
		evaluate := func(name string, q target) bool {
			own, err := q.grafanas(shown)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return false
			}
			for _, values := range choices {
				expr, err := compression.Expr(substitute(q.Expr, append(own, values...)))
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return false
				}
				// In smaller steps than the shortest window, so that no increase falls between two.
				result, err := r.prometheus.during(expr, r.started, step)
				if q.Instant {
					result, err = r.prometheus.instant(expr)
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return false
				}
				if slices.ContainsFunc(result, series.known) {
					return true
				}
			}
			return false
		}
		for _, p := range d.all() {
			for _, q := range p.Targets {
				name := fmt.Sprintf("%s/%d/%s", d.UID, p.ID, q.RefID)
				known := evaluate(name, q)
				asked++
				reason, ok := excused[name]
				if !ok && !known && q.Instant { // a scrape that fails takes its series away until the next one, and a ramp those of the last
					known = process.Poll(time.Until(deadline), func() error {
						if !evaluate(name, q) {
							return errors.New("no data")
						}
						return nil
					}) == nil
				}
				if ok {
					delete(excused, name)
					t.Logf("%s (%s) may be empty: %s; data: %t", name, p.Title, reason, known)
				} else if !known {
					t.Errorf("%s (%s) has no data: %s", name, p.Title, q.Expr)
				}
			}
		}
		// Most of what annotations mark does not happen here: they need only be answered.
		for _, a := range d.Annotations.List {
			if a.Expr != "" {
				asked++
				evaluate(d.UID+"/annotation/"+a.Name, target{Expr: a.Expr})
			}
		}
	}
	for name := range excused {
		t.Errorf("testdata/empty.txt: there is no %s", name)
	}
	t.Logf("%d expressions of %d dashboards", asked, len(all))
}

// choices are the values that the variables of a dashboard are given, one set after the other: this job, everything where
// everything may be chosen, and each target where one must be. Each variable must have values.
func (d dashboard) choices(t *testing.T, r *rig, job string) [][]variable {
	t.Helper()
	sets := [][]variable{{{"datasource", "prometheus"}, {"job", job}}}
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		selector, label, err := v.selector()
		if err != nil {
			t.Fatalf("%s: %v", d.UID, err)
		}
		found, err := r.prometheus.values(label, substitute(selector, sets[0]), r.started)
		if err != nil || len(found) == 0 {
			t.Errorf("%s: variable %s: %s has no values (%v)", d.UID, v.Name, selector, err)
			continue
		}
		switch {
		case v.Name == "job": // it is what is checked
			if !slices.Contains(found, job) {
				t.Errorf("%s: variable job has %v and not %s", d.UID, found, job)
			}
		case v.IncludeAll:
			for i := range sets {
				sets[i] = append(sets[i], variable{v.Name, ".*"})
			}
		default:
			var more [][]variable
			for _, set := range sets {
				for _, value := range found {
					more = append(more, append(slices.Clone(set), variable{v.Name, value}))
				}
			}
			sets = more
		}
	}
	return sets
}
