package ask_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ask"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

// A server with a prefix cache has all of a turn but the last answer and question.
func TestConversation(t *testing.T) {
	const turns, first = 5, 2_000
	target := simulated(t, simulator.Options{PrefixCache: true, StepBase: 200 * time.Microsecond, PrefillPerToken: time.Microsecond})
	p, sink := probe(t, target, ask.Spec{
		Turns: turns, Shape: workload.Shape{PromptTokens: workload.Range{Min: first, Max: first}}, Call: wire.Call{MaxOutputTokens: 32},
	})
	p.Ask(t.Context(), time.Time{}) // learns
	sink.take()
	spent := p.Ask(t.Context(), time.Time{})
	all := sink.take()
	if len(all) != turns || spent.Requests != turns || spent.OutputTokens != turns*32 {
		t.Fatalf("%d results, spent %+v; want %d turns of 32 tokens", len(all), spent, turns)
	}
	prompt, cached := 0, 0
	for i, r := range all {
		q := r.Request
		if r.Outcome != prober.OK || q.Turn != i+1 || len(q.Call.Messages) != 2*i+1 || q.Group() != all[0].Request.Group() {
			t.Fatalf("turn %d: %s (%v), Turn = %d, %d messages, group %s", i+1, r.Outcome, r.Err, q.Turn, len(q.Call.Messages), q.Group())
		}
		if r.DispatchDelay() < 0 || i > 0 && q.Intended.Before(all[i-1].Timeline.End) {
			t.Errorf("turn %d was wanted before turn %d ended", i+1, i)
		}
		u := r.Usage
		prompt += u.PromptTokens
		cached += u.CachedTokens
		if i == 0 {
			if u.CachedTokens != 0 || u.PromptTokens < first*95/100 || u.PromptTokens > first*105/100 {
				t.Errorf("turn 1 has %d tokens, %d of them cached; want %d, none", u.PromptTokens, u.CachedTokens, first)
			}
			continue
		}
		before := all[i-1].Usage
		// A question of a tenth, an answer of 32 and the template; the cache goes by blocks of 16 tokens.
		if grown := u.PromptTokens - before.PromptTokens; grown < first/10+32 || grown > first/10+32+20+first/100 {
			t.Errorf("turn %d has %d tokens more than the one before; want about %d", i+1, grown, first/10+32+10)
		}
		if u.CachedTokens <= before.CachedTokens || u.CachedTokens < before.PromptTokens-32 || u.CachedTokens > before.PromptTokens+32+16 {
			t.Errorf("turn %d: %d tokens are cached; want about the %d of the turn before", i+1, u.CachedTokens, before.PromptTokens)
		}
	}
	if spent.PromptTokens != prompt || spent.CachedPromptTokens != cached {
		t.Errorf("spent %+v; want %d prompt tokens, %d cached", spent, prompt, cached)
	}
	if most := p.Most(); most.Requests != turns || most.OutputTokens != turns*32 || most.PromptTokens < prompt || most.PromptTokens > prompt*11/10 {
		t.Errorf("Most() = %+v; want a little more than was spent, %+v", most, spent)
	}
}

// The history holds what the model said, to the letter; a failed turn is asked again as any question is, and ends the
// conversation if that does not help.
func TestConversationCarriesTheAnswers(t *testing.T) {
	script := []func(writer){answer(time.Second, "One \"two\"\n"), answer(0, "three é"), refuse(429, "Retry-After: 1"), answer(0, "four"), refuse(500)}
	inBubble(t, script, func(t *testing.T, server *scripted, target *ask.Target) {
		p, sink := probe(t, target, ask.Spec{
			Turns: 9, Shape: workload.Shape{Instruction: "Say a number."}, Retry: ask.Retry{Attempts: 2, On: failures(t, "429")},
		})
		p.Ask(t.Context(), time.Time{})
		type line struct {
			turn, attempt int
			outcome       prober.Outcome
			answers       []string
		}
		var got []line
		for i, r := range sink.take() {
			l := line{turn: r.Request.Turn, attempt: r.Request.Attempt, outcome: r.Outcome}
			for _, m := range server.asked()[i].body.Messages {
				if m.Role == "assistant" {
					l.answers = append(l.answers, m.Content)
				} else if !strings.HasSuffix(m.Content, "\nSay a number.") {
					t.Errorf("question %q does not end with the instruction", m.Content)
				}
			}
			got = append(got, l)
		}
		const one, two, three = "One \"two\"\n", "three é", "four"
		want := []line{
			{1, 1, prober.OK, nil},
			{2, 1, prober.OK, []string{one}},
			{3, 1, prober.RateLimited, []string{one, two}},
			{3, 2, prober.OK, []string{one, two}},
			{4, 1, prober.HTTP5xx, []string{one, two, three}},
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
			t.Errorf("turns (-want +got):\n%s", diff)
		}
	})
}

func TestLongAnswersAreCut(t *testing.T) {
	inBubble(t, []func(writer){answer(0, strings.Repeat("é", 40_000))}, func(t *testing.T, server *scripted, target *ask.Target) {
		p, _ := probe(t, target, ask.Spec{Turns: 2})
		p.Ask(t.Context(), time.Time{})
		if got := server.asked()[1].body.Messages[1].Content; got != strings.Repeat("é", 32<<10) {
			t.Errorf("the history has an answer of %d bytes; want its first %d", len(got), 64<<10)
		}
	})
}
