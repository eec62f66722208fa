package ask_test

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ask"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

func TestAsk(t *testing.T) {
	target := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: 100 * time.Microsecond})
	p, sink := probe(t, target, ask.Spec{})
	intended := time.Now()
	spent := p.Ask(t.Context(), intended)
	all := sink.take()
	if len(all) != 1 {
		t.Fatalf("%d results; want 1", len(all))
	}
	r, q := all[0], all[0].Request
	if r.Outcome != prober.OK || r.Retried || r.OutputTokens != 16 {
		t.Errorf("outcome %s (%v), Retried %v, %d tokens; want ok, false and 16", r.Outcome, r.Err, r.Retried, r.OutputTokens)
	}
	if q.Target != "chat" || q.Probe != "p" || q.Call.Model != "sim-8b" || !q.Intended.Equal(intended) || q.Attempt != 1 ||
		!q.FirstDispatched.IsZero() || q.Turn != 0 || q.Burst != 0 || q.Cold || len(q.Call.Messages) != 1 {
		t.Errorf("request = %+v; want one question to chat", q)
	}
	want := ask.Spent{Requests: 1, PromptTokens: r.Usage.PromptTokens, OutputTokens: 16}
	if diff := cmp.Diff(want, spent); diff != "" || spent.PromptTokens == 0 {
		t.Errorf("Spent (-want +got):\n%s", diff)
	}
	if most := p.Most(); most.Requests != 1 || most.OutputTokens != 16 || most.PromptTokens != 60 {
		t.Errorf("Most() = %+v; want 1 request, 16 and 60 tokens", most)
	}
	if p.Ask(t.Context(), time.Time{}); sink.take()[0].Request.Call.Messages[0].Content == q.Call.Messages[0].Content {
		t.Error("two askings have the same prompt")
	}
}

// A ramp asks from many goroutines at once.
func TestAskAtOnce(t *testing.T) {
	target := simulated(t, simulator.Options{FirstToken: 5 * time.Millisecond, PerToken: 100 * time.Microsecond})
	p, _ := probe(t, target, ask.Spec{Reuse: true})
	lane := new(results)
	p = p.With(lane, http.Header{"x-lane": {"tenant-a"}})
	const n = 200
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { p.Ask(t.Context(), time.Now()) })
	}
	wg.Wait()
	texts, ids := map[string]bool{}, map[string]bool{}
	for _, r := range lane.take() {
		if r.Outcome != prober.OK {
			t.Fatalf("outcome = %s: %v", r.Outcome, r.Err)
		}
		texts[r.Request.Call.Messages[0].Content] = true
		ids[r.Request.Group()] = true
	}
	if len(texts) != n || len(ids) != n {
		t.Errorf("%d texts and %d groups of ids; want %d of each", len(texts), len(ids), n)
	}
	if _, idle := target.IdleFor(); !idle {
		t.Error("the target is still busy")
	}
}

func TestWith(t *testing.T) {
	inBubble(t, []func(w writer){answer(0, "a")}, func(t *testing.T, server *scripted, target *ask.Target) {
		p, sink := probe(t, target, ask.Spec{})
		lane := new(results)
		p.With(lane, http.Header{"x-of-target": {"no"}, "X-Lane": {"b"}}).Ask(t.Context(), time.Time{})
		p.With(nil, nil).Ask(t.Context(), time.Time{})
		if len(lane.take()) != 1 || len(sink.take()) != 1 {
			t.Error("want one result for each sink")
		}
		h := server.asked()[0].header
		if got := []string{h.Get("X-Of-Target"), h.Get("X-Lane"), server.asked()[1].header.Get("X-Of-Target"), server.asked()[1].header.Get("X-Lane")}; !cmp.Equal(got, []string{"no", "b", "yes", ""}) {
			t.Errorf("headers = %q; want the lane's to win, and to be the lane's alone", got)
		}
	})
}

// Another way to a target shares what was learnt and the prompts, but not the connections.
func TestThrough(t *testing.T) {
	inBubble(t, []func(w writer){answer(0, "a")}, func(t *testing.T, server *scripted, target *ask.Target) {
		dialled := 0
		other, err := target.Through(transport.Options{Dial: countDials(&dialled, server.dial)})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		other.Start()
		p, sink := probe(t, target, ask.Spec{})
		q, lane := probe(t, other, ask.Spec{})
		p.Ask(t.Context(), time.Time{})
		time.Sleep(time.Hour)
		if spent := q.Ask(t.Context(), time.Time{}); spent.Requests != 1 || dialled != 1 {
			t.Errorf("%d requests by %d connections; want 1 by 1", spent.Requests, dialled)
		}
		if a, b := sink.take()[0], lane.take()[0]; a.Request.Call.Messages[0].Content == b.Request.Call.Messages[0].Content || b.Request.Target != "chat" {
			t.Errorf("the prompts are %q and %q; want two", a.Request.Call.Messages[0].Content, b.Request.Call.Messages[0].Content)
		}
		if d, idle := target.IdleFor(); !idle || d != 0 {
			t.Errorf("IdleFor() = %v, %v; want 0 after what was asked by the other way", d, idle)
		}
	})
}

// The server's /tokenize makes the very first prompt right.
func TestStart(t *testing.T) {
	for _, tokenizer := range []string{"a", "b"} {
		target := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: 10 * time.Microsecond, Tokenizer: tokenizer, MaxModelLen: 64 << 10})
		target.Start()
		target.Start()
		ask.WaitForStart(target)
		for _, asked := range []int{100, 1_000, 8_000} {
			p, sink := probe(t, target, ask.Spec{Shape: workload.Shape{PromptTokens: workload.Range{Min: asked, Max: asked}}})
			p.Ask(t.Context(), time.Time{})
			if r := sink.take()[0]; math.Abs(float64(r.Usage.PromptTokens-asked)) > 0.05*float64(asked) {
				t.Errorf("tokenizer %s: the first prompt of %d tokens has %d", tokenizer, asked, r.Usage.PromptTokens)
			}
		}
	}
}

const weather = `[{"type":"function","function":{"name":"get_weather","description":"Get the current weather at a place.","parameters":{"type":"object","properties":{"place":{"type":"string"}}}}}]`

// After three requests the server counts what was asked for within 5 %, and within 1 % in the mean, whatever is beside the text.
func TestPromptLengths(t *testing.T) {
	for _, test := range []struct {
		name  string
		spec  ask.Spec
		asked []int
	}{
		{"text", ask.Spec{}, []int{20, 100, 1_000, 8_000, 30_000}},
		{"instruction", ask.Spec{Shape: workload.Shape{Instruction: "Reply with the word OK."}}, []int{30, 100, 1_000}},
		{"instruction in another script", ask.Spec{Shape: workload.Shape{Instruction: "请只回答“好”。"}}, []int{60, 100, 1_000}},
		{"tools", ask.Spec{Call: wire.Call{Options: wire.Options{Tools: json.RawMessage(weather)}}}, []int{200, 1_000}},
		{"shared prefix", ask.Spec{Shape: workload.Shape{SharedPrefixTokens: 500}}, []int{1_000, 8_000}},
	} {
		for _, tokenizer := range []string{"a", "b"} {
			t.Run(test.name+"/"+tokenizer, func(t *testing.T) {
				for _, asked := range test.asked {
					// A target of its own, or what is learnt of one length would help with the next.
					target := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: 10 * time.Microsecond, Tokenizer: tokenizer, MaxModelLen: 64 << 10})
					spec := test.spec
					spec.Reuse = true
					spec.Shape.PromptTokens = workload.Range{Min: asked, Max: asked}
					p, sink := probe(t, target, spec)
					const learning, n = 3, 12
					for range learning + n {
						p.Ask(t.Context(), time.Time{})
					}
					sum := 0.0
					for i, r := range sink.take() {
						text := r.Request.Call.Messages[0].Content
						if r.Outcome != prober.OK || spec.Shape.Instruction != "" && !strings.HasSuffix(text, "\n"+spec.Shape.Instruction) {
							t.Fatalf("%s (%v), asked %.80q; want ok, and the instruction last", r.Outcome, r.Err, text[max(0, len(text)-80):])
						}
						off := float64(r.Usage.PromptTokens-asked) / float64(asked)
						if i < learning {
							continue
						}
						if sum += off; math.Abs(off) > 0.05 {
							t.Errorf("request %d has %d tokens; want %d within 5 %%", i+1, r.Usage.PromptTokens, asked)
						}
					}
					if mean := sum / n; math.Abs(mean) > 0.01 {
						t.Errorf("asked for %d tokens, the mean is off by %.2f %%; want 1 %%", asked, 100*mean)
					}
				}
			})
		}
	}
}

// What a probe with tools learns of its prompts does not touch those of the others.
func TestToolsAreLearntApart(t *testing.T) {
	target := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: 10 * time.Microsecond})
	plain, sink := probe(t, target, ask.Spec{Reuse: true})
	tools, _ := probe(t, target, ask.Spec{Reuse: true, Call: wire.Call{Options: wire.Options{Tools: json.RawMessage(weather)}}})
	for range 5 {
		plain.Ask(t.Context(), time.Time{})
	}
	for range 20 {
		tools.Ask(t.Context(), time.Time{})
	}
	sink.take()
	plain.Ask(t.Context(), time.Time{})
	if r := sink.take()[0]; math.Abs(float64(r.Usage.PromptTokens-60)) > 3 {
		t.Errorf("after 20 prompts with tools one without has %d tokens; want 60", r.Usage.PromptTokens)
	}
}

func TestChecks(t *testing.T) {
	inBubble(t, []func(w writer){answer(0, "It is OK"), answer(0, "It is not")}, func(t *testing.T, _ *scripted, target *ask.Target) {
		p, sink := probe(t, target, ask.Spec{
			Shape: workload.Shape{Instruction: "Reply with the word OK."}, Checks: prober.Checks{Contains: []string{"OK"}},
		})
		p.Ask(t.Context(), time.Time{})
		p.Ask(t.Context(), time.Time{})
		if got, want := kinds(sink.take()), []prober.Outcome{prober.OK, prober.ContentMismatch}; !cmp.Equal(got, want) {
			t.Errorf("outcomes = %v; want %v", got, want)
		}
	})
}

func TestRecorded(t *testing.T) {
	const file = `{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"short"}],"max_output_tokens":4,"weight":3}
{"messages":[{"role":"user","content":"long"}],"max_output_tokens":4000}
{"messages":[{"role":"user","content":"open"}]}
`
	recorded, err := workload.ReadRecorded("f", strings.NewReader(file), workload.RecordedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	inBubble(t, []func(w writer){answer(0, "a")}, func(t *testing.T, server *scripted, target *ask.Target) {
		spec := ask.Spec{Recorded: recorded, Call: wire.Call{MaxOutputTokens: 64, Options: wire.Options{MinTokens: 8}}}
		p, sink := probe(t, target, spec)
		const n = 1000
		for range n {
			p.Ask(t.Context(), time.Time{})
		}
		counts := map[string]int{}
		for _, a := range server.asked() {
			last := a.body.Messages[len(a.body.Messages)-1].Content
			counts[last]++
			want := [2]int{64, 8}
			if last == "short" {
				want = [2]int{4, 4}
			}
			if got := [2]int{a.body.MaxTokens, a.body.MinTokens}; got != want {
				t.Fatalf("%q: caps of %v tokens; want %v", last, got, want)
			}
		}
		for text, share := range map[string]float64{"short": 0.6, "long": 0.2, "open": 0.2} {
			if off := math.Abs(float64(counts[text]) - n*share); off > 5*math.Sqrt(n*share*(1-share)) {
				t.Errorf("%q was asked %d times of %d; want about %.0f", text, counts[text], n, n*share)
			}
		}
		if r := sink.take()[0]; r.Request.PromptUnits != 0 {
			t.Errorf("PromptUnits = %d; want nothing to be learnt of recorded prompts", r.Request.PromptUnits)
		}
		if most := p.Most(); most.OutputTokens != 64 || most.PromptTokens < len("Be brief.short") {
			t.Errorf("Most() = %+v; want 64 output tokens, and room for the longest prompt", most)
		}
		again, sink := probe(t, target, spec)
		again.Ask(t.Context(), time.Time{})
		if a, b := sink.take()[0].Request.Call.Messages, server.asked()[0].body.Messages; !cmp.Equal(a, b) {
			t.Errorf("the same seed begins with %v and %v", a, b)
		}
	})
}

func TestSpecIsChecked(t *testing.T) {
	target := target(t, ask.Options{URL: "http://server/v1"})
	for _, test := range []struct {
		spec ask.Spec
		want string
	}{
		{ask.Spec{Turns: -1}, "probe p: turns, a burst's size or a retry's attempts are negative"},
		{ask.Spec{Turns: 2, Recorded: new(workload.Recorded)}, "probe p: recorded prompts are questions, not conversations: take turns or the recorded prompts away"},
		{ask.Spec{Turns: 2, Burst: ask.Burst{Size: 2}}, "probe p: a burst is of questions, not of conversations: take turns or the burst away"},
	} {
		test.spec.Name = "p"
		if _, err := target.Probe(test.spec); err == nil || err.Error() != test.want {
			t.Errorf("Probe(%+v) = %v; want %s", test.spec, err, test.want)
		}
	}
	for _, o := range []ask.Options{{URL: ":", Protocol: "openai_chat"}, {URL: "http://server", Protocol: "smoke_signals"}} {
		if made, err := ask.NewTarget(o); err == nil || made != nil {
			t.Errorf("NewTarget(%+v) = %v, %v; want an error alone", o, made, err)
		}
	}
}
