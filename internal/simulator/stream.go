package simulator

import (
	"net/http"
	"time"
)

// stream gives the answer token by token.
func (a *answer) stream() {
	if a.plan.hangAfter {
		if a.head() == nil {
			a.hang()
		}
		return
	}
	st := &streaming{answer: a}
	if err := st.all(); err == errDead {
		panic(http.ErrAbortHandler) // the connection breaks off
	}
}

// all sends everything. Its error but errDead says that the client went away or that the answer is over otherwise.
func (st *streaming) all() error {
	if st.p.heralds {
		if err := st.begins(); err != nil {
			return err
		}
	}
	if !st.p.late && !st.headed {
		if err := st.head(); err != nil {
			return err
		}
	}
	st.voice.opening()
	if err := st.flush(); err != nil {
		return err
	}
	if err := st.tokens(); err != nil {
		return err
	}
	return st.end()
}

// begins waits until the engine begins with the request: nothing of it is known before that. With fixed times that is told in
// advance.
func (st *streaming) begins() error {
	if err := st.await(st.every(), st.onSilence); err != nil {
		return err
	}
	if left := st.readings[0].at.sub(st.s.clock.now()); left > 0 {
		return st.pause(left)
	}
	return nil
}

// head sends the header of a stream.
func (a *answer) head() error {
	if d := a.plan.slowHeaders; d > 0 {
		if err := a.pause(d); err != nil {
			return err
		}
	}
	h := a.w.Header()
	h.Set("Content-Type", a.p.kind)
	a.voice.header(h)
	a.w.WriteHeader(http.StatusOK)
	a.headed, a.wrote = true, time.Now()
	return a.rc.Flush()
}

// streaming is the state of a streamed answer.
type streaming struct {
	*answer

	next    int       // index in dues of the next token to send
	pending []instant // due times of the tokens that have been told and not sent
	under   bool      // an event is under way
	kind    kind      // of its tokens
	inEvent int       // tokens in it

	socket socket // where the answer may be lent
	over   bool   // while lent: the answer has been sent up to its last token, or as far as err let it
	err    error
}

// tokens sends events until the last token. An error means that the answer is over, for good or bad.
func (st *streaming) tokens() error {
	if err := st.between(); err != nil {
		return err
	}
	if st.lendable() {
		if over, err := st.lend(); over {
			return err
		}
	}
	for {
		for _, p := range st.readings {
			if r, ok := st.voice.(reader); ok {
				r.reading(p)
			}
			if err := st.flush(); err != nil {
				return err
			}
		}
		st.readings = st.readings[:0]
		for st.next < len(st.dues) {
			st.next++
			if err := st.token(st.dues[st.next-1]); err != nil {
				return err
			}
			if st.last(st.made) {
				return nil
			}
		}
		if err := st.await(st.every(), st.onSilence); err != nil {
			return err
		}
		st.next = 0
	}
}

// every is how long the stream may be silent; 0: for ever.
func (st *streaming) every() time.Duration {
	switch {
	case st.plan.keepAlive > 0 && st.made == 0:
		return st.plan.keepAlive
	case (st.p.late || st.p.heralds) && !st.headed:
		return 0
	}
	return st.ping
}

// onSilence sends what is sent when there is nothing to send.
func (st *streaming) onSilence() error {
	if st.plan.keepAlive > 0 && st.made == 0 {
		st.line(": keep-alive\n\n")
	} else {
		st.voice.ping()
	}
	return st.flush()
}

// token tells one token, as a part of the event under way or in a new one, and sends the event when it is full or the last.
func (st *streaming) token(due instant) error {
	t := st.utter()
	last := st.last(st.made)
	if st.under && t.kind != st.kind { // an event holds tokens of one kind
		st.made--
		if err := st.send(false); err != nil {
			return err
		}
		st.made++
	}
	st.due = due
	if !st.under {
		st.under, st.kind = st.voice.begin(t.kind), t.kind
		if !st.under && len(st.buf) > 0 { // something else to say, such as that it thinks
			if err := st.flush(); err != nil {
				return err
			}
		}
	}
	st.pending = append(st.pending, due)
	st.ids = append(st.ids, t.id)
	st.voice.tell(t)
	if st.under {
		if st.inEvent++; !last && st.inEvent < st.plan.perEvent {
			return nil
		}
		if err := st.send(last); err != nil {
			return err
		}
	}
	return st.between()
}

// send ends the event under way and sends it.
func (st *streaming) send(last bool) error {
	st.under = false
	before := st.made - len(st.pending) // tokens before this event
	if before == st.plan.badUTF8 {
		st.put("\xff\xfe")
	}
	if st.plan.giant > 0 && before <= 1 && st.made > 1 {
		if err := st.giant(); err != nil {
			return err
		}
	}
	st.voice.finish(last)
	if before == st.plan.badJSON {
		st.buf = st.buf[:st.begun+(len(st.buf)-st.begun)*3/4]
	}
	return st.sent()
}

// sent writes the events that were made, and notes for the tokens told so far that they were sent: before the write, so that
// whoever has an event finds the truth about it.
func (st *streaming) sent() error {
	now := time.Now()
	t := send{sent: st.s.clock.at(now), wall: now.UnixNano()}
	for _, t.due = range st.pending {
		st.seq.sent(t)
	}
	st.seal(st.due, now)
	st.pending, st.ids, st.inEvent = st.pending[:0], st.ids[:0], 0
	return st.flush()
}

// between does what goes wrong after the tokens so far.
func (st *streaming) between() error {
	p := st.plan
	if p.stall > 0 && st.made >= p.stallAt {
		d := p.stall
		p.stall = 0
		if err := st.pause(d); err != nil {
			return err
		}
	}
	if p.cut < 0 || st.made < p.cut {
		return nil
	}
	switch p.how {
	case endBody:
		if !st.headed {
			st.head() //nolint:errcheck // the answer is over anyway
		}
	case endError:
		st.s.engine.abort(st.seq, finishError)
		st.voice.failure(&apiError{status: http.StatusInternalServerError, kind: "InternalServerError", message: "Internal server error"})
		st.flush() //nolint:errcheck // the answer is over anyway
	default:
		st.sever(p.how)
	}
	return errGone
}

// end sends what comes after the last token.
func (st *streaming) end() error {
	st.voice.closing()
	return st.sent()
}

// flush writes what was made, and the header before it if that is still to be sent.
func (a *answer) flush() error {
	if len(a.buf) == 0 {
		return nil
	}
	if !a.headed {
		if err := a.head(); err != nil {
			return err
		}
	}
	if !a.sealed {
		a.seal(a.due, time.Now())
	}
	_, err := a.w.Write(a.buf)
	a.buf, a.begun = a.buf[:0], 0
	a.wrote = time.Now()
	if err != nil {
		return err
	}
	return a.rc.Flush()
}

// giant writes the event under way so far, and then the plan's number of bytes of text.
func (st *streaming) giant() error {
	if !st.headed {
		if err := st.head(); err != nil {
			return err
		}
	}
	if _, err := st.w.Write(st.buf); err != nil {
		return err
	}
	st.buf, st.begun = st.buf[:0], 0
	left := st.plan.giant
	st.plan.giant = 0
	return writeGiant(st.w, left)
}
