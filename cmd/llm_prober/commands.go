package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Exit codes of every command. Those from 3 on are verdicts of runs and comparisons.
const (
	exitOK            = 0 // what was asked for was done; of a run or a comparison: it passed; of a gate: the target is ready
	exitFailed        = 1 // what was asked for failed: a bad configuration, a failed probe
	exitUsage         = 2 // the command line cannot be understood
	exitFail          = 3 // an objective was missed
	exitRegressed     = 4 // worse than what it was compared with
	exitAborted       = 5 // an abort limit ended the run
	exitInvalid       = 6 // the prober could not keep the plan
	exitNotEnoughRuns = 7 // too few runs to compare with
	exitCutShort      = 8 // ended from outside before its plan was done
)

// verdictExit is the exit code that a verdict is.
type verdictExit record.Verdict

// Error implements error.
func (v verdictExit) Error() string { return "verdict " + string(v) }

func (v verdictExit) code() int {
	return map[record.Verdict]int{
		record.Pass: exitOK, record.Fail: exitFail, record.Regressed: exitRegressed, record.Aborted: exitAborted,
		record.Invalid: exitInvalid, record.NotEnoughRuns: exitNotEnoughRuns, record.CutShort: exitCutShort,
	}[record.Verdict(v)]
}

// env is what a command may use of the world outside.
type env struct {
	stdout, stderr io.Writer // what servers, files and users say cannot control a terminal through them
	logger         *slog.Logger

	rawStdout, rawStderr io.Writer // the same as they are: for frames between processes, and for a view that moves the cursor
}

// exitCoder is an error that is an exit code, and has been told already.
type exitCoder interface {
	error
	code() int
}

// command is one subcommand, ready to run once its flags have been parsed.
type command interface {
	run(ctx context.Context, e env) error
}

// errSilent ends a command with exitFailed when everything has been said already.
var errSilent = errors.New("failed")

// exit is how kingpin's wish to end the process travels up to run.
type exit int

// newApp is the whole command line: what may be said on it, and the command of each name.
func newApp() (*kingpin.Application, *logFlags, map[string]command) {
	app := kingpin.New("llm_prober",
		"Probes LLM inference endpoints on a schedule, times every token of the answers, and exposes it to Prometheus.\n\n"+
			"Without a command the prober runs: llm_prober --config.file=llm_prober.yml")
	app.Version(version.Print("llm_prober")).VersionFlag.Short('V')
	app.HelpFlag.Short('h').Help("Show help.")
	app.UsageTemplate(usageTemplate)
	app.Terminate(func(status int) { panic(exit(status)) })
	logs := addLogFlags(app)
	commands := map[string]command{}
	add := func(cmd *kingpin.CmdClause, c command) { commands[cmd.FullCommand()] = c }
	add(addRunCommand(app))
	add(addDemoCommand(app))
	add(addProbeCommand(app))
	add(addCheckConfigCommand(app))
	add(addHealthcheckCommand(app))
	add(addGateCommand(app))
	add(addRampCommand(app))
	add(addCompareCommand(app))
	addRunsCommands(app, add)
	addBaselineCommands(app, add)
	add(addRulesCommand(app))
	add(addSimulateCommand(app))
	add(addGPUWorkerCommand(app))
	return app, logs, commands
}

// run parses args, runs the command they name, and returns the process' exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	rawStdout, rawStderr := stdout, stderr
	stdout, stderr = printable.NewWriter(stdout), printable.NewWriter(stderr)
	app, logs, commands := newApp()
	app.UsageWriter(stdout).ErrorWriter(stderr)
	defer func() {
		if r := recover(); r != nil {
			status, ok := r.(exit)
			if !ok {
				panic(r)
			}
			code = int(status)
		}
	}()

	name, err := app.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "llm_prober: %v, see llm_prober --help\n", err)
		return exitUsage
	}
	logger, err := logs.logger(stderr)
	if err != nil {
		fmt.Fprintf(stderr, "llm_prober: %v\n", err)
		return exitUsage
	}
	err = commands[name].run(ctx, env{stdout, stderr, logger, rawStdout, rawStderr})
	verdict, judged := errors.AsType[exitCoder](err)
	switch {
	case err == nil:
		return exitOK
	case judged: // it has been said already
		return verdict.code()
	case errors.Is(err, errSilent):
		return exitFailed
	default:
		fmt.Fprintf(stderr, "llm_prober: %v\n", err)
		return exitFailed
	}
}
