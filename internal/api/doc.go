// Package api is what programs read and do over HTTP, under /api/v1/.
//
// It guarantees that
//
//   - openapi.yaml, which it serves, says all that it answers: a test holds every route and every answer against it;
//   - every error is application/problem+json (RFC 9457), with a detail that says what to do;
//   - answers are bounded: lists come in pages, and only the requests of a run are as long as their file;
//   - no answer holds a credential, a prompt or a model's text;
//   - nothing changes the state of the prober unless Options.Lifecycle allows it.
//
// What it tells of targets it has from plain values (Options) and from the requests that went through Recent, its sink:
//
//	prober.Result ──> Recent ──┐
//	Options.Targets ───────────┼──> evidence ──> Judge ──> ready, degraded, not_ready, with reasons
//	Options.Baselines ─────────┘
//
// A page of another origin must not be able to change anything either: the server that this is a part of wraps all its
// routes in http.CrossOriginProtection, and here a body is JSON or nothing.
package api
