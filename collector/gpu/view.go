package gpu

import (
	"strconv"
	"time"
)

// State is what a Manager is doing. The set is closed, so a state may be a label value.
type State string

// The states.
const (
	StateDisabled   State = "disabled"     // not asked for
	StateNotInBuild State = "not_in_build" // see ErrNotInBuild
	StateNoHardware State = "no_hardware"  // no NVIDIA GPU and no driver; looked for again every minute
	StateStarting   State = "starting"     // a worker loads the driver and finds the GPUs
	StateRunning    State = "running"      // snapshots come
	StateStuck      State = "stuck"        // a driver call does not return; the worker will be ended
	StateBackoff    State = "backoff"      // the worker has ended; another one follows
	StateWedged     State = "wedged"       // two workers do not even die; no third is started
)

// States lists every state.
func States() []State {
	return []State{StateDisabled, StateNotInBuild, StateNoHardware, StateStarting, StateRunning, StateStuck, StateBackoff, StateWedged}
}

// The reasons for which a worker was replaced.
const (
	restartDriver   = "driver"   // the driver is missing, unloaded or upgraded
	restartStuck    = "stuck"    // a driver call did not return
	restartSilent   = "silent"   // the worker said nothing for 5 s
	restartCrashed  = "crashed"  // it ended by itself, by a signal or with an error
	restartProtocol = "protocol" // its output was not understood
	restartStart    = "start"    // it could not be started
	restartRetry    = "retry"    // to try a GPU again that had been left out
)

func restartReasons() []string {
	return []string{restartDriver, restartStuck, restartSilent, restartCrashed, restartProtocol, restartStart, restartRetry}
}

// The sources of XIDs.
const (
	sourceNVML = "nvml"
	sourceKmsg = "kmsg"
)

// View is what is known at one moment. It is a value of its own: nothing changes it later.
type View struct {
	State   State
	Since   time.Time // when State began
	Problem string    // why the last worker ended, in words; "" after it was replaced with success
	PID     int       // of the worker; 0 when there is none

	// Snapshot holds the last readings; nil before the first ones and once they are too old to be shown.
	// Every GPU that was seen since the start is in it: those that NVML no longer lists are lost ("missing").
	Snapshot *Snapshot

	Age         time.Duration // since the sampling of the last snapshot began, shown or not; -1 before the first one
	LastSuccess time.Time     // when that sampling began; zero before the first one
	Stuck       *InFlight     // the driver call that does not return; nil when there is none

	Expected *int // GPUs that ought to be there; nil when nothing is expected
	Visible  *int // GPUs that NVML lists, lost ones included; nil without Snapshot

	Restarts map[string]uint64 // of the worker, by reason; all reasons are there
	Errors   []CallErrors      // failed driver calls since the start, sorted
	XIDs     []XIDCount        // sorted; the PrecreatedXIDs of every GPU are there from its first snapshot on
	Sources  map[string]bool   // by source of XIDs that is asked for: whether it is being listened to
}

// XIDCount is how often one GPU has reported one code since the prober started, as far as one source heard it.
type XIDCount struct {
	GPU    Identity // Index is -1 while NVML has not shown the GPU
	Code   string
	Source string // nvml or kmsg
	Count  uint64
	Last   time.Time // zero when Count is 0
}

// PrecreatedXIDs lists the codes that are exported as 0 from the start, so that increase() sees the first report: those
// that are about the GPU, not about the program that runs on it.
func PrecreatedXIDs() []string {
	return []string{
		"48",  // uncorrected ECC error
		"62",  // power management unit halted
		"63",  // row remapping recorded
		"64",  // row remapping failed
		"74",  // NVLink error
		"79",  // fallen off the bus
		"92",  // high rate of corrected ECC errors
		"94",  // contained memory error
		"95",  // uncontained memory error
		"119", // GSP does not answer
		"120", // GSP error
		"140", // unrecovered ECC error
		"154", // recovery action changed
	}
}

// gpuLabel is the GPU's index, or its PCI address while the index is not known.
func (id Identity) gpuLabel() string {
	if id.Index < 0 {
		return id.PCI
	}
	return strconv.Itoa(id.Index)
}
