package judge

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// shard makes a run one of so many shards.
func shard(run *record.Run, n, of int, v record.Verdict, reasons ...string) *record.Run {
	run.Shard, run.Shards, run.Verdict, run.Reasons = n, of, v, reasons
	return run
}

// A sum is judged by its own comparison where there is one; what its shards were called counts where there is none.
func TestJudgeSum(t *testing.T) {
	usual := nights(0, .200, .206, .194, .203, .198, .210, .192)
	last := Options{Compare: &Against{With: "last_7"}}
	for _, test := range []struct {
		name    string
		ttft    float64
		history []*record.Run
		o       Options
		shards  [2]record.Verdict
		of      int
		want    record.Verdict
		reason  string // the first
	}{
		{"worse, whatever the shards say", .260, usual, last, [2]record.Verdict{record.Pass, record.Pass}, 2, record.Regressed, "p95 TTFT"},
		{"no worse, whatever the shards say", .201, usual, last, [2]record.Verdict{record.Regressed, record.Pass}, 2, record.Pass, "All objectives held."},
		{"too few to compare with", .201, usual[:3], last, [2]record.Verdict{record.Pass, record.Regressed}, 2, record.Regressed, "Shard 1 by itself: slower"},
		{"too few for anybody", .201, nil, last, [2]record.Verdict{record.NotEnoughRuns, record.NotEnoughRuns}, 2, record.NotEnoughRuns, "Not enough runs"},
		{"too few for a shard", .201, nil, Options{}, [2]record.Verdict{record.NotEnoughRuns, record.Pass}, 2, record.NotEnoughRuns, "Shard 0 by itself: slower"},
		{"not compared", .201, nil, Options{}, [2]record.Verdict{record.Pass, record.Fail}, 2, record.Pass, "All objectives held."},
		{"missed", 20, usual, last, [2]record.Verdict{record.Regressed, record.Regressed}, 2, record.Fail, "p95 TTFT of chat missed"},
		{"a shard is missing", .260, usual, last, [2]record.Verdict{record.Pass, record.Pass}, 3, record.Invalid, "shard 2 (of 0 to 2) is missing"},
		{"a shard is missing, and one is worse", .260, usual, last, [2]record.Verdict{record.Pass, record.Regressed}, 3, record.Regressed, "shard 2 (of 0 to 2) is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var shards []*record.Run
			for _, n := range []int{1, 0} {
				shards = append(shards, shard(flat(50, test.ttft, 0), n, test.of, test.shards[n], "slower"))
			}
			sum, err := record.Merge(shards)
			if err != nil {
				t.Fatal(err)
			}
			JudgeSum(sum, shards, test.history, test.o)
			if sum.Verdict != test.want || len(sum.Reasons) == 0 || !strings.Contains(sum.Reasons[0], test.reason) {
				t.Errorf("JudgeSum() = %s, %q; want %s, %q", sum.Verdict, sum.Reasons, test.want, test.reason)
			}
			if len(sum.Missing()) > 0 && sum.Comparison != nil {
				t.Errorf("compared with %q; want nothing", sum.Comparison.Runs)
			}
		})
	}
}

// The record does not have the price of an hour; what the shards were said to cost has.
func TestJudgeSumCost(t *testing.T) {
	var shards []*record.Run
	for n := range 2 {
		run := shard(flat(1, .2, 0), n, 2, "")
		run.Lanes[0].Stages[0].Windows = []record.Window{{Start: run.Started, Length: time.Minute, Planned: 400, Sent: 400, OK: 400, Tokens: 4000, Arrived: 4000}}
		run.Lanes[0].Stages[0].Probes["chat"].OutputTokens = 4000
		Judge(run, nil, Options{PerHour: 4})
		shards = append(shards, run)
	}
	one := shards[0].Diagnosis.Cost
	sum, err := record.Merge(shards)
	if err != nil {
		t.Fatal(err)
	}
	JudgeSum(sum, shards, nil, Options{})
	whole := sum.Diagnosis.Cost
	if one == nil || whole == nil || whole.By != "hour" || math.Abs(whole.PerThousandRequests/one.PerThousandRequests-.5) > 1e-9 {
		t.Errorf("cost of the sum %+v, of a shard %+v; want half: the same hour for twice the work", whole, one)
	}
}
