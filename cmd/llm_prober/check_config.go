package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/config"
)

type checkConfigCommand struct{ files []string }

func addCheckConfigCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	c := new(checkConfigCommand)
	cmd := app.Command("check-config", "Check configuration files.")
	cmd.HelpLong("Every mistake is reported at once, with its place and the cure. What works, but hardly as meant,\n" +
		"is a warning. The exit code is 0 if all files are valid, else 1.\n\n" +
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

// beside checks the files that a configuration names: recorded requests and lists of targets.
func (c *checkConfigCommand) beside(ctx context.Context, cfg *config.Config) []error {
	errs := checkSources(ctx, cfg)
	files := recordings{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Probes)) {
		if _, err := files.of(cfg.Probes[name]); err != nil {
			errs = append(errs, fmt.Errorf("probe %s: %w", name, err))
		}
	}
	return errs
}
