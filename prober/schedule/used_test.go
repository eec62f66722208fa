package schedule

import (
	"context"
	"encoding/json"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober/workload"
)

// What is handed on counts as long as it did before, or a slot or two longer, whatever the time between the processes.
func TestUsedIsNeverLessForTheNextProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const span, slots = time.Hour, 360
		type entry struct {
			at time.Duration
			n  int64
		}
		m := newMeter(span, slots)
		wall := time.UnixMilli(1_700_000_000_000).Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "phase")))
		now := longest
		var entries []entry
		reserved := rapid.Int64Range(0, 100).Draw(t, "reserved")
		m.begin(now, 0, reserved)
		for range rapid.IntRange(0, 30).Draw(t, "uses") {
			step := time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "step"))
			now, wall = now+step, wall.Add(step)
			n := rapid.Int64Range(0, 1000).Draw(t, "n")
			m.used.add(now, n)
			entries = append(entries, entry{now, n})
		}
		handed := m.uses(now, wall)
		down := time.Duration(rapid.Int64Range(0, int64(90*time.Minute)).Draw(t, "down"))
		next := newMeter(span, slots)
		begin := longest + time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "other phase"))
		next.restore(begin, wall.Add(down), handed)
		later := time.Duration(rapid.Int64Range(0, int64(70*time.Minute)).Draw(t, "later"))
		least, most := int64(0), int64(0)
		for _, e := range append(entries, entry{now, reserved}) {
			if age := now + down + later - e.at; age < span {
				least += e.n
				most += e.n
			} else if age < span+2*span/slots+2*time.Millisecond {
				most += e.n
			}
		}
		if got := next.total(begin + later); got < least || got > most {
			t.Fatalf("total = %d; want %d to %d", got, least, most)
		}
	})
}

// A daemon that is restarted again and again, in order or not, keeps within its budgets all the same.
func TestBudgetsHoldAcrossRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perHour, each = 1000, 90
		var uses []use
		group := Group{Name: "chat", Currency: "USD", OutputTokensPerHour: perHour}
		plan := Plan{Groups: []Group{group}, Budget: Budget{CostPerDay: map[string]float64{"USD": 30}}}
		plan.Jobs = []Job{{
			Key: "chat/interactive", Group: "chat", Interval: 20 * time.Second, Cost: Cost{Requests: 1, OutputTokens: each, Money: 0.5},
			Run: func(ctx context.Context, _ time.Time) Cost {
				_ = workload.SleepUntilTimer(ctx, time.Now().Add(3*time.Second))
				now := time.Now()
				uses = append(uses, use{now, "chat", "USD", Cost{OutputTokens: each}}, use{now, "chat", "USD", Cost{Money: 0.5}})
				return Cost{Requests: 1, OutputTokens: each, Money: 0.5}
			},
		}}
		var kept []byte
		for range 300 {
			s := New(Options{SleepUntil: workload.SleepUntilTimer})
			var u Used
			if kept != nil {
				if err := json.Unmarshal(kept, &u); err != nil {
					t.Fatal(err)
				}
			}
			s.Restore(u)
			if err := s.Apply(plan); err != nil {
				t.Fatal(err)
			}
			<-time.NewTimer(7 * time.Minute).C
			var err error
			if kept, err = json.Marshal(s.Used()); err != nil { // a run may be under way
				t.Fatal(err)
			}
			if err := s.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		hour := worst(uses, time.Hour, func(u use) float64 { return float64(u.cost.OutputTokens) })
		day := worst(uses, 24*time.Hour, func(u use) float64 { return u.cost.Money })
		if hour > perHour || hour < perHour-2*each {
			t.Errorf("%v output tokens in the worst hour; want %d or a little less", hour, perHour)
		}
		if day > 30 || day < 29 {
			t.Errorf("%v USD in the worst day; want 30 or a little less", day)
		}
	})
}

// A clock that was wrong neither frees a budget for ever nor breaks the books.
func TestRestoreOfWrongTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{SleepUntil: workload.SleepUntilTimer})
		defer s.Shutdown(t.Context())
		wrong := []UsedAt{
			{At: time.Now().Add(1000 * time.Hour).UnixMilli(), Amount: 5}, // counts as used now
			{At: math.MaxInt64, Amount: 2},
			{At: math.MinInt64, Amount: 7}, // long forgotten
			{At: time.Now().UnixMilli(), Amount: -3},
		}
		s.Restore(Used{Groups: map[string]UsedOf{"chat": {OutputTokens: wrong, Money: map[string][]UsedAt{"USD": wrong[2:]}}}})
		if err := s.Apply(Plan{Groups: []Group{{Name: "chat", OutputTokensPerHour: 10}}}); err != nil {
			t.Fatal(err)
		}
		if got := s.Status().Groups[0].OutputTokens; got != 7 {
			t.Errorf("OutputTokens = %d; want 7", got)
		}
		if got := s.Used().Groups["chat"].Money; len(got) != 0 {
			t.Errorf("money = %v; want none", got)
		}
		<-time.NewTimer(time.Hour + time.Minute).C
		if diff := cmp.Diff(Used{All: UsedOf{Money: map[string][]UsedAt{}}, Groups: map[string]UsedOf{}}, s.Used()); diff != "" {
			t.Errorf("an hour later (-want +got):\n%s", diff)
		}
	})
}
