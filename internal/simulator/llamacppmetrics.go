package simulator

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"sync"
)

// llamacppPage is llama-server's /metrics (--metrics): sums without labels, in six digits, and rates of the time since the
// page was asked for last. What was computed of prompts is counted batch by batch, and the time of a batch once; what was
// written is counted when a request has finished. There is nothing of queues but the number of requests in them.
type llamacppPage struct {
	nobody
	now   func() load
	fixed bool // there are no batches

	mu              sync.Mutex // protects all following fields
	prompt, written llamacppSum
	latestPrompt    llamacppSum // since the page was asked for last
	latestWritten   llamacppSum
	cached          int // prompt tokens
	decodes, busy   int
	longest         int // tokens of the longest sequence
}

// llamacppSum is tokens, the steps that made them, and how long these took.
type llamacppSum struct {
	tokens, steps int
	seconds       float64
}

func (x *llamacppSum) add(y llamacppSum) {
	x.tokens += y.tokens
	x.steps += y.steps
	x.seconds += y.seconds
}

func (x llamacppSum) rate() float64 {
	if x.seconds <= 0 {
		return 0
	}
	return float64(x.steps) / x.seconds
}

func newLlamacppPage(o *Options, now func() load) *llamacppPage {
	return &llamacppPage{now: now, fixed: o.fixed()}
}

func (p *llamacppPage) handler() http.Handler { return http.HandlerFunc(p.serve) }

func (p *llamacppPage) serve(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	put := func(kind, name, help string, value float64) {
		name = "llamacpp:" + name
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n%s %s\n", name, help, name, kind, name, strconv.FormatFloat(value, 'g', 6, 64))
	}
	l := p.now()
	p.mu.Lock()
	for _, x := range []struct {
		name, help string
		value      float64
	}{
		{"prompt_tokens_total", "Number of prompt tokens processed, excluding cached tokens", float64(p.prompt.tokens)},
		{"prompt_tokens_cached_total", "Number of prompt tokens reused from the cache", float64(p.cached)},
		{"prompt_seconds_total", "Total time spent processing prompts", p.prompt.seconds},
		{"tokens_predicted_total", "Number of generation tokens processed", float64(p.written.tokens)},
		{"tokens_predicted_seconds_total", "Total time spent generating tokens", p.written.seconds},
		{"n_decode_total", "Total number of llama_decode() calls, excluding speculative decoding and multimodal decoding", float64(p.decodes)},
		{"n_tokens_max", "Largest observed sequence length (prompt + generation)", float64(p.longest)},
		{"spec_decode_num_draft_tokens_total", "Speculative: Total draft tokens generated", 0},
		{"spec_decode_num_accepted_tokens_total", "Speculative: Total draft tokens accepted by the target model", 0},
		{"spec_decode_num_drafts_total", "Speculative: Total speculative decoding verification steps", 0},
	} {
		put("counter", x.name, x.help, x.value)
	}
	for _, x := range []struct {
		name, help string
		value      float64
	}{
		{"prompt_tokens_seconds", "Average prompt throughput in tokens/s", p.latestPrompt.rate()},
		{"predicted_tokens_seconds", "Average generation throughput in tokens/s", p.latestWritten.rate()},
		{"requests_processing", "Number of requests processing", float64(l.running)},
		{"requests_deferred", "Number of requests deferred", float64(l.waiting)},
		{"n_busy_slots_per_decode", "Average number of busy slots per llama_decode() call", float64(p.busy) / float64(max(p.decodes, 1))},
	} {
		put("gauge", x.name, x.help, x.value)
	}
	p.latestPrompt, p.latestWritten = llamacppSum{}, llamacppSum{}
	p.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	w.Write(b.Bytes()) //nolint:errcheck // the client went away
}

func (p *llamacppPage) scheduled(s *sequence, _ instant) {
	cached := s.timeline().cached
	p.mu.Lock()
	p.cached += cached
	p.mu.Unlock()
}

func (p *llamacppPage) step(st step) {
	p.mu.Lock()
	p.decodes++
	p.busy += st.running
	if st.prefilled > 0 {
		p.read(st.prefilled, st.end.sub(st.begin).Seconds())
	}
	p.mu.Unlock()
}

// read counts prompt tokens that were computed. It is called with the lock held.
func (p *llamacppPage) read(tokens int, seconds float64) {
	x := llamacppSum{tokens, tokens, seconds}
	p.prompt.add(x)
	p.latestPrompt.add(x)
}

func (p *llamacppPage) token(s *sequence, n int, _, due instant) {
	if n > 1 || !p.fixed {
		return
	}
	t := s.timeline()
	p.mu.Lock()
	p.read(s.prompt-t.cached, due.sub(t.scheduled).Seconds())
	p.mu.Unlock()
}

// finished counts what was written. The first token comes with the prompt's end, and is no step.
func (p *llamacppPage) finished(s *sequence, _ finishReason) {
	t := s.timeline()
	if t.made == 0 {
		return
	}
	x := llamacppSum{t.made, t.made - 1, t.last.sub(t.first).Seconds()}
	p.mu.Lock()
	p.written.add(x)
	p.latestWritten.add(x)
	p.longest = max(p.longest, s.prompt+t.made)
	p.mu.Unlock()
}
