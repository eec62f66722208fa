package runs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// The names in the directory and in a run's own.
const (
	tmpPrefix     = ".tmp-"
	delPrefix     = ".del-"
	lockFile      = ".lock"
	baselinesFile = "baselines.json"
	baselinesTemp = ".baselines.tmp"

	runFile      = "run.json"
	requestsFile = "requests.jsonl.zst"
	writerLock   = "lock" // in a directory of a run under way
)

const (
	lockWithin = 10 * time.Second // another process has the lock for moments: longer than this, and it hangs
	lockEvery  = 5 * time.Millisecond
	// deadAfter is the age at which a run that was under way is taken for a leftover where locks do not tell.
	deadAfter = 7 * 24 * time.Hour
)

// ErrNotFound says that there is no such run, pin, or file of requests.
var ErrNotFound = errors.New("not found")

// Options are what a Store needs to know for life.
type Options struct {
	MaxRuns    int           // of each ramp, the newest are kept; 0: all
	MaxAge     time.Duration // what started longer ago is removed; 0: nothing is
	NoRequests bool          // do not keep single requests
	Logger     *slog.Logger  // nil: silent
}

// Store is a directory of records. Its methods are safe for concurrent use, also by several processes.
type Store struct {
	dir  string
	opts Options
	root *os.Root

	names sync.Mutex // held while this process changes names in the directory; never taken while mu is held

	mu     sync.Mutex        // protects all following fields
	index  map[string]*Info  // by id; what was read of each record
	unread map[string]string // by id: why a record cannot be read
}

// Open opens a directory, which it makes where it is missing, removes what crashes have left, and what is too old or too
// many. What it cannot remove, or read, it logs and leaves alone: the error is about the directory itself.
func Open(dir string, opts Options) (*Store, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("open runs: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open runs: %w", err)
	}
	s := &Store{dir: dir, opts: opts, root: root, index: map[string]*Info{}, unread: map[string]string{}}
	if err := s.clean(); err != nil {
		opts.Logger.Warn("What crashes have left in the runs' directory cannot be removed.", "dir", dir, "err", err)
	}
	if err := s.refresh(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if err := s.Retain(time.Now()); err != nil {
		opts.Logger.Warn("Old runs cannot be removed.", "dir", dir, "err", err)
	}
	return s, nil
}

// Close lets the directory go. Writers must have ended.
func (s *Store) Close() error { return s.root.Close() }

// changing runs f while no other process changes names in the directory.
func (s *Store) changing(f func() error) error {
	s.names.Lock()
	defer s.names.Unlock()
	file, err := s.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return err
	}
	defer file.Close()
	for begin := time.Now(); ; {
		locked, err := tryLock(file)
		if err != nil {
			return err
		}
		if locked {
			return f()
		}
		if time.Since(begin) > lockWithin {
			return fmt.Errorf("another process has held %s/%s for %v: end it", s.dir, lockFile, lockWithin)
		}
		time.Sleep(lockEvery)
	}
}

// clean removes what dead processes have left.
func (s *Store) clean() error {
	return s.changing(func() error {
		entries, err := fs.ReadDir(s.root.FS(), ".")
		if err != nil {
			return err
		}
		var errs []error
		for _, e := range entries {
			switch {
			case strings.HasPrefix(e.Name(), delPrefix), e.Name() == baselinesTemp:
			case strings.HasPrefix(e.Name(), tmpPrefix):
				if alive, err := s.alive(e); alive {
					errs = append(errs, err)
					continue
				}
			default:
				continue
			}
			errs = append(errs, s.root.RemoveAll(e.Name()))
		}
		return errors.Join(errs...)
	})
}

// alive tells whether a directory of a run under way has a process. In doubt it has.
func (s *Store) alive(e fs.DirEntry) (bool, error) {
	lock, err := s.root.OpenFile(e.Name()+"/"+writerLock, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // killed as it was made, or just before it was given its name
	}
	if err != nil {
		return true, err
	}
	defer lock.Close()
	if !locksTell {
		info, err := e.Info()
		return err != nil || time.Since(info.ModTime()) < deadAfter, err
	}
	free, err := tryLock(lock)
	return !free, err
}

// refresh brings the index up to what is in the directory, where other processes write and remove as well.
func (s *Store) refresh() error {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return fmt.Errorf("list runs: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		id := e.Name()
		if !e.IsDir() || !ValidID(id) {
			continue
		}
		there[id] = true
		if s.index[id] != nil || s.unread[id] != "" {
			continue
		}
		info, err := s.readInfo(id)
		if errors.Is(err, fs.ErrNotExist) {
			if _, gone := s.root.Stat(id); gone != nil {
				continue // removed just now
			}
		}
		if err != nil {
			s.unread[id] = err.Error()
			s.opts.Logger.Warn("A record cannot be read. It is left alone.", "run", id, "err", err)
			continue
		}
		s.index[id] = info
	}
	maps.DeleteFunc(s.index, func(id string, _ *Info) bool { return !there[id] })
	maps.DeleteFunc(s.unread, func(id, _ string) bool { return !there[id] })
	return nil
}

func (s *Store) readInfo(id string) (*Info, error) {
	f, err := s.root.Open(id + "/" + runFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := decodeInfo(f)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(id, info.Schema, record.SchemaVersion); err != nil {
		return nil, err
	}
	if info.ID != id {
		return nil, fmt.Errorf("its id is %q", info.ID)
	}
	return info, nil
}

// Filter says which runs a list is of. Zero fields do not matter.
type Filter struct {
	Ramp, Target string
	Verdict      record.Verdict
	Since        time.Time // started then or later
	After        string    // what the list before gave for the next one
	Limit        int       // at most so many
}

// List lists runs, the newest first, and gives what to pass as After for those that follow; empty: there are none.
// Records that cannot be read are left out.
func (s *Store) List(f Filter) (infos []Info, next string, err error) {
	if err := s.refresh(); err != nil {
		return nil, "", err
	}
	var bound place
	if f.After != "" {
		if bound, err = parsePlace(f.After); err != nil {
			return nil, "", err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, info := range s.index {
		if f.Ramp != "" && info.Ramp != f.Ramp || f.Target != "" && info.Target != f.Target ||
			f.Verdict != "" && info.Verdict != f.Verdict || !f.Since.IsZero() && info.Started.Before(f.Since) ||
			f.After != "" && placeOf(info).compare(bound) >= 0 {
			continue
		}
		infos = append(infos, *info)
	}
	slices.SortFunc(infos, func(a, b Info) int { return placeOf(&b).compare(placeOf(&a)) })
	if f.Limit > 0 && len(infos) > f.Limit {
		infos = infos[:f.Limit:f.Limit]
		next = placeOf(&infos[f.Limit-1]).String()
	}
	return infos, next, nil
}

// A place is where a run stands in lists: also after it was removed, so that a list can be gone on with.
type place struct {
	started int64
	id      string
}

func placeOf(i *Info) place { return place{started: i.Started.UnixNano(), id: i.ID} }

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.started, o.started), cmp.Compare(p.id, o.id))
}

func (p place) String() string { return strconv.FormatInt(p.started, 10) + "." + p.id }

func parsePlace(text string) (place, error) {
	started, id, ok := strings.Cut(text, ".")
	n, err := strconv.ParseInt(started, 10, 64)
	if !ok || err != nil || !ValidID(id) {
		return place{}, fmt.Errorf("list runs: %q is not what a list gave for the next one", text)
	}
	return place{started: n, id: id}, nil
}

// Unreadable lists the records that cannot be read, with the reason, by id.
func (s *Store) Unreadable() (map[string]string, error) {
	if err := s.refresh(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.unread), nil
}

// Info is what lists say of one run. The errors are those of Load.
func (s *Store) Info(id string) (*Info, error) {
	if !ValidID(id) {
		return nil, fmt.Errorf("run %q: %w: that is no run's id", id, ErrNotFound)
	}
	info, err := s.readInfo(id)
	if err != nil {
		return nil, loadError(id, err)
	}
	return info, nil
}

// Load reads a record. The error is ErrNotFound, a *NewerError, or one of reading it.
func (s *Store) Load(id string) (*record.Run, error) {
	if _, err := s.Info(id); err != nil {
		return nil, err
	}
	data, err := s.root.ReadFile(id + "/" + runFile)
	if err != nil {
		return nil, loadError(id, err)
	}
	run := &record.Run{}
	if err := json.Unmarshal(data, run); err != nil {
		return nil, loadError(id, err)
	}
	if err := run.Check(); err != nil {
		return nil, loadError(id, err)
	}
	return run, nil
}

func loadError(id string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("run %s: %w", id, ErrNotFound)
	}
	if _, ok := errors.AsType[*NewerError](err); ok {
		return err
	}
	return fmt.Errorf("run %s: %w", id, err)
}
