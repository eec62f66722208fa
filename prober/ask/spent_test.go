package ask

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
	"github.com/llmprober/llm_prober/prober/wire"
)

func TestSpent(t *testing.T) {
	const limit = 100
	streamed := func(change func(*prober.Result)) *prober.Result {
		r := probertest.Streamed("t", "p", time.Second, time.Millisecond, 10)
		if change(r); r.Outcome != prober.OK {
			r.OutputSource = prober.TokensEvents
			r.Usage = wire.Usage{}
		}
		return r
	}
	failed := func(o prober.Outcome, status int, after time.Duration) *prober.Result {
		r := probertest.Failed("t", "p", o, time.Second)
		r.HTTPStatus, r.RetryAfter = status, after
		return r
	}
	never := func(o prober.Outcome) *prober.Result {
		r := failed(o, 0, 0)
		r.Timeline.WriteStart, r.Timeline.Wrote = time.Time{}, time.Time{}
		return r
	}
	end := probertest.Failed("t", "p", prober.RateLimited, time.Second).Timeline.End
	for _, test := range []struct {
		name  string
		r     *prober.Result
		limit int
		want  Spent
	}{
		{"ok", streamed(func(*prober.Result) {}), limit, Spent{Requests: 1, PromptTokens: 40, CachedPromptTokens: 16, OutputTokens: 10}},
		{"ok without usage", streamed(func(r *prober.Result) { r.Usage, r.OutputSource = wire.Usage{}, prober.TokensEvents }), limit,
			Spent{Requests: 1, PromptTokens: -1, CachedPromptTokens: -1, OutputTokens: limit}},
		{"ok without usage or cap", streamed(func(r *prober.Result) { r.Usage, r.OutputSource = wire.Usage{}, prober.TokensChunks }), 0,
			Spent{Requests: 1, PromptTokens: -1, CachedPromptTokens: -1, OutputTokens: -1}},
		{"usage of the output alone", streamed(func(r *prober.Result) { r.Usage.PromptTokens = 0 }), limit,
			Spent{Requests: 1, PromptTokens: -1, CachedPromptTokens: -1, OutputTokens: 10}},
		{"broken off", streamed(func(r *prober.Result) { r.Outcome = prober.TruncatedStream }), limit,
			Spent{Requests: 1, PromptTokens: -1, CachedPromptTokens: -1, OutputTokens: limit}},
		{"more events than the cap", streamed(func(r *prober.Result) { r.Outcome = prober.TooLarge; r.OutputTokens = 500 }), limit,
			Spent{Requests: 1, PromptTokens: -1, CachedPromptTokens: -1, OutputTokens: 500}},
		{"no answer in time", failed(prober.TimeoutTotal, 0, 0), limit, Spent{Requests: 1, PromptTokens: -1, CachedPromptTokens: -1, OutputTokens: limit}},
		{"given up under way", failed(prober.Canceled, 200, 0), limit, Spent{Requests: 1, PromptTokens: -1, CachedPromptTokens: -1, OutputTokens: limit}},
		{"refused connection", never(prober.Connect), limit, Spent{Requests: 1}},
		{"given up before it was sent", never(prober.Canceled), limit, Spent{}},
		{"server error", failed(prober.HTTP5xx, 500, time.Minute), limit, Spent{Requests: 1}},
		{"rate limited", failed(prober.RateLimited, 429, time.Minute), limit, Spent{Requests: 1, PauseUntil: end.Add(time.Minute)}},
		{"overloaded for hours", failed(prober.Overloaded, 503, time.Hour), limit, Spent{Requests: 1, PauseUntil: end.Add(MaxPause)}},
	} {
		var got Spent
		got.add(test.r, test.limit)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}

	late, soon := end.Add(time.Minute), end.Add(time.Second)
	s := Spent{Requests: 1, PromptTokens: 40, CachedPromptTokens: 8, OutputTokens: 10, PauseUntil: late}
	s.merge(&Spent{Requests: 2, PromptTokens: -1, CachedPromptTokens: -1, OutputTokens: 5, PauseUntil: soon})
	s.merge(&Spent{Requests: 1, PromptTokens: 7, CachedPromptTokens: 7, OutputTokens: 1})
	if diff := cmp.Diff(Spent{Requests: 4, PromptTokens: -1, CachedPromptTokens: -1, OutputTokens: 16, PauseUntil: late}, s); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
}
