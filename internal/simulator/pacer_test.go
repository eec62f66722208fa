package simulator

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPacer(t *testing.T) {
	o, err := Options{FirstToken: 100 * ms, PerToken: 10 * ms}.complete()
	if err != nil {
		t.Fatal(err)
	}
	c := newCounts()
	e := newPacer(&o, c)
	a, b, slow := arriving(0, 10, 3), arriving(3*ms, 10, 2), arriving(0, 10, 2)
	slow.slow = 2
	for _, s := range []*sequence{a, b, slow} {
		if err := e.submit(s); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := e.load(), (load{running: 3, held: 30}); got != want {
		t.Errorf("load() = %+v; want %+v", got, want)
	}

	// Nothing before its time, and what is late keeps the time at which it was due.
	pushed, next, ok := e.emit(instant(100*ms-1), nil)
	if len(pushed) != 0 || next != instant(100*ms) || !ok {
		t.Errorf("emit(just before) = %d tokens, next %v, %v; want none, 100ms, true", len(pushed), next, ok)
	}
	pushed, next, ok = e.emit(instant(115*ms), nil)
	if len(pushed) != 4 || next != instant(120*ms) || !ok {
		t.Errorf("emit(115ms) = %d tokens, next %v, %v; want 4, 120ms, true", len(pushed), next, ok)
	}
	pushed, _, ok = e.emit(instant(time.Second), nil)
	if len(pushed) != 3 || ok {
		t.Errorf("emit(1s) = %d tokens, %v; want 3, false", len(pushed), ok)
	}
	for _, x := range []struct {
		name string
		s    *sequence
		want []instant
	}{
		{"a", a, []instant{instant(100 * ms), instant(110 * ms), instant(120 * ms)}},
		{"b", b, []instant{instant(103 * ms), instant(113 * ms)}},
		{"slow", slow, []instant{instant(200 * ms), instant(220 * ms)}},
	} {
		got, ended := x.s.take(nil)
		if d := cmp.Diff(x.want, got); d != "" || ended != finishLength {
			t.Errorf("%s ended by %q; due times (-want +got):\n%s", x.name, ended, d)
		}
	}
	if got := e.load(); got != (load{}) {
		t.Errorf("at the end load() = %+v; want nothing", got)
	}
}

func TestPacerAbort(t *testing.T) {
	o, err := Options{PerToken: 10 * ms}.complete()
	if err != nil {
		t.Fatal(err)
	}
	e := newPacer(&o, newCounts())
	a, b := arriving(0, 10, 100), arriving(0, 10, 100)
	for _, s := range []*sequence{a, b} {
		if err := e.submit(s); err != nil {
			t.Fatal(err)
		}
	}
	e.emit(instant(20*ms), nil)
	e.abort(a, finishAbort)
	if got, want := e.load(), (load{running: 1, held: 13}); got != want {
		t.Errorf("load() = %+v; want %+v", got, want)
	}
	e.emit(instant(30*ms), nil)
	if got := a.timeline().made; got != 3 {
		t.Errorf("the aborted sequence made %d tokens; want 3", got)
	}
	if got := b.timeline().made; got != 4 {
		t.Errorf("the other made %d tokens; want 4", got)
	}
}
