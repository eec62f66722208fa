package ask_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ask"
)

func TestRetry(t *testing.T) {
	const ok, never = prober.OK, -1
	type outcomes = []prober.Outcome
	rateLimited := refuse(429, "Retry-After: 3")
	for _, test := range []struct {
		name     string
		attempts int // 0: 3
		on       []string
		limits   prober.Limits
		script   []func(io.Writer)
		want     outcomes
		waits    []time.Duration // before the second try and so on; never: drawn
		paused   time.Duration   // from the end on
	}{
		{name: "off by default", attempts: 1, on: []string{"429"}, script: []func(io.Writer){rateLimited}, want: outcomes{"rate_limited"}, paused: 3 * time.Second},
		{name: "no failure", on: []string{"429"}, script: []func(io.Writer){answer(time.Second, "a")}, want: outcomes{ok}},
		{name: "Retry-After", on: []string{"429"}, script: []func(io.Writer){rateLimited, answer(time.Second, "a")},
			want: outcomes{"rate_limited", ok}, waits: []time.Duration{3 * time.Second}},
		{name: "retry-after-ms wins", on: []string{"429"}, script: []func(io.Writer){refuse(429, "Retry-After: 9", "Retry-After-Ms: 1250"), answer(0, "a")},
			want: outcomes{"rate_limited", ok}, waits: []time.Duration{1250 * time.Millisecond}},
		{name: "backoff", on: []string{"503"}, script: []func(io.Writer){refuse(503), refuse(503), answer(0, "a")},
			want: outcomes{"overloaded", "overloaded", ok}, waits: []time.Duration{never, never}},
		{name: "one after the other", on: []string{"429", "503"}, script: []func(io.Writer){refuse(503, "Retry-After: 2"), rateLimited, answer(0, "a")},
			want: outcomes{"overloaded", "rate_limited", ok}, waits: []time.Duration{2 * time.Second, 3 * time.Second}},
		{name: "attempts run out", on: []string{"429"}, script: []func(io.Writer){rateLimited},
			want: outcomes{"rate_limited", "rate_limited", "rate_limited"}, waits: []time.Duration{3 * time.Second, 3 * time.Second}, paused: 3 * time.Second},
		{name: "another failure", on: []string{"429", "connect"}, script: []func(io.Writer){refuse(503, "Retry-After: 1")}, want: outcomes{"overloaded"}, paused: time.Second},
		{name: "another status of the same outcome", on: []string{"503"}, script: []func(io.Writer){refuse(529)}, want: outcomes{"overloaded"}},
		{name: "outcome", on: []string{"overloaded"}, script: []func(io.Writer){refuse(529, "Retry-After: 1"), answer(0, "a")},
			want: outcomes{"overloaded", ok}, waits: []time.Duration{time.Second}},
		{name: "connect", on: []string{"connect"}, script: []func(io.Writer){drop, answer(0, "a")}, want: outcomes{"connect", ok}, waits: []time.Duration{never}},
		{name: "timeout", on: []string{"timeout"}, limits: prober.Limits{FirstToken: 5 * time.Second, Total: 20 * time.Second},
			script: []func(io.Writer){hang, answer(time.Second, "a")}, want: outcomes{"timeout_first_token", ok}, waits: []time.Duration{never}},
		{name: "Retry-After beyond the limit", on: []string{"429"}, limits: prober.Limits{Total: 3 * time.Second}, script: []func(io.Writer){rateLimited},
			want: outcomes{"rate_limited"}, paused: 3 * time.Second},
		{name: "Retry-After beyond what is left of the limit", on: []string{"429"}, limits: prober.Limits{Total: 5 * time.Second}, script: []func(io.Writer){rateLimited},
			want: outcomes{"rate_limited", "rate_limited"}, waits: []time.Duration{3 * time.Second}, paused: 3 * time.Second},
		{name: "the limit bounds all tries together", on: []string{"429"}, limits: prober.Limits{Total: 5 * time.Second}, script: []func(io.Writer){rateLimited, hang},
			want: outcomes{"rate_limited", "timeout_total"}, waits: []time.Duration{3 * time.Second}},
		{name: "an hour is a long time", on: []string{"429"}, script: []func(io.Writer){refuse(429, "Retry-After: 3600")}, want: outcomes{"rate_limited"}, paused: ask.MaxPause},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &scripted{script: test.script}
				target := server.target(t)
				defer server.wg.Wait()
				defer target.Close()
				attempts := test.attempts
				if attempts == 0 {
					attempts = 3
				}
				p, sink := probe(t, target, ask.Spec{Limits: test.limits, Retry: ask.Retry{Attempts: attempts, On: failures(t, test.on...)}})
				began := time.Now()
				spent := p.Ask(t.Context(), began)
				ended := time.Now()
				all := sink.take()
				if diff := cmp.Diff(test.want, kinds(all)); diff != "" {
					t.Fatalf("outcomes (-want +got):\n%s\nthe first failed with %v", diff, all[0].Err)
				}
				limit := test.limits.Total
				if limit == 0 {
					limit = prober.DefaultTimeout
				}
				for i, r := range all {
					q := r.Request
					if last := i == len(all)-1; q.Attempt != i+1 || r.Retried == last {
						t.Errorf("try %d: Attempt = %d, Retried = %v; want %d and %v", i+1, q.Attempt, r.Retried, i+1, !last)
					}
					if i == 0 {
						if !q.FirstDispatched.IsZero() || !q.Intended.Equal(began) {
							t.Errorf("FirstDispatched = %v, Intended = %v; want none and %v", q.FirstDispatched, q.Intended, began)
						}
						continue
					}
					if !q.FirstDispatched.Equal(all[0].Timeline.Dispatched) {
						t.Errorf("try %d: FirstDispatched = %v; want %v", i+1, q.FirstDispatched, all[0].Timeline.Dispatched)
					}
					if q.ID == all[i-1].Request.ID || q.Group() != all[0].Request.Group() || q.Group() == "" {
						t.Errorf("ids %s and %s; want two of one group", all[i-1].Request.ID, q.ID)
					}
					if diff := cmp.Diff(server.asked()[0].body, server.asked()[i].body); diff != "" {
						t.Errorf("try %d asks something else (-first +this):\n%s", i+1, diff)
					}
					if r.DispatchDelay() != 0 || r.Degraded {
						t.Errorf("try %d: a dispatch delay of %v, degraded %v; want none: the wait was wanted", i+1, r.DispatchDelay(), r.Degraded)
					}
					wait := r.Timeline.Dispatched.Sub(all[i-1].Timeline.End)
					if want := test.waits[i-1]; want >= 0 && wait != want {
						t.Errorf("before try %d there was a wait of %v; want %v", i+1, wait, want)
					} else if most := ask.DefaultBackoff << (i - 1); want < 0 && (wait < 0 || wait > most) {
						t.Errorf("before try %d there was a wait of %v; want 0 to %v", i+1, wait, most)
					}
				}
				if took := ended.Sub(began); took > limit {
					t.Errorf("Ask took %v; want %v at most", took, limit)
				}
				last := all[len(all)-1]
				if d, ok := prober.UserTTFT(last); ok != (last.Outcome == prober.OK) || ok && d != last.Timeline.FirstToken.Sub(began) {
					t.Errorf("UserTTFT = %v, %v; want it from the first dispatch on", d, ok)
				}
				if spent.Requests != len(all) {
					t.Errorf("Requests = %d; want %d", spent.Requests, len(all))
				}
				if paused := spent.PauseUntil.Sub(last.Timeline.End); test.paused > 0 && paused != test.paused || test.paused == 0 && !spent.PauseUntil.IsZero() {
					t.Errorf("PauseUntil = %v; want %v after the last answer", spent.PauseUntil, test.paused)
				}
			})
		})
	}
}

// A question that is given up while it waits has a last result all the same, and that one was not sent.
func TestRetryEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &scripted{script: []func(io.Writer){refuse(429, "Retry-After: 30")}}
		target := server.target(t)
		defer server.wg.Wait()
		defer target.Close()
		p, sink := probe(t, target, ask.Spec{Retry: ask.Retry{Attempts: 9, On: failures(t, "429")}})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { cancel(errors.New("shutdown")) })
		began := time.Now()
		spent := p.Ask(ctx, began)
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("Ask took %v; want to end with its context, after 10s", took)
		}
		all := sink.take()
		if got, want := kinds(all), []prober.Outcome{prober.RateLimited, prober.Canceled}; !slices.Equal(got, want) {
			t.Fatalf("outcomes = %v; want %v", got, want)
		}
		if !all[0].Retried || all[1].Retried || spent.Requests != 1 || len(server.asked()) != 1 {
			t.Errorf("Retried = %v and %v, %d requests spent, %d sent; want true, false, 1 and 1", all[0].Retried, all[1].Retried, spent.Requests, len(server.asked()))
		}
	})
}

// The waits are spread over all that is allowed, grow, and can be repeated from the seed.
func TestBackoff(t *testing.T) {
	waits := func(t *testing.T) (list []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			server := &scripted{script: []func(io.Writer){refuse(503)}}
			target := server.target(t)
			defer server.wg.Wait()
			defer target.Close()
			p, sink := probe(t, target, ask.Spec{
				Limits: prober.Limits{Total: time.Hour},
				Retry:  ask.Retry{Attempts: 5, On: failures(t, "503"), Backoff: time.Second, MaxBackoff: 3 * time.Second},
			})
			for range 100 {
				p.Ask(t.Context(), time.Time{})
				all := sink.take()
				for i, r := range all[1:] {
					list = append(list, r.Timeline.Dispatched.Sub(all[i].Timeline.End))
				}
			}
		})
		return list
	}
	first := waits(t)
	if !slices.Equal(first, waits(t)) {
		t.Error("the same seed gives other waits")
	}
	most := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second}
	for i, most := range most {
		var sum, longest time.Duration
		n := 0
		for j := i; j < len(first); j += 4 {
			sum += first[j]
			longest = max(longest, first[j])
			n++
		}
		// The mean of 100 even draws is off by 3 % of the whole, as a standard deviation.
		if mean := sum / time.Duration(n); longest > most || longest < most*9/10 || mean < most*4/10 || mean > most*6/10 {
			t.Errorf("wait %d of %d askings: mean %v, longest %v; want %v and %v", i+1, n, mean, longest, most/2, most)
		}
	}
}

func TestParseFailures(t *testing.T) {
	for _, test := range []struct {
		words []string
		want  ask.Failures
		err   string
	}{
		{words: nil},
		{words: []string{"429", "503", "connect"}, want: ask.Failures{
			Statuses: []int{429, 503},
			Outcomes: []prober.Outcome{prober.DNS, prober.Connect, prober.TLS, prober.TimeoutConnect},
		}},
		{words: []string{"timeout", "overloaded"}, want: ask.Failures{
			Outcomes: []prober.Outcome{prober.TimeoutConnect, prober.TimeoutFirstToken, prober.TimeoutIdle, prober.Overloaded},
		}},
		{words: []string{"200"}, err: `"200" is no failure to ask again after: want a status from 400 to 599, connect, timeout, or an outcome such as overloaded`},
		{words: []string{"ok"}, err: `"ok" is no failure to ask again after: want a status from 400 to 599, connect, timeout, or an outcome such as overloaded`},
		{words: []string{"canceled"}, err: `"canceled" is no failure to ask again after: want a status from 400 to 599, connect, timeout, or an outcome such as overloaded`},
		{words: []string{"429", "sometimes"}, err: `"sometimes" is no failure to ask again after: want a status from 400 to 599, connect, timeout, or an outcome such as overloaded`},
	} {
		got, err := ask.ParseFailures(test.words...)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("ParseFailures(%q) (-want +got):\n%s", test.words, diff)
		}
		if test.err == "" && err != nil || test.err != "" && (err == nil || err.Error() != test.err) {
			t.Errorf("ParseFailures(%q) = %v; want %s", test.words, err, test.err)
		}
	}
	// Every outcome that is a failure can be named.
	rapid.Check(t, func(t *rapid.T) {
		o := rapid.SampledFrom(prober.Outcomes()[1:]).Draw(t, "outcome")
		if f, err := ask.ParseFailures(string(o)); err != nil || !slices.Contains(f.Outcomes, o) {
			t.Fatalf("ParseFailures(%s) = %v, %v; want it in there", o, f, err)
		}
	})
}
