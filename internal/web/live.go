package web

import (
	"bytes"
	"net/http"
	"time"
)

// maxViewers bounds how many live pages are served at a time. Whoever comes later has a page that asks every few seconds.
const maxViewers = 200

// sendWithin is how long a viewer may take for one drawing. Slower ones are dropped, and come back by themselves.
const sendWithin = 5 * time.Second

// liveEvery is how often a page is sent to those who look at it.
func liveEvery(data any) time.Duration {
	page, _ := data.(page)
	if page.Status != nil {
		return time.Duration(page.Status.Refresh) * time.Second
	}
	if runs, ok := page.Data.(*runsView); ok && len(runs.Live) > 0 {
		return time.Second
	}
	return 5 * time.Second
}

// live sends the page of a planner as server-sent events: now, and then again and again, each time as event "fragment".
// All viewers of a page share its drawings; each is served by the goroutine of its own request.
func (p *pages) live(which planner) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case p.viewers <- struct{}{}:
			defer func() { <-p.viewers }()
		default:
			w.Header().Set("Retry-After", "30")
			http.Error(w, "too many live pages", http.StatusServiceUnavailable)
			return
		}
		pl := which(r)
		control := http.NewResponseController(w)
		timer := time.NewTimer(0)
		defer timer.Stop()
		begun := false
		for {
			select {
			case <-r.Context().Done():
				return
			case <-p.Closing:
				return
			case <-timer.C:
			}
			d, err := p.draw(pl)
			if err != nil || d.body == nil {
				if !begun {
					http.Error(w, "there is no such page now", http.StatusNotFound)
				}
				return
			}
			if !begun {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Cache-Control", "no-store")
				w.Header().Set("X-Accel-Buffering", "no") // proxies shall not wait for more
				control.SetReadDeadline(time.Time{})      // a server's own would end the stream: it looks for the reader's end all the time
				begun = true
			}
			control.SetWriteDeadline(time.Now().Add(sendWithin)) // where that cannot be, the server's own limit holds
			if _, err := w.Write(event(d.body)); err != nil {
				return
			}
			if err := control.Flush(); err != nil {
				return
			}
			timer.Reset(max(d.every, drawingLife))
		}
	}
}

// event is a fragment as one server-sent event.
func event(body []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(body) + len(body)/50 + 64)
	b.WriteString("event: fragment\n")
	for line := range bytes.Lines(body) {
		b.WriteString("data: ")
		b.Write(bytes.TrimRight(line, "\r\n"))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}
