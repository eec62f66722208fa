package cron

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// TestReplicas has two probers run one ramp every minute, 100 times, while they are killed and stopped at random, also in
// the middle of a claim. Each occasion runs at most once, and once whenever a prober was there to run it.
func TestReplicas(t *testing.T) {
	for _, kind := range []string{"files", "leases"} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s/%d", kind, seed), func(t *testing.T) {
				rs := &replicas{kind: kind, dir: account(t, nil), random: rand.New(rand.NewPCG(seed, 0)), runs: map[time.Time]int{}, claimants: map[time.Time]*replica{}}
				synctest.Test(t, func(t *testing.T) {
					rs.t = t
					begin := time.Now() // a full minute
					end := begin.Add(occasions*time.Minute + 30*time.Second)
					var wg sync.WaitGroup
					for range 2 {
						wg.Go(func() {
							r, s := rs.start()
							for {
								time.Sleep(min(rs.peace(), time.Until(end)))
								switch {
								case !time.Now().Before(end):
									r.kill(s)
									return
								case rs.upTo(2) == 0:
									goOn := r.stop()
									time.Sleep(rs.upTo(90 * time.Second))
									goOn()
								default:
									r.kill(s)
									time.Sleep(min(rs.upTo(90*time.Second), time.Until(end)))
									r, s = rs.start()
								}
							}
						})
					}
					wg.Wait()
					rs.check(begin, end)
				})
			})
		}
	}
}

const (
	occasions = 100
	legWithin = time.Second // a leg of a request takes less than that

	// settled is when a prober that nobody disturbs has surely begun what it may: a wait, two requests with their answers, a wait.
	settled = 8 * time.Second
)

var errKilled = errors.New("killed")

// replicas are probers of one configuration, and what became of the occasions.
type replicas struct {
	t    *testing.T
	kind string
	dir  string // of the claims, or of the service account
	api  fakeAPI

	mu        sync.Mutex // protects what follows
	random    *rand.Rand
	all       []*replica
	runs      map[time.Time]int
	claimants map[time.Time]*replica // whose claim is on record, whether or not it has learnt so
	refused   int
	failed    int
}

// A replica is one process: it is not started again once it was killed.
type replica struct {
	*replicas
	born   time.Time
	killed chan struct{} // closed when it is

	mu     sync.Mutex    // protects what follows
	goOn   chan struct{} // closed when it may go on; nil: it is not stopped
	died   time.Time
	stops  [][2]time.Time // from, until
	claims LeaseClaims
}

// check tells whether all occasions had what they could have.
func (rs *replicas) check(begin, end time.Time) {
	kills, stops := -2, 0 // the last two were ended with the test
	for _, r := range rs.all {
		kills++
		stops += len(r.stops)
	}
	once, excused := 0, 0
	for n := range occasions {
		nominal := begin.Add(time.Duration(n+1) * time.Minute).UTC()
		claimant := rs.claimants[nominal]
		switch runs := rs.runs[nominal]; {
		case runs == 1:
			once++
		case runs > 1:
			rs.t.Errorf("%v ran %d times", nominal, runs)
		case claimant != nil && claimant.lost(nominal):
			excused++
		case claimant == nil && !rs.anyUndisturbed(nominal):
			excused++
		default:
			rs.t.Errorf("%v did not run, though a prober was there; claimed: %t", nominal, claimant != nil)
		}
	}
	for nominal := range rs.runs {
		if nominal.Before(begin) || nominal.After(end) || nominal.Second() != 0 {
			rs.t.Errorf("%v ran, which is no occasion", nominal)
		}
	}
	rs.t.Logf("%d ran, %d could not; %d kills, %d stops, %d claims refused, %d failed", once, excused, kills, stops, rs.refused, rs.failed)
	// Else this test shows little. There are some 40 kills and 40 stops, give or take 5.
	if once < 60 || kills < 10 || stops < 10 || rs.refused < 20 || once+excused != occasions {
		rs.t.Errorf("%d ran, %d could not; %d kills, %d stops, %d claims refused", once, excused, kills, stops, rs.refused)
	}
}

// peace is how long a prober is left alone: until any time, or until an occasion is being claimed.
func (rs *replicas) peace() time.Duration {
	if rs.upTo(2) == 0 {
		return rs.upTo(4 * time.Minute)
	}
	minute := time.Now().Truncate(time.Minute).Add(time.Duration(1+rs.upTo(3)) * time.Minute)
	return time.Until(minute.Add(rs.upTo(4 * time.Second)))
}

// upTo is a random duration, or number, below n.
func (rs *replicas) upTo(n time.Duration) time.Duration {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return time.Duration(rs.random.Int64N(int64(n)))
}

func (rs *replicas) start() (*replica, *Scheduler) {
	r := &replica{replicas: rs, born: time.Now(), killed: make(chan struct{})}
	claim := FileClaims{Dir: filepath.Join(rs.dir, "claims")}.Claim
	if rs.kind == "leases" {
		r.claims = LeaseClaims{dir: rs.dir, leases: "https://api" + leasesPath, logger: slog.New(slog.DiscardHandler), via: r, within: answerWithin}
		claim = r.claims.Claim
	}
	rs.mu.Lock()
	rs.all = append(rs.all, r)
	rs.mu.Unlock()
	s := New(Options{
		Claims: claimFunc(func(ctx context.Context, name string, nominal time.Time) (bool, error) {
			if err := r.step(ctx); err != nil {
				return false, err
			}
			ours, err := claim(ctx, name, nominal)
			rs.mu.Lock()
			switch {
			case err != nil:
				rs.failed++
			case !ours:
				rs.refused++
			default:
				rs.claimants[nominal.UTC()] = r
			}
			rs.mu.Unlock()
			if dead := r.step(context.WithoutCancel(ctx)); dead != nil {
				return false, dead
			}
			return ours, err
		}),
		Start: func(_ context.Context, _ string, nominal time.Time, _ record.Trigger) {
			select {
			case <-r.killed:
				return
			default:
			}
			rs.mu.Lock()
			defer rs.mu.Unlock()
			rs.runs[nominal.UTC()]++
		},
	})
	if err := s.Apply([]Entry{{Name: "soak", Targets: []string{"chat"}, Schedule: "* * * * *"}}); err != nil {
		rs.t.Error(err)
	}
	return r, s
}

// RoundTrip implements http.RoundTripper: both ways take their time, and what is on its way when the prober dies still arrives
// or does not.
func (r *replica) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := r.step(req.Context()); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	r.api.ServeHTTP(w, req)
	if w.Code == http.StatusCreated {
		var made lease
		if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
			r.t.Error(err)
		}
		nominal, err := time.Parse(time.RFC3339, made.Metadata.Annotations["nominal"])
		if err != nil {
			r.t.Error(err)
		}
		r.replicas.mu.Lock()
		r.claimants[nominal] = r
		r.replicas.mu.Unlock()
	}
	if err := r.step(req.Context()); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// step takes a random time, and as long as the prober is stopped.
func (r *replica) step(ctx context.Context) error {
	wait := time.After(r.upTo(legWithin))
	for {
		select {
		case <-wait:
		case <-r.killed:
			return errKilled
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		r.mu.Lock()
		goOn := r.goOn
		r.mu.Unlock()
		if goOn == nil {
			return nil
		}
		select {
		case <-goOn:
		case <-r.killed:
			return errKilled
		}
		wait = time.After(0) // and once more: another stop may have begun
	}
}

// stop stops it, as SIGSTOP does, until the returned function is called.
func (r *replica) stop() func() {
	goOn := make(chan struct{})
	from := time.Now()
	r.mu.Lock()
	r.goOn = goOn
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		r.goOn = nil
		r.stops = append(r.stops, [2]time.Time{from, time.Now()})
		r.mu.Unlock()
		close(goOn)
	}
}

// kill ends it at once: whatever it does from here on has no effect.
func (r *replica) kill(s *Scheduler) {
	r.mu.Lock()
	r.died = time.Now()
	r.mu.Unlock()
	close(r.killed)
	if err := s.Shutdown(context.Background()); err != nil {
		r.t.Error(err)
	}
}

// disturbed tells whether it was not there, or stopped, at any time between two.
func (r *replica) disturbed(from, until time.Time) bool {
	if r.born.After(from) || !r.died.After(until) {
		return true
	}
	for _, s := range r.stops {
		if s[0].Before(until) && s[1].After(from) {
			return true
		}
	}
	return false
}

// lost tells whether it died with the claim of an occasion in its hand, or was stopped for so long that it did not ask
// any more what had become of it. A file tells at once, so that no stop is too long.
func (r *replica) lost(nominal time.Time) bool {
	until := nominal.Add(settled)
	n, stopped := 0, time.Duration(0)
	for _, s := range r.stops { // in their order
		if s[0].Before(until) && s[1].After(nominal) {
			n++
			stopped += s[1].Sub(s[0])
			until = until.Add(s[1].Sub(s[0]))
		}
	}
	return r.died.Before(until) || r.kind == "leases" && (n > 1 || stopped > claimWithin-settled)
}

// anyUndisturbed tells whether a prober was there all the time that a claim of an occasion may take, and had not just gone on
// with that of the one before: while it is busy with one it misses the next.
func (rs *replicas) anyUndisturbed(nominal time.Time) bool {
	for _, r := range rs.all {
		if !r.disturbed(nominal.Add(-settled), nominal.Add(settled)) {
			return true
		}
	}
	return false
}
