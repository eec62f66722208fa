package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober/transport"
)

type checkConfigCommand struct{ files []string }

func addCheckConfigCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	c := new(checkConfigCommand)
	cmd := app.Command("check-config", "Check configuration files.")
	cmd.HelpLong("Every mistake is reported at once, with its place and the cure. What works, but hardly as meant,\n" +
		"is a warning. Files with keys and certificates are looked at where they are there; without those of certificates\n" +
		"the prober does not start. The exit code is 0 if all files are valid, else 1.\n\n" +
		"  llm_prober check-config llm_prober.yml")
	cmd.Arg("file", "Configuration files.").Required().StringsVar(&c.files)
	return cmd, c
}

func (c *checkConfigCommand) run(ctx context.Context, e env) error {
	failed := false
	for _, file := range c.files {
		cfg, err := config.Load(file)
		if err != nil {
			failed = true
			fmt.Fprintf(e.stderr, "%v\n", err)
			continue
		}
		for _, w := range cfg.Warnings() {
			fmt.Fprintf(e.stderr, "warning: %v\n", w)
		}
		if errs := c.beside(ctx, cfg); len(errs) > 0 {
			failed = true
			for _, err := range errs {
				fmt.Fprintf(e.stderr, "%s: %v\n", file, err)
			}
			continue
		}
		probes := 0
		for _, t := range cfg.Targets {
			probes += len(t.Probes)
		}
		fmt.Fprintf(e.stdout, "%s: valid: %s, %s of them\n", file, quantity(len(cfg.Targets), "target"), quantity(probes, "probe"))
	}
	if failed {
		return errSilent
	}
	return nil
}

// beside checks what the prober does with a configuration before it asks anything: the files that it names, which are recorded
// requests and lists of targets, and its HTTP clients.
func (c *checkConfigCommand) beside(ctx context.Context, cfg *config.Config) []error {
	errs := append(checkClients(cfg), checkSources(ctx, cfg)...)
	files := recordings{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Probes)) {
		if _, err := files.of(cfg.Probes[name]); err != nil {
			errs = append(errs, fmt.Errorf("probe %s: %w", name, err))
		}
	}
	return errs
}

// checkClients makes each HTTP client of a configuration, and returns what is wrong with them. A file that is not there, or not
// for whoever checks, is nothing wrong: it may be there where the prober runs.
func checkClients(cfg *config.Config) []error {
	var errs []error
	check := func(err error, format string, args ...any) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			errs = append(errs, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err))
		}
	}
	probes := func(h config.HTTPClientConfig, format string, args ...any) {
		client, err := transport.New(transportOptions(h))
		check(err, format, args...)
		if err == nil {
			client.Close()
		}
	}
	reads := func(h config.HTTPClientConfig, url, format string, args ...any) {
		client, err := newHTTPClient(h, "llm_check", url)
		check(err, format, args...)
		if err == nil {
			client.CloseIdleConnections()
		}
	}
	settings := func(s *config.TargetSettings, place string) {
		probes(s.HTTP, "%s: http", place)
		if s.Engine != nil {
			reads(s.Engine.HTTP, s.Engine.MetricsURL, "%s: engine: http", place)
		}
	}
	for _, t := range cfg.Targets {
		settings(&t.TargetSettings, "target "+t.Name)
	}
	for _, f := range cfg.TargetFiles {
		settings(&f.Template.TargetSettings, "target_files "+f.Name+": template")
	}
	for _, h := range cfg.HTTPSD {
		reads(h.HTTP, h.URL, "http_sd %s: http", h.Name)
		settings(&h.Template.TargetSettings, "http_sd "+h.Name+": template")
	}
	if cfg.ProbeOnDemand != nil {
		settings(&cfg.ProbeOnDemand.Template.TargetSettings, "probe_on_demand: template")
	}
	for _, r := range cfg.Ramps {
		for _, l := range r.Lanes {
			if l.HTTP != nil {
				probes(*l.HTTP, "ramp %s: lane %s: http", r.Name, l.Name)
			}
		}
	}
	return errs
}
