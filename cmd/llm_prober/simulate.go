package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/internal/simulator"
)

type simulateCommand struct {
	listen  string
	options simulator.Options
	engine  []string
	faults  []string
	changes []string
	explain bool
}

func addSimulateCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	c := new(simulateCommand)
	o := &c.options
	var profiles []string
	for _, p := range simulator.Profiles() {
		profiles = append(profiles, p.Name)
	}
	cmd := app.Command("simulate", "Run a simulated LLM server.")
	cmd.HelpLong("It speaks as vLLM does, or in another dialect, and its requests share an engine that queues and batches as real ones do.\n" +
		"With --first-token or --per-token the times are fixed instead, whatever the load.\n\n" +
		"  llm_prober simulate --first-token=100ms --per-token=20ms\n" +
		"  llm_prober simulate --profile=l4-8b --engine=max_running=32 --explain\n" +
		"  llm_prober simulate --dialect=tgi --fault=stall=2s:0.01 --change=throttle=1.5@10m+5m")
	cmd.Flag("listen-address", "Address to serve on.").Default("127.0.0.1:8000").StringVar(&c.listen)
	cmd.Flag("explain", "Say where it saturates, and end.").BoolVar(&c.explain)
	cmd.Flag("model", "Name of the served model.").Default("sim").StringVar(&o.Model)
	cmd.Flag("dialect", "How it speaks: "+strings.Join(simulator.Dialects(), ", ")+"; or several, of which the first has a route.").
		Default("vllm").StringVar(&o.Dialect)
	cmd.Flag("api-key", "What requests must show; empty: nothing.").Default("").StringVar(&o.APIKey)
	cmd.Flag("profile", "Plausible constants: "+strings.Join(profiles, ", ")+".").StringVar(&o.Profile)
	cmd.Flag("engine", "A constant, as NAME=VALUE: "+strings.Join(simulator.Constants(), ", ")+".").PlaceHolder("CONSTANT").StringsVar(&c.engine)
	cmd.Flag("max-running", "Sequences in one batch; 0: 64.").Default("0").IntVar(&o.MaxRunning)
	cmd.Flag("max-queued", "Requests above which 503 is answered; 0: none.").Default("0").IntVar(&o.MaxQueued)
	cmd.Flag("first-token", "Fixed time to the first token.").Default("0s").DurationVar(&o.FirstToken)
	cmd.Flag("per-token", "Fixed time between tokens.").Default("0s").DurationVar(&o.PerToken)
	cmd.Flag("mean-output-tokens", "Mean length of answers; 0: at their cap.").Default("0").Float64Var(&o.MeanOutputTokens)
	cmd.Flag("reasoning-effort", "Where a request does not say: low, high, ...").Default("none").StringVar(&o.ReasoningEffort)
	cmd.Flag("tokenizer", "a (1.3 tokens a word) or b (about 2).").Default("a").EnumVar(&o.Tokenizer, "a", "b")
	cmd.Flag("per-request-metrics", "Say in answers where the time went, as vLLM can.").BoolVar(&o.PerRequestMetrics)
	cmd.Flag("stamp-events", "Put its own send time into each event.").BoolVar(&o.StampEvents)
	cmd.Flag("fault", "What goes wrong, as NAME[=ARGUMENT][:SHARE]: reset=10:0.01, stall=2s, rate_limited.").
		PlaceHolder("FAULT").StringsVar(&c.faults)
	cmd.Flag("change", "What changes, as NAME=VALUE[@AFTER][+FOR]: leak=5, restart=20s@1h, max_running=32@30m.").
		PlaceHolder("CHANGE").StringsVar(&c.changes)
	cmd.Flag("compress", "How much faster those times go.").Default("1").Float64Var(&o.Compress)
	cmd.Flag("seed", "Seed of all that is drawn.").Default("1").Uint64Var(&o.Seed)
	return cmd, c
}

func (c *simulateCommand) run(ctx context.Context, e env) error {
	for _, text := range c.engine {
		if err := c.options.Set(text); err != nil {
			return fmt.Errorf("--engine=%s: %w", text, err)
		}
	}
	for _, f := range c.faults {
		spec, share, given := strings.Cut(f, ":")
		fault := simulator.Fault{Spec: spec, Share: 1}
		if given {
			var err error
			if fault.Share, err = strconv.ParseFloat(share, 64); err != nil {
				return fmt.Errorf("--fault=%s: the share after the colon must be a number from 0 to 1", f)
			}
		}
		c.options.Faults = append(c.options.Faults, fault)
	}
	for _, text := range c.changes {
		change, err := simulator.ParseChange(text)
		if err != nil {
			return fmt.Errorf("--change=%s: %w", text, err)
		}
		c.options.Changes = append(c.options.Changes, change)
	}
	c.options.Logger = e.logger
	server, err := simulator.New(c.options)
	if err != nil {
		return err
	}
	if c.explain {
		_, err := fmt.Fprint(e.stdout, server.Explain())
		return err
	}
	l, err := net.Listen("tcp", c.listen)
	if err != nil {
		return fmt.Errorf("--listen-address: %w", err)
	}
	e.logger.Info("simulated LLM server", "url", "http://"+l.Addr().String()+"/v1", "model", c.options.Model)
	return server.Serve(ctx, l)
}
