package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Problem is an error as RFC 9457 has it. Its type is always about:blank, so the status says what kind it is; Code is finer.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"` // one word for programs; see openapi.yaml

	Parameter string   `json:"parameter,omitempty"` // of the query, that is wrong
	Target    string   `json:"target,omitempty"`    // that is busy
	Ramp      string   `json:"ramp,omitempty"`      // that keeps it busy
	Reason    string   `json:"reason,omitempty"`    // for which a probe is not asked
	Allow     []string `json:"allow,omitempty"`     // the methods that there are

	after time.Duration
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// problem makes one whose title is the status' own.
func problem(status int, code, format string, args ...any) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// write answers by the problem.
func (p *Problem) write(w http.ResponseWriter) {
	if p.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((p.after+time.Second-1)/time.Second)))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	body, _ := json.Marshal(p) // strings and numbers alone
	w.Write(append(body, '\n'))
}

func noTarget(name string) *Problem {
	return problem(http.StatusNotFound, "no_such_target", "there is no target %q; GET /api/v1/targets lists them", text(name, maxName))
}

func noRamp(name string) *Problem {
	return problem(http.StatusNotFound, "no_such_ramp", "there is no ramp %q; GET /api/v1/ramps lists them", text(name, maxName))
}

func noRun(id string) *Problem {
	return problem(http.StatusNotFound, "no_such_run", "there is no run %q on record; GET /api/v1/runs lists them", text(id, maxName))
}
