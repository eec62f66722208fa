package simulator

import (
	"net/http"
	"sync"
)

// truth keeps what really happened to the latest requests.
type truth struct {
	clock clock
	most  int // requests

	mu     sync.Mutex
	order  []*sequence // oldest first
	byID   map[string]*sequence
	tokens int // of all in order, as far as their sends are kept
}

// maxTruthTokens bounds the memory of all truth: 24 bytes for each token.
const maxTruthTokens = 2 << 20

func newTruth(c clock, most int) *truth {
	return &truth{clock: c, most: most, byID: map[string]*sequence{}}
}

// add keeps s, from before it is submitted. A later request with the same id takes its place.
func (t *truth) add(s *sequence) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.order = append(t.order, s)
	t.byID[s.id] = s
	t.tokens += kept(s)
	for len(t.order) > 1 && (len(t.order) > t.most || t.tokens > maxTruthTokens) {
		old := t.order[0]
		t.order[0] = nil
		t.order = t.order[1:]
		t.tokens -= kept(old)
		if t.byID[old.id] == old {
			delete(t.byID, old.id)
		}
	}
}

func kept(s *sequence) int { return min(s.output, maxSends) }

// Truth is what really happened to one request. All times named _ns are nanoseconds since its arrival, which is when its
// last byte had been read.
type Truth struct {
	RequestID string `json:"request_id"`
	State     string `json:"state"`                   // queued, prefill, decode or finished
	Finish    string `json:"finish_reason,omitempty"` // stop, length, abort, error, or dead: the engine died
	Fault     string `json:"fault,omitempty"`         // what was made to go wrong

	ArrivalUnixNano int64 `json:"arrival_unix_nano"`
	ArrivalMonoNano int64 `json:"arrival_mono_nano"` // CLOCK_MONOTONIC on Linux, else since the server's start

	QueueWait  *int64 `json:"queue_wait_ns"`  // arrival to scheduled, the first time; null until scheduled
	Load       int64  `json:"load_ns"`        // for how much of it the model was being loaded
	Prefill    *int64 `json:"prefill_ns"`     // scheduled to first token due; null until then
	FirstToken *int64 `json:"first_token_ns"` // when the first token was due; null until then
	LastToken  *int64 `json:"last_token_ns"`  // when the latest token was due; null until there is one

	// Where the engine puts sequences back when its cache is full: how often this one was, how long it waited again for
	// that (in the prefill's time or between tokens), and how many of its tokens were computed for a second time.
	Preemptions      int   `json:"preemptions"`
	RequeueWait      int64 `json:"requeue_wait_ns"`
	RecomputedTokens int   `json:"recomputed_tokens"`

	CachedTokens int `json:"cached_tokens"` // prompt tokens that came from the prefix cache
	PromptTokens int `json:"prompt_tokens"` // all, cached ones included
	OutputTokens int `json:"output_tokens"` // made so far, an end-of-sequence token included

	Tokens        []TokenTruth `json:"tokens,omitempty"`
	TokensDropped int          `json:"tokens_dropped,omitempty"` // sent, but not listed: there were too many
}

// TokenTruth is one token on its way out. A token that came in the same event as the one before was sent at the same time.
type TokenTruth struct {
	Due          int64 `json:"due_ns"`  // when the engine had it
	Sent         int64 `json:"sent_ns"` // just before its event was written
	SentUnixNano int64 `json:"sent_unix_nano"`
	SentMonoNano int64 `json:"sent_mono_nano"` // on the clock of arrival_mono_nano
}

func (t *truth) of(s *sequence, tokens bool) Truth {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Truth{
		RequestID: s.id, State: "queued", Finish: string(s.ended), Fault: s.fault,
		ArrivalUnixNano: s.wall.UnixNano(), ArrivalMonoNano: t.clock.monotonic(s.arrival),
		Load: int64(s.loading), Preemptions: s.preemptions, RequeueWait: int64(s.requeued), RecomputedTokens: s.recomputed,
		CachedTokens: s.cached, PromptTokens: s.prompt, OutputTokens: s.made,
	}
	if s.started {
		r.State = "prefill"
		r.QueueWait = new(int64(s.scheduled.sub(s.arrival)))
	}
	if s.made > 0 {
		r.State = "decode"
		r.Prefill = new(int64(s.first.sub(s.scheduled)))
		r.FirstToken = new(int64(s.first.sub(s.arrival)))
		r.LastToken = new(int64(s.last.sub(s.arrival)))
	}
	if s.ended != "" {
		r.State = "finished"
	}
	if tokens {
		r.Tokens = make([]TokenTruth, len(s.sends))
		for i, x := range s.sends {
			r.Tokens[i] = TokenTruth{
				Due: int64(x.due.sub(s.arrival)), Sent: int64(x.sent.sub(s.arrival)),
				SentUnixNano: x.wall, SentMonoNano: t.clock.monotonic(x.sent),
			}
		}
		r.TokensDropped = s.dropped
	}
	return r
}

// Truth returns what really happened to the latest request with that id, as far as it went; false: it is not kept.
func (s *Server) Truth(requestID string) (Truth, bool) {
	s.truth.mu.Lock()
	seq := s.truth.byID[requestID]
	s.truth.mu.Unlock()
	if seq == nil {
		return Truth{}, false
	}
	return s.truth.of(seq, true), true
}

// serveTruth is GET /ground_truth: one request by ?request_id=, or all that are kept, without their tokens.
func (s *Server) serveTruth(w http.ResponseWriter, r *http.Request) {
	if id := r.URL.Query().Get("request_id"); id != "" {
		t, ok := s.Truth(id)
		if !ok {
			writeOurs(w, http.StatusNotFound, vllmErrorBody(&apiError{status: http.StatusNotFound, kind: "NotFoundError", param: "request_id", message: "no truth is kept of that request"}))
			return
		}
		writeOurs(w, http.StatusOK, t)
		return
	}
	s.truth.mu.Lock()
	order := append([]*sequence{}, s.truth.order...)
	s.truth.mu.Unlock()
	all := make([]Truth, len(order))
	for i, seq := range order {
		all[i] = s.truth.of(seq, false)
	}
	writeOurs(w, http.StatusOK, all)
}
