package judge

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// JudgeSum judges what record.Merge made of shards, as Judge does a whole run: by all its requests, and against other whole
// runs. A sum in which a shard is missing is compared with nothing.
//
// Where it cannot be compared with enough runs, what the shards were called by themselves, against the same shard of earlier
// runs, is what there is: the gravest of them counts. Each of them has had its own chance of a false alarm, so the comparison
// of the sum, where there is one, stands above theirs.
//
// PerHour of the options may be left out: it is what the shards were judged with.
func JudgeSum(sum *record.Run, shards, history []*record.Run, o Options) {
	if len(sum.Missing()) > 0 {
		o.Compare = nil
	}
	if o.PerHour == 0 {
		o.PerHour = perHourOf(shards)
	}
	Judge(sum, history, o)
	if sum.Verdict == record.Pass || sum.Verdict == record.NotEnoughRuns {
		byShards(sum, shards)
	}
	sum.Verdict = sum.Bound(sum.Verdict)
	if words := sum.MissingWords(); words != "" {
		sum.Reasons = append([]string{words}, sum.Reasons...)
	}
}

// byShards has a sum that missed nothing bear what its shards were called when they were compared by themselves.
func byShards(sum *record.Run, shards []*record.Run) {
	shards = slices.SortedFunc(slices.Values(shards), func(a, b *record.Run) int { return cmp.Compare(a.Shard, b.Shard) })
	compared := sum.Comparison != nil && sum.Comparison.Verdict != record.NotEnoughRuns
	for _, v := range []record.Verdict{record.Regressed, record.NotEnoughRuns} {
		if v == sum.Verdict || compared && v != record.Regressed {
			return
		}
		var reasons []string
		for _, r := range shards {
			switch {
			case r.Verdict != v:
			case compared:
				sum.Reasons = append(sum.Reasons, fmt.Sprintf("Shard %d by itself was called worse than its own earlier runs; all shards together are not.", r.Shard))
			case len(r.Reasons) == 0:
				reasons = append(reasons, fmt.Sprintf("Shard %d by itself: %s.", r.Shard, v))
			default:
				for _, words := range r.Reasons {
					reasons = append(reasons, fmt.Sprintf("Shard %d by itself: %s", r.Shard, words))
				}
			}
		}
		if len(reasons) > 0 {
			sum.Verdict, sum.Reasons = v, append(reasons, sum.Reasons...)
			return
		}
	}
}

// perHourOf is the price of an hour that shards were judged with; 0: there was none, or none of them says.
func perHourOf(shards []*record.Run) float64 {
	for _, r := range shards {
		if d := r.Diagnosis; d != nil && d.Cost != nil && d.Cost.By == "hour" && d.Knee != nil {
			return d.Cost.PerThousandRequests / 1e3 * d.Knee.RequestsPerSecond * 3600 // costOf, the other way round
		}
	}
	return 0
}
