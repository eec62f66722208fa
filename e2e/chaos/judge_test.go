//go:build linux

package chaos

import (
	"strings"
	"testing"
	"time"
)

// What judges the prober must itself notice what is wrong.
func TestJudge(t *testing.T) {
	begin := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }
	s := script{target: "chat", edges: []string{"truncated_stream"}, spans: []span{
		{name: "good", want: []string{"ok"}, until: at(10)},
		{name: "refused", want: []string{"connect"}, from: at(9.9), until: at(20)},
		{name: "good", want: []string{"ok"}, from: at(19.9)},
	}}
	others := []span{
		{name: "files", want: []string{"ok", "connect"}, from: at(30), until: at(35)},
		{name: "readers", from: at(40), until: at(60), deaf: true}, // no request feels it
	}
	for _, tt := range []struct {
		name     string
		from, to float64
		outcome  string
		right    bool
		alone    string // the state that it shows to have been met
	}{
		{"as it must be", 12, 13, "connect", true, "refused"},
		{"another failure", 12, 13, "timeout_total", false, "refused"},
		{"no failure", 12, 13, "ok", false, "refused"},
		{"a failure of nothing", 2, 3, "connect", false, "good"},
		{"between two", 9, 11, "connect", true, ""},
		{"between two, the other", 9, 11, "ok", true, ""},
		{"between two, cut", 9, 11, "truncated_stream", true, ""},
		{"between two, something else", 9, 11, "dns", false, ""},
		{"cut, but not between two", 14, 15, "truncated_stream", false, "refused"},
		{"logged late", 20.1, 21, "connect", true, ""},
		{"too late for that", 20.3, 21, "connect", false, "good"},
		{"for want of files", 32, 33, "connect", true, ""},
		{"what no want of files explains", 32, 33, "dns", false, "good"},
		{"once there are files", 36, 37, "connect", false, "good"},
		{"readers disturb nobody", 45, 46, "connect", false, "good"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wrong, seen, _ := s.judge([]request{{target: "chat", outcome: tt.outcome, from: at(tt.from), to: at(tt.to)}}, others)
			if (len(wrong) == 0) != tt.right {
				t.Errorf("judge(%s, %vs to %vs) = %q; want right: %t", tt.outcome, tt.from, tt.to, wrong, tt.right)
			}
			if len(seen[tt.alone]) == 0 != (tt.alone == "") || len(seen) > 1 {
				t.Errorf("judge(%s, %vs to %vs) met %v alone; want %q", tt.outcome, tt.from, tt.to, seen, tt.alone)
			}
		})
	}
}

func TestPage(t *testing.T) {
	text := `# HELP a_total What.
# TYPE a_total counter
a_total{x="1",y="a b"} 3
a_total{x="2",y="c"} 4
# TYPE b gauge
b 1e-05
# TYPE c summary
c{quantile="0.5"} 2
c_count 7
`
	p, err := readPage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.sum("a_total"); got != 7 {
		t.Errorf("sum(a_total) = %v; want 7", got)
	}
	if got := p.sum("a_total", `y="a b"`); got != 3 {
		t.Errorf("sum(a_total, y) = %v; want 3", got)
	}
	if got := p.sum("a"); got != 0 {
		t.Errorf("sum(a) = %v; want 0", got)
	}
	for key, want := range map[string]bool{`a_total{x="2",y="c"}`: true, "b": false, `c{quantile="0.5"}`: false, "c_count": true} {
		if _, there := p.values[key]; !there || p.grows[key] != want {
			t.Errorf("%s is there: %t, grows: %t; want %t", key, there, p.grows[key], want)
		}
	}
}

// A step back, and a series that is gone, must be noticed.
func TestWatchNotices(t *testing.T) {
	w := newWatch("127.0.0.1:0")
	look := func(text string) {
		t.Helper()
		p, err := readPage(strings.NewReader("# TYPE a_total counter\n" + text))
		if err != nil {
			t.Fatal(err)
		}
		w.take(p, 0)
	}
	look("a_total{x=\"1\"} 3\na_total{x=\"2\"} 3\n")
	w.begin()
	look("a_total{x=\"1\"} 3\n")
	if always, now := w.missing(nil); len(always) != 1 || len(now) != 1 {
		t.Errorf("missing() = %q, %q; want one of each", always, now)
	}
	look("a_total{x=\"1\"} 4\na_total{x=\"2\"} 1\n")
	if len(w.back) != 1 {
		t.Errorf("%q stepped back; want one, though it was away", w.back)
	}
	if always, now := w.missing(nil); len(always) != 1 || len(now) != 0 {
		t.Errorf("missing() = %q, %q; want one that was away, and none now", always, now)
	}
}
