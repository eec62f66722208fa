package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Each sleep takes a file descriptor and gives it back, however it ends.
func TestSleepUntilReturnsItsDescriptor(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	if err := SleepUntil(t.Context(), time.Now().Add(time.Microsecond)); err != nil { // starts the poller
		t.Fatal(err)
	}
	before := open()
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		if i%2 == 0 {
			go cancel()
		}
		_ = SleepUntil(ctx, time.Now().Add(50*time.Microsecond))
		cancel()
	}
	if after := open(); after > before {
		t.Errorf("%d descriptors open after 200 sleeps; want %d as before", after, before)
	}
}

// BenchmarkSleep reports how late each sleeper wakes and what that takes of one core, with random waits.
func BenchmarkSleep(b *testing.B) {
	cpu := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for _, rate := range []float64{33, 1000} {
		for _, s := range sleepers {
			b.Run(fmt.Sprintf("%v per second/%s", rate, s.name), func(b *testing.B) {
				var late []time.Duration
				until := time.Now()
				began, used := until, cpu()
				for b.Loop() {
					until = until.Add(time.Duration(rand.ExpFloat64() / rate * float64(time.Second)))
					if err := s.sleep(b.Context(), until); err != nil {
						b.Fatal(err)
					}
					late = append(late, time.Since(until))
				}
				used = cpu() - used
				slices.Sort(late)
				b.ReportMetric(float64(late[len(late)/2].Nanoseconds())/1e3, "µs-late-p50")
				b.ReportMetric(float64(late[len(late)*99/100].Nanoseconds())/1e3, "µs-late-p99")
				b.ReportMetric(100*used.Seconds()/time.Since(began).Seconds(), "%cpu")
			})
		}
	}
}
