package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// answer is one request being answered.
type answer struct {
	s    *Server
	p    *protocol
	w    http.ResponseWriter
	rc   *http.ResponseController
	ctx  context.Context // ends when the client goes
	q    *question
	plan *plan
	seq  *sequence
	say  *speech

	id      string
	created int64
	voice   voice
	events
	headed bool      // the header has been written
	wrote  time.Time // when something was written last

	dues     []instant  // of the tokens taken last
	readings []progress // of the prompt, taken last
	due      instant    // of the token being told
	made     int        // tokens so far
	thoughts int        // of them, reasoning
	calls    int        // calls that have begun
	ids      []int      // of the tokens of the event under way
	silence  *time.Timer
	bulky    bool          // its events are too large to be lent
	ping     time.Duration // how long it may be silent; 0: for ever
}

// errGone ends an answer whose client went away or whose server stops; errDead one whose engine died.
var (
	errGone = errors.New("nobody waits for the answer")
	errDead = errors.New("the engine died")
)

// serve answers the requests of one protocol.
func (s *Server) serve(p *protocol) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a := &answer{s: s, p: p, w: w, rc: http.NewResponseController(w), ctx: r.Context()}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		now := time.Now() // the request has been read: this is its arrival
		if err != nil {
			if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
				p.refuse(w, &apiError{status: http.StatusRequestEntityTooLarge, kind: "BadRequestError", message: tooLarge.Error()})
			}
			return
		}
		if a.plan, err = s.faults.plan(r.Header.Get(faultHeader)); err != nil {
			p.refuse(w, err)
			return
		}
		if a.plan.hangBefore {
			a.hang()
		}
		if err := a.accept(r, body, now); err != nil {
			a.refuse(err)
			return
		}
		// Whatever ends the answer early frees the engine; after an orderly end this does nothing.
		defer func() {
			s.engine.abort(a.seq, finishAbort)
			if s.log.Enabled(a.ctx, slog.LevelDebug) {
				t := a.seq.timeline()
				s.log.Debug("answered", "request_id", a.seq.id, "prompt_tokens", a.seq.prompt, "output_tokens", t.made, "finish_reason", t.ended, "fault", a.plan.spec)
			}
		}()
		if a.q.stream {
			a.stream()
		} else {
			a.whole()
		}
	}
}

// refuse tells an error from before the answer began.
func (a *answer) refuse(err error) {
	status := http.StatusBadRequest
	if e, ok := errors.AsType[*apiError](err); ok {
		status = e.status
	}
	a.s.pages.refused(status)
	if e, ok := errors.AsType[*apiError](err); ok && a.q != nil && a.q.stream && a.p.early != nil {
		if text := a.p.early(e); text != "" {
			a.w.Header().Set("Content-Type", a.p.kind)
			a.w.WriteHeader(http.StatusOK)
			a.rc.Flush()            //nolint:errcheck // the client went away
			a.w.Write([]byte(text)) //nolint:errcheck
			return
		}
	}
	a.p.refuse(a.w, err)
}

// accept checks the request and hands its sequence to the engine.
func (a *answer) accept(r *http.Request, body []byte, now time.Time) error {
	s := a.s
	if s.opts.APIKey != "" && !hasKey(r, s.opts.APIKey) {
		return &apiError{status: http.StatusUnauthorized, kind: "Unauthorized", message: "Unauthorized"}
	}
	q, voiced, err := a.p.read(s, r, body)
	if err != nil {
		return err
	}
	a.q = q
	if err := s.checkModel(q.model); err != nil {
		return err
	}
	if _, ok := thoughts(q.effort); !ok {
		return badRequest("reasoning_effort", "reasoning_effort must be one of none, minimal, low, medium, high, xhigh and max, got %q.", q.effort)
	}
	for _, t := range q.tools {
		if t.parameters != nil {
			if err := checkSchema(t.parameters); err != nil {
				return badRequest("tools", "tool %q: %v", t.name, err)
			}
		}
	}
	if q.format.schema != nil {
		if err := checkSchema(q.format.schema); err != nil {
			return badRequest("response_format", "%v", err)
		}
	}

	a.created = now.Unix()
	a.id = r.Header.Get("X-Request-Id")
	if a.id == "" {
		a.id = q.id
	}
	if a.id == "" {
		a.id = fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64())
	}
	a.ping = a.p.ping
	a.events = events{end: a.p.end, stamp: s.opts.StampEvents || q.stamp, clock: s.clock, sealed: true}

	prompt := q.prompt.tokens(s.tokens)
	if a.p.caps {
		prompt = min(prompt, s.opts.MaxModelLen-1)
	}
	room := s.opts.MaxModelLen - prompt
	maximum := room
	if q.maximum != nil {
		maximum = *q.maximum
	}
	if a.p.caps || a.p.shortens {
		maximum = min(maximum, room)
	}
	if room < 1 || maximum > room {
		maximum = max(maximum, 1)
		e := badRequest("input_tokens", "This model's maximum context length is %d tokens. However, you requested %d output tokens and your prompt contains %d input tokens, for a total of %d tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value=%d)",
			s.opts.MaxModelLen, maximum, prompt, prompt+maximum, prompt)
		e.prompt, e.context = prompt, s.opts.MaxModelLen
		return e
	}

	seed := s.seed(q)
	var output int
	var why finishReason
	a.say, output, why = s.compose(q, maximum, seed)
	if a.plan.empty {
		output, why = 1, finishStop // the end-of-sequence token and nothing else
	}
	a.seq = newSequence(a.id, prompt, output)
	a.seq.reason, a.seq.maximum, a.seq.endless, a.seq.stream = why, maximum, a.plan.endless, q.stream
	a.seq.priority = q.priority
	if s.opts.PrefixCache {
		ids := q.prompt.ids(s.tokens)
		a.seq.prefix = prefixHashes(ids[:min(len(ids), prompt)], q.salt, s.opts.BlockTokens)
	}
	a.seq.slow, a.seq.fault = a.plan.slow, a.plan.spec
	a.seq.arrival, a.seq.wall = s.clock.at(now), now
	a.seq.heralded = a.p.heralds && q.stream
	a.due = a.seq.arrival
	a.voice = voiced(a)

	if a.plan.refuse != nil {
		return a.plan.refuse
	}
	select {
	case <-s.done:
		return &apiError{status: http.StatusServiceUnavailable, kind: "Service Unavailable", message: "The engine is stopped."}
	default:
	}
	s.truth.add(a.seq)
	if err := s.engine.submit(a.seq); err != nil {
		a.seq.end(finishError)
		return &apiError{status: http.StatusServiceUnavailable, kind: "Service Unavailable", message: "The server is overloaded: " + err.Error() + "."}
	}
	return nil
}

// hasKey reports whether the request shows the key, in any of the places in which the protocols have it.
func hasKey(r *http.Request, key string) bool {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return slices.Contains([]string{bearer, r.Header.Get("X-Api-Key"), r.Header.Get("Api-Key"), r.Header.Get("X-Goog-Api-Key"), r.URL.Query().Get("key")}, key)
}

// seed is the request's own, or one drawn for it.
func (s *Server) seed(q *question) uint64 {
	if q.seed != nil {
		return uint64(*q.seed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rand.Uint64()
}

// utter is the next token to tell.
func (a *answer) utter() token {
	a.made++
	if a.last(a.made) && a.seq.reason == finishStop {
		return token{kindStop, &a.s.vocabulary.stop}
	}
	t := a.say.next()
	switch t.kind {
	case kindThought, kindThoughtEnd:
		a.thoughts++
	case kindName:
		a.calls++
	}
	return t
}

// await waits until there are tokens to send, in a.dues, or reports on the reading of the prompt, in a.readings, or until the sequence has ended or nobody waits any more.
// Where nothing has been written for as long as every, it calls onSilence; 0: never.
func (a *answer) await(every time.Duration, onSilence func() error) error {
	for {
		var ended finishReason
		a.dues, a.readings, ended = a.seq.takeNext(a.dues, a.readings)
		switch {
		case len(a.dues) > 0 || len(a.readings) > 0:
			return nil
		case ended == finishDead:
			return errDead
		case ended != "":
			return errGone // it was aborted: what it had made has been taken before
		}
		select {
		case <-a.seq.wake:
		case <-a.silent(every):
			if time.Since(a.wrote) < every {
				continue
			}
			if err := onSilence(); err != nil {
				return err
			}
		case <-a.ctx.Done():
			return errGone
		case <-a.s.done:
			return errGone
		}
	}
}

// silent has something once nothing has been written for as long as every, or a little earlier; 0: never.
func (a *answer) silent(every time.Duration) <-chan time.Time {
	if every <= 0 {
		return nil
	}
	left := every - time.Since(a.wrote)
	if a.silence == nil {
		a.silence = time.NewTimer(left)
	} else {
		a.silence.Reset(left)
	}
	return a.silence.C
}

// last reports whether the n-th token is the sequence's last.
func (a *answer) last(n int) bool { return !a.seq.endless && n == a.seq.output }

// cached is how many tokens of the prompt came from the prefix cache.
func (a *answer) cached() int { return a.seq.timeline().cached }

// hang waits until the client goes or the server stops, and ends the connection.
func (a *answer) hang() {
	select {
	case <-a.ctx.Done():
	case <-a.s.done:
	}
	panic(http.ErrAbortHandler)
}

// pause waits for d, or less if nobody waits any more.
func (a *answer) pause(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-a.ctx.Done():
	case <-a.s.done:
	}
	return errGone
}

// sever ends the connection at once, as how says.
func (a *answer) sever(how ending) {
	if how == endReset {
		if conn, _, err := a.rc.Hijack(); err == nil {
			if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
				conn = t.NetConn() // below TLS
			}
			if t, ok := conn.(*net.TCPConn); ok {
				t.SetLinger(0) //nolint:errcheck // what remains is an ordinary close
			}
			conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}
