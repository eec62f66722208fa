package schedule

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever an earlier process left: what counts is never less than nothing, nothing is kept that is older than a day, and what
// is kept again says the same once more.
func FuzzRestore(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"all":{"requests":[{"at":946684790000,"n":3}],"output_tokens":[{"at":946684700000,"n":500}],"money":{"USD":[{"at":946684000000,"n":1000000000}]}}}`,
		`{"groups":{"chat":{"requests":[{"at":946684799999,"n":9223372036854775807},{"at":946684799999,"n":9223372036854775807}]}}}`,
		`{"all":{"requests":[{"at":9223372036854775807,"n":1},{"at":-9223372036854775808,"n":1},{"at":0,"n":-5}]}}`, `{"all":{"money":{"":[{"n":1}]}}}`, `{"groups":{"":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var left Used
		if json.Unmarshal(data, &left) != nil {
			return
		}
		synctest.Test(t, func(t *testing.T) { // its clock begins in 2000, and stands still
			limits := Budget{RequestsPerMinute: 10, OutputTokensPerHour: 1000, CostPerDay: map[string]float64{"USD": 1}}
			b := newBooks([measures]Reason{})
			b.bound(limits)
			now := 48 * time.Hour
			b.restore(now, time.Now(), left.All)
			for measure := range measures {
				if total := b.meter(measure, "USD").total(now); total < 0 {
					t.Errorf("%d of measure %d count", total, measure)
				}
			}
			used := b.used(now, time.Now())
			for _, uses := range [][]UsedAt{used.Requests, used.OutputTokens, used.Money["USD"]} {
				for _, u := range uses {
					if u.Amount <= 0 || time.UnixMilli(u.At).After(time.Now().Add(time.Second)) || time.Since(time.UnixMilli(u.At)) > longest+time.Hour {
						t.Errorf("%+v is kept at %v", u, time.Now())
					}
				}
			}
			again := newBooks([measures]Reason{})
			again.bound(limits)
			again.restore(now, time.Now(), used)
			for measure := range measures {
				if was, is := b.meter(measure, "USD").total(now), again.meter(measure, "USD").total(now); was != is {
					t.Errorf("measure %d: %d count, and %d after another restart", measure, was, is)
				}
			}
		})
	})
}
