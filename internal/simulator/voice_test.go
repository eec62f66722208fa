package simulator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// nowhere is a response that keeps nothing.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) WriteHeader(int)             {}
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) FlushError() error           { return nil }

// newStreaming is a stream to nowhere of the given options.
func newStreaming(tb testing.TB, ids, continuous, stamp bool) *streaming {
	s, err := New(Options{FirstToken: ms})
	if err != nil {
		tb.Fatal(err)
	}
	req := &chatRequest{ReturnTokenIDs: ids, StreamOptions: &streamOptions{IncludeUsage: continuous, ContinuousUsageStats: continuous}}
	p, err := s.faults.parse("")
	if err != nil {
		tb.Fatal(err)
	}
	w := nowhere{http.Header{}}
	seq := newSequence("r", 100, 1<<40)
	seq.sends = make([]send, 0, maxSends)
	a := &answer{
		s: s, p: s.dialects[0].asks["POST /v1/chat/completions"], w: w, rc: http.NewResponseController(w), ctx: httptest.NewRequest("POST", "/", nil).Context(),
		q: &question{prompt: prompt{given: make([]int, 100)}}, plan: p, seq: seq, id: "r", created: 1700000000, headed: true,
		events: events{end: eventEnd, stamp: stamp, clock: s.clock, sealed: true},
	}
	if a.say, _, _ = s.compose(a.q, 1<<40, 1); tb.Failed() {
		tb.FailNow()
	}
	style := vllmChat()
	a.voice = newChatVoice(a, &style, req)
	return &streaming{answer: a}
}

var streamingModes = []struct {
	name                   string
	ids, continuous, stamp bool
}{
	{"plain", false, false, false},
	{"stamped", false, false, true},
	{"everything", true, true, true},
}

func TestWritingATokenAllocatesNothing(t *testing.T) {
	for _, mode := range streamingModes {
		st := newStreaming(t, mode.ids, mode.continuous, mode.stamp)
		var due instant
		if got := testing.AllocsPerRun(1000, func() {
			due += instant(ms)
			st.seq.push(due)
			st.dues, _ = st.seq.take(st.dues)
			if err := st.token(due); err != nil {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("%s: a token makes %v allocations; want 0", mode.name, got)
		}
	}
}

// BenchmarkToken is the path of one token from the engine to the response writer, which is not part of it.
func BenchmarkToken(b *testing.B) {
	for _, mode := range streamingModes {
		b.Run(mode.name, func(b *testing.B) {
			st := newStreaming(b, mode.ids, mode.continuous, mode.stamp)
			b.ReportAllocs()
			var due instant
			for b.Loop() {
				due += instant(ms)
				st.seq.push(due)
				st.dues, _ = st.seq.take(st.dues)
				if err := st.token(due); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestWritingATokenAllocatesNothingInAnyDialect does the same by each way of asking whose answers may be lent.
func TestWritingATokenAllocatesNothingInAnyDialect(t *testing.T) {
	for _, r := range routes() {
		s, err := New(Options{Dialect: r.dialect, MaxModelLen: 1 << 16, FirstToken: ms})
		if err != nil {
			t.Fatal(err)
		}
		var p *protocol
		for pattern, x := range s.dialects[0].asks {
			path, _, _ := strings.Cut(r.path, "?")
			pattern = strings.NewReplacer("POST ", "", "{deployment}", "sim-8b", "{call}", "sim-8b:streamGenerateContent").Replace(pattern)
			if pattern == path {
				p = x
			}
		}
		if p == nil {
			t.Fatalf("%s %s: no protocol has %s", r.dialect, r.name, r.path)
		}
		if !p.lends {
			continue
		}
		fields := fmt.Sprintf(r.most, 1<<15)
		if r.stream != "" {
			fields += "," + r.stream
		}
		body := fmt.Sprintf(r.body, ","+fields)
		req := httptest.NewRequest(http.MethodPost, r.path, strings.NewReader(body))
		req.SetPathValue("deployment", "sim-8b")
		req.SetPathValue("call", "sim-8b:streamGenerateContent")
		w := nowhere{http.Header{}}
		plan, err := s.faults.parse("")
		if err != nil {
			t.Fatal(err)
		}
		a := &answer{s: s, p: p, w: w, rc: http.NewResponseController(w), ctx: req.Context(), plan: plan}
		if err := a.accept(req, []byte(body), time.Now()); err != nil {
			t.Fatalf("%s %s: %v", r.dialect, r.name, err)
		}
		a.seq.sends = make([]send, 0, maxSends)
		a.headed = true
		st := &streaming{answer: a}
		var due instant
		tell := func() {
			due += instant(ms)
			st.seq.push(due)
			st.dues, _ = st.seq.take(st.dues)
			if err := st.token(due); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 { // until the buffers are large enough
			tell()
		}
		if got := testing.AllocsPerRun(1000, tell); got != 0 {
			t.Errorf("%s %s: a token makes %v allocations; want 0", r.dialect, r.name, got)
		}
	}
}
