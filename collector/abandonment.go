package collector

import (
	"errors"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// Curve says what share of users has given up after waiting for the first token for so long, the shortest time first:
//
//	share
//	  1 |                    ·-----   after the last point it stays
//	    |             ·
//	    |      ·                      between two it grows evenly
//	  0 ·---------------------------
//	    0      1s     5s     20s      before the first it grows evenly from nothing
type Curve []CurvePoint

// CurvePoint is a point of a curve.
type CurvePoint struct {
	After time.Duration // above 0, and above that of the point before
	Share float64       // 0 to 1, and not below that of the point before
}

func (c Curve) check() error {
	var before CurvePoint
	for _, p := range c {
		if p.After <= before.After || !(p.Share >= before.Share) || p.Share > 1 {
			return errors.New("abandonment: want times that grow from above 0, and shares between 0 and 1 that do not fall")
		}
		before = p
	}
	return nil
}

// share is the share of users who have given up after d.
func (c Curve) share(d time.Duration) float64 {
	var before CurvePoint
	d = max(0, d)
	for _, p := range c {
		if d < p.After {
			return before.Share + (p.Share-before.Share)*float64(d-before.After)/float64(p.After-before.After)
		}
		before = p
	}
	return before.Share
}

// waited is how long a user of this request had to wait for the first token, at least, and whether anybody knows.
// Who got an error instead did not give up.
func waited(r *prober.Result) (time.Duration, bool) {
	t := &r.Timeline
	switch {
	case !t.FirstToken.IsZero():
		return t.FirstToken.Sub(t.Dispatched), true
	case r.Outcome == prober.TimeoutFirstToken || r.Outcome == prober.TimeoutTotal:
		return r.Duration(), true
	}
	return 0, false
}
