package ask

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// burst sends several requests at once, with prompts of one shape and texts of their own.
func (p *Probe) burst(ctx context.Context, intended time.Time, s *Spent) {
	if intended.IsZero() {
		intended = time.Now() // one for all
	}
	idle, quiet := p.target.IdleFor()
	cold := p.spec.Burst.AfterIdle <= 0 || quiet && idle >= p.spec.Burst.AfterIdle
	requests := make([]*prober.Request, p.spec.Burst.Size)
	id := prober.NewID()
	for i := range requests {
		requests[i] = p.request(id, intended)
		requests[i].Burst = len(requests)
		id = prober.SiblingID(id)
	}
	requests[0].Cold = cold

	start := prober.NewStart(requests)
	spent := make([]Spent, len(requests))
	var wg sync.WaitGroup
	var panicked sync.Once
	var failure error
	for i, q := range requests {
		wg.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					panicked.Do(func() { failure = fmt.Errorf("%v\n%s", v, debug.Stack()) })
				}
			}()
			p.settle(ctx, q, how{start: start}, &spent[i])
		})
	}
	wg.Wait()
	if failure != nil {
		panic(failure) // on the caller's goroutine: who would have caught it for one request catches it here
	}
	for i := range spent {
		s.merge(&spent[i])
	}
}
