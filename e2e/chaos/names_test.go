//go:build linux

package chaos

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// names is the name server at 127.0.0.1:53, which knows names that end in .test: all of them are 127.0.0.1.
type names struct {
	conn   net.PacketConn
	answer atomic.Pointer[answer]
	wg     sync.WaitGroup
}

// answer is how the server answers.
type answer struct {
	code   dnsmessage.RCode
	silent bool
	empty  bool // it knows the name, but no address
	after  time.Duration
}

func newNames() (*names, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		return nil, err
	}
	n := &names{conn: conn}
	n.answer.Store(new(answer))
	n.wg.Go(n.serve)
	return n, nil
}

func (n *names) close() {
	n.conn.Close()
	n.wg.Wait()
}

func (n *names) serve() {
	buf := make([]byte, 1<<12)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return // closed
		}
		how := n.answer.Load()
		reply, err := how.reply(buf[:size])
		if how.silent || err != nil {
			continue
		}
		n.wg.Go(func() {
			<-time.After(how.after) // a slow server is what it is to be
			n.conn.WriteTo(reply, from)
		})
	}
}

// reply is the answer to a question.
func (a *answer) reply(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil, fmt.Errorf("no question: %w", err)
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.RCode, m.Additionals = true, true, a.code, nil
	if a.code == dnsmessage.RCodeSuccess && !a.empty && q.Type == dnsmessage.TypeA && strings.HasSuffix(q.Name.String(), ".test.") {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	return m.Pack()
}

// states are what a name server does to those who ask it.
func (n *names) states() []state {
	like := func(name string, a answer, want string) state {
		return state{name, []string{want}, func() error { n.answer.Store(&a); return nil }}
	}
	return []state{
		like("names", answer{}, "ok"),
		like("slow names", answer{after: 200 * time.Millisecond}, "ok"),
		like("NXDOMAIN", answer{code: dnsmessage.RCodeNameError}, "dns"),
		like("SERVFAIL", answer{code: dnsmessage.RCodeServerFailure}, "dns"),
		like("REFUSED", answer{code: dnsmessage.RCodeRefused}, "dns"),
		like("no address", answer{empty: true}, "dns"),
		like("silent names", answer{silent: true}, "timeout_connect"),
	}
}
