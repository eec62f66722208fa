package schedule

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestApplyRefusesBadPlans(t *testing.T) {
	good := Job{Key: "chat/rag", Group: "chat", Interval: time.Minute, Run: nothing}
	with := func(change func(*Job)) Plan {
		j := good
		change(&j)
		return Plan{Groups: []Group{{Name: "chat"}}, Jobs: []Job{j}}
	}
	for _, test := range []struct {
		name string
		plan Plan
		want string
	}{
		{"two jobs", Plan{Groups: []Group{{Name: "chat"}}, Jobs: []Job{good, good}}, `job "chat/rag": there are two`},
		{"two groups", Plan{Groups: []Group{{Name: "a"}, {Name: "a"}}}, `group "a": there are two`},
		{"no group", Plan{Jobs: []Job{good}}, `job "chat/rag": there is no group "chat"`},
		{"negative cap", Plan{Groups: []Group{{Name: "a", MaxInFlight: -1}}}, `group "a": MaxInFlight is -1: want 0 or more`},
		{"negative bound", Plan{Groups: []Group{{Name: "a", OutputTokensPerHour: -1}}}, `group "a": a bound is negative`},
		{
			"negative cost per day", Plan{Groups: []Group{{Name: "a", CostPerDay: -1, Currency: "USD"}}},
			`group "a": CostPerDay is -1 USD: want 0, or 1e-09 to 1e+09`,
		},
		{"no currency", Plan{Groups: []Group{{Name: "a", CostPerDay: 1}}}, `group "a": CostPerDay has no currency`},
		{
			"global budget", Plan{Budget: Budget{
				RequestsPerMinute: -1, CostPerDay: map[string]float64{"USD": math.NaN(), "EUR": math.Inf(1), "": 1, "CHF": 1e-10, "GBP": 1},
			}},
			"Budget: a bound is negative\nBudget: CostPerDay has no currency\n" +
				"Budget: CostPerDay is 1e-10 CHF: want 0, or 1e-09 to 1e+09\n" +
				"Budget: CostPerDay is +Inf EUR: want 0, or 1e-09 to 1e+09\n" +
				"Budget: CostPerDay is NaN USD: want 0, or 1e-09 to 1e+09",
		},
		{"negative global bound", Plan{MaxInFlight: -1}, `MaxInFlight is -1: want 0 or more`},
		{"interval", with(func(j *Job) { j.Interval = 0 }), `job "chat/rag": Interval is 0s: want 1ms or more`},
		{
			"jitter", with(func(j *Job) { j.Jitter = time.Minute }),
			`job "chat/rag": Jitter is 1m0s: want 0 or more, and less than Interval`,
		},
		{"cost", with(func(j *Job) { j.Cost.OutputTokens = -1 }), `job "chat/rag": Cost is negative`},
		{"no number", with(func(j *Job) { j.Cost.Money = math.NaN() }), `job "chat/rag": Cost.Money is NaN: want at most 1e+09`},
		{
			"money without currency", with(func(j *Job) { j.Cost.Money = 1 }),
			`job "chat/rag": Cost.Money is 1, but group "chat" has no Currency`,
		},
		{
			"burst without silence", with(func(j *Job) { j.Burst.Size = 8 }),
			`job "chat/rag": Burst.AfterIdle is 0s: want 1ms or more`,
		},
		{
			"burst of none", with(func(j *Job) { j.Burst.AfterIdle = time.Minute }),
			`job "chat/rag": Burst.Size is 0: want 1 or more`,
		},
		{
			"jitter of a burst", with(func(j *Job) { j.Jitter, j.Burst = time.Second, Burst{8, time.Second} }),
			`job "chat/rag": Jitter is 1s: want 0 or more, and less than Burst.AfterIdle`,
		},
		{"no run", with(func(j *Job) { j.Run = nil }), `job "chat/rag": Run is nil`},
		{
			"all at once", with(func(j *Job) { j.Run, j.Group = nil, "rag" }),
			"job \"chat/rag\": there is no group \"rag\"\njob \"chat/rag\": Run is nil",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, r := start(t, Options{})
				apply(t, s, one(good))
				if err := s.Apply(test.plan); err == nil || err.Error() != test.want {
					t.Errorf("Apply = %v; want %s", err, test.want)
				}
				time.Sleep(3 * time.Minute)
				if got := r.count(r.started, good.Key); got != 3 {
					t.Errorf("the plan before has run %d times in 3 minutes; want 3", got)
				}
			})
		})
	}
}

func TestJobChanges(t *testing.T) {
	base := Job{
		Key: "chat/rag", Group: "chat", Fingerprint: "1", Interval: time.Hour, Jitter: time.Second,
		Burst: Burst{2, time.Minute}, Cost: Cost{9, 10, 0.5}, Run: nothing,
	}
	for name, change := range map[string]func(*Job){
		"key":         func(j *Job) { j.Key += "x" },
		"group":       func(j *Job) { j.Group += "x" },
		"fingerprint": func(j *Job) { j.Fingerprint += "x" },
		"interval":    func(j *Job) { j.Interval++ },
		"jitter":      func(j *Job) { j.Jitter++ },
		"size":        func(j *Job) { j.Burst.Size++ },
		"after idle":  func(j *Job) { j.Burst.AfterIdle++ },
		"requests":    func(j *Job) { j.Cost.Requests++ },
		"tokens":      func(j *Job) { j.Cost.OutputTokens++ },
		"money":       func(j *Job) { j.Cost.Money++ },
	} {
		j := base
		if change(&j); j.sameAs(&base) {
			t.Errorf("a job of another %s is taken as the same", name)
		}
	}
	j := base
	if j.Run = nil; !j.sameAs(&base) {
		t.Error("a job of another Run alone is taken as changed")
	}
}
