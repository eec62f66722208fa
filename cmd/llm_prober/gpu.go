package main

import (
	"context"
	"os"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/collector/gpu"
)

// addGPUFlags adds the flags that say how GPUs are collected.
func addGPUFlags(cmd *kingpin.CmdClause) *gpu.Options {
	o := new(gpu.Options)
	cmd.Flag("collector.gpu", "Collect NVIDIA GPU telemetry; quiet where there is no such GPU.").Default("true").BoolVar(&o.Enabled)
	cmd.Flag("collector.gpu.interval", "Time between two readings.").Default("1s").DurationVar(&o.Interval)
	cmd.Flag("collector.gpu.library", "Path of NVML; default: wherever the loader finds it.").PlaceHolder("FILE").StringVar(&o.Library)
	cmd.Flag("collector.gpu.processes", "Export the memory of each program by its name.").BoolVar(&o.Processes)
	cmd.Flag("collector.gpu.kernel-log", "Read XIDs from /dev/kmsg as well: works when NVML is dead.").BoolVar(&o.KernelLog)
	cmd.Flag("collector.gpu.expected-devices", "How many GPUs there ought to be; 0: as many as the PCI bus has.").
		PlaceHolder("N").IntVar(&o.ExpectedDevices)
	return o
}

// gpuWorkerCommand is the process that loads NVIDIA's library, so that the prober need not.
type gpuWorkerCommand struct{}

func addGPUWorkerCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	return app.Command(gpu.WorkerCommand, "Read GPUs for the prober that started this process.").Hidden(), gpuWorkerCommand{}
}

func (gpuWorkerCommand) run(ctx context.Context, e env) error {
	return gpu.RunWorker(ctx, os.Stdin, e.rawStdout, e.logger)
}
