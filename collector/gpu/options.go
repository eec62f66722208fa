package gpu

import (
	"errors"
	"fmt"
	"time"
)

// Options say how GPUs are collected. The zero value collects nothing.
type Options struct {
	// Enabled: false starts no worker and exports nothing but the collector's state.
	Enabled bool

	// Interval between samplings; 0 means DefaultInterval, and 200 ms to 1 min are allowed.
	Interval time.Duration

	// Library is the path of NVML. "" means libnvidia-ml.so.1, wherever the loader finds it.
	// With a path given, the worker is started whether or not there seems to be NVIDIA hardware.
	Library string

	// Processes exports what memory each program holds, by program name. It asks the driver for every process of every
	// GPU, and shows the names to everyone who may read /metrics.
	Processes bool

	// KernelLog reads XIDs from /dev/kmsg too, which works while NVML is dead. It needs CAP_SYSLOG, or
	// kernel.dmesg_restrict=0 and permission to read the file.
	KernelLog bool

	// ExpectedDevices is how many GPUs there ought to be. 0 means: count the NVIDIA GPUs on the PCI bus, except in a
	// container that was given some of them only; there nothing is expected.
	// With a number given, the worker is started whether or not there seems to be NVIDIA hardware.
	ExpectedDevices int

	// Command is the worker's command line. Empty means this binary with WorkerCommand.
	Command []string
}

// DefaultInterval is the time between samplings where nothing else is asked for.
const DefaultInterval = time.Second

// WorkerCommand is the hidden subcommand that runs RunWorker on standard input and output.
const WorkerCommand = "gpu-worker"

// withDefaults returns o complete, or what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Interval < 200*time.Millisecond || o.Interval > time.Minute {
		errs = append(errs, fmt.Errorf("interval %s: want 200ms to 1m", o.Interval))
	}
	if o.ExpectedDevices < 0 || o.ExpectedDevices > 1024 {
		errs = append(errs, fmt.Errorf("expected devices %d: want 0 to 1024", o.ExpectedDevices))
	}
	if err := errors.Join(errs...); err != nil {
		return o, fmt.Errorf("GPU options: %w", err)
	}
	return o, nil
}
