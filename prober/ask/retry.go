package ask

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// The waits between tries where a Retry gives none, as OpenAI's clients have them.
const (
	DefaultBackoff    = 500 * time.Millisecond
	DefaultMaxBackoff = 8 * time.Second
)

// Retry says when a question is asked again, as users' clients do. The zero value never asks again.
//
// How long the server asks to be left alone (retry-after-ms, else Retry-After) is how long is waited. Where it does not say,
// the wait is drawn evenly from 0 up to Backoff, doubled for each try after the second and at most MaxBackoff:
//
//	wait before try n = random(0, min(Backoff * 2^(n-2), MaxBackoff))
//
// The probe's total timeout bounds the question, all tries and waits together: what a try may take is what is left of it,
// and a wait that would not end before it is not begun.
type Retry struct {
	Attempts   int           // tries of one question, the first included; 0 and 1: it is not asked again
	On         Failures      // after which it is; none: it is not
	Backoff    time.Duration // 0: DefaultBackoff
	MaxBackoff time.Duration // 0: DefaultMaxBackoff, or Backoff if that is more
}

// Failures are some of the ways in which a request can fail.
type Failures struct {
	Statuses []int            // of HTTP
	Outcomes []prober.Outcome // by our name
}

// ParseFailures reads a list such as 429, 503, connect: each element is a status of HTTP from 400 to 599, an outcome's name, or
// one of two words for several outcomes:
//
//	connect    no connection, or lost before the response began: dns, connect, tls, timeout_connect
//	timeout    timeout_connect, timeout_first_token, timeout_idle
//
// As clients take a status for what HTTP says, 429 is the status, and rate_limited is the same said within a stream as well.
func ParseFailures(words ...string) (Failures, error) {
	var f Failures
	for _, word := range words {
		status, err := strconv.Atoi(word)
		switch o := prober.Outcome(word); {
		case err == nil && status >= http.StatusBadRequest && status <= 599:
			f.Statuses = append(f.Statuses, status)
		case word == "connect":
			f.Outcomes = append(f.Outcomes, prober.DNS, prober.Connect, prober.TLS, prober.TimeoutConnect)
		case word == "timeout":
			f.Outcomes = append(f.Outcomes, prober.TimeoutConnect, prober.TimeoutFirstToken, prober.TimeoutIdle)
		case o.Failed() && slices.Contains(prober.Outcomes(), o):
			f.Outcomes = append(f.Outcomes, o)
		default:
			return Failures{}, fmt.Errorf("%q is no failure to ask again after: want a status from 400 to 599, connect, timeout, or an outcome such as overloaded", word)
		}
	}
	return f, nil
}

// has reports whether r failed in one of these ways.
func (f *Failures) has(r *prober.Result) bool {
	return r.Outcome.Failed() && (slices.Contains(f.Outcomes, r.Outcome) || slices.Contains(f.Statuses, r.HTTPStatus))
}

// backoff returns how long to wait after the given try, 1 the first.
func (r *Retry) backoff(attempt int, random *rand.Rand) time.Duration {
	ceiling := r.Backoff
	if ceiling <= 0 {
		ceiling = DefaultBackoff
	}
	most := r.MaxBackoff
	if most <= 0 {
		most = max(DefaultMaxBackoff, ceiling)
	}
	for range attempt - 1 {
		if ceiling > most/2 {
			ceiling = most
			break
		}
		ceiling *= 2
	}
	return time.Duration(random.Int64N(int64(min(ceiling, most)) + 1))
}

// next returns when the question of r is asked again, if it is, and before the deadline.
func (r *Retry) next(result *prober.Result, attempt int, deadline time.Time, random func() *rand.Rand) (time.Time, bool) {
	if attempt >= r.Attempts || !r.On.has(result) {
		return time.Time{}, false
	}
	wait := result.RetryAfter
	if wait <= 0 {
		wait = r.backoff(attempt, random())
	}
	at := time.Now().Add(wait)
	return at, at.Before(deadline)
}
