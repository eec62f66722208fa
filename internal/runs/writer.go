package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

const (
	// queued is how many requests may wait for the disk: two seconds of 2,000 requests a second.
	queued = 4096
	// queuedChunks is how many chunks these may have together: 24 bytes each, so 24 MiB.
	queuedChunks = 1 << 20
)

// A Writer writes the record of one run. End it by Commit or Discard.
type Writer struct {
	store *Store
	id    string
	root  *os.Root // of the run's temporary directory
	lock  *os.File // says that we live

	// Of the requests, unless they are not kept:
	queue   chan pending
	stop    chan struct{}
	once    sync.Once
	ended   chan struct{} // closed when the goroutine has ended; what follows is then ours
	kept    *Kept         // nil: not kept
	chunks  atomic.Int64  // in the queue
	dropped atomic.Int64
}

// Begin begins the record of a run, which lists do not show before it is committed.
// The error is fs.ErrExist where there is one of that id.
func (s *Store) Begin(id string) (*Writer, error) {
	if !ValidID(id) {
		return nil, fmt.Errorf("begin run %q: that is no run's id: make it by NewID", id)
	}
	w := &Writer{store: s, id: id, stop: make(chan struct{}), ended: make(chan struct{})}
	err := s.changing(func() error {
		if _, err := s.root.Stat(id); err == nil {
			return fs.ErrExist
		}
		if err := s.root.Mkdir(tmpPrefix+id, dirMode); err != nil {
			return err
		}
		err := w.open()
		if err != nil {
			_ = s.root.RemoveAll(tmpPrefix + id)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("begin run %s: %w", id, err)
	}
	if s.opts.NoRequests {
		close(w.ended)
		return w, nil
	}
	w.queue = make(chan pending, queued)
	w.kept = &Kept{Schema: requestsSchema}
	go w.write() // Commit and Discard wait for it
	return w, nil
}

// open opens the run's directory and locks it.
func (w *Writer) open() (err error) {
	if w.root, err = w.store.root.OpenRoot(tmpPrefix + w.id); err != nil {
		return err
	}
	w.lock, err = w.root.OpenFile(writerLock, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err == nil {
		var locked bool
		if locked, err = tryLock(w.lock); err == nil && !locked {
			err = errors.New("its lock is taken")
		}
	}
	if err != nil {
		_ = w.root.Close()
		if w.lock != nil {
			_ = w.lock.Close()
		}
	}
	return err
}

// ID is the run's.
func (w *Writer) ID() string { return w.id }

// Request adds a request that has ended. It never waits: what the disk does not take in time is counted as dropped.
// It is called from many goroutines, but not after Commit or Discard.
func (w *Writer) Request(lane string, stage int, r *prober.Result) {
	if w.queue == nil {
		return
	}
	chunks := int64(len(r.Chunks))
	if w.chunks.Add(chunks) <= queuedChunks {
		select {
		case w.queue <- newPending(lane, stage, r):
			return
		default:
		}
	}
	w.chunks.Add(-chunks)
	w.dropped.Add(1)
}

// Dropped is how many requests were left out so far.
func (w *Writer) Dropped() int { return int(w.dropped.Load()) }

// write writes requests until it is stopped, and then those that still wait.
func (w *Writer) write() {
	defer close(w.ended)
	out := w.openRequests()
	for {
		select {
		case p := <-w.queue:
			out.add(w, &p)
			continue
		case <-w.stop:
		}
		for len(w.queue) > 0 {
			p := <-w.queue
			out.add(w, &p)
		}
		out.close(w)
		return
	}
}

// An output is the file of requests. After its first error it takes no more.
type output struct {
	file *os.File
	zip  *zstd.Encoder
	err  error
}

func (w *Writer) openRequests() *output {
	file, err := w.root.OpenFile(requestsFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	o := &output{file: file, err: err}
	if err == nil {
		// Concurrency 1 and the fastest level: the CPU belongs to the load. A window of 1 MiB keeps memory small.
		o.zip, o.err = zstd.NewWriter(file, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	}
	return o
}

func (o *output) add(w *Writer, p *pending) {
	w.chunks.Add(-int64(len(p.result.Chunks)))
	if o.err == nil {
		line, err := json.Marshal(p.request())
		if err != nil { // a number that JSON does not have: the next request may do without
			w.dropped.Add(1)
			w.store.opts.Logger.Warn("A request cannot be written.", "run", w.id, "request", p.asked.ID, "err", err)
			return
		}
		_, o.err = o.zip.Write(append(line, '\n'))
	}
	if o.err != nil {
		w.dropped.Add(1)
		return
	}
	w.kept.Written++
}

// close ends the file. If that fails, or anything did, the file is worth nothing and goes.
func (o *output) close(w *Writer) {
	if o.zip != nil {
		o.err = errors.Join(o.err, o.zip.Close())
	}
	if o.file != nil {
		if o.err == nil {
			o.err = o.file.Sync()
		}
		o.err = errors.Join(o.err, o.file.Close())
	}
	if o.err != nil {
		w.giveUpRequests(o.err)
	}
}

// giveUpRequests leaves the requests out of the record.
func (w *Writer) giveUpRequests(err error) {
	w.dropped.Add(int64(w.kept.Written))
	w.kept.Written, w.kept.Error = 0, err.Error()
	_ = w.root.Remove(requestsFile)
	w.store.opts.Logger.Warn("A run's requests cannot be kept.", "run", w.id, "err", err)
}

// finish waits until the requests are written.
func (w *Writer) finish() {
	w.once.Do(func() { close(w.stop) })
	<-w.ended
}

// Commit writes the record, whose id and schema it sets, and ends the writer. After an error there is no record.
//
// Where the disk cannot hold the requests, the record is kept without them and says so.
func (w *Writer) Commit(run *record.Run) error {
	w.finish()
	err := w.commit(run)
	if err != nil {
		w.discard()
		return fmt.Errorf("commit run %s: %w", w.id, err)
	}
	if err := w.store.Retain(time.Now()); err != nil {
		w.store.opts.Logger.Warn("Old runs cannot be removed.", "err", err)
	}
	return nil
}

func (w *Writer) commit(run *record.Run) error {
	whole := *run
	whole.ID, whole.Schema = w.id, record.SchemaVersion
	err := w.writeRun(&whole)
	if err != nil && w.kept != nil && w.kept.Written > 0 {
		if _, bad := errors.AsType[*json.UnsupportedValueError](err); !bad {
			w.giveUpRequests(err) // which makes room on a full disk
			err = w.writeRun(&whole)
		}
	}
	if err != nil {
		return err
	}
	return w.store.changing(func() error {
		if err := w.root.Remove(writerLock); err != nil {
			return err
		}
		if err := syncDir(w.root); err != nil {
			return err
		}
		if err := w.store.root.Rename(tmpPrefix+w.id, w.id); err != nil {
			return err
		}
		// It is there, for this process and all others. Should the power go now, it might not be.
		if err := syncDir(w.store.root); err != nil {
			w.store.opts.Logger.Warn("A record may not outlast a power cut.", "run", w.id, "err", err)
		}
		_ = w.lock.Close()
		_ = w.root.Close()
		return nil
	})
}

func (w *Writer) writeRun(run *record.Run) error {
	if w.kept != nil {
		w.kept.Dropped = w.Dropped()
	}
	data, err := encode(run, w.kept)
	if err != nil {
		return err
	}
	return writeFile(w.root, runFile, data)
}

// Discard ends the writer without a record. After Commit it does nothing, so it can be deferred.
func (w *Writer) Discard() {
	w.finish()
	w.discard()
}

// discard removes what was written, unless it has become a record.
func (w *Writer) discard() {
	_ = w.lock.Close()
	_ = w.root.Close()
	if err := w.store.root.RemoveAll(tmpPrefix + w.id); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.store.opts.Logger.Warn("A run that was given up cannot be removed.", "run", w.id, "err", err)
	}
}
