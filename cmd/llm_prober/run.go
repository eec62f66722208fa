package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/sync/errgroup"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/gpu"
	"github.com/llmprober/llm_prober/config"
)

type runCommand struct {
	file            string
	shutdownTimeout time.Duration
	gpu             *gpu.Options
	gpuOnly         bool
	storage         *storageFlags
	web             *webFlags
}

func addRunCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	c := new(runCommand)
	cmd := app.Command("run", "Probe on a schedule and serve /metrics (the default command).").Default()
	cmd.HelpLong("Send SIGHUP to load the configuration again; a bad file leaves the old one in force.\n" +
		"SIGTERM ends it: no new probes, and those under way get --shutdown-timeout.\n\n" +
		"  llm_prober --config.file=llm_prober.yml --web.listen-address=:9779")
	cmd.Flag("config.file", "Configuration file.").Default("llm_prober.yml").StringVar(&c.file)
	cmd.Flag("shutdown-timeout", "How long probes under way may take to end at a shutdown.").Default("10s").DurationVar(&c.shutdownTimeout)
	c.gpu = addGPUFlags(cmd)
	cmd.Flag("collector.gpu.only", "Be a GPU agent: no probes, no configuration file, only GPUs on /metrics.").BoolVar(&c.gpuOnly)
	c.storage = addStorageFlags(cmd)
	c.storage.addClaims(cmd)
	c.web = addWebFlags(cmd)
	return cmd, c
}

func (c *runCommand) run(ctx context.Context, e env) error {
	load := func() (*config.Config, error) { return config.Load(c.file) }
	if c.gpuOnly {
		load = func() (*config.Config, error) { return new(config.Config), nil }
	}
	return runDaemon(ctx, e, daemonOptions{load: load, firstWithin: firstWithin, storage: *c.storage}, *c.gpu, c.web, c.shutdownTimeout)
}

// firstWithin is when a new probe asks for the first time, at the latest: a heavy one need not be waited for.
const firstWithin = 5 * time.Second

// runDaemon probes by the configuration that o loads and serves what was measured, until ctx ends.
func runDaemon(ctx context.Context, e env, o daemonOptions, gpus gpu.Options, web *webFlags, shutdownTimeout time.Duration) error {
	tuneMemory()
	// From before the first load to after the drain: without a listener SIGHUP ends the process.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	manager, err := gpu.NewManager(gpus, e.logger)
	if err != nil {
		return err
	}
	o.gpus, o.lifecycle = manager.View, web.lifecycle
	d, err := newDaemon(e.logger, o)
	if err != nil {
		return err
	}
	if err := d.reload(); err != nil { // at the start there is no old configuration to stay with
		d.shutdown(ctx, 0)
		return err
	}
	d.readBaselines() // before the first scrape
	registry, err := collector.NewRegistry(d.probes, d.self, d.objectives, d.budgets, d.sources, d.baselines, d.ramps.metrics, d.engines, d.gpuTargets, gpu.NewCollector(manager.View))
	if err != nil {
		d.shutdown(ctx, 0)
		return err
	}
	handler := web.routes(d, collector.Handler(registry, e.logger), d.pages)

	// Probes end before serving does, so that /metrics shows how they ended.
	group, running := errgroup.WithContext(ctx)
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	group.Go(func() error { return d.reloadOnHangup(running, hangups) })
	group.Go(func() error { return manager.Run(running) })
	group.Go(func() error { d.engines.Run(running); return nil })
	group.Go(func() error { d.keepNowAndThen(serving); return nil })
	group.Go(func() error { d.followBaselines(serving); return nil })
	group.Go(func() error { return web.serve(serving, handler, e.logger) })
	group.Go(func() error {
		<-running.Done()
		e.logger.Info("shutting down", "cause", context.Cause(running), "timeout", shutdownTimeout)
		d.shutdown(context.WithoutCancel(ctx), shutdownTimeout)
		stopServing()
		return nil
	})
	return group.Wait()
}

// reloadOnHangup loads the configuration again for each SIGHUP until ctx ends.
func (d *daemon) reloadOnHangup(ctx context.Context, hangups <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			d.reload() // it has logged and counted what went wrong, and the old configuration stays in force
		}
	}
}
