package simulator

import (
	"strconv"
	"time"
)

// events makes the events of one answer in one buffer that is used again and again: to make one allocates nothing.
// Several may be made before they are written together.
type events struct {
	buf    []byte
	begun  int    // where the event under way begins
	sealed bool   // there is none under way
	end    string // what ends an event
	stamp  bool   // say in each event when it was due and when it was written
	clock  clock
}

// open starts an event, which is one JSON object; beginning is all up to and with the first of it.
func (e *events) open(beginning string) {
	e.begun, e.sealed = len(e.buf), false
	e.buf = append(e.buf, beginning...)
}

// named starts an event with a name, which its object has too, as its type.
func (e *events) named(name string) {
	e.open("event: ")
	e.put(name)
	e.put("\ndata: {\"type\":\"")
	e.put(name)
	e.put(`"`)
}

// members appends members to the event under way.
func (e *events) members(all object) {
	for _, m := range all {
		e.put(",")
		e.value(m.key)
		e.put(":")
		e.value(m.value)
	}
}

// put appends to the event under way.
func (e *events) put(text string) { e.buf = append(e.buf, text...) }

// number appends a number to the event under way.
func (e *events) number(n int) { e.buf = strconv.AppendInt(e.buf, int64(n), 10) }

// value appends any value as JSON to the event under way. It allocates.
func (e *events) value(v any) { e.buf = appendJSON(e.buf, v) }

// seal ends the event under way, whose closing brace is still missing. Stamped events say when they were due and when
// they are being written: both are Unix nanoseconds, of a fixed width for the next 250 years.
func (e *events) seal(due instant, now time.Time) {
	if e.sealed {
		return
	}
	e.sealed = true
	if e.stamp {
		wall := now.UnixNano()
		// The due time on the wall clock is counted back from now, so that a step of that clock cannot fake a lateness.
		e.put(`,"sim_due_unix_nano":`)
		e.buf = strconv.AppendInt(e.buf, wall-int64(e.clock.at(now).sub(due)), 10)
		e.put(`,"sim_sent_unix_nano":`)
		e.buf = strconv.AppendInt(e.buf, wall, 10)
	}
	e.buf = append(e.buf, '}')
	e.put(e.end)
}

// line appends what is no event: a comment, or a word that ends the stream.
func (e *events) line(text string) {
	e.sealed = true
	e.put(text)
}
