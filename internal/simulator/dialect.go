package simulator

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// dialect is one kind of server: what can be asked of it, where, and what it tells of itself.
type dialect struct {
	name     string
	software string                      // the header Server; empty: none
	asks     map[string]*protocol        // by pattern: "POST /v1/chat/completions"
	pages    map[string]http.HandlerFunc // by pattern: models, health, and the like
	unknown  http.HandlerFunc            // whatever else is asked for
	page     func(*Options, func() load) page
}

// protocol is one way of asking and of being answered.
type protocol struct {
	// read reads a request: what it asks, and how it is answered.
	read func(s *Server, r *http.Request, body []byte) (*question, func(*answer) voice, error)
	// fail is how an error looks that is told instead of an answer: its status, its body, and what it has in the header.
	fail func(e *apiError, h http.Header) (status int, body any)

	kind string        // the content's type of a stream
	end  string        // what ends an event
	ping time.Duration // how long a stream is silent before it says so; 0: for ever

	late     bool // the header comes with the first event, not before
	heralds  bool // the header comes when the engine begins with the request: not before, and not with its first event
	caps     bool // what does not fit the context is cut, not refused
	shortens bool // an answer that does not fit the context is cut, but a prompt is refused
	lends    bool // its events are small, so that answers can be lent

	// early is how a stream tells an error from before it began, on a 200; nil, or empty: by its status.
	early func(e *apiError) string
}

// The two framings.
const (
	eventStream     = "text/event-stream"
	utf8EventStream = "text/event-stream; charset=utf-8"
	eventEnd        = "\n\n"
	lineStream      = "application/x-ndjson"
	lineEnd         = "\n"
)

// refuse answers with an error, in the protocol's shape.
func (p *protocol) refuse(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		e = &apiError{status: http.StatusBadRequest, kind: "BadRequestError", message: err.Error()}
	}
	if e.retry != "" {
		w.Header().Set("Retry-After", e.retry)
	}
	status, body := p.fail(e, w.Header())
	writeJSON(w, status, body)
}

// dialects is the table of dialects.
func dialects() map[string]func(*Server) *dialect {
	return map[string]func(*Server) *dialect{
		"vllm":      vllm,
		"sglang":    sglang,
		"tgi":       tgi,
		"llamacpp":  llamacpp,
		"ollama":    ollama,
		"openai":    openai,
		"azure":     azure,
		"anthropic": anthropic,
		"gemini":    gemini,
	}
}

// Dialects lists the names that Options.Dialect may have.
func Dialects() []string {
	var names []string
	for name := range dialects() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// speak makes the dialects of a comma-separated list of names.
func speak(s *Server, names string) ([]*dialect, error) {
	table := dialects()
	var list []*dialect
	for name := range strings.SplitSeq(names, ",") {
		make, known := table[strings.TrimSpace(name)]
		if !known {
			return nil, fmt.Errorf("simulator: unknown dialect %q: choose of %s", name, strings.Join(Dialects(), ", "))
		}
		d := make(s)
		d.name = strings.TrimSpace(name)
		list = append(list, d)
	}
	return list, nil
}

// apiError is an error that the server tells. Its words are vLLM's; the protocols have their own shapes and often their own
// words for it, by its status.
type apiError struct {
	status  int
	kind    string // error.type
	param   string // empty: null
	message string
	retry   string // Retry-After; empty: none

	name            string // of what is not there
	prompt, context int    // tokens, where a prompt is too long
}

func (e *apiError) Error() string { return e.message }

func badRequest(param, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "BadRequestError", param: param, message: fmt.Sprintf(format, args...)}
}

// invalidBody is what the framework in front of vLLM says to a body that it cannot read.
func invalidBody(err error) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "Bad Request", param: "body", message: "1 validation error:\n  " + err.Error()}
}

// missing is what it says to a body that lacks a field.
func missing(field string) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "Bad Request", param: "body." + field, message: "1 validation error:\n  {'type': 'missing', 'loc': 'body." + field + "', 'msg': 'Field required'}"}
}
