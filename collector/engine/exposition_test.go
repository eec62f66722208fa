package engine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
)

// pageText reads one of testdata's.
func pageText(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".page"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// serving is an engine that has read the given pages, ten seconds apart, the last one just now.
func serving(t testing.TB, change func(*Options), pages ...string) *Engine {
	t.Helper()
	e := newTestEngine(t, change)
	for i, p := range pages {
		r, err := e.read([]byte(p))
		if err != nil {
			e.failed(err, 0)
			continue
		}
		e.accept(r, time.Now().Add(time.Duration(i+1-len(pages))*10*time.Second), 0)
	}
	return e
}

// The whole of what is served, as text.
func TestExposition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := serving(t, func(o *Options) { o.Labels = map[string]string{"cluster": "a", "empty": ""} }, pageText(t, "vllm_fresh"), pageText(t, "vllm_0.31"))
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(e)
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		for _, mf := range families {
			if _, err := expfmt.MetricFamilyToText(&b, mf); err != nil {
				t.Fatal(err)
			}
		}
		golden(t, "testdata/exposition.txt", b.String())

		problems, err := testutil.CollectAndLint(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	})
}

// Every family that there is comes from some page, and is right by the linter.
func TestEveryFamilyIsServed(t *testing.T) {
	pages, err := filepath.Glob("testdata/*.page")
	if err != nil {
		t.Fatal(err)
	}
	served := make(map[string]bool)
	synctest.Test(t, func(t *testing.T) {
		for _, path := range pages {
			e := serving(t, nil, pageText(t, strings.TrimSuffix(filepath.Base(path), ".page")))
			for name := range gathered(t, e) {
				name, _, _ = strings.Cut(name, "{")
				served[prefix+strings.TrimSuffix(strings.TrimSuffix(name, "_count"), "_sum")] = true
			}
			problems, err := testutil.CollectAndLint(e)
			if err != nil || len(problems) > 0 {
				t.Errorf("%s: %v, %v", path, problems, err)
			}
		}
	})
	for _, f := range Families() {
		if !served[f.Name] {
			t.Errorf("%s is served for no page", f.Name)
		}
		delete(served, f.Name)
	}
	for name := range served {
		t.Errorf("%s is served and is no family", name)
	}
}

func TestFamilies(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range Families() {
		if seen[f.Name] {
			t.Errorf("%s is in the table twice", f.Name)
		}
		seen[f.Name] = true
		if !strings.HasPrefix(f.Name, prefix) || !strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s: help %q", f.Name, f.Help)
		}
		if got := strings.HasSuffix(f.Name, "_total"); got != (f.Type == Counter) {
			t.Errorf("%s: a %s", f.Name, f.Type)
		}
		if (f.Label == "") != (f.Values == nil) {
			t.Errorf("%s: label %q with values %q", f.Name, f.Label, f.Values)
		}
	}
	for _, k := range engineKinds() {
		for _, r := range rulesOf(k) {
			if !seen[r.family] || len(r.any) == 0 {
				t.Errorf("%s: rule for %q: %d alternatives", k, r.family, len(r.any))
			}
		}
	}
}

// No value of a label is ever one that the table does not list.
func TestLabelValuesAreBounded(t *testing.T) {
	families := newFamilyTable()
	allowed := func(t *testing.T, name string) {
		short, value, ok := strings.Cut(strings.TrimSuffix(name, "}"), "{")
		if !ok || slices.Contains(families[prefix+short].Values, value) {
			return
		}
		t.Errorf("%s has the value %q, which is none of %q", short, value, families[prefix+short].Values)
	}
	synctest.Test(t, func(t *testing.T) {
		e := serving(t, nil, `vllm:request_success_total{finished_reason="ResponseType.made_up"} 1
vllm:request_success_total{finished_reason=""} 1
vllm:request_success_total 1
vllm:admission_rejections_total{reason="made up"} 1
vllm:engine_sleep_state{sleep_state="made up"} 1
`, `sglang:num_running_reqs 1
sglang:startup_time_seconds{phase="made up"} 1
sglang:num_requests_total{reason="made up"} 1
`)
		for name := range gathered(t, e) {
			allowed(t, name)
		}
	})
	for word, want := range map[string]string{
		"stop": finishedStop, "length": finishedLength, "abort": finishedAbort, "error": finishedError, "repetition": finishedOther,
		"ResponseType.FINISH": finishedSuccess, "ResponseType.CANCEL": finishedAbort, "ResponseType.INPUT_LENGTH_ERROR": finishedError,
		"REJECTED": finishedRejected, "CANCELED": finishedAbort, "BACKEND": finishedError,
		"validation": finishedRejected, "dropped": finishedAbort, "": finishedOther, "x.": finishedOther,
	} {
		if got := finishReason(word); got != want {
			t.Errorf("finishReason(%q) = %q; want %q", word, got, want)
		}
	}
}

// A family that the page no longer has is no longer served, and goes on where it stopped when it is there again.
func TestFamilyLeavesAndReturns(t *testing.T) {
	const both, one = "vllm:generation_tokens_total %d\nvllm:num_preemptions_total %d\n", "vllm:generation_tokens_total %d\n"
	pages := []string{fmt.Sprintf(both, 10, 1), fmt.Sprintf(both, 20, 4), fmt.Sprintf(one, 30), fmt.Sprintf(both, 40, 6)}
	for n, want := range map[int]float64{2: 3, 3: -1, 4: 5} {
		got, ok := gathered(t, serving(t, nil, pages[:n]...))["preemptions_total"]
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("after %d pages: %v preemptions; want %v", n, got, want)
		}
	}
}

// What is no number is left out, however it is written, and costs nothing else.
func TestNotANumber(t *testing.T) {
	for _, nan := range []string{"nan", "NaN", "-nan", "+nan", "-NaN", "null", "+Inf", "-Inf"} {
		got := gathered(t, serving(t, nil, "llamacpp:prompt_tokens_total 5\nllamacpp:requests_processing 3\nllamacpp:requests_deferred "+nan+"\n"))
		if _, ok := got["requests_waiting"]; ok || got["up"] != 1 || got["requests_running"] != 3 {
			t.Errorf("%s: %v", nan, got)
		}
	}
}
