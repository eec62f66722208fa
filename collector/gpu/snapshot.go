package gpu

import "time"

// Snapshot is what one sampling saw of every GPU, in base units. A nil pointer, map or slice means that the GPU, its
// driver or the permissions do not give the value; it never stands for zero.
type Snapshot struct {
	Driver   Driver        `json:"driver"`
	Devices  []Device      `json:"devices"`          // in the order of NVML's indices
	Duration time.Duration `json:"duration"`         // what the sampling took
	Errors   []CallErrors  `json:"errors,omitempty"` // failed calls since the snapshot before; "not supported" is no error
	XIDs     bool          `json:"xids"`             // NVML reports XID events for at least one GPU at present
}

// Driver names the versions in use.
type Driver struct {
	Version string `json:"version,omitempty"` // of the kernel driver, as "580.159.03"
	NVML    string `json:"nvml,omitempty"`    // of the library, as "13.580.159.03"
	CUDA    string `json:"cuda,omitempty"`    // highest CUDA that the driver serves, as "13.0"
}

// CallErrors counts failures of one driver call for one reason. Both names come from closed sets.
type CallErrors struct {
	Call  string `json:"call"`
	Code  string `json:"code"`
	Count uint64 `json:"count"`
}

// Identity tells one GPU from the others.
type Identity struct {
	Index int    `json:"index"`          // NVML's index; may change with a reboot
	UUID  string `json:"uuid,omitempty"` // stable; "" when the GPU has never been readable
	PCI   string `json:"pci,omitempty"`  // as the kernel writes it: "0000:3b:00.0"
}

// Device is one GPU.
type Device struct {
	Identity
	Lost string `json:"lost,omitempty"` // why the GPU cannot be read, as "gpu_is_lost"; then there are no readings

	Info Info `json:"info,omitzero"`

	Utilization       *float64 `json:"utilization,omitempty"`        // share of the last period with a kernel resident, 0..1
	MemoryUtilization *float64 `json:"memory_utilization,omitempty"` // share of the last period with memory being read or written, 0..1
	Memory            *Memory  `json:"memory,omitempty"`

	Temperature       *float64 `json:"temperature,omitempty"`        // of the GPU, °C
	MemoryTemperature *float64 `json:"memory_temperature,omitempty"` // of its memory, °C
	Margin            *float64 `json:"margin,omitempty"`             // how far the GPU is below its slowdown temperature, °C
	Thresholds        Pairs    `json:"thresholds,omitempty"`         // °C by name: slowdown, shutdown, gpu_max, mem_max

	Power        *float64 `json:"power,omitempty"`         // W; averaged over 1 s on Ampere (but GA100) and newer
	PowerInstant *float64 `json:"power_instant,omitempty"` // W
	PowerLimit   *float64 `json:"power_limit,omitempty"`   // W, the limit in force
	PowerDefault *float64 `json:"power_default,omitempty"` // W, the limit at boot
	PowerMax     *float64 `json:"power_max,omitempty"`     // W, the highest limit that can be set
	Energy       *float64 `json:"energy,omitempty"`        // J since the driver was loaded

	Clocks    Pairs `json:"clocks,omitempty"`     // Hz by domain: sm, memory, graphics, video
	ClocksMax Pairs `json:"clocks_max,omitempty"` // Hz by domain

	ClockEvents       map[string]bool `json:"clock_events,omitempty"`        // by reason: whether it holds the clocks down now
	ClockEventSeconds Pairs           `json:"clock_event_seconds,omitempty"` // by reason: for how long it has, in all
	PerformanceState  *int            `json:"performance_state,omitempty"`   // 0 (fastest) .. 15

	ECC            *ECC     `json:"ecc,omitempty"`
	Rows           *Rows    `json:"rows,omitempty"`
	Pages          *Pages   `json:"pages,omitempty"`
	RecoveryAction *int     `json:"recovery_action,omitempty"` // 0 none, 1 reset, 2 reboot, 3 drain P2P, 4 drain and reset, 5 recover the IMEX domain
	PCIe           PCIe     `json:"pcie,omitzero"`
	NVLink         *NVLink  `json:"nvlink,omitempty"`
	Activity       Activity `json:"activity,omitzero"`

	Persistence *bool `json:"persistence,omitempty"`
	ComputeMode *int  `json:"compute_mode,omitempty"` // 0 default, 1 exclusive thread, 2 prohibited, 3 exclusive process
	MIGMode     *bool `json:"mig_mode,omitempty"`

	MIG       []MIGInstance `json:"mig,omitempty"`
	Processes *Processes    `json:"processes,omitempty"` // only when asked for
}

// Pairs are readings by name.
type Pairs map[string]float64

// Info is what does not change while a driver runs.
type Info struct {
	Name              string `json:"name,omitempty"`
	Architecture      string `json:"architecture,omitempty"`
	ComputeCapability string `json:"compute_capability,omitempty"` // as "9.0"
	VBIOS             string `json:"vbios,omitempty"`
	Minor             string `json:"minor,omitempty"` // the N of /dev/nvidiaN
}

// Memory is in bytes. Total = Used + Free + Reserved where Reserved is known; else Used includes it.
type Memory struct {
	Total    uint64  `json:"total"`
	Used     uint64  `json:"used"`
	Free     uint64  `json:"free"`
	Reserved *uint64 `json:"reserved,omitempty"` // kept by driver and firmware
}

// ECC counts memory errors: volatile since the driver was loaded, aggregate over the life of the board.
type ECC struct {
	Enabled              *bool   `json:"enabled,omitempty"`
	CorrectedVolatile    *uint64 `json:"corrected_volatile,omitempty"`
	UncorrectedVolatile  *uint64 `json:"uncorrected_volatile,omitempty"`
	CorrectedAggregate   *uint64 `json:"corrected_aggregate,omitempty"`
	UncorrectedAggregate *uint64 `json:"uncorrected_aggregate,omitempty"`
}

// Rows is the row remapper of Ampere and newer.
type Rows struct {
	Corrected   uint64 `json:"corrected"`   // rows remapped for corrected errors
	Uncorrected uint64 `json:"uncorrected"` // rows remapped for uncorrected errors
	Pending     bool   `json:"pending"`     // takes effect with the next reset
	Failed      bool   `json:"failed"`      // no spare row was left: the board is to be replaced
}

// Pages is page retirement, before Ampere.
type Pages struct {
	SingleBit *uint64 `json:"single_bit,omitempty"`
	DoubleBit *uint64 `json:"double_bit,omitempty"`
	Pending   *bool   `json:"pending,omitempty"`
}

// PCIe is the link to the host.
type PCIe struct {
	Generation    *int    `json:"generation,omitempty"` // falls when idle, to save power
	Width         *int    `json:"width,omitempty"`      // lanes
	MaxGeneration *int    `json:"max_generation,omitempty"`
	MaxWidth      *int    `json:"max_width,omitempty"`
	Replays       *uint64 `json:"replays,omitempty"`
	Transmitted   *uint64 `json:"transmitted,omitempty"` // bytes from the GPU
	Received      *uint64 `json:"received,omitempty"`    // bytes to the GPU
}

// NVLink is the sum over a GPU's links.
type NVLink struct {
	Active      *int              `json:"active,omitempty"` // links that are up
	Transmitted *uint64           `json:"transmitted,omitempty"`
	Received    *uint64           `json:"received,omitempty"`
	Errors      map[string]uint64 `json:"errors,omitempty"` // by kind: replay, recovery, crc
}

// Activity is what GPM counts on Hopper and newer: shares of the time between two samplings, 0..1.
type Activity struct {
	Graphics  *float64 `json:"graphics,omitempty"`  // any engine was busy
	SM        *float64 `json:"sm,omitempty"`        // of SMs that were busy
	Occupancy *float64 `json:"occupancy,omitempty"` // of warps that could have been resident
	Tensor    *float64 `json:"tensor,omitempty"`    // tensor pipes were busy
	DRAM      *float64 `json:"dram,omitempty"`      // of the memory's bandwidth
}

// MIGInstance is one MIG device. Memory and activity belong to its GPU instance and stand with the first compute
// instance of it only, so that sums over instances are right.
type MIGInstance struct {
	UUID            string   `json:"uuid"`
	GPUInstance     int      `json:"gpu_instance"`
	ComputeInstance int      `json:"compute_instance"`
	Profile         string   `json:"profile,omitempty"` // as "1g.10gb"
	Memory          *Memory  `json:"memory,omitempty"`
	Activity        Activity `json:"activity,omitzero"`
}

// Processes are the programs that hold memory of a GPU, added up by program name.
type Processes struct {
	Count  int             `json:"count"`
	Memory []ProcessMemory `json:"memory,omitempty"` // at most 17: the 16 largest and "other"
}

// ProcessMemory is what all processes of one name hold.
type ProcessMemory struct {
	Name  string `json:"name"`
	Bytes uint64 `json:"bytes"`
}

// XID is one error report of the driver.
type XID struct {
	UUID string    `json:"uuid,omitempty"` // "" when the reporter knows the address only
	PCI  string    `json:"pci,omitempty"`
	Code string    `json:"code"` // the number; or fallen_off_bus, which the kernel log says in words
	Time time.Time `json:"time"`
}

// InFlight is a driver call that is under way.
type InFlight struct {
	Call string        `json:"call"`
	GPU  int           `json:"gpu"` // NVML's index; -1 where the call concerns no single GPU
	For  time.Duration `json:"for"`
}
