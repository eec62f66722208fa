package process

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
)

// Log is what a process says on standard error: it is searched for one line, its warnings and errors are counted, and its last
// lines are kept. Its methods may be called at the same time.
type Log struct {
	pattern *regexp.Regexp
	found   chan string // the first match of pattern

	mu       sync.Mutex // protects what follows
	rest     []byte     // of a line that has not ended
	tail     []string
	matched  bool
	problems int
}

// keptLines is how many lines Tail has.
const keptLines = 20

func newLog(pattern *regexp.Regexp) *Log { return &Log{pattern: pattern, found: make(chan string, 1)} }

// Write implements io.Writer. It never fails.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		l.line(string(line))
		l.rest = append(l.rest[:0], rest...)
	}
}

func (l *Log) line(line string) {
	if l.tail = append(l.tail, line); len(l.tail) > keptLines {
		l.tail = append(l.tail[:0], l.tail[1:]...)
	}
	if strings.Contains(line, "level=warn") || strings.Contains(line, "level=error") {
		l.problems++
	}
	if m := l.pattern.FindStringSubmatch(line); m != nil && !l.matched {
		l.matched = true
		l.found <- m[1]
	}
}

// Tail is its last lines.
func (l *Log) Tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.tail, "\n")
}

// Problems is how many warnings and errors there were so far.
func (l *Log) Problems() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problems
}
