package runs

import (
	"errors"
	"io/fs"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// While the disk takes nothing, requests are left out rather than waited for, and the record says how many.
func TestSlowDisk(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{})
	w := stalled(t, s)
	for i := range queued + 7 {
		w.Request("interactive", 0, sampleResult(i)) // were it to wait, the test would hang
	}
	if got := w.Dropped(); got != 7 {
		t.Errorf("%d were dropped; want 7", got)
	}
	go w.write() // the disk is back
	if err := w.Commit(sampleRun("soak", begin, record.Pass)); err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(w.ID())
	if err != nil {
		t.Fatal(err)
	}
	if got := *info.Requests; got.Written != queued || got.Dropped != 7 || got.Error != "" {
		t.Errorf("kept are %+v; want %d, 7 dropped", got, queued)
	}
}

// stalled is a writer whose disk takes nothing yet.
func stalled(t *testing.T, s *Store) *Writer {
	t.Helper()
	w := &Writer{store: s, id: NewID(begin, "soak"), stop: make(chan struct{}), ended: make(chan struct{})}
	if err := s.root.Mkdir(tmpPrefix+w.id, dirMode); err != nil {
		t.Fatal(err)
	}
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	w.queue, w.kept = make(chan pending, queued), &Kept{Schema: requestsSchema}
	return w
}

// Long streams are bounded by their chunks, not by their number.
func TestSlowDiskLongStreams(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{})
	w := stalled(t, s)
	r := sampleResult(0)
	r.Chunks = make([]prober.Chunk, 100_000)
	for range 20 {
		w.Request("interactive", 0, r)
	}
	if got := w.Dropped(); got != 10 {
		t.Errorf("%d were dropped; want 10 of 20, beyond a million chunks", got)
	}
	w.Request("interactive", 0, sampleResult(1)) // a short one fits
	go w.write()
	w.Discard()
	if got := w.kept.Written; got != 11 || w.chunks.Load() != 0 {
		t.Errorf("%d were written, %d chunks are still counted; want 11, 0", got, w.chunks.Load())
	}
}

func TestManyWriters(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{})
	w, err := s.Begin(NewID(begin, "soak"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				w.Request("interactive", 0, sampleResult(i))
			}
		})
	}
	wg.Wait()
	if err := w.Commit(sampleRun("soak", begin, record.Pass)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range s.Requests(w.ID()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n+w.Dropped() != 800 {
		t.Errorf("%d were written and %d dropped; want 800 together", n, w.Dropped())
	}
}

func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	w, err := s.Begin(NewID(begin, "soak"))
	if err != nil {
		t.Fatal(err)
	}
	w.Request("interactive", 0, sampleResult(0))
	if infos, _, _ := s.List(Filter{}); len(infos) != 0 {
		t.Errorf("a run under way is listed: %v", infos)
	}
	w.Discard()
	w.Discard()
	if got := strings.Join(entries(t, dir), " "); got != lockFile {
		t.Errorf("left are %s", got)
	}
}

func TestBeginTwice(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{})
	id := put(t, s, sampleRun("soak", begin, record.Pass), 0)
	if _, err := s.Begin(id); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Begin of what is there = %v", err)
	}
	w, err := s.Begin(NewID(begin, "soak"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	if _, err := must(t, s.dir).Begin(w.ID()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Begin of what is under way = %v", err)
	}
}

// A number that JSON does not have makes no record, and leaves nothing behind.
func TestCommitFails(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	w, err := s.Begin(NewID(begin, "soak"))
	if err != nil {
		t.Fatal(err)
	}
	run := sampleRun("soak", begin, record.Pass)
	run.Lanes[0].Stages[0].InFlight = math.NaN()
	if err := w.Commit(run); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("Commit = %v; want one about NaN", err)
	}
	if got := strings.Join(entries(t, dir), " "); got != lockFile {
		t.Errorf("left are %s", got)
	}
}

func BenchmarkRequest(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	w, err := s.Begin(NewID(begin, "soak"))
	if err != nil {
		b.Fatal(err)
	}
	defer w.Discard()
	r := sampleResult(0)
	r.Chunks = make([]prober.Chunk, 64)
	b.ReportAllocs()
	for b.Loop() {
		p := newPending("interactive", 0, r)
		w.queue <- p // waits, so that the whole way is measured
	}
}
