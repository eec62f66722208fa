package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/sync/errgroup"

	"github.com/llmprober/llm_prober/collector/gpu"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/web"
	"github.com/llmprober/llm_prober/prober/ramp/judge"
	"github.com/llmprober/llm_prober/prober/ramp/record"
	"github.com/llmprober/llm_prober/prober/workload"
)

// rampCommand runs one ramp in the foreground.
type rampCommand struct {
	name, file, report, output string
	shard, startAt             string
	storage                    *storageFlags
	gpu                        *gpu.Options
}

func addRampCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	c := new(rampCommand)
	cmd := app.Command("ramp", "Run one ramp of the configuration now, and judge it.")
	cmd.HelpLong("Nothing else is probed meanwhile. Ctrl-C ends it in order and leaves a record that says so. A daemon that runs\n" +
		"on the same configuration knows nothing of it, and does not share its budgets.\n\n" +
		"  llm_prober ramp nightly_soak --report=run.html\n\n" +
		"Exit codes: 0 pass, 3 fail, 4 regressed, 5 aborted, 6 invalid, 7 not enough runs, 8 cut short;\n" +
		"1 it could not be run, 2 usage.")
	cmd.Arg("name", "Name of the ramp.").Required().StringVar(&c.name)
	cmd.Flag("config.file", "Configuration file.").Default("llm_prober.yml").StringVar(&c.file)
	cmd.Flag("output", "Form of the summary: text, json, junit or markdown.").Default("text").EnumVar(&c.output, "text", "json", "junit", "markdown")
	cmd.Flag("report", "Write a page with charts, one file, to look at in a browser.").PlaceHolder("FILE").StringVar(&c.report)
	cmd.Flag("shard", "Take one part of the load, I of N from 0, of the same seeded plan: needs seed in the configuration.").PlaceHolder("I/N").StringVar(&c.shard)
	cmd.Flag("start-at", "Begin at this time, such as 2026-03-01T02:00:00Z: the same for all shards. In pods of a CronJob: its Job's name and a delay, NAME+2m.").PlaceHolder("TIME").StringVar(&c.startAt)
	c.storage = addStorageFlags(cmd)
	c.gpu = addGPUFlags(cmd)
	return cmd, c
}

func (c *rampCommand) run(ctx context.Context, e env) error {
	shard, shards, err := shardOf(c.shard)
	if err != nil {
		return fmt.Errorf("--shard: %w", err)
	}
	cfg, err := config.Load(c.file)
	if err != nil {
		return err
	}
	rc := cfg.Ramp(c.name)
	if rc == nil {
		return fmt.Errorf("%s has no ramp %q; it has: %s", c.file, c.name, rampNames(cfg))
	}
	if shards > 0 && rc.Shape != nil && rc.Shape.Search != nil {
		return fmt.Errorf("--shard: the ramp %s is a search, which cannot be spread: each shard would go its own way", rc.Name)
	}
	if shards > 0 && rc.Seed == nil {
		return fmt.Errorf("--shard: the ramp %s has no seed in %s: without it shards have plans that differ", rc.Name, c.file)
	}
	var begin time.Time
	if c.startAt != "" {
		if begin, err = startTime(c.startAt); err != nil {
			return fmt.Errorf("--start-at: %w", err)
		}
		if time.Until(begin) < 0 {
			return fmt.Errorf("--start-at: %s is past", c.startAt)
		}
	}
	manager, err := gpu.NewManager(*c.gpu, e.logger)
	if err != nil {
		return err
	}
	alone := onlyRamp(cfg, rc)
	d, err := newDaemon(e.logger, daemonOptions{
		load: func() (*config.Config, error) { return alone, nil }, gpus: manager.View, storage: *c.storage,
	})
	if err != nil {
		return err
	}
	if err := d.reload(); err != nil {
		d.shutdown(ctx, 0)
		return err
	}
	beside, stop := context.WithCancel(context.WithoutCancel(ctx)) // what stands beside the requests is seen to their end
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return manager.Run(beside) })
	group.Go(func() error { d.engines.Run(beside); return nil })
	verdict := c.watch(ctx, e, d, rc, begin, shard, shards)
	stop()
	if err := group.Wait(); err != nil && verdict == nil {
		verdict = err
	}
	d.shutdown(context.WithoutCancel(ctx), 0)
	return verdict
}

// prepare is how long before it begins a run is made ready: connections, the look at the engine, the record.
const prepare = 5 * time.Second

// watch runs the ramp before the user's eyes.
func (c *rampCommand) watch(ctx context.Context, e env, d *daemon, rc *config.Ramp, begin time.Time, shard, shards int) error {
	if !begin.IsZero() {
		fmt.Fprintf(e.stderr, "waiting until %s\n", begin.Format(time.RFC3339))
		if err := workload.SleepUntil(ctx, begin.Add(-prepare)); err != nil {
			return err
		}
	}
	nominal := begin // shards of one time are one run
	if shards == 0 {
		nominal = time.Time{}
	}
	cfg := d.inForce.Load()
	var last *record.Run
	var since time.Time
	for set := 1; set <= max(rc.Repeat, 1) && ctx.Err() == nil; set++ {
		view := newRampView(e.stderr, 0, rc, set)
		if width := terminal(e.rawStderr); width > 0 {
			view = newRampView(e.rawStderr, width, rc, set)
		}
		job := &rampJob{
			cfg: cfg, ramp: rc, targets: *d.current.Load(), scheduler: d.scheduler, trigger: record.ByHand, nominal: nominal, begin: begin, set: set, since: since, shard: shard, shards: shards,
		}
		run := d.ramps.run(ctx, job, view)
		view.end()
		if run == nil {
			return errSilent // the log says why
		}
		last, since = run, time.Now()
		if err := writeRun(e.stdout, run, c.output); err != nil {
			return err
		}
		if run.Verdict == record.Aborted || run.Verdict == record.CutShort {
			break
		}
		if !begin.IsZero() { // the same for all shards, however long each of them has waited for its last answers
			begin = begin.Add(rc.PlannedDuration()/time.Duration(max(rc.Repeat, 1)) + prepare)
		}
	}
	if last == nil {
		return context.Cause(ctx)
	}
	if c.report != "" {
		if err := writeReport(c.report, last); err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "report: %s\n", c.report)
	}
	if last.Verdict == record.Pass {
		return nil
	}
	return verdictExit(last.Verdict)
}

// writeRun says what came of a run.
func writeRun(w io.Writer, run *record.Run, form string) error {
	var text []byte
	var err error
	switch form {
	case "json":
		text, err = judge.JSON(run)
	case "junit":
		text, err = judge.JUnit(run)
	case "markdown":
		text = []byte(judge.Markdown(run))
	default:
		text = []byte(judge.Text(run))
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", strings.TrimRight(string(text), "\n"))
	}
	return err
}

// writeReport writes a page with charts.
func writeReport(file string, run *record.Run) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	err = web.Report(f, run)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return nil
}

// onlyRamp is a configuration in which nothing happens by itself.
func onlyRamp(cfg *config.Config, rc *config.Ramp) *config.Config {
	alone := *cfg
	alone.Targets, alone.Ramps, alone.Objectives = nil, nil, nil
	for _, tc := range cfg.Targets {
		quiet := *tc
		quiet.Probes = nil
		alone.Targets = append(alone.Targets, &quiet)
	}
	once := *rc
	once.Schedule = ""
	alone.Ramps = []*config.Ramp{&once}
	alone.TargetFiles, alone.HTTPSD = nil, nil
	return &alone
}

func rampNames(cfg *config.Config) string {
	var names []string
	for _, rc := range cfg.Ramps {
		names = append(names, rc.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
