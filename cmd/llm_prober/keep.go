package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/llmprober/llm_prober/config"
)

// What a restart would forget is kept in two files beside the records of runs: the pages' history, and what is known of targets'
// times without load.
const (
	historyFile   = "history"
	estimatesFile = "estimates.json"
	keepEvery     = 5 * time.Minute
)

// remember reads what the last process has kept. What cannot be read is as if it were not there, but for a word in the log.
func (d *daemon) remember() {
	if d.storage.dir == "" {
		return
	}
	if err := d.history.Load(filepath.Join(d.storage.dir, historyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.logger.Warn("the history of the pages begins anew", "err", err)
	}
	text, err := os.ReadFile(filepath.Join(d.storage.dir, estimatesFile))
	if err == nil {
		err = json.Unmarshal(text, &d.estimates)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.logger.Warn("what was learnt of targets without load is lost", "err", err)
	}
}

// estimateOf is where the estimates of a target are kept. Of another endpoint or model they say nothing.
func estimateOf(tc *config.Target) string {
	return fmt.Sprintf("%s %s %s %s", tc.Name, tc.Protocol, tc.URL, tc.Model)
}

// keep writes what a restart would forget.
func (d *daemon) keep() {
	if d.storage.dir == "" {
		return
	}
	err := os.MkdirAll(d.storage.dir, 0o700)
	if err == nil {
		err = errors.Join(d.history.Save(filepath.Join(d.storage.dir, historyFile)), d.keepEstimates())
	}
	switch {
	case err == nil:
		d.keepFailed = false
	case !d.keepFailed: // once, until it works again
		d.keepFailed = true
		d.logger.Warn("a restart will forget the history of the pages; give a directory that can be written to, or none, as --storage.path", "err", err)
	}
}

func (d *daemon) keepEstimates() error {
	cfg, current := d.inForce.Load(), d.current.Load()
	if cfg == nil || current == nil {
		return nil
	}
	estimates := map[string]json.RawMessage{}
	for _, tc := range cfg.Targets {
		if t := (*current)[tc.Name]; t != nil {
			state, err := json.Marshal(t.queue)
			if err != nil {
				return err
			}
			estimates[estimateOf(tc)] = state
		}
	}
	text, err := json.Marshal(estimates)
	if err != nil {
		return err
	}
	file := filepath.Join(d.storage.dir, estimatesFile)
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// keepNowAndThen keeps until ctx ends, and once more then.
func (d *daemon) keepNowAndThen(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			d.keep()
		case <-ctx.Done():
			d.keep()
			return
		}
	}
}
