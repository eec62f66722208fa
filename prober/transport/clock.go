package transport

import "time"

// The kernel stamps arrivals with its wall clock (CLOCK_REALTIME); durations need the monotonic one.
//
// Both are slewed alike by NTP, so wall - mono is constant but for steps: settimeofday, ADJ_SETOFFSET, a leap
// second, a suspended machine. arrivalClock keeps that offset for one connection, notices when it jumps, and places
// a kernel stamp on the monotonic clock only where it is sure that no step lies between the arrival and the read.
// Everything else is stamped by the user's clock: later, but true.
//
// A reading takes the wall clock first and the monotonic clock second. Whatever delays the second makes the measured
// offset too small, never too large, so the largest one of an epoch is the best.
//
// What one reading cannot show is a step forward that meets a preemption of the same length (within the tolerance) between
// the two clocks of that very reading: it is wrong by the step, once, and the next reading notices.
//
//	wall - mono |        ...........x..........    <- offset, the largest reading (x)
//	            |   .  .            .   .      |
//	            |      .  (preempted)          |   step: new epoch
//	            |                              |............x....
//	            +--------------------------------------------------> mono

const (
	// clockTolerance is the largest change of the offset that does not begin a new epoch, and how far an arrival may
	// seem to lie in the future. Two clock readings in a row cost about 0.1 µs; the offset's noise is below 1 µs
	// unless the thread loses its processor between them, which reading again tells from a step.
	clockTolerance = int64(100 * time.Microsecond)

	// reorderTolerance is how much earlier than a moment at which the socket was seen empty an arrival may be.
	// Stamping and queueing are a few µs apart. Beyond this the stamp is of a segment that waited in the kernel for
	// an earlier, lost one, so its bytes could not be read when they arrived. (If nobody waited for the bytes, that
	// cannot be told: then the stamp is early by what the retransmission took.)
	reorderTolerance = int64(time.Millisecond)

	// rereads is how often the clocks are read again before a smaller offset is taken for a step.
	rereads = 3
)

// reading is the wall clock and then the monotonic clock, in nanoseconds: Unix time, and since an arbitrary base.
type reading struct{ wall, mono int64 }

func (r reading) offset() int64 { return r.wall - r.mono }

// readingOf splits a time.Time, which the runtime fills in that very order. base must carry a monotonic reading.
func readingOf(t, base time.Time) reading {
	return reading{wall: t.UnixNano(), mono: int64(t.Sub(base))}
}

// arrivalClock places one connection's kernel stamps on the monotonic clock. It is not safe for concurrent use.
type arrivalClock struct {
	read func() reading // reads the clocks again; only used to confirm a step

	offset int64 // wall - mono: the largest reading of the epoch
	first  int64 // the epoch's first offset: a creeping offset must not move further than the tolerance from it
	epoch  int64 // mono at which the epoch began
	last   int64 // mono of the latest reading
	empty  int64 // mono: every byte read from now on became readable after this
	floor  int64 // mono: nothing that arrives counts as an answer before this, the last write
}

// newArrivalClock begins the first epoch. No byte may have been read from the connection yet.
func newArrivalClock(read func() reading) arrivalClock {
	c := arrivalClock{read: read}
	c.begin(read())
	c.empty = c.epoch
	c.floor = c.epoch
	return c
}

// begin starts an epoch at r or just after it.
func (c *arrivalClock) begin(r reading) {
	c.offset = r.offset()
	c.last = r.mono
	for range rereads {
		r = c.read()
		c.offset = max(c.offset, r.offset())
		c.last = r.mono
	}
	c.first = c.offset
	c.epoch = c.last
}

// observe takes a reading and reports whether the epoch goes on.
func (c *arrivalClock) observe(now reading) bool {
	c.last = now.mono
	off := now.offset()
	for i := 0; off < c.offset-clockTolerance; i++ {
		// Stepped back, or preempted between the two clocks.
		if i == rereads {
			c.begin(c.read())
			return false
		}
		r := c.read()
		off = r.offset()
		c.last = r.mono
	}
	if off > c.first+clockTolerance {
		c.begin(c.read())
		return false
	}
	c.offset = max(c.offset, off)
	return true
}

// sawEmpty notes that after the latest reading the socket had nothing to read.
func (c *arrivalClock) sawEmpty() { c.empty = c.last }

// wrote notes that a request is about to be written at now.
func (c *arrivalClock) wrote(now reading) {
	c.observe(now)
	c.floor = now.mono
}

// place returns how long before now the kernel stamped an arrival with wall, and whether that can be trusted.
// now was read after the bytes had been.
func (c *arrivalClock) place(wall int64, now reading) (delay time.Duration, ok bool) {
	if !c.observe(now) {
		return 0, false // stepped around this read: before or after the arrival, nobody knows
	}
	if c.empty < c.epoch {
		return 0, false // these bytes may have waited since before the step
	}
	arrival := wall - c.offset
	if arrival < c.floor-clockTolerance || arrival < c.empty-reorderTolerance {
		return 0, false
	}
	d := now.mono - arrival
	if d < -clockTolerance {
		return 0, false
	}
	return time.Duration(max(d, 0)), true
}
