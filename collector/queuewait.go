package collector

import (
	"iter"
	"time"

	"github.com/llmprober/llm_prober/prober/queuewait"
)

// QueueWait files how long a request waited at the server, by one source, with its id as the exemplar; id may be empty. Below zero
// is taken as zero. A source that the probe's Series does not name is counted as unfiled.
func (p *Probes) QueueWait(target, probe string, source queuewait.Source, d time.Duration, id string) {
	u := p.unit(target, probe)
	if u == nil || u.queueWait[source] == nil {
		p.unfiled.Inc()
		return
	}
	u.queueWait[source].observeWith(seconds(d), requestExemplar(id))
}

// TTFTBreakdown files where the time to first token of one successful streaming request went: parts add up to it. One that is
// not known is not among them, and has no sample. Below zero is taken as zero.
func (p *Probes) TTFTBreakdown(target, probe string, parts iter.Seq2[queuewait.Part, time.Duration]) {
	u := p.unit(target, probe)
	if u == nil || u.breakdown == nil {
		p.unfiled.Inc()
		return
	}
	for part, d := range parts {
		if h := u.breakdown[part]; h != nil {
			h.Observe(seconds(d))
		}
	}
}
