package workload

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var sleepers = []struct {
	name  string
	sleep func(context.Context, time.Time) error
}{
	{"SleepUntil", SleepUntil},
	{"SleepUntilTimer", SleepUntilTimer},
}

func TestSleepNeverWakesEarly(t *testing.T) {
	for _, s := range sleepers {
		t.Run(s.name, func(t *testing.T) {
			for _, d := range []time.Duration{-time.Hour, 0, 100 * time.Microsecond, 2 * time.Millisecond, 5 * time.Millisecond} {
				until := time.Now().Add(d)
				if err := s.sleep(t.Context(), until); err != nil {
					t.Errorf("%s(now %+v) = %v; want nil", s.name, d, err)
				}
				if early := time.Until(until); early > 0 {
					t.Errorf("%s(now %+v) woke %v early", s.name, d, early)
				}
			}
		})
	}
}

func TestSleepEndsWithTheContext(t *testing.T) {
	cause := errors.New("reloaded")
	for _, s := range sleepers {
		t.Run(s.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error)
			go func() { done <- s.sleep(ctx, time.Now().Add(time.Hour)) }()
			cancel(cause)
			if err := <-done; !errors.Is(err, cause) {
				t.Errorf("%s = %v; want %v", s.name, err, cause)
			}
			if err := s.sleep(ctx, time.Now().Add(-time.Hour)); !errors.Is(err, cause) {
				t.Errorf("%s in an ended context = %v; want %v", s.name, err, cause)
			}
		})
	}
}

func TestSleepUntilTimerUnderAFakeClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := time.Now().Add(time.Hour)
		if err := SleepUntilTimer(t.Context(), until); err != nil {
			t.Fatal(err)
		}
		if now := time.Now(); !now.Equal(until) {
			t.Errorf("woke at %v; want %v", now, until)
		}
	})
}
