package schedule

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// BenchmarkTick is what one tick costs among 500 jobs, from the queue to the end of a run that does nothing,
// and where it is skipped.
func BenchmarkTick(b *testing.B) {
	for _, test := range []struct {
		name   string
		bounds Group
	}{
		{"run", Group{Name: "chat", CostPerDay: 1e6, Currency: "USD"}},
		{"skip", Group{Name: "chat", OutputTokensPerHour: 1, Currency: "USD"}},
	} {
		b.Run(test.name, func(b *testing.B) {
			var began starts
			s := New(Options{Events: &began, SleepUntil: func(ctx context.Context, _ time.Time) error {
				<-ctx.Done() // the benchmark ticks instead
				return context.Cause(ctx)
			}})
			done := make(chan struct{})
			run := func(context.Context, time.Time) Cost {
				done <- struct{}{}
				return Cost{}
			}
			p := Plan{Groups: []Group{test.bounds}}
			for i := range 500 {
				p.Jobs = append(p.Jobs, Job{
					Key: fmt.Sprint("chat/", i), Group: "chat", Interval: 15 * time.Second, Cost: Cost{OutputTokens: 64, Money: 1e-5}, Run: run,
				})
			}
			now := time.Now().Add(time.Hour) // before any tick is due by the loop's clock
			s.mu.Lock()
			s.start = now
			s.mu.Unlock()
			if err := s.Apply(p); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				_, now, _ = s.waitFor()
				s.tick(func() time.Time { return now })
				for ; began.n > 0; began.n-- {
					<-done
				}
			}
			if err := s.Shutdown(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// starts counts the runs that began.
type starts struct {
	NoEvents
	n int
}

func (s *starts) Started(*Job) { s.n++ }
