package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// spoken routes: what can be asked of each dialect, and what becomes of it there.
type probed struct {
	dialect, protocol, base string

	chat   bool // takes tools and reasoning
	shows  bool // the reasoning
	counts bool // tells reasoning tokens apart in its usage
	format bool // takes a JSON schema
	times  func(t wire.ServerTiming, tr Truth) string
}

func probedRoutes() []probed {
	near := func(what string, got float64, want *int64, within float64) string {
		if want == nil || math.Abs(got-float64(*want)/1e9) > within {
			return fmt.Sprintf("%s = %v; want %v ns", what, got, want)
		}
		return ""
	}
	first := func(all ...string) string {
		for _, s := range all {
			if s != "" {
				return s
			}
		}
		return ""
	}
	vllm := func(t wire.ServerTiming, tr Truth) string {
		return first(near("queue", t.QueueSeconds, tr.QueueWait, 1e-6), near("prefill", t.PrefillSeconds, tr.Prefill, 1e-6))
	}
	llamacpp := func(t wire.ServerTiming, tr Truth) string { return near("prefill", t.PrefillSeconds, tr.Prefill, 1e-6) }
	ollama := func(t wire.ServerTiming, tr Truth) string {
		queue := t.TotalSeconds - t.LoadSeconds - t.PrefillSeconds - max(t.DecodeSeconds, 0) // 0 is left out, and so unknown
		return first(near("queue", queue, tr.QueueWait, 1e-6), near("prefill", t.PrefillSeconds, tr.Prefill, 1e-6), near("total", t.TotalSeconds, tr.LastToken, 1e-6))
	}
	return []probed{
		{"vllm", "openai_chat", "/v1", true, true, true, true, vllm},
		{"vllm", "openai_completions", "/v1", false, false, false, true, vllm},
		{"vllm", "openai_responses", "/v1", true, true, true, true, vllm},
		{"sglang", "openai_chat", "/v1", true, true, true, true, nil},
		{"sglang", "openai_completions", "/v1", false, false, false, true, nil},
		{"tgi", "openai_chat", "/v1", true, false, false, true, nil},
		{"tgi", "openai_completions", "/v1", false, false, false, true, nil},
		{"tgi", "tgi_generate", "", false, false, false, true, nil},
		{"llamacpp", "openai_chat", "/v1", true, true, false, true, llamacpp},
		{"llamacpp", "openai_completions", "/v1", false, false, false, true, llamacpp},
		{"llamacpp", "openai_responses", "/v1", true, true, false, false, llamacpp}, // text.format is ignored
		{"llamacpp", "anthropic_messages", "", true, false, false, false, nil},      // and so are output_config.format and its effort
		{"ollama", "openai_chat", "/v1", true, true, false, true, nil},
		{"ollama", "ollama_chat", "", true, true, false, true, ollama},
		{"openai", "openai_chat", "/v1", true, false, true, true, nil},
		{"openai", "openai_completions", "/v1", false, false, false, true, nil},
		{"openai", "openai_responses", "/v1", true, false, true, true, nil},
		{"azure", "azure_openai", "", true, false, true, true, nil},
		{"anthropic", "anthropic_messages", "", true, true, true, true, nil},
		{"gemini", "gemini", "/v1beta", true, false, true, true, nil},
	}
}

const weather = `[{"type":"function","function":{"name":"get_weather","description":"The weather somewhere.","parameters":{
	"type":"object","properties":{"city":{"type":"string"},"unit":{"enum":["celsius","fahrenheit"]},"days":{"type":"integer","minimum":1,"maximum":7}},"required":["city"]}}}]`

// TestProbe has the prober ask each dialect, by each protocol, and compares what it saw with the truth.
func TestProbe(t *testing.T) {
	client, err := transport.New(transport.Options{Reuse: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	servers := map[string]*Server{}
	addresses := map[string]string{}
	var late []time.Duration
	for _, route := range probedRoutes() {
		protocol, err := wire.Lookup(route.protocol)
		if err != nil {
			t.Logf("%s is not known yet", route.protocol)
			continue
		}
		if servers[route.dialect] == nil {
			servers[route.dialect], addresses[route.dialect] = overTCP(t, Options{
				Dialect: route.dialect, FirstToken: 5 * ms, PerToken: ms / 10, PerRequestMetrics: true, MeanOutputTokens: 1000,
			})
		}
		s := servers[route.dialect]
		p := prober.New(prober.Options{URL: &url.URL{Scheme: "http", Host: addresses[route.dialect], Path: route.base}, Protocol: protocol, Client: client})

		for _, stream := range []bool{true, false} {
			for _, ask := range []struct {
				name    string
				wanted  bool
				options wire.Options
				checks  prober.Checks
				most    int
			}{
				{"plain", true, wire.Options{}, prober.Checks{}, 30},
				{"short", true, wire.Options{}, prober.Checks{}, 1},
				{"tool", route.chat, wire.Options{Tools: json.RawMessage(weather)}, prober.Checks{ToolCalled: "get_weather"}, 300},
				{"reasoning", route.chat, wire.Options{ReasoningEffort: "low"}, prober.Checks{}, 60},
				{"reasoning and tool", route.chat, wire.Options{ReasoningEffort: "low", Tools: json.RawMessage(weather), ToolChoice: "required"}, prober.Checks{ToolCalled: "*"}, 500},
				{"document", route.format, wire.Options{ResponseFormat: json.RawMessage(`{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"n":{"type":"integer"},"s":{"type":"string"}},"required":["n","s"]}}}`)}, prober.Checks{JSON: true}, 300},
			} {
				if !ask.wanted {
					continue
				}
				kind := map[bool]string{true: "stream", false: "whole"}[stream]
				t.Run(fmt.Sprintf("%s/%s/%s/%s", route.dialect, route.protocol, kind, ask.name), func(t *testing.T) {
					id := prober.NewID()
					if ask.name == "plain" {
						ask.options.Seed = new(int64(11)) // one that does not end by itself
					}
					r := p.Do(t.Context(), &prober.Request{ID: id, Checks: ask.checks, Call: wire.Call{
						Model: "sim-8b", Messages: []wire.Message{{Role: "user", Content: "Hello there, how are you?"}},
						MaxOutputTokens: ask.most, Stream: stream, Options: ask.options,
					}})
					if r.Outcome != prober.OK {
						t.Fatalf("%s: %v", r.Outcome, r.Err)
					}
					tr, ok := s.Truth(id)
					if !ok || tr.Finish == "abort" {
						t.Fatalf("the truth is %+v, %v", tr, ok)
					}
					if by := compare(t, &route, r, &tr, ask.options.ReasoningEffort != ""); stream {
						late = append(late, by)
					}
					if ask.name == "tool" && !r.ToolCalled || ask.name == "plain" && r.OutputTokens != 30 {
						t.Errorf("tool called: %v, %d tokens", r.ToolCalled, r.OutputTokens)
					}
				})
			}
		}
	}
	// One stream may be late by as much as the machine stood still; half of them are not.
	if slices.Sort(late); len(late) > 0 && late[len(late)/2] > 250*ms {
		t.Errorf("half of the streams came %v and more after they were sent", late[len(late)/2])
	}
}

// compare holds what the prober saw against what happened, and tells how late it saw the tokens; 0 where they are not timed.
func compare(t *testing.T, route *probed, r *prober.Result, tr *Truth, reasoned bool) (late time.Duration) {
	t.Helper()
	stream := r.Request.Call.Stream
	u := r.Usage
	prompt := tr.PromptTokens
	if route.protocol == "tgi_generate" && !stream {
		prompt = 0 // told in streams only
	}
	if !u.Known || u.PromptTokens != prompt || u.OutputTokens != tr.OutputTokens || r.OutputTokens != tr.OutputTokens || r.OutputSource != prober.TokensUsage {
		t.Errorf("usage %+v, %d output tokens by %s; want %d and %d by usage", u, r.OutputTokens, r.OutputSource, prompt, tr.OutputTokens)
	}
	if got := u.ReasoningTokens > 0; got != (reasoned && route.counts) {
		t.Errorf("%d reasoning tokens are told apart; reasoned %v, counts %v", u.ReasoningTokens, reasoned, route.counts)
	}
	if r.FinishReason == "" {
		t.Error("no finish reason")
	}
	if untimed := route.dialect == "llamacpp" && route.protocol == "openai_responses" && !stream; untimed {
		if r.Timing.Known {
			t.Errorf("server timing: %+v; want none but in streams", r.Timing)
		}
	} else if route.times != nil {
		if wrong := route.times(r.Timing, *tr); wrong != "" {
			t.Errorf("server timing: %s; the truth is %+v", wrong, tr)
		}
	}
	if !stream {
		if got := r.Timeline.End.UnixNano(); got < tr.Tokens[0].SentUnixNano {
			t.Errorf("the answer came %v before it was sent", time.Duration(tr.Tokens[0].SentUnixNano-got))
		}
		return 0
	}
	// Events are not numbered, but the times at which they were sent are all different, or nearly.
	first, last := tr.Tokens[0], tr.Tokens[len(tr.Tokens)-1]
	late = time.Duration(r.Timeline.FirstToken.UnixNano() - first.SentUnixNano)
	if late < -ms/2 || late > time.Minute {
		t.Errorf("the first token came %v after it was sent", late)
	}
	late = max(late, time.Duration(r.Timeline.LastToken.UnixNano()-last.SentUnixNano))
	if late > time.Minute {
		t.Errorf("the last token came %v after the last was sent", late)
	}
	// What a late reader finds in one read has one time.
	together := len(tr.Tokens) > 1 && r.Timeline.FirstToken.UnixNano() >= tr.Tokens[1].SentUnixNano
	shown, apart := reasoned && route.shows, r.Timeline.FirstOutput.After(r.Timeline.FirstToken)
	if shown != r.ReasoningShown || shown != apart && (apart || !together) {
		t.Errorf("the first token came at %v, the first of the answer at %v; reasoning shown: %v", r.Timeline.FirstToken, r.Timeline.FirstOutput, shown)
	}
	events := map[int64]bool{}
	for _, tok := range tr.Tokens {
		events[tok.Sent] = true
	}
	if n := len(r.Chunks); n == 0 || n > len(events) {
		t.Errorf("%d chunks with tokens came; %d events with tokens were sent", n, len(events))
	}
	return late
}

// TestProbeUnderLoad has requests wait for one that has the only slot, and for each other, and holds what the servers say of that
// against the truth.
func TestProbeUnderLoad(t *testing.T) {
	client, err := transport.New(transport.Options{Reuse: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, route := range probedRoutes() {
		if route.times == nil {
			continue
		}
		protocol, err := wire.Lookup(route.protocol)
		if err != nil {
			t.Fatal(err)
		}
		s, addr := overTCP(t, Options{Dialect: route.dialect, MaxRunning: 1, StepBase: 2 * ms, PerRequestMetrics: true})
		p := prober.New(prober.Options{URL: &url.URL{Scheme: "http", Host: addr, Path: route.base}, Protocol: protocol, Client: client})
		ask := func(ctx context.Context, tokens int, stream bool) *prober.Result {
			return p.Do(ctx, &prober.Request{ID: prober.NewID(), Call: wire.Call{
				Model: "sim-8b", Messages: []wire.Message{{Role: "user", Content: "Hello there, how are you?"}}, MaxOutputTokens: tokens, Stream: stream,
			}})
		}
		results := make([]*prober.Result, 4)
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		var wg sync.WaitGroup
		wg.Go(func() { ask(ctx, 30000, true) }) // a minute
		eventually(t, "the slot is taken", func() bool { return s.engine.load().running == 1 })
		for i := range results {
			wg.Go(func() { results[i] = ask(t.Context(), 8, i%2 == 0) })
		}
		eventually(t, "all others wait", func() bool { return s.engine.load().waiting == len(results) })
		leave()
		wg.Wait()
		waited := 0
		for _, r := range results {
			tr, _ := s.Truth(r.Request.ID)
			if r.Outcome != prober.OK {
				t.Errorf("%s by %s: %s: %v", route.dialect, route.protocol, r.Outcome, r.Err)
				continue
			}
			compare(t, &route, r, &tr, false)
			if *tr.QueueWait > int64(ms) {
				waited++
			}
		}
		if waited < len(results)-1 { // the first may have come when the slot became free
			t.Errorf("%s by %s: %d waited; want all but one of %d at least", route.dialect, route.protocol, waited, len(results))
		}
	}
}
