package simulator

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"time"
)

// whole gives the answer in one piece, when it is complete.
func (a *answer) whole() {
	h := a.w.Header()
	h.Set("Content-Type", "application/json")
	if a.plan.hangAfter {
		a.w.WriteHeader(http.StatusOK)
		a.rc.Flush() //nolint:errcheck // it hangs either way
		a.hang()
	}
	said, dues, err := a.collect()
	if err != nil {
		// Nobody reads what is said now, but a connection must not look as if it had answered.
		panic(http.ErrAbortHandler)
	}
	if d := a.plan.stall + a.plan.slowHeaders; d > 0 && a.pause(d) != nil {
		panic(http.ErrAbortHandler)
	}
	if a.plan.cut >= 0 && a.plan.how == endError {
		a.p.refuse(a.w, &apiError{status: http.StatusInternalServerError, kind: "InternalServerError", message: "Internal server error"})
		return
	}

	now := time.Now()
	for _, due := range dues {
		a.seq.sent(send{due: due, sent: a.s.clock.at(now), wall: now.UnixNano()})
	}
	a.voice.header(h)
	a.write(a.body(said))
}

// collect takes all tokens. An endless answer never completes.
func (a *answer) collect() (said *spoken, dues []instant, err error) {
	said = new(spoken)
	for !a.last(a.made) {
		if err := a.await(0, nil); err != nil {
			return nil, nil, err
		}
		if a.seq.endless {
			continue
		}
		dues = append(dues, a.dues...)
		for range a.dues {
			t := a.utter()
			said.tell(t)
			said.tokens = append(said.tokens, t)
			a.ids = append(a.ids, t.id)
		}
	}
	return said, dues, nil
}

// marker stands in the text where something follows that is not marshalled.
const marker = "<<here>>"

// body is the answer's body in two parts, between which the plan's giant text goes.
func (a *answer) body(said *spoken) (before, after []byte) {
	if a.plan.giant > 0 || a.plan.badUTF8 >= 0 {
		said.text += marker
	}
	a.voice.whole(said)
	all := a.buf
	if a.plan.badJSON >= 0 {
		all = all[:len(all)*3/4]
	}
	before, after, _ = bytes.Cut(all, []byte(marker))
	if a.plan.badUTF8 >= 0 {
		before = append(bytes.Clone(before), "\xff\xfe"...)
	}
	return before, after
}

// write sends the body, or as much of it as the plan lets through.
func (a *answer) write(before, after []byte) {
	h := a.w.Header()
	h.Set("Content-Length", strconv.FormatInt(int64(len(before)+len(after))+a.plan.giant, 10))
	if a.plan.cut >= 0 {
		half := before[:len(before)/2]
		if a.plan.how == endBody {
			h.Set("Content-Length", strconv.Itoa(len(half)))
			a.w.Write(half) //nolint:errcheck // the answer is cut anyway
			return
		}
		a.w.Write(half) //nolint:errcheck
		a.rc.Flush()    //nolint:errcheck
		a.sever(a.plan.how)
		return
	}
	for _, step := range []func() error{
		func() error { _, err := a.w.Write(before); return err },
		func() error { return writeGiant(a.w, a.plan.giant) },
		func() error { _, err := a.w.Write(after); return err },
	} {
		if step() != nil {
			return // the client went away
		}
	}
}

// writeGiant writes n letters without holding them.
func writeGiant(w io.Writer, n int64) error {
	block := bytes.Repeat([]byte("a"), int(min(n, 32<<10)))
	for n > 0 {
		m, err := w.Write(block[:min(n, int64(len(block)))])
		if err != nil {
			return err
		}
		n -= int64(m)
	}
	return nil
}
