package simulator

import "net/http"

// maxBody bounds a request's body: a longer one cannot fit the context anyway.
const maxBody = 64 << 20

// Handler returns the server's whole HTTP face: what its dialects have, and
//
//	GET /ground_truth           what really happened (see Truth); ?request_id= for one request with its tokens
//	GET, POST /control/faults   what goes wrong from now on: a JSON list of Fault
//	GET, POST /control/engine   what changes about the engine: a JSON list of Change, to which POST adds
//
// These are ours, open to everyone who can reach the server, and answer also while the engine is down.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	taken := map[string]bool{}
	handle := func(d *dialect, pattern string, h http.HandlerFunc) {
		if taken[pattern] {
			return // by a dialect that comes before this one
		}
		taken[pattern] = true
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if s.down() {
				lose(w)
				return
			}
			if d.software != "" {
				w.Header().Set("Server", d.software)
			}
			if id := r.Header.Get("X-Request-Id"); id != "" {
				w.Header().Set("X-Request-Id", id)
			}
			h(w, r)
		})
	}
	for _, d := range s.dialects {
		for pattern, p := range d.asks {
			handle(d, pattern, s.serve(p))
		}
		for pattern, h := range d.pages {
			handle(d, pattern, h)
		}
	}
	first := s.dialects[0]
	if s.pages.page.Load() != nil {
		handle(first, "GET /metrics", s.pages.serve)
	}
	handle(first, "/", first.unknown)
	mux.HandleFunc("GET /ground_truth", s.serveTruth)
	mux.HandleFunc("GET /control/faults", s.faults.serveControl)
	mux.HandleFunc("POST /control/faults", s.faults.serveControl)
	mux.HandleFunc("GET /control/engine", s.changes.serve)
	mux.HandleFunc("POST /control/engine", s.changes.serve)
	return mux
}

// checkModel says that a model is not served here; none named means ours.
func (s *Server) checkModel(name *string) error {
	if name == nil || *name == "" || *name == s.opts.Model {
		return nil
	}
	return &apiError{status: http.StatusNotFound, kind: "NotFoundError", param: "model", name: *name, message: "The model `" + *name + "` does not exist."}
}

// writeJSON answers as the servers that are imitated do: without a line end.
func writeJSON(w http.ResponseWriter, status int, v any) { writeBody(w, status, appendJSON(nil, v)) }

// writeOurs answers what no server but ours is asked. It ends its line, for those who ask in a shell.
func writeOurs(w http.ResponseWriter, status int, v any) {
	writeBody(w, status, append(appendJSON(nil, v), '\n'))
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the client went away
}
