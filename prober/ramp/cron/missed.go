package cron

import (
	"context"
	"slices"
	"time"
)

// settledAfter is how long after the latest beginning of an occasion it is certain who has claimed it.
const settledAfter = claimWithin

// missedLocked reports occasions of a ramp, in their order, that have no run here. Where there are other probers they may
// have one there: then it is reported once that is known.
func (s *Scheduler) missedLocked(t *task, reason Reason, occasions ...occasion) {
	var nominal []time.Time
	for _, o := range occasions {
		nominal = append(nominal, o.nominal)
	}
	switch {
	case len(nominal) == 0:
	case s.opts.Claims == nil:
		s.opts.Events.Missed(t.entry.Name, reason, nominal...)
	default:
		now := wall()
		known := Latest(nominal[len(nominal)-1], t.entry.Jitter).Add(s.settled)
		s.wg.Go(func() { s.missedByAll(s.ctx, t.entry.Name, reason, nominal, now, known) })
	}
}

// missedByAll reports those occasions that no other prober has claimed. Until known others may still claim them.
//
// A prober that starts (reason Down) does not know what the others did before. Those that have claimed a later occasion were
// there, or began between the two and have reported this one as it does. What it has claimed itself, and has no record of,
// it did not finish.
func (s *Scheduler) missedByAll(ctx context.Context, name string, reason Reason, nominal []time.Time, noticed, known time.Time) {
	timer := time.NewTimer(known.Sub(wall()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done(): // what a prober that ends had to report it reports when it starts again
		return
	}
	oldest := wall().Add(-keepClaims)
	if nominal = slices.DeleteFunc(nominal, func(n time.Time) bool { return n.Before(oldest) }); len(nominal) == 0 {
		return // nobody knows any more
	}
	asking, cancel := context.WithTimeout(ctx, claimWithin)
	defer cancel()
	claimed, err := s.tryClaimed(asking, name, nominal[0].Add(-time.Second))
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.opts.Logger.Error("Whether other probers ran a ramp is not known.", "ramp", name, "reason", string(reason), "occasions", len(nominal), "err", err)
		s.opts.Events.Missed(name, ClaimFailed, nominal...)
		return
	}
	ours, theirs := map[int64]bool{}, map[int64]bool{} // by Unix time
	var others time.Time                               // the latest of theirs, of those from before we noticed
	for _, c := range claimed {
		if c.Ours {
			ours[c.Nominal.Unix()] = true
			continue
		}
		theirs[c.Nominal.Unix()] = true
		if c.Nominal.Before(noticed) {
			others = c.Nominal
		}
	}
	nominal = slices.DeleteFunc(nominal, func(n time.Time) bool {
		switch {
		case theirs[n.Unix()]:
			return true
		case reason == Down:
			return !ours[n.Unix()] && n.Before(others)
		}
		return ours[n.Unix()] // before the clock was set back
	})
	if len(nominal) > 0 {
		s.opts.Events.Missed(name, reason, nominal...)
	}
}
