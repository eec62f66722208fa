package collector

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmprober/llm_prober/prober"
)

// turn is the series of one turn of a conversation.
type turn struct {
	ttft                       *histogram // nil unless streaming
	promptTokens, cachedTokens prometheus.Counter
}

// newTurns makes the series of all turns of s, which may have none.
func newTurns(m *maker, s Series) []turn {
	turns := make([]turn, s.Turns)
	for i := range turns {
		n := strconv.Itoa(i + 1)
		turns[i] = turn{promptTokens: m.counter(NameTurnPromptTokens, "turn", n), cachedTokens: m.counter(NameTurnCachedPromptTokens, "turn", n)}
		if s.Stream {
			turns[i].ttft = m.histogram(NameTurnTTFT, "turn", n)
		}
	}
	return turns
}

// observeTurn files what depends on the turn that a request is of.
func (u *unit) observeTurn(r *prober.Result) {
	n := r.Request.Turn
	if n < 1 || n > len(u.turns) {
		return
	}
	t := u.turns[n-1]
	if d, ok := r.TTFT(); ok && t.ttft != nil {
		t.ttft.observeWith(seconds(d), requestExemplar(r.Request.ID))
	}
	if r.Usage.Known {
		t.promptTokens.Add(float64(max(0, r.Usage.PromptTokens)))
		t.cachedTokens.Add(float64(max(0, r.Usage.CachedTokens)))
	}
}
