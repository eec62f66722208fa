//go:build linux && cgo

package gpu

import (
	"fmt"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// migDevice is one MIG device. The first one of a GPU instance carries what belongs to the instance.
type migDevice struct {
	MIGInstance
	handle nvml.Device
	first  bool
	window gpmWindow
}

// findMIG lists the MIG devices of a GPU. What is known of those that are still there is kept.
func (s *nvmlSource) findMIG(g *nvmlGPU, enabled bool) {
	old := g.mig
	g.mig = nil
	defer func() {
		for _, m := range old {
			s.freeWindow(&m.window)
		}
	}()
	if !enabled {
		return
	}
	most, ok := read(s, g, "nvmlDeviceGetMaxMigDeviceCount", g.handle.GetMaxMigDeviceCount)
	if !ok {
		return
	}
	instances := map[int]bool{}
	for i := range min(most, 64) {
		of := fmt.Sprintf("(mig %d)", i)
		h, ok := read(s, g, "nvmlDeviceGetMigDeviceHandleByIndex"+of, func() (nvml.Device, nvml.Return) { return g.handle.GetMigDeviceHandleByIndex(i) })
		if !ok {
			continue // slots may be empty
		}
		m := &migDevice{handle: h}
		var named [3]bool
		m.UUID, named[0] = read(s, g, "nvmlDeviceGetUUID"+of, h.GetUUID)
		m.GPUInstance, named[1] = read(s, g, "nvmlDeviceGetGpuInstanceId"+of, h.GetGpuInstanceId)
		m.ComputeInstance, named[2] = read(s, g, "nvmlDeviceGetComputeInstanceId"+of, h.GetComputeInstanceId)
		if named != [3]bool{true, true, true} {
			continue
		}
		if name, ok := read(s, g, "nvmlDeviceGetName"+of, h.GetName); ok {
			_, m.Profile, _ = strings.Cut(name, " MIG ") // "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
		}
		m.first = !instances[m.GPUInstance]
		instances[m.GPUInstance] = true
		for _, o := range old {
			if o.UUID == m.UUID && o.GPUInstance == m.GPUInstance && m.first {
				m.window, o.window = o.window, gpmWindow{}
			}
		}
		g.mig = append(g.mig, m)
	}
}

func (s *nvmlSource) migReadings(g *nvmlGPU) []MIGInstance {
	var out []MIGInstance
	for i, m := range g.mig {
		reading := m.MIGInstance
		if m.first {
			of := fmt.Sprintf("(mig %d)", i)
			reading.Memory = s.memory(g, m.handle, of)
			if g.gpm {
				reading.Activity = s.activity(g, &m.window, "nvmlGpmMigSampleGet"+of, func(sample nvml.GpmSample) nvml.Return {
					return g.handle.GpmMigSampleGet(m.GPUInstance, sample)
				})
			}
		}
		out = append(out, reading)
	}
	return out
}
