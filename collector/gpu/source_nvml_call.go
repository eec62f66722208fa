//go:build linux && cgo

package gpu

import (
	"sync/atomic"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// Every call of the driver goes through read, which
//   - does not make it when the library lacks the function: the dynamic linker would end the process;
//   - does not make it when the GPU is lost, the driver gone, or the call not supported;
//   - tells flight about it, so that a call that never returns can be named;
//   - and draws the consequences of its return code.

// absence is a call that does not work on a GPU (-1: on none).
type absence struct {
	gpu  int
	call string
}

// read makes one call about a GPU, or about none (g is nil). The call's name is that of the C function, with arguments
// in brackets where they decide whether it is supported.
func read[T any](s *nvmlSource, g *nvmlGPU, call string, f func() (T, nvml.Return)) (v T, ok bool) {
	gpu := -1
	if g != nil {
		gpu = g.Index
	}
	if !s.may(g, gpu, call) {
		return v, false
	}
	s.flight.begin(laneSample, call, gpu)
	v, ret := f()
	s.flight.end(laneSample)
	return v, s.judge(g, gpu, call, int(ret))
}

// may reports whether it makes sense to make a call.
func (s *nvmlSource) may(g *nvmlGPU, gpu int, call string) bool {
	if g != nil && g.lost != "" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone == nil && !s.absent[absence{gpu, call}] && s.hasLocked(symbol(call))
}

// judge draws the consequences of a return code, and reports whether the call gave a value.
func (s *nvmlSource) judge(g *nvmlGPU, gpu int, call string, ret int) bool {
	class := classify(ret)
	if class == codeOK {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch class {
	case codeAbsent:
		s.absent[absence{gpu, call}] = true
	case codeNoValue:
	case codeDenied:
		s.absent[absence{gpu, call}] = true
		s.failLocked(call, ret)
		if !s.warned[symbol(call)] {
			s.warned[symbol(call)] = true
			s.log.Warn("the driver denies a call", "call", call, "gpu", gpu, "code", codeName(ret))
		}
	case codeLost:
		s.failLocked(call, ret)
		if g != nil {
			g.lost = codeName(ret)
			s.log.Warn("GPU cannot be read", "gpu", gpu, "uuid", g.UUID, "pci", g.PCI, "call", call, "code", g.lost)
		}
	case codeGone:
		s.failLocked(call, ret)
		if s.gone == nil {
			s.gone = &GoneError{Call: call, Code: codeName(ret)}
		}
	case codeTransient:
		s.failLocked(call, ret)
	}
	return false
}

func (s *nvmlSource) failLocked(call string, ret int) {
	s.failures[CallErrors{Call: symbol(call), Code: codeName(ret)}]++
}

// hasLocked reports whether the library has what the Go function for a C function calls. Where there are several
// versions of a function, go-nvml calls the newest one that is there.
func (s *nvmlSource) hasLocked(function string) bool {
	if has, known := s.symbols[function]; known {
		return has
	}
	versions := []string{function}
	switch function {
	case "nvmlDeviceGetPciInfo", "nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses":
		versions = []string{function + "_v3", function + "_v2", function}
	case "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "nvmlEventSetWait":
		versions = []string{function + "_v2", function}
	}
	has := false
	for _, v := range versions {
		has = has || s.lib.Extensions().LookupSymbol(v) == nil
	}
	s.symbols[function] = has
	if !has {
		s.log.Info("the driver's library lacks a function; what it tells is absent", "function", function)
	}
	return has
}

// The two goroutines that call the driver.
const (
	laneSample = iota
	laneEvents
	lanes
)

// flight knows which calls are under way.
type flight struct{ lane [lanes]atomic.Pointer[flying] }

type flying struct {
	call  string
	gpu   int
	since time.Time
}

func (f *flight) begin(lane int, call string, gpu int) {
	f.lane[lane].Store(&flying{call, gpu, time.Now()})
}

func (f *flight) end(lane int) { f.lane[lane].Store(nil) }

func (f *flight) oldest() (InFlight, bool) {
	var oldest *flying
	for i := range f.lane {
		if p := f.lane[i].Load(); p != nil && (oldest == nil || p.since.Before(oldest.since)) {
			oldest = p
		}
	}
	if oldest == nil {
		return InFlight{}, false
	}
	return InFlight{Call: oldest.call, GPU: oldest.gpu, For: time.Since(oldest.since)}, true
}
