package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober/ramp/judge"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// storageFlags say what is kept on disk, and where.
type storageFlags struct {
	path, claims string
	maxRuns      int
	maxAge       time.Duration
}

func addStorageFlags(cmd *kingpin.CmdClause) *storageFlags {
	f := new(storageFlags)
	addStoragePath(cmd, &f.path)
	cmd.Flag("storage.max-runs", "How many runs of each ramp are kept; 0: all.").Default("100").IntVar(&f.maxRuns)
	cmd.Flag("storage.max-age", "How long runs are kept; 0: for ever.").Default("2160h").DurationVar(&f.maxAge)
	return f
}

// addClaims adds the flag of whoever has a schedule to share.
func (f *storageFlags) addClaims(cmd *kingpin.CmdClause) {
	cmd.Flag("ramp.claims", "Directory that probers share, so that each ramp runs on one of them; or kubernetes:NAME: pods of one name share Leases.").
		PlaceHolder("DIR").StringVar(&f.claims)
}

// addStoragePath adds the flag that all commands have which read records.
func addStoragePath(cmd *kingpin.CmdClause, path *string) {
	cmd.Flag("storage.path", "Directory of the records of runs; made when it is first needed. Empty: nothing is kept.").Default("data").StringVar(path)
}

// historyOf is how many runs of a ramp are looked at for one that can be read.
const historyOf = 220

// storage is what the flags say.
func (f *storageFlags) storage(logger *slog.Logger) *storage {
	return &storage{dir: f.path, options: runs.Options{MaxRuns: f.maxRuns, MaxAge: f.maxAge, Logger: logger}, logger: logger}
}

// storage is where records of runs are kept: opened when it is first needed, for most probers need none.
type storage struct {
	dir     string // empty: nothing is kept
	options runs.Options
	logger  *slog.Logger

	mu    sync.Mutex // protects what follows
	store *runs.Store
	tried time.Time // when it was last tried to open it in vain
}

// retryStorage is how long a directory that cannot be opened is left alone.
const retryStorage = time.Minute

// open returns the directory of records; nil where there is none, or it cannot be opened, which is logged.
func (s *storage) open() *runs.Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store != nil || s.dir == "" || time.Since(s.tried) < retryStorage {
		return s.store
	}
	store, err := runs.Open(filepath.Join(s.dir, "runs"), s.options)
	if err != nil {
		s.tried = time.Now()
		s.logger.Error("records of runs are not kept", "err", err)
		return nil
	}
	s.store = store
	return store
}

// exists reports whether something has been kept already.
func (s *storage) exists() bool {
	if s.dir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(s.dir, "runs"))
	return err == nil
}

// close lets the directory go. Runs must have ended.
func (s *storage) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store != nil {
		s.store.Close()
		s.store = nil
	}
}

// begin begins the record of a run; nil where none can be kept.
func (s *storage) begin(id string, logger *slog.Logger) *runs.Writer {
	store := s.open()
	if store == nil {
		return nil
	}
	w, err := store.Begin(id)
	if err != nil {
		logger.Error("the record of a run cannot be begun", "run", id, "err", err)
		return nil
	}
	return w
}

// list lists the runs of a ramp, the newest first.
func (s *storage) list(name string) []runs.Info {
	store := s.open()
	if store == nil {
		return nil
	}
	infos, _, err := store.List(runs.Filter{Ramp: name, Limit: historyOf})
	if err != nil {
		s.logger.Error("records of runs cannot be listed", "ramp", name, "err", err)
	}
	return infos
}

// newest is the newest run of a ramp; nil where there is none.
func (s *storage) newest(name string) *record.Run {
	for _, info := range s.list(name) {
		if run := s.load(info.ID); run != nil {
			return run
		}
	}
	return nil
}

func (s *storage) load(id string) *record.Run {
	store := s.open()
	if store == nil {
		return nil
	}
	run, err := store.Load(id)
	if err != nil {
		s.logger.Warn("the record of a run cannot be read", "run", id, "err", err)
		return nil
	}
	return run
}

// judge says what a run means, and how it compares with those before it.
func (s *storage) judge(run *record.Run, rc *config.Ramp, tc *config.Target, logger *slog.Logger) {
	var o judge.Options
	var history []*record.Run
	if amount, ok := tc.HourlyPrice(); ok {
		o.PerHour = amount
	}
	if rc.Compare != nil {
		against, err := s.against(rc.Compare)
		if err != nil {
			logger.Error("the run is compared with nothing", "err", err)
		} else {
			o.Compare = against
			last, _ := rc.Compare.Last()
			history = s.history(run, lookedAt(last*max(rc.Repeat, 1)))
		}
	}
	judge.Judge(run, history, o)
}

// against is what the configuration has a run compared with.
func (s *storage) against(c *config.Compare) (*judge.Against, error) {
	a := &judge.Against{With: c.With, MaxRegression: float64(c.MaxRegression), Confidence: c.Confidence}
	name := c.Baseline()
	if name == "" {
		return a, nil
	}
	store := s.open()
	if store == nil {
		return nil, errors.New("there are no records")
	}
	pins, err := store.Pins()
	if err != nil {
		return nil, err
	}
	pin, ok := pins[name]
	if !ok {
		return nil, fmt.Errorf("no run is saved as %s; save one by: llm_prober runs pin %s ID", name, name)
	}
	a.Baseline, err = store.Load(pin.Run)
	return a, err
}

// history are the newest runs of a run's ramp, as many as are wanted: those with which it may be compared. Of a ramp that is
// spread over many shards, most records are of another share of the load. Shards that were added up twice are one run.
func (s *storage) history(of *record.Run, most int) []*record.Run {
	store := s.open()
	if store == nil {
		return nil
	}
	infos, _, err := store.List(runs.Filter{Ramp: of.Ramp})
	if err != nil {
		s.logger.Error("records of runs cannot be listed", "ramp", of.Ramp, "err", err)
	}
	var history []*record.Run
	added := map[int64]bool{} // when sums that are in began
	for _, info := range infos {
		if len(history) >= most {
			break
		}
		at := info.Started.UnixNano()
		if !judge.SameShare(&record.Run{Shard: info.Shard, Shards: info.Shards, Merged: info.Merged}, of) || len(info.Merged) > 0 && added[at] {
			continue
		}
		if run := s.load(info.ID); run != nil {
			history = append(history, run)
			added[at] = added[at] || len(run.Merged) > 0
		}
	}
	return history
}

// lookedAt is how many runs are looked at to find so many that can be compared with: some have failed, or were cut short.
func lookedAt(wanted int) int { return 2*max(wanted, judge.DefaultLast) + 10 }

// firstBaseline pins what an unloaded run found of a target that has no baseline yet. It is not moved by later runs: a baseline
// that follows every night forgets.
func (s *storage) firstBaseline(run *record.Run, logger *slog.Logger) {
	values := baselinesOf(run)
	store := s.open()
	if store == nil || len(values) == 0 {
		return
	}
	saved, err := store.Baselines()
	if err != nil {
		logger.Error("baselines cannot be read", "err", err)
		return
	}
	values = slices.DeleteFunc(values, func(v runs.BaselineValue) bool {
		return slices.ContainsFunc(saved[run.Target], func(old runs.BaselineValue) bool { return old.Probe == v.Probe })
	})
	if len(values) == 0 {
		return
	}
	if err := store.SaveBaseline(run.Target, values); err != nil {
		logger.Error("the baseline cannot be saved", "err", err)
	}
}
