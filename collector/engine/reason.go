package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The reasons why a fetch fails, the values of the label of NameScrapeFailures.
const (
	reasonConnect      = "connect"
	reasonUnsent       = "prober_resources" // as of a probe that is skipped
	reasonTimeout      = "timeout"
	reasonCut          = "cut"
	reasonRedirect     = "http_3xx"
	reasonClientError  = "http_4xx"
	reasonServerError  = "http_5xx"
	reasonTooLarge     = "too_large"
	reasonMalformed    = "malformed"
	reasonUnrecognised = "unrecognised"
	reasonNotAnEngine  = "not_an_engine"
	reasonDestructive  = "destructive"
)

// Reasons lists why a fetch can fail.
func Reasons() []string {
	return []string{
		reasonConnect, reasonUnsent, reasonTimeout, reasonCut, reasonRedirect, reasonClientError, reasonServerError,
		reasonTooLarge, reasonMalformed, reasonUnrecognised, reasonNotAnEngine, reasonDestructive,
	}
}

func reasonsNote() string {
	return `| reason | what happened |
|---|---|
| ` + "`connect`" + ` | the name, the connection or its TLS failed, or the connection was lost before an answer began |
| ` + "`prober_resources`" + ` | the prober's own machine had no file descriptor, port or memory for the connection, which says nothing of the engine |
| ` + "`timeout`" + ` | the answer was not complete in time |
| ` + "`cut`" + ` | the answer broke off |
| ` + "`http_3xx`" + ` | a redirect that is not followed: ` + "`http`" + ` has no ` + "`follow_redirects`" + `, or it leads to another origin. The status page and the log say where it leads |
| ` + "`http_4xx`, `http_5xx`" + ` | the status was not 200 |
| ` + "`too_large`" + ` | the page is above 16 MiB |
| ` + "`malformed`" + ` | the answer is not a metrics page |
| ` + "`unrecognised`" + ` | a metrics page, but of no engine known here, not of the configured one, or with nothing that ` + "`match`" + ` leaves |
| ` + "`not_an_engine`" + ` | a metrics page of a router or gateway in front of engines, whose numbers are its own |
| ` + "`destructive`" + ` | TensorRT-LLM's JSON, which every read empties: it is fetched no more unless that was allowed |`
}

// failure is a fetch that failed.
type failure struct {
	reason string
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(reason, format string, args ...any) error {
	return &failure{reason, fmt.Errorf(format, args...)}
}

// reasonOf is the reason of an error of a fetch.
func reasonOf(err error) string {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.reason
	}
	return reasonMalformed
}

// How requests end, the values of the label of NameFinished.
const (
	finishedStop     = "stop"
	finishedLength   = "length"
	finishedSuccess  = "success"
	finishedAbort    = "abort"
	finishedError    = "error"
	finishedRejected = "rejected"
	finishedOther    = "other"
)

func finishReasons() []string {
	return []string{finishedStop, finishedLength, finishedSuccess, finishedAbort, finishedError, finishedRejected, finishedOther}
}

func finishNote() string {
	return "`abort`: given up by the client or by an operator. `rejected`: turned away before it ran, for overload, a full queue, a timeout in it, or a bad request. " +
		"SGLang counts all requests that ended as `other`, and attempts to abort as `abort`: the two overlap. TensorRT-LLM's `error` counts HTTP errors."
}

// finishReason says what an engine's word for the end of a request means.
func finishReason(word string) string {
	word = strings.ToLower(word[strings.LastIndexByte(word, '.')+1:]) // LMDeploy writes "ResponseType.FINISH"
	switch word {
	case "stop", "eos", "eos_token", "stop_sequence", "end_turn", "stop_words", "end_id":
		return finishedStop
	case "length", "max_tokens":
		return finishedLength
	case "success", "ok", "finish":
		return finishedSuccess
	case "abort", "aborted", "cancel", "canceled", "cancelled", "dropped", "disconnected":
		return finishedAbort
	case "rejected", "overload", "overloaded", "validation", "max_num_queued_reqs", "max_num_queued_tokens":
		return finishedRejected
	case "error", "failure", "failed", "internal", "backend", "generation", "incomplete", "timeout":
		return finishedError
	}
	if strings.HasSuffix(word, "_error") {
		return finishedError
	}
	return finishedOther
}

// sleepStates are vLLM's: level 1 offloads the weights, level 2 discards them.
func sleepStates() []string { return []string{"awake", "weights_offloaded", "discard_all"} }

// sleepState passes the known states on and drops the others.
func sleepState(word string) string { return oneOf(word, sleepStates()) }

func startupPhases() []string { return []string{"weights", "kv_cache", "scheduler", "tokenizer"} }

// startupPhase says what SGLang's word for a phase of the start means; "" where it is none of ours.
func startupPhase(word string) string {
	switch word {
	case "load_weight":
		return "weights"
	case "kv_cache_allocation":
		return "kv_cache"
	case "scheduler_e2e":
		return "scheduler"
	case "tokenizer_e2e":
		return "tokenizer"
	}
	return oneOf(word, startupPhases())
}

func oneOf(word string, words []string) string {
	if slices.Contains(words, word) {
		return word
	}
	return ""
}
