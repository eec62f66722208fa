package schedule

import (
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
		{"negative bound", Plan{Groups: []Group{{Name: "a", MaxInFlight: -1}}}, `group "a": a bound is negative`},
		{"negative global bound", Plan{MaxInFlight: -1}, `MaxInFlight is -1: want 0 or more`},
		{"interval", with(func(j *Job) { j.Interval = 0 }), `job "chat/rag": Interval is 0s: want 1ms or more`},
		{
			"jitter", with(func(j *Job) { j.Jitter = time.Minute }),
			`job "chat/rag": Jitter is 1m0s: want 0 or more, and less than Interval`,
		},
		{"cost", with(func(j *Job) { j.Cost.OutputTokens = -1 }), `job "chat/rag": Cost is negative`},
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
