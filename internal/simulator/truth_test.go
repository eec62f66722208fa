package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTruthIsBounded(t *testing.T) {
	tr := newTruth(newClock(), 3)
	for i := range 5 {
		tr.add(newSequence(fmt.Sprint(i), 1, 10))
	}
	if len(tr.order) != 3 || len(tr.byID) != 3 || tr.byID["1"] != nil || tr.byID["2"] == nil || tr.tokens != 30 {
		t.Errorf("%d requests, %d ids, %d tokens are kept; want the last 3, 30 tokens", len(tr.order), len(tr.byID), tr.tokens)
	}
	// The same id again: the later one is found, also when the earlier one goes.
	again := newSequence("4", 1, 10)
	tr.add(again)
	tr.add(newSequence("5", 1, 10))
	tr.add(newSequence("6", 1, 10))
	if tr.byID["4"] != again {
		t.Error("the later request with the same id is not found")
	}

	tr = newTruth(newClock(), 1000)
	for i := range 1000 {
		tr.add(newSequence(fmt.Sprint(i), 1, maxSends))
	}
	if want := maxTruthTokens / maxSends; len(tr.order) != want || tr.tokens > maxTruthTokens {
		t.Errorf("%d long requests are kept; want %d", len(tr.order), want)
	}

	s := newSequence("long", 1, 1)
	for range maxSends + 5 {
		s.sent(send{})
	}
	if got := tr.of(s, true); len(got.Tokens) != maxSends || got.TokensDropped != 5 {
		t.Errorf("%d tokens are kept, %d dropped; want %d and 5", len(got.Tokens), got.TokensDropped, maxSends)
	}
}

func TestTruthStates(t *testing.T) {
	o := roundEngine()
	o.MaxRunning = 1
	inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
		a := ask(t, client, "a", hello(`"stream":true,"max_tokens":3,`))
		b := ask(t, client, "b", hello(`"stream":true,"max_tokens":3,`))
		for _, want := range []struct {
			at   time.Duration
			a, b string
		}{{5 * ms, "prefill", "queued"}, {20 * ms, "decode", "queued"}, {40 * ms, "finished", "prefill"}, {80 * ms, "finished", "finished"}} {
			time.Sleep(want.at - time.Since(s.created))
			ta, tb := truthOf(t, client, "a"), truthOf(t, client, "b")
			if ta.State != want.a || tb.State != want.b {
				t.Errorf("at %v a is in %s and b in %s; want %s and %s", want.at, ta.State, tb.State, want.a, want.b)
			}
			if (ta.QueueWait == nil) != (ta.State == "queued") || (tb.FirstToken == nil) != (tb.State == "queued" || tb.State == "prefill") {
				t.Errorf("at %v the truths are %+v and %+v: what has not happened must be null", want.at, ta, tb)
			}
			if want.at == 20*ms {
				readAll(t, a) // until 34 ms
			}
		}
		readAll(t, b)
		var all []Truth
		if err := json.Unmarshal([]byte(get(t, client, "/ground_truth")), &all); err != nil || len(all) != 2 || all[0].RequestID != "a" || all[1].Tokens != nil {
			t.Errorf("all truths: %v, %+v; want a and b, without tokens", err, all)
		}
	})
}

// TestStampsAreTheTruth checks, on a real clock, that what an event says of itself is what the truth says of its token.
func TestStampsAreTheTruth(t *testing.T) {
	s, addr := overTCP(t, Options{FirstToken: 10 * ms, PerToken: ms, StampEvents: true})
	before := time.Now()
	resp, err := postTCP(t.Context(), addr, "r", 50)
	if err != nil {
		t.Fatal(err)
	}
	body, err := partial(resp)
	if err != nil {
		t.Fatal(err)
	}
	tr, _ := s.Truth("r")
	if tr.ArrivalUnixNano < before.UnixNano() || tr.ArrivalUnixNano > time.Now().UnixNano() {
		t.Errorf("the arrival %d is not between the request and now", tr.ArrivalUnixNano)
	}
	if mono, ok := machineMonotonic(); ok {
		// The two clocks must agree on how long ago that was, but for the time between reading the one and the other.
		ago := time.Now().UnixNano() - tr.ArrivalUnixNano
		later, _ := machineMonotonic()
		if least, most := mono-tr.ArrivalMonoNano, later-tr.ArrivalMonoNano; ago < least-int64(50*ms) || ago > most+int64(50*ms) {
			t.Errorf("the arrival was %v ago; on the monotonic clock %v to %v", time.Duration(ago), time.Duration(least), time.Duration(most))
		}
	}
	k := 0
	for line := range strings.Lines(body) {
		if !strings.Contains(line, `"delta":{"content":"`) {
			continue
		}
		var e struct {
			Due  int64 `json:"sim_due_unix_nano"`
			Sent int64 `json:"sim_sent_unix_nano"`
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &e); err != nil {
			t.Fatal(err)
		}
		tok := tr.Tokens[k]
		if want := int64(10*ms) + int64(k)*int64(ms); tok.Due != want {
			t.Errorf("token %d was due at %v; want %v", k, time.Duration(tok.Due), time.Duration(want))
		}
		if e.Sent != tok.SentUnixNano || e.Sent-e.Due != tok.Sent-tok.Due || tok.SentMonoNano-tr.ArrivalMonoNano != tok.Sent {
			t.Errorf("event %d says due %d, sent %d; the truth is %+v", k, e.Due, e.Sent, tok)
		}
		k++
	}
	if k != 50 {
		t.Errorf("%d stamped events; want 50", k)
	}
}
