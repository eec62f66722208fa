package simulator

import (
	"net"
	"net/http"
	"sync/atomic"
)

// restart is what a crash and a new start look like from outside: answers under way break off, for a while connections are
// lost before anything is answered, and then a process that knows nothing of the one before counts from zero.
func (s *Server) restart(r restart) {
	s.log.Info("the engine dies and starts again", "down", r.down)
	s.upAt.Store(int64(s.clock.now().add(r.down)))
	s.engine.restart(s.clock.now())
	s.newPage()
}

// down reports whether nobody answers.
func (s *Server) down() bool { return instant(s.upAt.Load()) > s.clock.now() }

// lose ends a connection as one ends that nobody listens to.
func lose(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if t, ok := conn.(*net.TCPConn); ok {
			t.SetLinger(0) //nolint:errcheck // what remains is an ordinary close
		}
		conn.Close()
		return
	}
	panic(http.ErrAbortHandler)
}

// newPage begins the counting anew.
func (s *Server) newPage() {
	for _, d := range s.dialects {
		if d.page != nil {
			s.pages.page.Store(new(d.page(&s.opts, s.engine.load)))
			return
		}
	}
}

// pages is the page that is shown now; it may be none. It hands to it what it is told as an observer.
type pages struct{ page atomic.Pointer[page] }

func (p *pages) now() observer {
	if now := p.page.Load(); now != nil {
		return *now
	}
	return nobody{}
}

func (p *pages) asked(s *sequence)                             { p.now().asked(s) }
func (p *pages) refused(status int)                            { p.now().refused(status) }
func (p *pages) scheduled(s *sequence, at instant)             { p.now().scheduled(s, at) }
func (p *pages) preempted(s *sequence)                         { p.now().preempted(s) }
func (p *pages) step(st step)                                  { p.now().step(st) }
func (p *pages) token(s *sequence, n int, before, due instant) { p.now().token(s, n, before, due) }
func (p *pages) finished(s *sequence, why finishReason)        { p.now().finished(s, why) }

// serve is GET /metrics.
func (p *pages) serve(w http.ResponseWriter, r *http.Request) {
	(*p.page.Load()).handler().ServeHTTP(w, r)
}
