package main

import (
	"bytes"

	"github.com/llmprober/llm_prober/prober/wire"
)

// sends is what the server says about when it wrote each token of one answer, as Unix nanoseconds. The n-th entry belongs
// to the n-th of prober.Result's chunks.
type sends struct {
	due, sent []int64
	unstamped int // tokens that came without
}

// newSends makes room for the stamps of one answer on each of the streams. It lies outside of Go's heap, so that what the
// benchmark remembers neither counts as the prober's memory nor lets the collector wait longer.
func newSends(streams, tokens int) (all []sends, free func(), err error) {
	room, free, err := offHeap(2 * streams * tokens)
	if err != nil {
		return nil, nil, err
	}
	take := func() []int64 {
		s := room[:0:tokens]
		room = room[tokens:]
		return s
	}
	all = make([]sends, streams)
	for i := range all {
		all[i] = sends{due: take(), sent: take()}
	}
	return all, free, nil
}

func (s *sends) reset() { s.due, s.sent, s.unstamped = s.due[:0], s.sent[:0], 0 }

// watched is protocol with a decoder that also writes the server's stamps into s. It serves one answer at a time.
// The prober sees the events that it would see without.
func watched(protocol *wire.Protocol, s *sends) *wire.Protocol {
	p := *protocol
	p.NewDecoder = func() wire.Decoder { return &watchingDecoder{protocol.NewDecoder(), s} }
	return &p
}

type watchingDecoder struct {
	wire.Decoder
	sends *sends
}

func (d *watchingDecoder) Decode(f wire.Frame, ev *wire.Event) error {
	err := d.Decoder.Decode(f, ev)
	if err == nil && ev.Generated() {
		due, sent, ok := stamps(f.Data)
		if !ok {
			d.sends.unstamped++
		}
		d.sends.due = append(d.sends.due, due)
		d.sends.sent = append(d.sends.sent, sent)
	}
	return err
}

// The stamps are the last fields of an event, with 19 digits each.
const (
	dueField  = `,"sim_due_unix_nano":`
	sentField = `,"sim_sent_unix_nano":`
	digits    = 19
)

// stamps reads an event's stamps.
func stamps(event []byte) (due, sent int64, ok bool) {
	n := len(event) - len("}")
	if n < len(dueField)+len(sentField)+2*digits {
		return 0, 0, false
	}
	sentAt := n - digits
	dueAt := sentAt - len(sentField) - digits
	if !bytes.HasSuffix(event[:sentAt], []byte(sentField)) || !bytes.HasSuffix(event[:dueAt], []byte(dueField)) {
		return 0, 0, false
	}
	due, ok = number(event[dueAt : dueAt+digits])
	if !ok {
		return 0, 0, false
	}
	sent, ok = number(event[sentAt:n])
	return due, sent, ok
}

func number(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
