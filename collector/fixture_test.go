package collector

import (
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

const ms = time.Millisecond

// everything is a Series that has every family that a probe or a target can have.
var everything = Series{
	Target: "own", Model: "llama", Probe: "chat", Stream: true, Interval: time.Minute,
	QueueWaitSources: []queuewait.Source{queuewait.Body, queuewait.Estimated},
	Price:            &TokenPrice{Currency: "USD", Input: 1, CachedInput: 0.5, Output: 4},
	HourlyPrice:      &HourlyPrice{Currency: "EUR", Amount: 2.5},
	Abandonment:      Curve{{time.Second, 0.1}, {5 * time.Second, 0.5}},
	Retries:          true, Bursts: true, Turns: 2,
}

func mustApply(t interface {
	Helper()
	Fatal(...any)
}, p *Probes, series ...Series) {
	t.Helper()
	if err := p.Apply(series); err != nil {
		t.Fatal(err)
	}
}

func with(r *prober.Result, change func(*prober.Result)) *prober.Result {
	change(r)
	return r
}
