package web

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// viewer is a browser that looks at a live page: its events come through a channel.
type viewer struct {
	events chan string
	done   chan struct{} // closed when the page ended
	code   int
	header http.Header
	leave  context.CancelFunc
	fail   error // of each write; nil: none
	buf    bytes.Buffer
}

func (v *viewer) Header() http.Header  { return v.header }
func (v *viewer) WriteHeader(code int) { v.code = code }
func (v *viewer) Write(b []byte) (int, error) {
	if v.fail != nil {
		return 0, v.fail
	}
	return v.buf.Write(b)
}
func (v *viewer) Flush() {
	v.events <- v.buf.String()
	v.buf.Reset()
}

// watch looks at a live page until it ends or the viewer leaves.
func watch(h http.Handler, path string, fail error) *viewer {
	ctx, leave := context.WithCancel(context.Background())
	v := &viewer{events: make(chan string, 1000), done: make(chan struct{}), code: 200, header: http.Header{}, leave: leave, fail: fail}
	r := httptest.NewRequest(http.MethodGet, path, nil).WithContext(ctx)
	go func() {
		defer close(v.done)
		h.ServeHTTP(v, r)
	}()
	return v
}

// fragmentOf is what a browser makes of an event.
func fragmentOf(t *testing.T, event string) string {
	t.Helper()
	var data []string
	lines := bufio.NewScanner(strings.NewReader(event))
	lines.Buffer(nil, 1<<22)
	for n := 0; lines.Scan(); n++ {
		line := lines.Text()
		switch {
		case n == 0:
			if line != "event: fragment" {
				t.Fatalf("the event begins with %q", line)
			}
		case line == "":
			return strings.Join(data, "\n")
		case strings.HasPrefix(line, "data: "):
			data = append(data, line[len("data: "):])
		default:
			t.Fatalf("an event has the line %q", line)
		}
	}
	t.Fatal("the event has no end")
	return ""
}

func TestLiveStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(chat)
		pages := newHandler(t, Options{History: h})
		v := watch(pages, "/live/status", nil)
		first := fragmentOf(t, <-v.events)
		if got, want := v.header.Get("Content-Type"), "text/event-stream"; got != want {
			t.Errorf("Content-Type = %q; want %q", got, want)
		}
		if strings.TrimSpace(first) != strings.TrimSpace(get(t, pages, "/fragments/status").Body.String()) {
			t.Error("the first event is not the fragment")
		}
		h.Observe(answer(chat, 345*ms, 20*ms, 16))
		begin := time.Now()
		second := fragmentOf(t, <-v.events)
		if !strings.Contains(second, "345\u00a0ms") {
			t.Error("the second event lacks the result that came meanwhile")
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("it came after %v; want 1s", took)
		}
		v.leave()
		<-v.done
	})
}

func TestLiveTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(chat)
		h.Observe(answer(chat, 345*ms, 20*ms, 16))
		pages := newHandler(t, Options{History: h})
		v := watch(pages, "/targets/chat/live?probe=interactive", nil)
		if got := fragmentOf(t, <-v.events); !strings.Contains(got, "The newest request") {
			t.Errorf("the event is not the target's fragment: %s", got)
		}
		h.Apply(nil)
		<-v.done // it went
		if w := get(t, pages, "/targets/chat/live"); w.Code != http.StatusNotFound {
			t.Errorf("code of a target that is not there = %d; want 404", w.Code)
		}
	})
}

// A server that shuts down ends live pages, and a viewer who does not read is dropped.
func TestLivePagesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closing := make(chan struct{})
		pages := newHandler(t, Options{History: newHistory(chat), Closing: closing})
		v, slow := watch(pages, "/live/status", nil), watch(pages, "/live/status", http.ErrHandlerTimeout)
		<-slow.done
		<-v.events
		close(closing)
		<-v.done
	})
}

func TestTooManyViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closing := make(chan struct{})
		pages := newHandler(t, Options{History: newHistory(chat), Closing: closing})
		var all []*viewer
		for range maxViewers {
			all = append(all, watch(pages, "/live/status", nil))
		}
		for _, v := range all {
			<-v.events
		}
		if w := get(t, pages, "/live/status"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("code = %d; want 503 with Retry-After", w.Code)
		}
		close(closing)
		for _, v := range all {
			<-v.done
		}
	})
}

// However many watch, a page is drawn once a second, and results are taken meanwhile.
func TestViewersDoNotDelayResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(chat, batch)
		var drawn int // counted by what the page asks behind it
		var mu sync.Mutex
		closing := make(chan struct{})
		pages := newHandler(t, Options{History: h, Closing: closing, Engines: func() []Engine {
			mu.Lock()
			defer mu.Unlock()
			drawn++
			return nil
		}})
		var all []*viewer
		for range 100 {
			all = append(all, watch(pages, "/live/status", nil))
		}
		begin := time.Now()
		for range 10 {
			time.Sleep(time.Second)
			h.Observe(answer(chat, 300*ms, 20*ms, 16))
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("ten results took %v; want 10s: observing waits for nobody", took)
		}
		close(closing)
		for _, v := range all {
			<-v.done
			if n := len(v.events); n < 10 || n > 11 {
				t.Errorf("%d events in ten seconds; want one a second", n)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if drawn > 12 {
			t.Errorf("drawn %d times in ten seconds for 100 viewers; want once a second", drawn)
		}
	})
}

// BenchmarkObserveWatched is BenchmarkObserve while 100 viewers watch 1000 probes, with the longest that any one took.
func BenchmarkObserveWatched(b *testing.B) {
	h := crowd(200)
	o := behindCrowd(200)
	closing := make(chan struct{})
	o.History, o.Closing = h, closing
	pages := newHandler(b, o)
	var all []*viewer
	for range 100 {
		v := watch(pages, "/live/status", nil)
		all = append(all, v)
		<-v.events
	}
	row := Row{Target: "target-007", Probe: "probe-0", Stream: true}
	r := answer(row, 300*ms, 20*ms, 64)
	var longest time.Duration
	for b.Loop() {
		begin := time.Now()
		h.Observe(r)
		longest = max(longest, time.Since(begin))
	}
	b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
	close(closing)
	for _, v := range all {
		<-v.done
	}
}

// Nothing in a drawing can end its event early or begin another.
func TestEvent(t *testing.T) {
	for _, body := range []string{"", "a", "a\n", "a\nb\n\nc", "a\r\nb", "data: x\n\nevent: evil\n", "\n\n"} {
		event := string(event([]byte(body)))
		if n := strings.Count(event, "\n\n"); n != 1 || !strings.HasSuffix(event, "\n\n") {
			t.Errorf("event(%q) = %q; want one end", body, event)
		}
		want := strings.TrimSuffix(strings.ReplaceAll(body, "\r\n", "\n"), "\n")
		if got := fragmentOf(t, event); got != want && strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
			t.Errorf("event(%q) is read as %q", body, got)
		}
	}
}
