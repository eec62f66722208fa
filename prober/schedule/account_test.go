package schedule

import (
	"testing"
	"time"
)

// Tokens may have been made at any time of a run, so they count from its beginning until an hour after its end.
func TestTokensCountUntilAnHourAfterTheRun(t *testing.T) {
	a := newAccount()
	a.bounds.OutputTokensPerHour = 100
	cost := Cost{Requests: 1, OutputTokens: 80}
	const began, ended = 3 * time.Minute, 95 * time.Minute
	if got := a.refuses(began, cost); got != "" {
		t.Fatalf("refuses = %q; want a run", got)
	}
	a.begin(began, cost)
	for _, test := range []struct {
		at   time.Duration
		more int
		want Reason
	}{
		{began, 21, BudgetOutputTokens},
		{began, 20, ""},
		{began + 61*time.Minute, 21, BudgetOutputTokens}, // still under way
		{ended, 21, BudgetOutputTokens},
		{ended, 40, ""}, // it used 60 only
		{ended, 41, BudgetOutputTokens},
		{ended + time.Hour - 1, 41, BudgetOutputTokens},
		{ended + time.Hour + 11*time.Second, 41, ""},
		{ended + time.Hour + 11*time.Second, 100, ""},
		{ended + time.Hour + 11*time.Second, 101, BudgetOutputTokens},
	} {
		if test.at == ended && a.inFlight == 1 && test.more == 40 {
			a.end(ended, began, cost, Cost{Requests: 1, OutputTokens: 60})
		}
		if got := a.refuses(test.at, Cost{Requests: 1, OutputTokens: test.more}); got != test.want {
			t.Errorf("at %v, refuses %d tokens = %q; want %q", test.at, test.more, got, test.want)
		}
	}
}

// Requests count from the beginning of a run, however long it takes.
func TestRequestsCountForAMinute(t *testing.T) {
	a := newAccount()
	a.bounds.RequestsPerMinute = 3
	a.begin(10*time.Second, Cost{Requests: 3})
	for _, test := range []struct {
		at   time.Duration
		want Reason
	}{
		{10 * time.Second, BudgetRequests},
		{69 * time.Second, BudgetRequests},
		{71 * time.Second, ""},
	} {
		if got := a.refuses(test.at, Cost{Requests: 1}); got != test.want {
			t.Errorf("at %v, refuses a request = %q; want %q", test.at, got, test.want)
		}
	}
	a.end(80*time.Second, 10*time.Second, Cost{Requests: 3}, Cost{}) // none was sent, but that is forgotten by now
	if got := a.requests.total(80 * time.Second); got != 0 {
		t.Errorf("%d requests on the books; want 0", got)
	}
}
