package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Change is something about the engine that changes at a set time.
//
//	throttle=F              everything takes F times as long
//	leak=P                  everything takes P percent longer after each hour, from then on until a restart
//	restart=D               the engine dies, its answers break off, its counters begin anew; nobody answers for D
//	cold_start=T[/IDLE]     the model is loaded for T when a request comes and none has for IDLE, and for the very first one
//	max_running=N           sequences in a batch
//	max_batched_tokens=N    tokens in a step; 0: no bound
//	max_queued=N            requests above which more are refused; 0: no bound
//	step_base=D, step_per_sequence=D, prefill_per_token=D        what a step takes
//	first_token=D, per_token=D                                   the fixed times, where they are
type Change struct {
	Set   string        `json:"set"`             // NAME=VALUE
	After time.Duration `json:"after,omitempty"` // the server's start; asked for by POST /control/engine: after that
	For   time.Duration `json:"for,omitempty"`   // after which it is as at the start again; 0: it stays. A restart has none
}

// ParseChange reads NAME=VALUE[@AFTER][+FOR].
func ParseChange(text string) (c Change, err error) {
	text, length, limited := strings.Cut(text, "+")
	set, after, later := strings.Cut(text, "@")
	c.Set = set
	if later {
		if c.After, err = time.ParseDuration(after); err != nil {
			return c, fmt.Errorf("after @ must be the time after the start: %w", err)
		}
	}
	if limited {
		if c.For, err = time.ParseDuration(length); err != nil {
			return c, fmt.Errorf("after + must be how long it lasts: %w", err)
		}
	}
	return c, nil
}

// UnmarshalJSON takes durations as texts, such as "90s".
func (c *Change) UnmarshalJSON(b []byte) error {
	var x struct {
		Set        string
		After, For string
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&x); err != nil {
		return err
	}
	*c = Change{Set: x.Set}
	for _, d := range []struct {
		text string
		to   *time.Duration
	}{{x.After, &c.After}, {x.For, &c.For}} {
		if d.text == "" {
			continue
		}
		var err error
		if *d.to, err = time.ParseDuration(d.text); err != nil {
			return err
		}
	}
	return nil
}

// MarshalJSON writes durations as texts.
func (c Change) MarshalJSON() ([]byte, error) {
	return object{{"set", c.Set}}.with(c.After != 0, "after", c.After.String()).with(c.For != 0, "for", c.For.String()).MarshalJSON()
}

// changes is the calendar of what changes.
type changes struct {
	clock    clock
	compress float64
	wake     chan struct{} // has something when a restart was added

	mu       sync.Mutex
	list     []Change // all, After counted from the server's start
	due      []change // of the settings, still to come, the earliest first
	restarts []restart
}

// change is a setting that changes.
type change struct {
	at    instant
	apply func(c *settings, initial *settings, at instant)
}

// restart is a restart of the engine.
type restart struct {
	at   instant
	down time.Duration
}

func newChanges(list []Change, compress float64, c clock) (*changes, error) {
	ch := &changes{clock: c, compress: compress, wake: make(chan struct{}, 1)}
	return ch, ch.add(list, 0)
}

// add enters changes that are counted from the given instant, or says what is wrong with one and enters none.
func (ch *changes) add(list []Change, from instant) error {
	var due []change
	var restarts []restart
	for i, x := range list {
		at := from.add(time.Duration(float64(x.After) / ch.compress))
		list[i].After += time.Duration(float64(from) * ch.compress)
		if x.After < 0 || x.For < 0 {
			return fmt.Errorf("simulator: change %q: a time is negative", x.Set)
		}
		if arg, ok := strings.CutPrefix(x.Set, "restart="); ok {
			d, err := positive(arg)
			if err == nil && x.For != 0 {
				err = fmt.Errorf("a restart cannot be taken back")
			}
			if err != nil {
				return fmt.Errorf("simulator: change %q: %w", x.Set, err)
			}
			restarts = append(restarts, restart{at, d})
			continue
		}
		s, err := parseSetting(x.Set, ch.compress)
		if err != nil {
			return fmt.Errorf("simulator: change %q: %w", x.Set, err)
		}
		due = append(due, change{at, func(c, _ *settings, at instant) { s.set(c, at) }})
		if x.For > 0 {
			back := at.add(time.Duration(float64(x.For) / ch.compress))
			due = append(due, change{back, func(c, initial *settings, _ instant) { s.back(c, initial) }})
		}
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.list = append(ch.list, list...)
	ch.due = append(ch.due, due...)
	slices.SortStableFunc(ch.due, func(a, b change) int { return int(max(-1, min(1, a.at-b.at))) })
	if restarts != nil {
		ch.restarts = append(ch.restarts, restarts...)
		slices.SortStableFunc(ch.restarts, func(a, b restart) int { return int(max(-1, min(1, a.at-b.at))) })
		select {
		case ch.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// until makes all changes of settings that are due at that instant.
func (ch *changes) until(at instant, c, initial *settings) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	n := 0
	for n < len(ch.due) && ch.due[n].at <= at {
		ch.due[n].apply(c, initial, ch.due[n].at)
		n++
	}
	ch.due = slices.Delete(ch.due, 0, n)
}

// run restarts the engine when it is time, until ctx ends.
func (ch *changes) run(ctx context.Context, do func(restart)) {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		ch.mu.Lock()
		var next *restart
		if len(ch.restarts) > 0 {
			next = new(ch.restarts[0])
		}
		ch.mu.Unlock()
		var tick <-chan time.Time
		if next != nil {
			left := next.at.sub(ch.clock.now())
			if left <= 0 {
				ch.mu.Lock()
				ch.restarts = slices.Delete(ch.restarts, 0, 1)
				ch.mu.Unlock()
				do(*next)
				continue
			}
			timer.Reset(left)
			tick = timer.C
		}
		select {
		case <-tick:
		case <-ch.wake:
		case <-ctx.Done():
			return
		}
	}
}

// serve is GET and POST /control/engine: a JSON list of changes.
func (ch *changes) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		var list []Change
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&list)
		if err == nil {
			err = ch.add(list, ch.clock.now())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	ch.mu.Lock()
	list := append([]Change{}, ch.list...)
	ch.mu.Unlock()
	writeOurs(w, http.StatusOK, list)
}
