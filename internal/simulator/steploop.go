package simulator

import "context"

// run steps the model through real time. Each step begins at the instant at which the one before was due to end: when the
// process is late, the steps that follow catch up.
func (e *scheduler) run(ctx context.Context, w *waiter) {
	var at instant
	for ctx.Err() == nil {
		end, ok := e.begin(at)
		if !ok {
			select {
			case <-e.wake:
			case <-ctx.Done():
			}
			continue
		}
		for _, s := range e.watching {
			s.deliver()
		}
		if !w.until(ctx, end, nil) {
			return
		}
		for _, s := range e.finish(end) {
			s.deliver()
		}
		at = end
	}
}
