package runs

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

func TestBaselines(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	if all, err := s.Baselines(); err != nil || len(all) != 0 {
		t.Errorf("Baselines of nothing = %v, %v", all, err)
	}
	save := func(target string, values ...BaselineValue) {
		t.Helper()
		if err := s.SaveBaseline(target, values); err != nil {
			t.Fatal(err)
		}
	}
	v := func(probe, indicator string, q, seconds float64) BaselineValue {
		return BaselineValue{Probe: probe, Indicator: indicator, Quantile: q, Seconds: seconds, Run: "r", SavedAt: begin}
	}
	save("chat", v("rag", "ttft", 0.95, 2), v("chat", "ttft", 0.95, 0.8), v("chat", "ttft", 0.5, 0.2))
	save("other", v("chat", "duration", 0.5, 9))
	save("chat", v("chat", "ttft", 0.99, 1.5)) // all of the probe's old values go, other probes' stay
	want := map[string][]BaselineValue{
		"chat":  {v("chat", "ttft", 0.99, 1.5), v("rag", "ttft", 0.95, 2)},
		"other": {v("chat", "duration", 0.5, 9)},
	}
	for _, s := range []*Store{s, must(t, dir)} {
		if got, err := s.Baselines(); err != nil {
			t.Error(err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Baselines (-want +got):\n%s", diff)
		}
	}
	for _, bad := range []BaselineValue{v("", "ttft", 0.5, 1), v("p", "", 0.5, 1), v("p", "ttft", 1.5, 1), v("p", "ttft", math.NaN(), 1), v("p", "ttft", 0.5, math.Inf(1)), v("p", "ttft", 0.5, -1), v("p", "ttft", 0.5, math.NaN())} {
		if err := s.SaveBaseline("chat", []BaselineValue{bad}); err == nil {
			t.Errorf("SaveBaseline(%+v) = nil; want an error", bad)
		}
	}
	if err := s.SaveBaseline("chat", nil); err == nil {
		t.Error("SaveBaseline of nothing = nil; want an error")
	}
	if err := s.DropBaseline("other"); err != nil {
		t.Error(err)
	}
	if err := s.DropBaseline("other"); !errors.Is(err, ErrNotFound) {
		t.Errorf("DropBaseline = %v", err)
	}
	save("new", BaselineValue{Probe: "p", Indicator: "ttft", Quantile: 0.5, Seconds: 1})
	if all, err := s.Baselines(); err != nil || len(all) != 2 || all["new"][0].SavedAt.IsZero() {
		t.Errorf("Baselines = %v, %v", all, err)
	}
}

func TestPins(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{})
	a := put(t, s, sampleRun("soak", begin, record.Pass), 0)
	b := put(t, s, sampleRun("soak", begin, record.Pass), 0)
	for _, id := range []string{a, b} {
		if err := s.Pin("release", id); err != nil {
			t.Fatal(err)
		}
	}
	pins, err := s.Pins()
	if err != nil || len(pins) != 1 || pins["release"].Run != b || pins["release"].At.IsZero() {
		t.Errorf("Pins = %v, %v; want %s", pins, err, b)
	}
	if err := s.Pin("", a); err == nil {
		t.Error("Pin without a name = nil; want an error")
	}
	if err := s.Unpin("nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Unpin(nobody) = %v", err)
	}
	if err := s.Remove(a); err != nil {
		t.Errorf("Remove of what lost its name = %v", err)
	}
}

func TestNewerBaselines(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	text := []byte(`{"schema":2,"targets":{"chat":[]}}`)
	if err := os.WriteFile(filepath.Join(dir, baselinesFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
	err := s.SaveBaseline("chat", []BaselineValue{{Probe: "p", Indicator: "ttft", Quantile: 0.5, Seconds: 1}})
	if err == nil || !strings.Contains(err.Error(), "use that version") {
		t.Errorf("SaveBaseline = %v", err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, baselinesFile)); string(got) != string(text) {
		t.Errorf("a newer file was changed to %s", got)
	}
}
