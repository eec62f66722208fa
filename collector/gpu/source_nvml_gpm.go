//go:build linux && cgo

package gpu

import (
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// GPM measures between two samples of the hardware's counters; each sampling takes one and compares it with the last.
const (
	gpmShortest = 100 * time.Millisecond // nvml.h: samples must be at least 100 ms apart
	gpmLongest  = 10 * time.Minute       // the counters may have wrapped
)

// gpmWindow is the last sample of a GPU or GPU instance, and a buffer for the next one.
type gpmWindow struct {
	last, next nvml.GpmSample
	at         time.Time // of last; zero when it holds none
	value      Activity  // between last and the one before
}

// activity takes a sample and returns what happened since the last one; nothing the first time.
func (s *nvmlSource) activity(g *nvmlGPU, w *gpmWindow, call string, take func(nvml.GpmSample) nvml.Return) (a Activity) {
	for _, buffer := range []*nvml.GpmSample{&w.last, &w.next} {
		if *buffer == nil {
			sample, ok := read(s, g, "nvmlGpmSampleAlloc", s.lib.GpmSampleAlloc)
			if !ok {
				return a
			}
			*buffer = sample
		}
	}
	if _, ok := read(s, g, call, func() (struct{}, nvml.Return) { return struct{}{}, take(w.next) }); !ok {
		w.at, w.value = time.Time{}, Activity{}
		return a
	}
	now := time.Now()
	between := now.Sub(w.at)
	if !w.at.IsZero() && between < gpmShortest {
		return w.value // of just now; the older sample is kept for the next time
	}
	w.value = Activity{}
	if !w.at.IsZero() && between <= gpmLongest {
		w.value = s.compareGPM(g, w)
	}
	w.last, w.next, w.at = w.next, w.last, now
	return w.value
}

func (s *nvmlSource) compareGPM(g *nvmlGPU, w *gpmWindow) (a Activity) {
	metrics := []struct {
		id  nvml.GpmMetricId
		out **float64
	}{
		{nvml.GPM_METRIC_GRAPHICS_UTIL, &a.Graphics},
		{nvml.GPM_METRIC_SM_UTIL, &a.SM},
		{nvml.GPM_METRIC_SM_OCCUPANCY, &a.Occupancy},
		{nvml.GPM_METRIC_ANY_TENSOR_UTIL, &a.Tensor},
		{nvml.GPM_METRIC_DRAM_BW_UTIL, &a.DRAM},
	}
	get := &nvml.GpmMetricsGetType{NumMetrics: uint32(len(metrics)), Sample1: w.last, Sample2: w.next}
	for i, m := range metrics {
		get.Metrics[i].MetricId = uint32(m.id)
	}
	if _, ok := read(s, g, "nvmlGpmMetricsGet", func() (struct{}, nvml.Return) { return struct{}{}, s.lib.GpmMetricsGet(get) }); !ok {
		return a
	}
	for i, m := range metrics {
		if get.Metrics[i].NvmlReturn == uint32(nvml.SUCCESS) {
			*m.out = new(get.Metrics[i].Value / 100)
		}
	}
	return a
}

func (s *nvmlSource) freeWindow(w *gpmWindow) {
	for _, sample := range []nvml.GpmSample{w.last, w.next} {
		if sample != nil {
			read(s, nil, "nvmlGpmSampleFree", func() (struct{}, nvml.Return) { return struct{}{}, sample.Free() })
		}
	}
	*w = gpmWindow{}
}
