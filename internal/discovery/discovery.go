package discovery

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/config"
)

const (
	// firstWithin bounds how long Load waits for all sources together.
	firstWithin = 5 * time.Second

	// settleAfter is when a file is looked at again that has changed.
	settleAfter = time.Second

	// retryAfter is when a source is read again that has never succeeded, and when OnChange is called again that has failed.
	retryAfter = 5 * time.Second
)

// Options say what is followed.
type Options struct {
	// Config has the sources, target_files before http_sd, and the rules that targets keep. It is as config.Load returned it,
	// without targets from outside, and is not changed.
	//
	// Where two sources list targets of one name, the list that came first stays in force; at the start that is the one of
	// the source that comes first.
	Config *config.Config

	// OnChange is told all targets in force when others are than Load returned or OnChange was told last. It is called by Run,
	// once at a time, and again after a while where it returns an error. It must not change them, and must return soon after ctx
	// has ended, since Run waits for it. Nil: nobody is told.
	OnChange func(ctx context.Context, targets []*config.Target) error

	// UserAgent is what requests say they come from.
	UserAgent string

	// Logger is told of what changes, and once of each thing that goes wrong. Not nil.
	Logger *slog.Logger
}

// Discovery follows sources of targets. Status and Targets may be called at any time.
type Discovery struct {
	options Options
	changed chan struct{} // holds one when OnChange is to be called
	told    string        // the error that OnChange returned last

	mu      sync.Mutex // protects all following fields, and the lists and the status of each source
	sources []*source
	loaded  bool // what changes from now on is news
}

// New returns a Discovery that reads nothing yet. Its error is that of a source's HTTP client, such as a certificate that cannot be read.
//
// Lists and counts of previous, which may be nil and may run, are taken over for the sources that are the same there, as far as
// the lists keep the rules of the new configuration.
func New(o Options, previous *Discovery) (*Discovery, error) {
	sources, err := newSources(o)
	if err != nil {
		return nil, err
	}
	d := &Discovery{options: o, changed: make(chan struct{}, 1), sources: sources}
	if previous != nil {
		d.inherit(previous)
	}
	return d, nil
}

// inherit takes over what previous knows of the same sources. It is called by New.
func (d *Discovery) inherit(previous *Discovery) {
	previous.mu.Lock()
	defer previous.mu.Unlock()
	for _, s := range d.sources {
		i := slices.IndexFunc(previous.sources, func(old *source) bool { return s.same(old) })
		if i < 0 {
			continue
		}
		old := previous.sources[i]
		s.status = old.status
		next := map[string]*list{}
		for place, l := range old.lists {
			targets, err := s.mapping.targets(l.found)
			if err != nil {
				s.lost[place] = err
				continue
			}
			next[place] = &list{l.digest, l.found, targets}
		}
		maps.Copy(s.lost, d.putLocked(s, next))
	}
}

// Load reads all sources, for five seconds at most, and returns the targets in force. It is called once, before Run.
//
// Its error names lists that were taken over from a previous Discovery, do not keep the rules of this configuration, and could not be
// replaced by what is there now: with it their targets would be gone. All else that goes wrong is told by Status.
func (d *Discovery) Load(ctx context.Context) ([]*config.Target, error) {
	reading, cancel := context.WithTimeoutCause(ctx, firstWithin, tooSlow(firstWithin))
	defer cancel()
	type answer struct {
		docs []document
		err  error
	}
	answers := make([]answer, len(d.sources))
	var wg sync.WaitGroup
	for i, s := range d.sources {
		wg.Go(func() { answers[i].docs, answers[i].err = s.reader.read(reading) })
	}
	wg.Wait()
	d.mu.Lock()
	d.loaded = true
	d.mu.Unlock()
	var gone []error
	for i, s := range d.sources { // in this order, on which it depends who has a name first
		d.take(s, answers[i].docs, answers[i].err)
		gone = append(gone, s.unreplaced())
	}
	select {
	case <-d.changed:
	default:
	}
	return d.Targets(), errors.Join(gone...)
}

// Targets are those in force, sorted by their names. They must not be changed.
func (d *Discovery) Targets() []*config.Target {
	d.mu.Lock()
	defer d.mu.Unlock()
	targets := []*config.Target{}
	for _, s := range d.sources {
		for _, l := range s.lists {
			targets = append(targets, l.targets...)
		}
	}
	slices.SortFunc(targets, byName)
	return targets
}

func byName(a, b *config.Target) int { return strings.Compare(a.Name, b.Name) }

// Run reads the sources again and again until ctx ends, and returns when all that it started has ended.
func (d *Discovery) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, s := range d.sources {
		wg.Go(func() { d.follow(ctx, s) })
	}
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.changed:
		case <-again:
		}
		again = nil
		if d.options.OnChange == nil {
			continue
		}
		err := d.options.OnChange(ctx, d.Targets())
		if err == nil {
			d.told = ""
			continue
		}
		again = time.After(retryAfter)
		if text := err.Error(); text != d.told && ctx.Err() == nil {
			d.told = text
			d.options.Logger.Error("discovered targets not put into force", "err", err)
		}
	}
}

// follow reads one source until ctx ends.
func (d *Discovery) follow(ctx context.Context, s *source) {
	for {
		timer := time.NewTimer(s.wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		docs, err := s.reader.read(ctx)
		if ctx.Err() != nil {
			return
		}
		d.take(s, docs, err)
	}
}
