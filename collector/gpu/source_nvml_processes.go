//go:build linux && cgo

package gpu

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// processes adds up what the processes on a GPU hold, by program name.
func (s *nvmlSource) processes(g *nvmlGPU) *Processes {
	compute, okCompute := read(s, g, "nvmlDeviceGetComputeRunningProcesses", g.handle.GetComputeRunningProcesses)
	graphics, okGraphics := read(s, g, "nvmlDeviceGetGraphicsRunningProcesses", g.handle.GetGraphicsRunningProcesses)
	if !okCompute && !okGraphics {
		return nil
	}
	// Process ids are used again, so names are forgotten after a while.
	if now := time.Now(); now.Sub(s.procName) >= retryInterval {
		s.procName = now
		clear(s.nameOf)
	}
	type usage struct {
		bytes uint64
		known bool
	}
	// A process that computes and draws is in both lists with the same memory; one in two GPU instances is twice in one.
	held := map[[2]uint32]usage{}
	for _, list := range [][]nvml.ProcessInfo{compute, graphics} {
		for _, p := range list {
			key := [2]uint32{p.Pid, p.GpuInstanceId}
			u := held[key]
			if p.UsedGpuMemory < maxBytes { // all ones: not available
				u = usage{max(u.bytes, p.UsedGpuMemory), true}
			}
			held[key] = u
		}
	}
	pids := map[uint32]bool{}
	byName := map[string]uint64{}
	for key, u := range held {
		pids[key[0]] = true
		if u.known {
			byName[s.processName(key[0])] += u.bytes
		}
	}
	return &Processes{Count: len(pids), Memory: largest(byName)}
}

// processName asks the driver, which knows processes of other containers too; "unknown" when it does not tell.
func (s *nvmlSource) processName(pid uint32) string {
	if name, ok := s.nameOf[pid]; ok {
		return name
	}
	full, ok := read(s, nil, fmt.Sprintf("nvmlSystemGetProcessName(%d)", pid), func() (string, nvml.Return) { return s.lib.SystemGetProcessName(int(pid)) })
	name := "unknown"
	if ok {
		name = programName(full)
	}
	s.nameOf[pid] = name
	return name
}

// programName makes a label of what a driver calls the name of a process: a path, or a command line with the path at
// its start. Processes choose it, so it is cut and cleaned.
func programName(full string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(full), " ")
	name = path.Base(strings.ToValidUTF8(name, "?"))
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > 64 {
		name = string(runes[:64])
	}
	if name == "" || name == "." || name == "/" {
		return "unknown"
	}
	return name
}
