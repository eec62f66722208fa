package main

import (
	"context"
	"os"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/collector/gpu"
)

// gpuFlags say how GPUs are collected.
type gpuFlags struct {
	options gpu.Options
	only    bool
}

func addGPUFlags(cmd *kingpin.CmdClause) *gpuFlags {
	f := new(gpuFlags)
	cmd.Flag("collector.gpu", "Collect NVIDIA GPU telemetry; quiet where there is no such GPU.").Default("true").BoolVar(&f.options.Enabled)
	cmd.Flag("collector.gpu.only", "Be a GPU agent: no probes, no configuration file, only GPUs on /metrics.").BoolVar(&f.only)
	cmd.Flag("collector.gpu.interval", "Time between two readings.").Default("1s").DurationVar(&f.options.Interval)
	cmd.Flag("collector.gpu.library", "Path of NVML; default: wherever the loader finds it.").PlaceHolder("FILE").StringVar(&f.options.Library)
	cmd.Flag("collector.gpu.processes", "Export the memory of each program by its name.").BoolVar(&f.options.Processes)
	cmd.Flag("collector.gpu.kernel-log", "Read XIDs from /dev/kmsg as well: works when NVML is dead.").BoolVar(&f.options.KernelLog)
	cmd.Flag("collector.gpu.expected-devices", "How many GPUs there ought to be; 0: as many as the PCI bus has.").
		PlaceHolder("N").IntVar(&f.options.ExpectedDevices)
	return f
}

// gpuWorkerCommand is the process that loads NVIDIA's library, so that the prober need not.
type gpuWorkerCommand struct{}

func addGPUWorkerCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	return app.Command(gpu.WorkerCommand, "Read GPUs for the prober that started this process.").Hidden(), gpuWorkerCommand{}
}

func (gpuWorkerCommand) run(ctx context.Context, e env) error {
	return gpu.RunWorker(ctx, os.Stdin, e.rawStdout, e.logger)
}
