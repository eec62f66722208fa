package simulator

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestReplayIsTheModel replays the scene of TestStepTimes, in the other order.
func TestReplayIsTheModel(t *testing.T) {
	s, err := New(Options{StepBase: 10 * ms, StepPerSequence: ms, PrefillPerToken: 10 * time.Microsecond})
	if err != nil {
		t.Fatal(err)
	}
	b, a := Arrival{6 * ms, 200, 2}, Arrival{5 * ms, 100, 3}
	got, err := s.Replay([]Arrival{b, a})
	want := []Answer{
		{Arrival: b, Waited: 11 * ms, Tokens: []time.Duration{31 * ms, 43 * ms}},
		{Arrival: a, Tokens: []time.Duration{17 * ms, 31 * ms, 43 * ms}},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("Replay() = got, %v; want (-want +got):\n%s", err, d)
	}
}

func TestReplayChangesAndRefuses(t *testing.T) {
	s, err := New(Options{
		StepBase: 10 * ms, StepPerSequence: ms, PrefillPerToken: 10 * time.Microsecond, MaxQueued: 1,
		Changes: []Change{{Set: "throttle=2", After: time.Second}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Replay([]Arrival{{0, 100, 1}, {ms, 100, 1}, {2 * time.Second, 100, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]time.Duration{12 * ms}, got[0].Tokens); d != "" {
		t.Errorf("the first answer (-want +got):\n%s", d)
	}
	if !got[1].Refused || got[1].Tokens != nil {
		t.Errorf("the second answer = %+v; want it refused", got[1])
	}
	if d := cmp.Diff([]time.Duration{2*time.Second + 24*ms}, got[2].Tokens); d != "" {
		t.Errorf("the third answer, throttled (-want +got):\n%s", d)
	}
	if _, err := s.Replay([]Arrival{{0, 0, 1}}); err == nil {
		t.Error("Replay() without a prompt = nil; want an error")
	}
	fixed, err := New(Options{FirstToken: ms})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fixed.Replay(nil); err == nil {
		t.Error("Replay() of fixed times = nil; want an error")
	}
}
