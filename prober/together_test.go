package prober_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

func TestUserTTFT(t *testing.T) {
	const ttft = 300 * time.Millisecond
	first := probertest.Streamed("t", "p", ttft, time.Millisecond, 3)
	second := probertest.Streamed("t", "p", ttft, time.Millisecond, 3)
	second.Request.Attempt, second.Request.FirstDispatched = 2, second.Timeline.Dispatched.Add(-5*time.Second)
	for _, test := range []struct {
		name string
		r    *prober.Result
		want time.Duration // 0: none
	}{
		{"first try", first, ttft},
		{"second try", second, 5*time.Second + ttft},
		{"failed", probertest.Failed("t", "p", prober.RateLimited, time.Second), 0},
		{"not streamed", probertest.Whole("t", "p", time.Second, 3), 0},
	} {
		if got, ok := prober.UserTTFT(test.r); got != test.want || ok != (test.want > 0) {
			t.Errorf("%s: UserTTFT = %v, %v; want %v", test.name, got, ok, test.want)
		}
	}
}

func TestSiblingID(t *testing.T) {
	id := prober.NewID()
	sibling := prober.SiblingID(id)
	a, b := prober.Request{ID: id}, prober.Request{ID: sibling}
	if id == sibling || a.Group() == "" || a.Group() != b.Group() || !strings.HasPrefix(sibling, a.Group()) || len(sibling) != len(id) {
		t.Errorf("SiblingID(%s) = %s; want another id with the same first half", id, sibling)
	}
	for _, other := range []string{"", "mine", strings.Repeat("0", 32), strings.Repeat("é", 16)} {
		r := prober.Request{ID: other}
		if got := r.Group(); got != "" {
			t.Errorf("Group of %q = %q; want none", other, got)
		}
		if got := prober.SiblingID(other); len(got) != 32 {
			t.Errorf("SiblingID(%q) = %q; want a new id", other, got)
		}
	}
}

// asker is a prober of a server, and a request for it.
func asker(t *testing.T, o simulator.Options, header http.Header) (*prober.Prober, prober.Request) {
	t.Helper()
	client, err := transport.New(transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		t.Fatal(err)
	}
	p := prober.New(prober.Options{URL: simulated(t, o), Protocol: protocol, Client: client, Header: header})
	return p, prober.Request{
		ID: prober.NewID(), Target: "sim", Probe: "p",
		Call: wire.Call{Model: "sim-8b", Messages: []wire.Message{{Role: "user", Content: "Go on."}}, MaxOutputTokens: 50},
	}
}

func TestDoText(t *testing.T) {
	o := simulator.Options{FirstToken: time.Millisecond, PerToken: 10 * time.Microsecond, ReasoningEffort: "low"}
	for _, stream := range []bool{true, false} {
		p, req := asker(t, o, nil)
		req.Call.Stream = stream
		req.Call.MaxOutputTokens = 400
		r, text := p.DoText(t.Context(), &req, 1<<20)
		if r.Outcome != prober.OK || len(text) < 50 {
			t.Fatalf("stream %v: %s (%v), answered %q; want a text", stream, r.Outcome, r.Err, text)
		}
		// What is wanted of it does not hinder the checks, which see all.
		checked := req
		checked.Checks.Contains = []string{" "}
		for _, limit := range []int{0, 1, 20} {
			if r, head := p.DoText(t.Context(), &checked, limit); r.Outcome != prober.OK || len(head) != limit {
				t.Errorf("stream %v: %s (%v), text %q; want %d bytes", stream, r.Outcome, r.Err, head, limit)
			}
		}
	}
}

func TestDoTogether(t *testing.T) {
	p, template := asker(t, simulator.Options{FirstToken: 3 * time.Second, PerToken: 10 * time.Microsecond}, nil)
	const n = 6
	ask := func(ctx context.Context) []*prober.Result {
		requests := make([]*prober.Request, n)
		for i := range requests {
			requests[i] = new(template)
			requests[i].ID = prober.NewID()
			if i > 0 { // the first is done long before the others, and waits for them
				requests[i].Call.Messages = []wire.Message{{Role: "user", Content: strings.Repeat("The long and winding road. ", 4_000)}}
			}
		}
		start := prober.NewStart(requests)
		results := make([]*prober.Result, n)
		var wg sync.WaitGroup
		for i, q := range requests {
			wg.Go(func() { results[i] = p.DoTogether(ctx, q, start) })
		}
		wg.Wait()
		return results
	}
	all := ask(t.Context())
	first := all[0].Timeline
	for i, r := range all {
		check(t, r)
		if r.Outcome != prober.OK {
			t.Fatalf("request %d: %s: %v", i, r.Outcome, r.Err)
		}
		if d := r.Timeline.Dispatched.Sub(first.Dispatched); d < 0 || !r.Timeline.Dispatched.Before(first.End) {
			t.Errorf("request %d was dispatched %v after the first; want it after, and before that one's end", i, d)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i, r := range ask(ctx) {
		if check(t, r); r.Outcome != prober.Canceled {
			t.Errorf("request %d of an ended context: %s; want canceled", i, r.Outcome)
		}
	}
}

// A request that is never handed in holds up the others no longer than a request may take.
func TestDoTogetherWithoutOne(t *testing.T) {
	p, template := asker(t, simulator.Options{FirstToken: time.Millisecond, PerToken: 10 * time.Microsecond}, nil)
	template.Limits.Total = 2 * time.Second // which a busy machine has for the other one, too
	here, lost := new(template), new(template)
	if r := p.DoTogether(t.Context(), here, prober.NewStart([]*prober.Request{lost, here})); r.Outcome != prober.OK || !r.Degraded {
		t.Errorf("outcome %s (%v), degraded %v; want ok and late", r.Outcome, r.Err, r.Degraded)
	}
}
