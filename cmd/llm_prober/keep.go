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
	"github.com/llmprober/llm_prober/prober/schedule"
)

// What a restart would forget is kept in files beside the records of runs: the pages' history, what is known of targets'
// times without load, and what of the budgets is used: a daemon that crashes again and again must not spend them each time.
const (
	historyFile   = "history"
	estimatesFile = "estimates.json"
	budgetsFile   = "budgets.json"

	keepEvery        = 5 * time.Minute
	keepBudgetsEvery = 30 * time.Second // what a crash can forget of them
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
	var used schedule.Used
	text, err = os.ReadFile(filepath.Join(d.storage.dir, budgetsFile))
	if err == nil {
		err = json.Unmarshal(text, &used)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.logger.Warn("what was used of the budgets is lost: they begin anew", "err", err)
		return
	}
	d.scheduler.Restore(used)
}

// estimateOf is where the estimates of a target are kept. Of another endpoint or model they say nothing.
func estimateOf(tc *config.Target) string {
	return fmt.Sprintf("%s %s %s %s", tc.Name, tc.Protocol, tc.URL, tc.Model)
}

// keep writes what a restart would forget.
func (d *daemon) keep() {
	d.keeps(func() error {
		return errors.Join(d.history.Save(filepath.Join(d.storage.dir, historyFile)), d.keepEstimates(), d.keepBudgets())
	})
}

// keeps writes with what, and says once that it failed, until it works again.
func (d *daemon) keeps(what func() error) {
	if d.storage.dir == "" {
		return
	}
	err := os.MkdirAll(d.storage.dir, 0o700)
	if err == nil {
		err = what()
	}
	switch {
	case err == nil:
		d.keepFailed = false
	case !d.keepFailed:
		d.keepFailed = true
		d.logger.Warn("a restart will forget the history of the pages and what is used of the budgets; "+
			"give a directory that can be written to, or none, as --storage.path", "err", err)
	}
}

// keepBudgets writes what is used of the budgets, or nothing where there are none.
func (d *daemon) keepBudgets() error {
	used := d.scheduler.Used()
	file := filepath.Join(d.storage.dir, budgetsFile)
	if len(used.Groups) == 0 && used.All.None() {
		if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.Marshal(used)
	if err != nil {
		return err
	}
	return replaceFile(file, text)
}

// replaceFile writes a file whole or not at all.
func replaceFile(file string, text []byte) error {
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
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
	return replaceFile(filepath.Join(d.storage.dir, estimatesFile), text)
}

// keepNowAndThen keeps until ctx ends, and once more then.
func (d *daemon) keepNowAndThen(ctx context.Context) {
	all, budgets := time.NewTicker(keepEvery), time.NewTicker(keepBudgetsEvery)
	defer all.Stop()
	defer budgets.Stop()
	for {
		select {
		case <-all.C:
			d.keep()
		case <-budgets.C:
			d.keeps(d.keepBudgets)
		case <-ctx.Done():
			d.keep()
			return
		}
	}
}
