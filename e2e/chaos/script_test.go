//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// state is a condition that a target is brought into for a while.
type state struct {
	name string
	want []string // the outcomes of requests that fall wholly into it
	set  func() error
}

// script brings one target from one state into another, all of them in a random order, over and over. Targets of one kind take
// the states in the same order, each from another one on, so that all are met early.
type script struct {
	target      string
	kind        string
	part, parts int           // of those of its kind
	edges       []string      // further outcomes of requests that fall into more than one state
	states      []state       // the first is the one in which nothing is wrong
	least       time.Duration // a state lasts so long, and up to longer more
	spans       []span        // what happened: for after run
}

// span is how long a state lasted.
type span struct {
	name  string
	want  []string
	from  time.Time // before it was set; zero: it always was
	until time.Time // after the next one was set; zero: it never ended
	deaf  bool      // /metrics need not answer meanwhile
}

// touches reports whether any of the time from..to may have been in the span. The times of requests are those of the prober's log,
// which is written some time after a request ended.
func (s span) touches(from, to time.Time) bool {
	const slack = 150 * time.Millisecond
	return !to.Before(s.from.Add(-slack)) && (s.until.IsZero() || !from.After(s.until.Add(slack)))
}

// longer is how much longer than its least time a state may last.
const longer = 2500 * time.Millisecond

// run plays the script until ctx ends, and then lifts what is wrong. Say is told what happens.
func (s *script) run(ctx context.Context, random, order *rand.Rand, say func(format string, args ...any)) (err error) {
	defer func() { err = errors.Join(err, s.enter(s.states[0])) }()
	s.spans = []span{{name: s.states[0].name, want: s.states[0].want}} // since ever
	for {
		turns := order.Perm(len(s.states))
		first := s.part * len(turns) / s.parts
		for _, i := range append(turns[first:len(turns):len(turns)], turns[:first]...) {
			stay := s.least + rand64(random, longer)
			say("%-10s %s for %s", s.target, s.states[i].name, stay.Round(100*time.Millisecond))
			if err := s.enter(s.states[i]); err != nil {
				return err
			}
			if !wait(ctx, stay) {
				return nil
			}
		}
	}
}

// enter brings the target into a state.
func (s *script) enter(st state) error {
	now := span{name: st.name, want: st.want, from: time.Now()}
	err := st.set()
	if n := len(s.spans); n > 0 {
		s.spans[n-1].until = time.Now()
	}
	s.spans = append(s.spans, now)
	if err != nil {
		return fmt.Errorf("target %s: %s: %w", s.target, st.name, err)
	}
	return nil
}

// judge says which of the target's requests have an outcome that no state that they fell into accounts for. Others are what else was
// wrong meanwhile. Seen counts, by state and outcome, the requests whose outcome nothing but their one state can account for; fell
// counts those that fell wholly into one state.
func (s *script) judge(requests []request, others []span) (wrong []string, seen map[string]map[string]int, fell map[string]int) {
	seen, fell = map[string]map[string]int{}, map[string]int{}
	for _, r := range requests {
		var want, names []string
		for _, sp := range s.spans {
			if sp.touches(r.from, r.to) {
				want, names = append(want, sp.want...), append(names, sp.name)
			}
		}
		if len(names) > 1 {
			want = append(want, s.edges...)
		}
		alone := len(names) == 1
		if alone {
			fell[names[0]]++
		}
		for _, sp := range others {
			if sp.touches(r.from, r.to) && len(sp.want) > 0 {
				want, names = append(want, sp.want...), append(names, sp.name)
				alone = alone && !slices.Contains(sp.want, r.outcome) // else it may be due to either
			}
		}
		if len(names) == 0 {
			want = []string{"ok"} // before and after
		}
		if !slices.Contains(want, r.outcome) {
			wrong = append(wrong, fmt.Sprintf("%v, in state %q: want one of %v", r, names, want))
		}
		if alone {
			if seen[names[0]] == nil {
				seen[names[0]] = map[string]int{}
			}
			seen[names[0]][r.outcome]++
		}
	}
	return wrong, seen, fell
}

// rand64 is a random part of d.
func rand64(random *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(d)))
}

// wait waits for d, and reports whether ctx is still going on.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
