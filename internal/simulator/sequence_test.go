package simulator

import "testing"

// The last token ends its sequence: whoever takes it and is done at once, before the engine goes on, aborts nothing.
func TestLastTokenEndsItsSequence(t *testing.T) {
	for _, tt := range []struct {
		name    string
		output  int
		endless bool
		tokens  int
		stop    bool
		ended   finishReason
	}{
		{"more to come", 3, false, 2, false, ""},
		{"the last", 3, false, 3, true, finishLength},
		{"without end", 3, true, 4, false, ""},
		{"nobody reads", 2 * maxBacklog, false, maxBacklog, true, finishAbort},
	} {
		s := newSequence("id", 1, tt.output)
		s.reason, s.endless = finishLength, tt.endless
		var last pushed
		for i := range tt.tokens {
			last = s.push(instant(i))
		}
		if last.made != tt.tokens || last.stop != tt.stop || last.ended != tt.ended {
			t.Errorf("%s: push = %+v; want %d made, stop %v, ended %q", tt.name, last, tt.tokens, tt.stop, tt.ended)
		}
		if dues, ended := s.take(nil); len(dues) != tt.tokens || ended != tt.ended {
			t.Errorf("%s: take = %d tokens, %q; want %d and %q", tt.name, len(dues), ended, tt.tokens, tt.ended)
		}
		if first := s.end(finishStop); first != (tt.ended == "") {
			t.Errorf("%s: end = %v, although it had ended by %q", tt.name, first, tt.ended)
		}
	}
	s := newSequence("id", 1, 1)
	s.reason = finishLength
	s.end(finishAbort)
	if p := s.push(0); !p.stop || p.ended != "" {
		t.Errorf("push after an abort = %+v; want stop, and no end of its own", p)
	}
}
