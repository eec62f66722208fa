package api

import (
	_ "embed" // openapi.yaml
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
)

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI is the description of the API, in YAML. It is served as /api/v1/openapi.yaml.
func OpenAPI() []byte { return slices.Clone(openAPI) }

// Prefix is where the API is.
const Prefix = "/api/v1"

// maxBody bounds what is read of a request.
const maxBody = 64 << 10

// handler answers one request. Its error is a *Problem, or one that is none of the asker's business.
type handler func(w http.ResponseWriter, r *http.Request) error

// api is the handlers with what they need.
type api struct {
	Options
	streams chan struct{} // a place for each stream that may be under way
}

// routes are all there are, by path and method. HEAD is answered wherever GET is.
func (a *api) routes() map[string]map[string]handler {
	return map[string]map[string]handler{
		"/targets":                             {http.MethodGet: a.listTargets},
		"/targets/{target}":                    {http.MethodGet: a.getTarget},
		"/targets/{target}/requests":           {http.MethodGet: a.listRequests},
		"/targets/{target}/verdict":            {http.MethodGet: a.getVerdict},
		"/targets/{target}/probes/{probe}/run": {http.MethodPost: a.changing(a.runProbe)},
		"/runs":                                {http.MethodGet: a.listRuns},
		"/runs/{run}":                          {http.MethodGet: a.getRun},
		"/runs/{run}/requests":                 {http.MethodGet: a.streamRequests},
		"/ramps":                               {http.MethodGet: a.listRamps},
		"/ramps/{ramp}/runs":                   {http.MethodPost: a.changing(a.startRamp)},
		"/ramps/{ramp}/runs/current":           {http.MethodGet: a.getCurrent, http.MethodDelete: a.changing(a.stopRamp)},
		"/openapi.yaml":                        {http.MethodGet: a.getOpenAPI},
	}
}

// maxStreams is how many may read the requests of runs at once.
const maxStreams = 4

// Handler serves the API under Prefix.
func Handler(o Options) http.Handler {
	a := &api{Options: o, streams: make(chan struct{}, maxStreams)}
	mux := http.NewServeMux()
	for path, methods := range a.routes() {
		mux.Handle(Prefix+path, a.methods(methods))
	}
	mux.Handle(Prefix+"/", a.answer(func(http.ResponseWriter, *http.Request) error {
		return problem(http.StatusNotFound, "no_such_path", "there is nothing here; %s/openapi.yaml says what there is", Prefix)
	}))
	return mux
}

// methods answers each method by its own handler.
func (a *api) methods(by map[string]handler) http.Handler {
	allow := append(slices.Collect(maps.Keys(by)), http.MethodOptions)
	if by[http.MethodGet] != nil {
		allow = append(allow, http.MethodHead)
	}
	slices.Sort(allow)
	return a.answer(func(w http.ResponseWriter, r *http.Request) error {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		h := by[method]
		if h != nil {
			return h(w, r)
		}
		w.Header().Set("Allow", strings.Join(allow, ", "))
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		p := problem(http.StatusMethodNotAllowed, "method_not_allowed", "%s is not possible here; %s are", text(r.Method, 20), strings.Join(allow, ", "))
		p.Allow = allow
		return p
	})
}

// answer serves h, and its error as a problem.
func (a *api) answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		err := h(w, r)
		if err == nil {
			return
		}
		p, known := errors.AsType[*Problem](err)
		if !known {
			a.Logger.Error("api", "path", r.URL.Path, "err", err)
			p = problem(http.StatusInternalServerError, "internal", "this could not be answered; the log of the prober says why")
		}
		p.write(w)
	})
}

// changing lets through what changes the state of the prober, where that is allowed.
func (a *api) changing(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !a.Lifecycle {
			return problem(http.StatusForbidden, "lifecycle_disabled", "changing anything over HTTP is switched off: start with --web.enable-lifecycle")
		}
		if q := parseQuery(r.URL.RawQuery, nil); q.wrong != nil {
			return q.wrong
		}
		if err := emptyBody(w, r); err != nil {
			return err
		}
		return h(w, r)
	}
}

// emptyBody takes no body, or an empty JSON object: whatever else a page of another site may send is no JSON.
func emptyBody(w http.ResponseWriter, r *http.Request) error {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/json" {
			return problem(http.StatusUnsupportedMediaType, "not_json", "the body is application/json, or there is none")
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem(http.StatusRequestEntityTooLarge, "too_large", "the body has more than %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return problem(http.StatusBadRequest, "bad_body", "the body could not be read")
	}
	if len(body) == 0 {
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return problem(http.StatusBadRequest, "bad_body", "the body is not a JSON object")
	}
	if len(members) > 0 {
		name := slices.Sorted(maps.Keys(members))[0]
		return problem(http.StatusBadRequest, "bad_body", "there is no member %q here; the object is empty", text(name, maxName))
	}
	return nil
}

// reply answers by v as JSON. It is made whole before the first byte is sent, so that an error can still be said.
func reply(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // a reader who went away is no error of ours
	return nil
}

func (a *api) getOpenAPI(w http.ResponseWriter, r *http.Request) error {
	if q := parseQuery(r.URL.RawQuery, nil); q.wrong != nil {
		return q.wrong
	}
	w.Header().Set("Content-Type", "application/yaml")
	w.Write(openAPI)
	return nil
}

// warn logs what an asker need not know.
func (a *api) warn(message string, attrs ...slog.Attr) {
	args := make([]any, len(attrs))
	for i, attr := range attrs {
		args[i] = attr
	}
	a.Logger.Warn(message, args...)
}
