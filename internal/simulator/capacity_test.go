package simulator

import (
	"fmt"
	"testing"
)

func TestCapacityIsWhatTheModelDoes(t *testing.T) {
	for _, test := range []struct {
		opts           Options
		prompt, output int
		batch          int
	}{
		{Options{}, 400, 256, 64},
		{Options{MaxRunning: 8}, 4000, 200, 8},
		{Options{MaxRunning: 64, KVTokens: 40000}, 4000, 200, 9}, // the cache holds fewer than the batch
		{Options{MaxRunning: 1}, 50, 64, 1},
		{Options{MaxBatchedTokens: 8192}, 400, 256, 64},
		{Options{MaxBatchedTokens: 2048}, 4000, 200, 64},                 // prompts in three pieces
		{Options{MaxBatchedTokens: 512}, 1000, 20, 64},                   // the budget limits
		{Options{MaxBatchedTokens: 256}, 4000, 200, 64},                  // and more so
		{Options{MaxBatchedTokens: 256, KVTokens: 32768}, 1000, 200, 27}, // cache and budget
		{Options{Profile: "h100-8b"}, 400, 256, 256},
		{Options{Profile: "4xh100-70b", PrefixCache: true}, 50, 64, 256},
	} {
		s, err := New(test.opts)
		if err != nil {
			t.Fatal(err)
		}
		c := s.Capacity(test.prompt, test.output)
		if c.Batch != test.batch {
			t.Errorf("Capacity(%d, %d).Batch = %d; want %d", test.prompt, test.output, c.Batch, test.batch)
		}
		// A backlog that keeps the batch full.
		e := newScheduler(&s.opts, newCounts())
		n := 40 * c.Batch
		for i := range n {
			submit(t, e, newSequence(fmt.Sprint(i), test.prompt, test.output))
		}
		ends := drain(e, 0)
		got := float64(n) / (float64(ends[len(ends)-1]) / 1e9)
		if ratio := got / c.RequestsPerSecond; ratio < .97 || ratio > 1.001 {
			t.Errorf("the model did %.3f requests/s; want %.3f, or a little less for the beginning and the end", got, c.RequestsPerSecond)
		}
	}
}

func TestExplain(t *testing.T) {
	for name, o := range map[string]Options{"explain": {}, "explain_small": {MaxModelLen: 2048, MaxRunning: 4}, "explain_fixed": {FirstToken: 300 * ms, PerToken: 20 * ms},
		"explain_profile": {Profile: "l4-8b", MaxQueued: 200, Priority: true}, "explain_4xh100-70b": {Profile: "4xh100-70b"}} {
		s, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", s.Explain())
	}
}

// TestCapacityIsAboutRight holds an engine that puts sequences back to what is said of it.
func TestCapacityIsAboutRight(t *testing.T) {
	for _, test := range []struct {
		prompt, output int
		low, high      float64
	}{{400, 256, .85, 1.1}, {2000, 200, .85, 1.1}, {100, 800, 1.2, 1.6}} {
		s, err := New(Options{KVTokens: 32768, MaxBatchedTokens: 2048, Preempt: true})
		if err != nil {
			t.Fatal(err)
		}
		c := s.Capacity(test.prompt, test.output)
		if !c.About {
			t.Errorf("Capacity(%d, %d) = %+v; want it to say that it is about", test.prompt, test.output, c)
		}
		e := newScheduler(&s.opts, newCounts())
		n := 40 * c.Batch
		for i := range n {
			submit(t, e, newSequence(fmt.Sprint(i), test.prompt, test.output))
		}
		ends := drain(e, 0)
		got := float64(n) / (float64(ends[len(ends)-1]) / 1e9) / c.RequestsPerSecond
		if got < test.low || got > test.high {
			t.Errorf("for %d and %d tokens the model did %.2f of what was said; want %v to %v", test.prompt, test.output, got, test.low, test.high)
		}
	}
}

func TestProfiles(t *testing.T) {
	for _, p := range Profiles() {
		s, err := New(Options{Profile: p.Name})
		if err != nil {
			t.Fatal(err)
		}
		if o := s.opts; o.MaxRunning != p.MaxRunning || o.StepBase != p.StepBase || o.Model != p.Model || !o.Preempt {
			t.Errorf("with %s the options are %+v", p.Name, o)
		}
	}
	s, err := New(Options{Profile: "h100-8b", MaxRunning: 3, Model: "mine"})
	if err != nil || s.opts.MaxRunning != 3 || s.opts.Model != "mine" {
		t.Errorf("New() = %+v, %v; want what was given to win over the profile", s.opts, err)
	}
	if _, err := New(Options{Profile: "abacus"}); err == nil {
		t.Error("New() with an unknown profile = nil; want an error")
	}
}
