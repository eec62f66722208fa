package transport

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fakeClocks is a machine whose clocks are read by arrivalClock.
type fakeClocks struct {
	mono  int64               // true time
	ahead int64               // wall - mono
	lose  func() int64        // how long the processor is lost between the wall clock and the monotonic one; nil: never
	reads []func(*fakeClocks) // what happens between the two clocks of the next readings
}

func newFakeClocks() *fakeClocks {
	return &fakeClocks{mono: int64(time.Hour), ahead: int64(50 * 365 * 24 * time.Hour)}
}

func (f *fakeClocks) read() reading {
	wall := f.wall()
	if f.lose != nil {
		f.mono += f.lose()
	}
	if len(f.reads) > 0 {
		f.reads[0](f)
		f.reads = f.reads[1:]
	}
	f.mono += 40 // what a clock costs
	return reading{wall: wall, mono: f.mono}
}

func (f *fakeClocks) wall() int64          { return f.mono + f.ahead }
func (f *fakeClocks) pass(d time.Duration) { f.mono += int64(d) }
func (f *fakeClocks) step(d time.Duration) { f.ahead += int64(d) }

func TestArrivalClock(t *testing.T) {
	const ms, us = time.Millisecond, time.Microsecond
	// Each case waits on an empty socket, has bytes arrive, and reads them 3 ms later.
	tests := []struct {
		name        string
		before      func(*fakeClocks) // between the wait's beginning and the arrival
		after       func(*fakeClocks) // between the arrival and the read
		between     func(*fakeClocks) // between the two clocks of the read's reading
		wantOK      bool
		wantDelay   time.Duration
		wantNextOK  bool // the next bytes, with nothing special about them
		wantBacklog bool // the next bytes, which arrived together with the first ones
	}{
		{name: "steady", wantOK: true, wantDelay: 3 * ms, wantNextOK: true, wantBacklog: true},
		{name: "step forward before", before: func(f *fakeClocks) { f.step(time.Second) }, wantNextOK: true},
		{name: "step forward after", after: func(f *fakeClocks) { f.step(time.Second) }, wantNextOK: true},
		{name: "step back before", before: func(f *fakeClocks) { f.step(-time.Second) }, wantNextOK: true},
		{name: "step back after", after: func(f *fakeClocks) { f.step(-2 * ms) }, wantNextOK: true},
		{name: "small step back after", after: func(f *fakeClocks) { f.step(-50 * us) }, wantOK: true, wantDelay: 3*ms - 0*us, wantNextOK: true, wantBacklog: true},
		{name: "small step forward after", after: func(f *fakeClocks) { f.step(50 * us) }, wantOK: true, wantDelay: 3*ms + 50*us, wantNextOK: true, wantBacklog: true},
		{name: "suspended", before: func(f *fakeClocks) { f.step(8 * time.Hour) }, wantNextOK: true},
		{name: "leap second", after: func(f *fakeClocks) { f.step(-time.Second) }, wantNextOK: true},
		{name: "preempted between the clocks", between: func(f *fakeClocks) { f.pass(7 * ms) }, wantOK: true, wantDelay: 10 * ms, wantNextOK: true, wantBacklog: true},
		{name: "step forward between the clocks", between: func(f *fakeClocks) { f.step(time.Second) }, wantOK: true, wantDelay: 3 * ms},
		{name: "step back between the clocks", between: func(f *fakeClocks) { f.step(-time.Second) }, wantOK: true, wantDelay: 3 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeClocks()
			c := newArrivalClock(f.read)
			// run waits, lets bytes arrive, and reads them.
			run := func(before, after, between func(*fakeClocks)) (wall int64, delay time.Duration, ok bool) {
				c.sawEmpty()
				f.pass(20 * ms)
				if before != nil {
					before(f)
				}
				wall = f.wall()
				f.pass(3 * ms)
				if after != nil {
					after(f)
				}
				if between != nil {
					f.reads = append(f.reads, between)
				}
				delay, ok = c.place(wall, f.read())
				return wall, delay, ok
			}
			wall, delay, ok := run(tt.before, tt.after, tt.between)
			if ok != tt.wantOK || (delay-tt.wantDelay).Abs() > time.Microsecond {
				t.Errorf("place(...) = %v, %t; want %v, %t", delay, ok, tt.wantDelay, tt.wantOK)
			}
			if tt.between == nil {
				if delay, ok := c.place(wall, f.read()); ok != tt.wantBacklog {
					t.Errorf("place(...) of the backlog = %v, %t; want %t", delay, ok, tt.wantBacklog)
				}
			}
			if _, delay, ok := run(nil, nil, nil); ok != tt.wantNextOK || ok && (delay-3*ms).Abs() > 100*us {
				t.Errorf("place(...) of the next bytes = %v, %t; want %v, %t", delay, ok, 3*ms, tt.wantNextOK)
			}
		})
	}
}

func TestArrivalClockImplausible(t *testing.T) {
	const ms = time.Millisecond
	f := newFakeClocks()
	c := newArrivalClock(f.read)
	f.pass(10 * ms)
	c.wrote(f.read())
	c.sawEmpty()
	f.pass(10 * ms)
	now := f.read()
	for _, tt := range []struct {
		name   string
		ago    time.Duration
		want   time.Duration
		wantOK bool
	}{
		{"just now", 0, 0, true},
		{"a clock's noise in the future", -50 * time.Microsecond, 0, true},
		{"in the future", -ms, 0, false},
		{"on the way when the socket was empty", 10*ms + 20*time.Microsecond, 10*ms + 20*time.Microsecond, true},
		{"before the request", 10*ms + 200*time.Microsecond, 0, false},
		{"long before", time.Hour, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := c
			delay, ok := c.place(f.wall()-int64(tt.ago), now)
			if ok != tt.wantOK || (delay-tt.want).Abs() > time.Microsecond {
				t.Errorf("place(%v ago) = %v, %t; want %v, %t", tt.ago, delay, ok, tt.want, tt.wantOK)
			}
		})
	}

	// A segment that waited for a lost one arrived long before it could be read: the socket was empty in between.
	c.sawEmpty()
	overtook := f.wall()
	f.pass(ms / 2)
	if _, ok := c.place(f.wall(), f.read()); !ok {
		t.Error("place(...) of the bytes before = false; want true")
	}
	f.pass(40 * ms)
	c.observe(f.read())
	c.sawEmpty()
	f.pass(5 * ms)
	if delay, ok := c.place(overtook, f.read()); ok {
		t.Errorf("place(...) of a segment that overtook a lost one = %v, true; want false", delay)
	}
}

// Steps below the tolerance must not add up while bytes wait to be read.
func TestArrivalClockCreep(t *testing.T) {
	for _, step := range []time.Duration{80 * time.Microsecond, -80 * time.Microsecond} {
		f := newFakeClocks()
		c := newArrivalClock(f.read)
		c.sawEmpty()
		f.pass(time.Millisecond)
		arrived, wall := f.mono, f.wall() // a large answer, read bit by bit
		for range 20 {
			f.pass(time.Millisecond)
			f.step(step)
			now := f.read()
			delay, ok := c.place(wall, now)
			if off := time.Duration(now.mono - int64(delay) - arrived); ok && off.Abs() > 2*time.Duration(clockTolerance) {
				t.Errorf("with steps of %v, place(...) = %v: %v off", step, delay, off)
			}
		}
	}
}

// However the wall clock is stepped and whenever the thread is preempted, a stamp that is not the user's clock is right.
func TestArrivalClockProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFakeClocks()
		lost := 0
		stepBy := int64(0) // the step since the last reading
		f.lose = func() int64 {
			// The processor is lost between two clock readings now and then, but not in each of four in a row.
			if lost < 2 && rapid.IntRange(0, 4).Draw(t, "lose") == 0 {
				lost++
				d := int64(rapid.SampledFrom([]time.Duration{30 * time.Microsecond, 150 * time.Microsecond, 2 * time.Millisecond, 90 * time.Millisecond}).Draw(t, "lost"))
				// One that hides a step forward, because it is as long, cannot be seen: see arrivalClock.
				if off := d - stepBy; stepBy == 0 || off < -2*clockTolerance || off > 2*clockTolerance {
					return d
				}
			}
			lost = 0
			return 0
		}
		c := newArrivalClock(f.read)

		type segment struct{ mono, wall int64 }
		var queue []segment
		stepped := false // since the last reading
		for range rapid.IntRange(1, 60).Draw(t, "actions") {
			f.pass(time.Duration(rapid.Int64Range(0, int64(20*time.Millisecond)).Draw(t, "pass")))
			switch rapid.IntRange(0, 3).Draw(t, "action") {
			case 0:
				if stepped { // two steps that undo each other between two readings cannot be seen
					continue
				}
				stepped = true
				stepBy = rapid.OneOf(
					rapid.Int64Range(-200_000, 200_000),
					rapid.Int64Range(-int64(50*time.Millisecond), int64(50*time.Millisecond)),
					rapid.Int64Range(-int64(time.Hour), int64(time.Hour)),
				).Draw(t, "step")
				f.step(time.Duration(stepBy))
			case 1:
				queue = append(queue, segment{f.mono, f.wall()})
			default:
				if len(queue) == 0 {
					c.sawEmpty()
					continue
				}
				n := rapid.IntRange(1, len(queue)).Draw(t, "segments")
				last := queue[n-1]
				queue = queue[n:]
				now := f.read()
				delay, ok := c.place(last.wall, now)
				stepped, stepBy = false, 0
				if delay < 0 {
					t.Fatalf("place(...) = %v, %t; want no negative delay", delay, ok)
				}
				if !ok {
					continue
				}
				off := time.Duration(now.mono - int64(delay) - last.mono)
				if off.Abs() > 2*time.Duration(clockTolerance)+time.Microsecond {
					t.Fatalf("place(...) = %v, true: %v off", delay, off)
				}
			}
		}
	})
}

// Without steps every stamp is the kernel's, however busy the machine is.
func TestArrivalClockSteady(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFakeClocks()
		lost := 0
		f.lose = func() int64 {
			if lost < 2 && rapid.IntRange(0, 4).Draw(t, "lose") == 0 {
				lost++
				return rapid.Int64Range(0, int64(90*time.Millisecond)).Draw(t, "lost")
			}
			lost = 0
			return 0
		}
		c := newArrivalClock(f.read)
		for range 40 {
			if rapid.Bool().Draw(t, "empty") {
				c.sawEmpty()
			}
			f.pass(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "wait")))
			arrived, wall := f.mono, f.wall()
			f.pass(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "late")))
			now := f.read()
			delay, ok := c.place(wall, now)
			if off := time.Duration(now.mono - int64(delay) - arrived); !ok || off.Abs() > time.Duration(clockTolerance) {
				t.Fatalf("place(...) = %v, %t: %v off", delay, ok, off)
			}
		}
	})
}
