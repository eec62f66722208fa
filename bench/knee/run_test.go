package main

import (
	"math"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/llmprober/llm_prober/prober/ramp"
	"github.com/llmprober/llm_prober/prober/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSummarise(t *testing.T) {
	got := summarise([]found{{knee: 49, requests: 10}, {knee: 52, requests: 20, invalid: 1}, {knee: 50, requests: 30}}, 50)
	if got.Median != 50 || math.Abs(got.WorstRelativeError-.04) > 1e-9 || math.Abs(got.Requests-20) > 1e-9 || got.Invalid != 1 {
		t.Errorf("summarise() = %+v; want median 50, error 0.04, 20 requests, 1 invalid", got)
	}
}

// Far below the capacity a short search finds that all loads hold, on any machine.
func TestFindAsksTheServer(t *testing.T) {
	s := settings{process: workload.Constant{}, threshold: 20 * time.Second, late: time.Minute}
	truth, f, err := s.find(t.Context(), "search", 1, func(l *ramp.Lane) {
		l.Search = &ramp.Search{From: 40, To: 41, Stage: 1200 * time.Millisecond}
	})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(truth-50) > 2 || f.knee != 41 || f.requests < 40 || f.invalid != 0 {
		t.Errorf("truth %v, found %+v; want about 50, and 41", truth, f)
	}
}
