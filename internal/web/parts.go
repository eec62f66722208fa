package web

import (
	"time"

	"github.com/llmprober/llm_prober/prober/queuewait"
)

// parts is where one time to first token went.
type parts struct {
	took   []time.Duration // by queuewait.Parts; 0 where it is not known
	source queuewait.Source
	model  bool
}

func newParts(b *queuewait.Breakdown) *parts {
	p := &parts{source: b.Queue, model: b.Model, took: make([]time.Duration, 0, len(queuewait.Parts()))}
	for _, name := range queuewait.Parts() {
		took, _ := b.Part(name)
		p.took = append(p.took, took)
	}
	return p
}

// queue is the time in the queue, where it is known.
func (p *parts) queue() (time.Duration, bool) {
	if p == nil || p.source == "" {
		return 0, false
	}
	for i, name := range queuewait.Parts() {
		if name == queuewait.PartQueue {
			return p.took[i], true
		}
	}
	return 0, false
}

// partName is a part for people.
func partName(p queuewait.Part) string {
	switch p {
	case queuewait.PartFirstDecode:
		return "first token"
	case queuewait.PartLoad:
		return "model load"
	default:
		return string(p)
	}
}
