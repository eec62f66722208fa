package schedule

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/llmprober/llm_prober/prober/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A recorder is Events that are kept, and checked to come in order.
type recorder struct {
	t testing.TB

	mu       sync.Mutex
	late     map[string][]time.Duration
	skipped  map[string]map[Reason]int
	started  map[string]int
	finished map[string]int
	panicked map[string]int
	ticked   map[string]int // ticks not yet skipped or started: 0 or 1
	inFlight int
	most     int // most in flight at once
}

func newRecorder(t testing.TB) *recorder {
	return &recorder{
		t:        t,
		late:     map[string][]time.Duration{},
		skipped:  map[string]map[Reason]int{},
		started:  map[string]int{},
		finished: map[string]int{},
		panicked: map[string]int{},
		ticked:   map[string]int{},
	}
}

func (r *recorder) Ticked(job *Job, late time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late[job.Key] = append(r.late[job.Key], late)
	if r.ticked[job.Key]++; r.ticked[job.Key] != 1 {
		r.t.Errorf("%s ticked, but nothing became of its last tick", job.Key)
	}
}

func (r *recorder) Skipped(job *Job, reason Reason, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.skipped[job.Key] == nil {
		r.skipped[job.Key] = map[Reason]int{}
	}
	r.skipped[job.Key][reason] += n
	if !slices.Contains(Reasons(), reason) {
		r.t.Errorf("%s skipped for %q, which is no reason", job.Key, reason)
	}
	if reason != Missed {
		if r.ticked[job.Key]--; r.ticked[job.Key] != 0 || n != 1 {
			r.t.Errorf("%s skipped %d times for %s without a tick", job.Key, n, reason)
		}
	}
}

func (r *recorder) Started(job *Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started[job.Key]++
	r.inFlight++
	r.most = max(r.most, r.inFlight)
	if r.ticked[job.Key]--; r.ticked[job.Key] != 0 {
		r.t.Errorf("%s started without a tick", job.Key)
	}
}

func (r *recorder) Finished(job *Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight--
	if r.finished[job.Key]++; r.finished[job.Key] > r.started[job.Key] {
		r.t.Errorf("%s finished without a start", job.Key)
	}
}

func (r *recorder) Panicked(job *Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.panicked[job.Key]++
}

// lateness returns how late a job's ticks were, missed ones left out.
func (r *recorder) lateness(key string) []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.late[key]
}

// skips returns how often a job was skipped for each reason.
func (r *recorder) skips(key string) map[Reason]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.skipped[key])
}

func (r *recorder) count(m map[string]int, key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m[key]
}

// start runs a scheduler under the bubble's clock until the test ends.
func start(t *testing.T, opts Options) (*Scheduler, *recorder) {
	t.Helper()
	r := newRecorder(t)
	opts.Events = r
	if opts.SleepUntil == nil {
		opts.SleepUntil = workload.SleepUntilTimer
	}
	s := New(opts)
	t.Cleanup(func() {
		canceled, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(canceled)
	})
	return s, r
}

func apply(t *testing.T, s *Scheduler, p Plan) {
	t.Helper()
	if err := s.Apply(p); err != nil {
		t.Fatal(err)
	}
}

// A list is a slice for many goroutines.
type list[T any] struct {
	mu  sync.Mutex
	all []T
}

func (l *list[T]) add(v T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, v)
}

func (l *list[T]) get() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// A log keeps when runs were intended and began.
type log struct {
	mu       sync.Mutex
	intended []time.Time
	began    []time.Time
}

func (l *log) add(intended time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.intended = append(l.intended, intended)
	l.began = append(l.began, time.Now())
}

func (l *log) times() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.intended)
}

// lasting returns a Run that takes so long and uses nothing, and notes its times.
func (l *log) lasting(d time.Duration) func(context.Context, time.Time) Cost {
	return func(ctx context.Context, intended time.Time) Cost {
		l.add(intended)
		_ = workload.SleepUntilTimer(ctx, time.Now().Add(d))
		return Cost{Requests: 1}
	}
}

func nothing(context.Context, time.Time) Cost { return Cost{} }

func one(j Job) Plan {
	return Plan{Groups: []Group{{Name: j.Group}}, Jobs: []Job{j}}
}
