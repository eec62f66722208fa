package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/prober/printable"
)

// maxForm bounds what a form may send.
const maxForm = 4 << 10

// refusal says why a request may not change anything; empty: it may.
func (h *runsPages) refusal(does func(string) error) string {
	switch {
	case !h.Lifecycle:
		return "Ramps can be started and stopped from these pages only where the prober runs with --web.enable-lifecycle. This one does not. " +
			"On its machine, llm_prober ramp NAME runs one in the foreground."
	case does == nil:
		return "This prober cannot do that from its pages."
	}
	return ""
}

// confirm asks whether a ramp is to be started. It changes nothing.
func (h *runsPages) confirm(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("ramp")
	if why := h.refusal(h.source.Start); why != "" {
		h.problem(w, "../", http.StatusForbidden, "Ramps cannot be started from here", why)
		return
	}
	ramp, ok := h.ramp(name)
	if !ok || !plainName(name) {
		h.problem(w, "../", http.StatusNotFound, "No such ramp", "There is no ramp of that name in the configuration.")
		return
	}
	data := h.newPage("Start "+printable.Line(name, maxName), "../", "Runs")
	data.Data = struct{ Name, Shown, Target, Takes string }{
		Name: name, Shown: printable.Line(name, maxName), Target: printable.Line(ramp.Target, maxName), Takes: takesText(ramp.Takes),
	}
	h.show(w, http.StatusOK, "runs_start.html", data)
}

func takesText(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return span(d)
}

func (h *runsPages) ramp(name string) (Ramp, bool) {
	if h.source.Ramps != nil {
		for _, r := range h.source.Ramps() {
			if r.Name == name {
				return r, true
			}
		}
	}
	return Ramp{}, false
}

// change serves a form that starts or stops a ramp. Other sites' forms are refused here as well as by the server around us.
func (h *runsPages) change(does func(ramp string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if why := h.refusal(does); why != "" {
			h.problem(w, "../", http.StatusForbidden, "Not allowed", why)
			return
		}
		if err := h.origin.Check(r); err != nil {
			h.problem(w, "../", http.StatusForbidden, "Not from here", "A ramp is started and stopped from the pages of this prober alone; this request came from another site. "+
				"Behind a proxy, see that it passes the Host header on.")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			h.problem(w, "../", http.StatusBadRequest, "The form cannot be read", err.Error())
			return
		}
		name := r.PostForm.Get("ramp")
		if name == "" {
			h.problem(w, "../", http.StatusBadRequest, "Which ramp?", "The form names no ramp.")
			return
		}
		what := strings.TrimPrefix(r.URL.Path, "/runs/")
		if err := does(name); err != nil {
			h.Logger.Warn("ramp not changed", "do", what, "ramp", name, "err", err)
			h.problem(w, "../", http.StatusConflict, "It could not be done", err.Error())
			return
		}
		h.Logger.Info("ramp changed by hand", "do", what, "ramp", name, "by", r.RemoteAddr)
		w.Header().Set("Location", "../runs#live") // relative, as we may not know the whole path
		w.WriteHeader(http.StatusSeeOther)
	}
}
