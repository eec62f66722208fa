package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/discovery"
)

// discovering follows the sources of targets of one configuration. A nil one follows none.
type discovering struct {
	*discovery.Discovery
	context context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// discover reads the sources of targets of cfg, and returns the configuration with what they list. d.mu is held.
func (d *daemon) discover(cfg *config.Config) (*discovering, *config.Config, error) {
	if len(cfg.TargetFiles)+len(cfg.HTTPSD) == 0 {
		return nil, cfg, nil
	}
	f := new(discovering)
	f.context, f.cancel = context.WithCancel(context.Background())
	var previous *discovery.Discovery
	if d.discovery != nil {
		previous = d.discovery.Discovery
	}
	var err error
	f.Discovery, err = discovery.New(discovery.Options{
		Config: cfg, UserAgent: userAgent(), Logger: d.logger,
		OnChange: func(ctx context.Context, found []*config.Target) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			if ctx.Err() != nil { // another configuration is in force meanwhile
				return nil
			}
			return d.apply(d.with(cfg, found))
		},
	}, previous)
	if err != nil {
		return nil, nil, err
	}
	found, err := f.Load(f.context)
	if err != nil {
		return nil, nil, err
	}
	return f, d.with(cfg, found), nil
}

// with is cfg with the targets that were found. They have been checked, one by one; what does not go together is left out.
func (d *daemon) with(cfg *config.Config, found []*config.Target) *config.Config {
	with, refused := cfg.WithTargets(found)
	for _, err := range refused {
		d.logger.Error("a target from outside is not probed", "err", err)
	}
	return with
}

// begin follows the sources until end.
func (f *discovering) begin() {
	if f != nil {
		f.running.Go(func() { f.Run(f.context) })
	}
}

// end no longer follows the sources; wait waits until that is so.
func (f *discovering) end() {
	if f != nil {
		f.cancel()
	}
}

func (f *discovering) wait() {
	if f != nil {
		f.running.Wait()
	}
}

// sourcesNow is how the sources of targets fare, for the metrics.
func (d *daemon) sourcesNow() []collector.Source {
	f := d.following.Load()
	if f == nil {
		return nil
	}
	var sources []collector.Source
	for _, s := range f.Status() {
		sources = append(sources, collector.Source{
			Name: s.Source, Targets: s.Targets, LastSuccess: s.LastSuccess, Successes: int(s.Succeeded), Failures: int(s.Failed),
		})
	}
	return sources
}

// checkSources reads the files of targets of a configuration once, for check-config, and returns what is wrong with them.
func checkSources(ctx context.Context, cfg *config.Config) []error {
	if len(cfg.TargetFiles) == 0 {
		return nil
	}
	files := *cfg
	files.HTTPSD = nil // what a server says now, it may not say later
	d, err := discovery.New(discovery.Options{Config: &files, UserAgent: userAgent(), Logger: slog.New(slog.DiscardHandler)}, nil)
	if err != nil {
		return []error{err}
	}
	if _, err := d.Load(ctx); err != nil {
		return []error{err}
	}
	var errs []error
	for _, s := range d.Status() {
		if s.LastError != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Source, s.LastError))
		}
	}
	return errs
}
