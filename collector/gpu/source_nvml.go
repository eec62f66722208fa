//go:build linux && cgo

package gpu

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// built says that the driver's bindings are in this binary. They make ~400 undefined symbols of it, which the dynamic
// linker looks up at the first call: linking with "-z now", or LD_BIND_NOW=1, ends the process before main (see
// docs/gpu.md for the linker flag).
const built = true

const (
	slowInterval  = 10 * time.Second // between two readings of what hardly changes
	retryInterval = time.Minute      // after which an unsupported call is tried again
	lostRetry     = 30 * time.Second // after which a lost GPU is looked for again
)

// nvmlSource is the Source that asks the driver. Only its process may be lost: see the package's documentation.
type nvmlSource struct {
	config configMessage
	log    *slog.Logger
	lib    nvml.Interface
	flight flight

	driver   Driver
	branch   int
	gpus     []*nvmlGPU
	slowAt   time.Time // of the last slow readings
	freshAt  time.Time // since when unsupported calls have been remembered
	nameOf   map[uint32]string
	procName time.Time // since when nameOf has been filled

	mu       sync.Mutex // protects all following fields, which WaitXIDs uses too
	gone     *GoneError
	symbols  map[string]bool
	absent   map[absence]bool
	failures map[CallErrors]uint64 // since the last snapshot; key without Count
	warned   map[string]bool
	watch    []watched // GPUs whose events are wanted
	watchGen int       // grows when a GPU was added to watch

	events eventWaiter // of WaitXIDs alone
}

// nvmlGPU is one GPU and what is remembered about it.
type nvmlGPU struct {
	Identity
	handle  nvml.Device
	lost    string
	retryAt time.Time
	skip    bool   // not to be touched: a call about it has hung
	denied  bool   // not to be opened by this user or container: somebody else's
	read    bool   // slow holds readings
	slow    Device // the readings of the last slow sampling
	ecc     *bool
	links   []int // NVLink links that are up
	window  gpmWindow
	gpm     bool
	mig     []*migDevice
}

func newSource(config configMessage, log *slog.Logger) Source {
	return &nvmlSource{
		config:   config,
		log:      log,
		nameOf:   map[uint32]string{},
		symbols:  map[string]bool{},
		absent:   map[absence]bool{},
		failures: map[CallErrors]uint64{},
		warned:   map[string]bool{},
	}
}

// Open implements Source.
func (s *nvmlSource) Open() error {
	var options []nvml.LibraryOption
	if s.config.Library != "" {
		options = append(options, nvml.WithLibraryPath(s.config.Library))
	}
	s.lib = nvml.New(options...)
	s.flight.begin(laneSample, "nvmlInit", -1)
	ret := s.lib.Init()
	s.flight.end(laneSample)
	if ret != nvml.SUCCESS {
		cure := map[nvml.Return]string{
			nvml.ERROR_LIBRARY_NOT_FOUND:       "libnvidia-ml.so.1 cannot be loaded: install the NVIDIA driver, mount it into the container (NVIDIA_DRIVER_CAPABILITIES=utility), or give the library's path",
			nvml.ERROR_DRIVER_NOT_LOADED:       "the kernel driver is not loaded: modprobe nvidia",
			nvml.ERROR_LIB_RM_VERSION_MISMATCH: "kernel driver and library are of different versions: finish the upgrade (reload the kernel driver or reboot)",
			nvml.ERROR_UNKNOWN:                 "the driver does not say why; often /dev/nvidiactl is not in the container",
			nvml.ERROR_NO_PERMISSION:           "this user may not open /dev/nvidiactl",
		}[ret]
		return &GoneError{Call: "nvmlInit", Code: codeName(int(ret)), Cure: cure}
	}
	s.driver.Version, _ = read(s, nil, "nvmlSystemGetDriverVersion", s.lib.SystemGetDriverVersion)
	s.driver.NVML, _ = read(s, nil, "nvmlSystemGetNVMLVersion", s.lib.SystemGetNVMLVersion)
	// Not _v2 of it: that loads libcuda.
	if v, ok := read(s, nil, "nvmlSystemGetCudaDriverVersion", s.lib.SystemGetCudaDriverVersion); ok {
		s.driver.CUDA = fmt.Sprintf("%d.%d", v/1000, v%1000/10)
	}
	s.branch = driverBranch(s.driver.NVML, s.driver.Version)
	n, ok := read(s, nil, "nvmlDeviceGetCount", s.lib.DeviceGetCount)
	if !ok && s.goneError() == nil {
		return &GoneError{Call: "nvmlDeviceGetCount", Code: "unknown"}
	}
	for i := range n {
		g := &nvmlGPU{Identity: Identity{Index: i}}
		for _, skip := range s.config.Skip {
			g.skip = g.skip || skip == i
		}
		if g.skip {
			g.lost = lostHung
		} else {
			s.find(g)
		}
		s.gpus = append(s.gpus, g)
	}
	return s.goneError()
}

// goneError returns a nil error, not a nil *GoneError, when all is well.
func (s *nvmlSource) goneError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone == nil {
		return nil
	}
	return s.gone
}

// find gets hold of a GPU by its index and asks who it is.
func (s *nvmlSource) find(g *nvmlGPU) {
	g.lost = ""
	handle, ok := read(s, g, "nvmlDeviceGetHandleByIndex", func() (nvml.Device, nvml.Return) {
		h, ret := s.lib.DeviceGetHandleByIndex(g.Index)
		g.denied = ret == nvml.ERROR_NO_PERMISSION || ret == nvml.ERROR_OPERATING_SYSTEM
		if ret == nvml.ERROR_UNKNOWN || ret == nvml.ERROR_NOT_FOUND || ret == nvml.ERROR_INVALID_ARGUMENT {
			ret = nvml.ERROR_GPU_IS_LOST // all three are said of a GPU that was there when the driver was loaded
		}
		return h, ret
	})
	if ok {
		g.handle = handle
		if uuid, ok := read(s, g, "nvmlDeviceGetUUID", handle.GetUUID); ok {
			g.UUID = uuid
		} else if g.lost == "" {
			g.lost = "unidentified"
		}
		if pci, ok := read(s, g, "nvmlDeviceGetPciInfo", handle.GetPciInfo); ok {
			g.PCI = normalPCI(fmt.Sprintf("%x:%x:%x", pci.Domain, pci.Bus, pci.Device))
		}
	} else if g.lost == "" {
		g.lost = "no_handle"
	}
	if g.lost != "" {
		g.retryAt = time.Now().Add(lostRetry)
		return
	}
	g.read, g.slow, g.links = false, Device{}, nil
	s.freeWindow(&g.window)
	s.watchEvents(g)
}

// Sample implements Source.
func (s *nvmlSource) Sample() (*Snapshot, error) {
	began := time.Now()
	slow := began.Sub(s.slowAt) >= slowInterval
	if slow {
		s.slowAt = began
		if n, ok := read(s, nil, "nvmlDeviceGetCount", s.lib.DeviceGetCount); ok && n != len(s.gpus) {
			return nil, &GoneError{Call: "nvmlDeviceGetCount", Code: "devices_changed", Cure: fmt.Sprintf("%d GPUs, there were %d", n, len(s.gpus))}
		}
	}
	if began.Sub(s.freshAt) >= retryInterval {
		s.freshAt = began
		s.mu.Lock()
		clear(s.absent)
		s.mu.Unlock()
	}
	snapshot := &Snapshot{Driver: s.driver}
	for _, g := range s.gpus {
		again := slow
		if g.lost != "" && !g.skip && !began.Before(g.retryAt) {
			s.find(g)
			again = true
		}
		// NVML counts all GPUs of the machine, also those that are not for this container.
		if d := s.sampleGPU(g, again); !g.denied {
			snapshot.Devices = append(snapshot.Devices, d)
		}
	}
	if err := s.goneError(); err != nil {
		return nil, err
	}
	snapshot.XIDs = s.events.listening.Load()
	snapshot.Errors = s.takeFailures()
	snapshot.Duration = time.Since(began)
	return snapshot, nil
}

// sampleGPU reads one GPU. A GPU that is lost on the way has no readings at all.
func (s *nvmlSource) sampleGPU(g *nvmlGPU, slow bool) Device {
	if g.lost == "" && (slow || !g.read) {
		s.slowReadings(g)
		g.read = true
	}
	d := g.slow
	if g.lost == "" {
		s.fastReadings(g, &d)
	}
	if g.lost != "" {
		if g.retryAt.IsZero() {
			g.retryAt = time.Now().Add(lostRetry)
		}
		return Device{Identity: g.Identity, Lost: g.lost}
	}
	g.retryAt = time.Time{}
	d.Identity = g.Identity
	return d
}

func (s *nvmlSource) fastReadings(g *nvmlGPU, d *Device) {
	h := g.handle
	if u, ok := read(s, g, "nvmlDeviceGetUtilizationRates", h.GetUtilizationRates); ok {
		d.Utilization, d.MemoryUtilization = percent(u.Gpu), percent(u.Memory)
	}
	d.Memory = s.memory(g, h, "")
	d.Temperature = s.temperature(g)
	if m, ok := read(s, g, "nvmlDeviceGetMarginTemperature", h.GetMarginTemperature); ok {
		d.Margin = new(float64(m.MarginTemperature))
	}
	if mw, ok := read(s, g, "nvmlDeviceGetPowerUsage", h.GetPowerUsage); ok {
		d.Power = scaled(mw, 1000)
	}
	if mj, ok := read(s, g, "nvmlDeviceGetTotalEnergyConsumption", h.GetTotalEnergyConsumption); ok && mj < maxCount {
		d.Energy = new(float64(mj) / 1e3)
	}
	d.Clocks = s.clocks(g, "nvmlDeviceGetClockInfo", h.GetClockInfo)
	d.ClockEvents = s.clockEvents(g)
	if p, ok := read(s, g, "nvmlDeviceGetPerformanceState", h.GetPerformanceState); ok {
		d.PerformanceState = new(int(p)) // 32 is "unknown" and goes with what is not plausible
	}
	if v, ok := read(s, g, "nvmlDeviceGetCurrPcieLinkGeneration", h.GetCurrPcieLinkGeneration); ok {
		d.PCIe.Generation = &v
	}
	if v, ok := read(s, g, "nvmlDeviceGetCurrPcieLinkWidth", h.GetCurrPcieLinkWidth); ok {
		d.PCIe.Width = &v
	}
	if g.slow.NVLink != nil {
		d.NVLink = new(*g.slow.NVLink)
	}
	s.fieldReadings(g, d)
	if g.gpm {
		d.Activity = s.activity(g, &g.window, "nvmlGpmSampleGet", h.GpmSampleGet)
	}
	d.MIG = s.migReadings(g)
	if s.config.Processes {
		d.Processes = s.processes(g)
	}
}

// slowReadings are of what changes with a reboot, an operator or a failure.
func (s *nvmlSource) slowReadings(g *nvmlGPU) {
	h := g.handle
	var d Device
	d.Info.Name, _ = read(s, g, "nvmlDeviceGetName", h.GetName)
	if a, ok := read(s, g, "nvmlDeviceGetArchitecture", h.GetArchitecture); ok {
		d.Info.Architecture = architecture(uint32(a))
	}
	if c, ok := read(s, g, "nvmlDeviceGetCudaComputeCapability", func() (string, nvml.Return) {
		major, minor, ret := h.GetCudaComputeCapability()
		return fmt.Sprintf("%d.%d", major, minor), ret
	}); ok {
		d.Info.ComputeCapability = c
	}
	d.Info.VBIOS, _ = read(s, g, "nvmlDeviceGetVbiosVersion", h.GetVbiosVersion)
	if n, ok := read(s, g, "nvmlDeviceGetMinorNumber", h.GetMinorNumber); ok {
		d.Info.Minor = strconv.Itoa(n)
	}

	d.Thresholds = Pairs{}
	for id, name := range map[nvml.TemperatureThresholds]string{
		nvml.TEMPERATURE_THRESHOLD_SHUTDOWN: "shutdown",
		nvml.TEMPERATURE_THRESHOLD_SLOWDOWN: "slowdown",
		nvml.TEMPERATURE_THRESHOLD_MEM_MAX:  "mem_max",
		nvml.TEMPERATURE_THRESHOLD_GPU_MAX:  "gpu_max",
	} {
		if c, ok := read(s, g, "nvmlDeviceGetTemperatureThreshold("+name+")", func() (uint32, nvml.Return) { return h.GetTemperatureThreshold(id) }); ok {
			d.Thresholds[name] = float64(c)
		}
	}
	if mw, ok := read(s, g, "nvmlDeviceGetEnforcedPowerLimit", h.GetEnforcedPowerLimit); ok {
		d.PowerLimit = scaled(mw, 1000)
	}
	if mw, ok := read(s, g, "nvmlDeviceGetPowerManagementDefaultLimit", h.GetPowerManagementDefaultLimit); ok {
		d.PowerDefault = scaled(mw, 1000)
	}
	if mw, ok := read(s, g, "nvmlDeviceGetPowerManagementLimitConstraints", func() (uint32, nvml.Return) {
		_, most, ret := h.GetPowerManagementLimitConstraints()
		return most, ret
	}); ok {
		d.PowerMax = scaled(mw, 1000)
	}
	d.ClocksMax = s.clocks(g, "nvmlDeviceGetMaxClockInfo", h.GetMaxClockInfo)

	g.ecc = nil
	if on, ok := read(s, g, "nvmlDeviceGetEccMode", func() (nvml.EnableState, nvml.Return) {
		current, _, ret := h.GetEccMode()
		return current, ret
	}); ok {
		g.ecc = new(on == nvml.FEATURE_ENABLED)
	}
	if r, ok := read(s, g, "nvmlDeviceGetRemappedRows", func() (Rows, nvml.Return) {
		corrected, uncorrected, pending, failed, ret := h.GetRemappedRows()
		return Rows{Corrected: uint64(corrected), Uncorrected: uint64(uncorrected), Pending: pending, Failed: failed}, ret
	}); ok {
		d.Rows = &r
	}
	if v, ok := read(s, g, "nvmlDeviceGetMaxPcieLinkGeneration", h.GetMaxPcieLinkGeneration); ok {
		d.PCIe.MaxGeneration = &v
	}
	if v, ok := read(s, g, "nvmlDeviceGetMaxPcieLinkWidth", h.GetMaxPcieLinkWidth); ok {
		d.PCIe.MaxWidth = &v
	}
	d.NVLink = s.nvlink(g)
	if on, ok := read(s, g, "nvmlDeviceGetPersistenceMode", h.GetPersistenceMode); ok {
		d.Persistence = new(on == nvml.FEATURE_ENABLED)
	}
	if m, ok := read(s, g, "nvmlDeviceGetComputeMode", h.GetComputeMode); ok {
		d.ComputeMode = new(int(m))
	}
	if on, ok := read(s, g, "nvmlDeviceGetMigMode", func() (bool, nvml.Return) {
		current, _, ret := h.GetMigMode()
		return current == nvml.DEVICE_MIG_ENABLE, ret
	}); ok {
		d.MIGMode = &on
	}
	if support, ok := read(s, g, "nvmlGpmQueryDeviceSupport", h.GpmQueryDeviceSupport); ok {
		g.gpm = support.IsSupportedDevice != 0
	}
	s.findMIG(g, d.MIGMode != nil && *d.MIGMode)
	g.slow = d
}

// memory reads device memory; of tells MIG devices from the whole GPU.
func (s *nvmlSource) memory(g *nvmlGPU, h nvml.Device, of string) *Memory {
	if m, ok := read(s, g, "nvmlDeviceGetMemoryInfo_v2"+of, h.GetMemoryInfo_v2); ok {
		return &Memory{Total: m.Total, Used: m.Used, Free: m.Free, Reserved: new(m.Reserved)}
	}
	if m, ok := read(s, g, "nvmlDeviceGetMemoryInfo"+of, h.GetMemoryInfo); ok {
		return &Memory{Total: m.Total, Used: m.Used, Free: m.Free}
	}
	return nil
}

func (s *nvmlSource) temperature(g *nvmlGPU) *float64 {
	if t, ok := read(s, g, "nvmlDeviceGetTemperatureV", g.handle.GetTemperatureV().V1); ok {
		return new(float64(t.Temperature))
	}
	if c, ok := read(s, g, "nvmlDeviceGetTemperature", func() (uint32, nvml.Return) { return g.handle.GetTemperature(nvml.TEMPERATURE_GPU) }); ok {
		return new(float64(int32(c)))
	}
	return nil
}

func (s *nvmlSource) clocks(g *nvmlGPU, call string, get func(nvml.ClockType) (uint32, nvml.Return)) Pairs {
	out := Pairs{}
	for id, domain := range map[nvml.ClockType]string{
		nvml.CLOCK_SM: "sm", nvml.CLOCK_MEM: "memory", nvml.CLOCK_GRAPHICS: "graphics", nvml.CLOCK_VIDEO: "video",
	} {
		if mhz, ok := read(s, g, call+"("+domain+")", func() (uint32, nvml.Return) { return get(id) }); ok {
			out[domain] = float64(mhz) * 1e6
		}
	}
	return out
}

func (s *nvmlSource) clockEvents(g *nvmlGPU) map[string]bool {
	mask, ok := read(s, g, "nvmlDeviceGetCurrentClocksEventReasons", g.handle.GetCurrentClocksEventReasons)
	if !ok { // its name until driver 535
		mask, ok = read(s, g, "nvmlDeviceGetCurrentClocksThrottleReasons", g.handle.GetCurrentClocksThrottleReasons)
	}
	if !ok {
		return nil
	}
	return clockEvents(mask)
}

// nvlink counts links and their errors; the bytes are among the fields. It returns nil for a GPU without NVLink.
func (s *nvmlSource) nvlink(g *nvmlGPU) *NVLink {
	g.links = nil
	found := false
	for link := range nvml.NVLINK_MAX_LINKS {
		call := fmt.Sprintf("nvmlDeviceGetNvLinkState(%d)", link)
		state, ok := read(s, g, call, func() (nvml.EnableState, nvml.Return) { return g.handle.GetNvLinkState(link) })
		if !ok && s.may(g, g.Index, call) { // failed for now: how many links are up is not known
			g.links = nil
			return nil
		}
		if !ok {
			break // the links are numbered without gaps, and this one does not exist
		}
		found = true
		if state == nvml.FEATURE_ENABLED {
			g.links = append(g.links, link)
		}
	}
	if !found {
		return nil
	}
	return &NVLink{Active: new(len(g.links)), Errors: s.linkErrors(g)}
}

// Close implements Source.
func (s *nvmlSource) Close() error {
	s.events.close(s)
	for _, g := range s.gpus {
		s.freeWindow(&g.window)
		for _, m := range g.mig {
			s.freeWindow(&m.window)
		}
	}
	s.flight.begin(laneSample, "nvmlShutdown", -1)
	defer s.flight.end(laneSample)
	if ret := s.lib.Shutdown(); ret != nvml.SUCCESS && s.goneError() == nil {
		return fmt.Errorf("nvmlShutdown: %s", codeName(int(ret)))
	}
	return nil
}

// InFlight implements Source.
func (s *nvmlSource) InFlight() (InFlight, bool) { return s.flight.oldest() }

func (s *nvmlSource) takeFailures() []CallErrors {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []CallErrors
	for f, n := range s.failures {
		f.Count = n
		out = append(out, f)
	}
	clear(s.failures)
	return out
}

// percent makes a share of a percentage; nil for a reserved value.
func percent(v uint32) *float64 { return scaled(v, 100) }

// scaled is v in a unit that many times as large; nil for a reserved value.
func scaled(v uint32, times float64) *float64 {
	if v == math.MaxUint32 {
		return nil
	}
	return new(float64(v) / times)
}

func architecture(a uint32) string {
	names := map[uint32]string{2: "kepler", 3: "maxwell", 4: "pascal", 5: "volta", 6: "turing", 7: "ampere", 8: "ada", 9: "hopper", 10: "blackwell", 13: "rubin"}
	if name, ok := names[a]; ok {
		return name
	}
	if a == math.MaxUint32 {
		return ""
	}
	return "arch_" + strconv.FormatUint(uint64(a), 10)
}

// symbol returns the name of the C function in the name of a call, which may have arguments in brackets.
func symbol(call string) string {
	name, _, _ := strings.Cut(call, "(")
	return name
}
