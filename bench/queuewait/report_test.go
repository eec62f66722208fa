package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

func TestSummarise(t *testing.T) {
	const ms = time.Millisecond
	r := new(row)
	for i := range 20 {
		truth := time.Duration(10*i) * ms // 0 to 190 ms, the last ten 100 and more
		said := truth + ms
		if i == 19 {
			said = truth - 19*ms
		}
		r.add(compared{said: said, truth: truth, queue: truth / 2, late: 2 * ms, sure: 0.5})
	}
	r.summarise(estimatedRow, 0.3)
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"n", float64(r.N), 20},
		{"bias", r.Bias, 0},
		{"mean error", r.MeanError, 0.0019},
		{"p95 error", r.P95Error, 0.001},
		{"p95 relative", *r.Relative, 0.1}, // of 18
		{"truth mean", r.TruthMean, 0.095},
		{"truth p95", r.TruthP95, 0.180},
		{"queue mean", r.QueueMean, 0.0475},
		{"late", r.LateMean, 0.002},
		{"confidence", *r.Confidence, 0.5},
	} {
		if math.Abs(c.got-c.want) > 1e-9 {
			t.Errorf("%s = %v; want %v", c.what, c.got, c.want)
		}
	}
	if !*r.Met {
		t.Error("an error within 20 ms or 10 % misses the target")
	}
}

func TestTargets(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		row   string
		load  float64
		error time.Duration
		truth time.Duration
		met   bool
	}{
		{bodyRow, 0.3, 2 * ms, 50 * ms, true},
		{bodyRow, 0.3, -3 * ms, 50 * ms, false},
		{derivedRow, 0.3, 4 * ms, 50 * ms, true},
		{ollamaRow, 0.3, 6 * ms, 50 * ms, false},
		{engineRow, 0.3, 2 * ms, 50 * ms, true},
		{engineRow, 0.3, 3 * ms, 50 * ms, false},
		{estimatedRow, 0, 4 * ms, 0, true},
		{estimatedRow, 0, 6 * ms, 0, false},
		{estimatedRow, 0.3, 19 * ms, 50 * ms, true},
		{estimatedRow, 0.3, 21 * ms, 50 * ms, false},
		{estimatedRow, 1.1, 90 * ms, 1000 * ms, true},
		{estimatedRow, 1.1, -110 * ms, 1000 * ms, false},
	} {
		r := new(row)
		for range 10 {
			r.add(compared{said: c.truth + c.error, truth: c.truth})
		}
		r.summarise(c.row, c.load)
		if r.Met == nil || *r.Met != c.met {
			t.Errorf("%s at %v, %v from %v: met is %v; want %t", c.row, c.load, c.error, c.truth, r.Met, c.met)
		}
	}
	none := new(row)
	none.summarise(bodyRow, 0.3)
	if none.Met != nil || none.N != 0 {
		t.Errorf("a source without samples: %+v; want no verdict", none)
	}
}

func TestText(t *testing.T) {
	r := newReport(shares{0.3})
	r.at(0.3).row(bodyRow).add(compared{said: time.Second, truth: time.Second, queue: time.Second})
	r.at(0.3).row(progressRow).LeftOut = 3
	var out bytes.Buffer
	if err := r.write(&out, "text"); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"p95 error within 2 ms: met", "header               - │ not available", "derived_progress     - │ the server was late at each of 3", " 30%  body"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text has no %q:\n%s", want, text)
		}
	}
}
