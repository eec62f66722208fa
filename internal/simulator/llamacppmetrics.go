package simulator

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// llamacppPage is llama-server's /metrics (--metrics): sums without labels. What was read of prompts is counted when a first
// token comes, what was written when a request has finished; there is nothing of queues but the number of requests in them.
type llamacppPage struct {
	nobody
	*registry

	prompt, promptSeconds, predicted, predictedSeconds, decodes, longest prometheus.Counter

	mu   sync.Mutex
	sums struct{ prompt, promptSeconds, predicted, predictedSeconds, decodes, busy float64 }
	most float64 // tokens of the longest sequence
}

func newLlamacppPage(_ *Options, now func() load) *llamacppPage {
	r := newRegistry(now, nil)
	p := &llamacppPage{registry: r}
	p.prompt = r.counter("llamacpp:prompt_tokens_total", "Number of prompt tokens processed.", nil)
	p.promptSeconds = r.counter("llamacpp:prompt_seconds_total", "Prompt process time", nil)
	p.predicted = r.counter("llamacpp:tokens_predicted_total", "Number of generation tokens processed.", nil)
	p.predictedSeconds = r.counter("llamacpp:tokens_predicted_seconds_total", "Predict process time", nil)
	p.decodes = r.counter("llamacpp:n_decode_total", "Total number of llama_decode() calls", nil)
	p.longest = r.counter("llamacpp:n_tokens_max", "Largest observed n_tokens.", nil)
	average := func(name, help string, of func() (float64, float64)) {
		r.gauge(name, help, nil, func(load) float64 {
			p.mu.Lock()
			defer p.mu.Unlock()
			n, by := of()
			if by == 0 {
				return 0
			}
			return n / by
		})
	}
	average("llamacpp:prompt_tokens_seconds", "Average prompt throughput in tokens/s.", func() (float64, float64) { return p.sums.prompt, p.sums.promptSeconds })
	average("llamacpp:predicted_tokens_seconds", "Average generation throughput in tokens/s.", func() (float64, float64) { return p.sums.predicted, p.sums.predictedSeconds })
	average("llamacpp:n_busy_slots_per_decode", "Average number of busy slots per llama_decode() call", func() (float64, float64) { return p.sums.busy, p.sums.decodes })
	r.gauge("llamacpp:requests_processing", "Number of requests processing.", nil, func(l load) float64 { return float64(l.running) })
	r.gauge("llamacpp:requests_deferred", "Number of requests deferred.", nil, func(l load) float64 { return float64(l.waiting) })
	return p
}

func (p *llamacppPage) step(st step) {
	p.decodes.Inc()
	p.mu.Lock()
	p.sums.decodes++
	p.sums.busy += float64(st.running)
	p.mu.Unlock()
}

func (p *llamacppPage) token(s *sequence, n int, _, due instant) {
	if n > 1 {
		return
	}
	t := s.timeline()
	computed, took := float64(s.prompt-t.cached), due.sub(t.scheduled).Seconds()
	p.prompt.Add(computed)
	p.promptSeconds.Add(took)
	p.mu.Lock()
	p.sums.prompt += computed
	p.sums.promptSeconds += took
	p.mu.Unlock()
}

func (p *llamacppPage) finished(s *sequence, _ finishReason) {
	t := s.timeline()
	if t.made == 0 {
		return
	}
	took := t.last.sub(t.first).Seconds()
	p.predicted.Add(float64(t.made))
	p.predictedSeconds.Add(took)
	p.mu.Lock()
	p.sums.predicted += float64(t.made)
	p.sums.predictedSeconds += took
	if n := float64(s.prompt + t.made); n > p.most {
		p.longest.Add(n - p.most)
		p.most = n
	}
	p.mu.Unlock()
}
