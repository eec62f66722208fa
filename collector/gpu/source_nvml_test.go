//go:build linux && cgo

package gpu

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/google/go-cmp/cmp"
)

// mocked returns an opened source on one mock GPU. Only the functions named are in its "library".
func mocked(t *testing.T, device *mock.Device, functions ...string) (*nvmlSource, *syncBuffer) {
	t.Helper()
	log := new(syncBuffer)
	s := newSource(configMessage{}, slog.New(slog.NewTextHandler(log, nil))).(*nvmlSource)
	functions = append(functions, "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetUUID")
	device.GetUUIDFunc = func() (string, nvml.Return) { return "GPU-a", nvml.SUCCESS }
	// Only the handler is made; its call is not in the library.
	device.GetTemperatureVFunc = func() nvml.TemperatureHandler { return nvml.TemperatureHandler{} }
	s.lib = &mock.Interface{
		ExtensionsFunc: func() nvml.ExtendedInterface {
			return &mock.ExtendedInterface{LookupSymbolFunc: func(name string) error {
				if slices.Contains(functions, name) {
					return nil
				}
				return errors.New("not found")
			}}
		},
		DeviceGetCountFunc:         func() (int, nvml.Return) { return 1, nvml.SUCCESS },
		DeviceGetHandleByIndexFunc: func(int) (nvml.Device, nvml.Return) { return device, nvml.SUCCESS },
	}
	g := &nvmlGPU{}
	s.find(g)
	s.gpus = []*nvmlGPU{g}
	return s, log
}

func sample(t *testing.T, s *nvmlSource) Snapshot {
	t.Helper()
	snapshot, err := s.Sample()
	if err != nil {
		t.Fatalf("Sample() = %v", err)
	}
	return *snapshot
}

func TestLostGPUComesBack(t *testing.T) {
	answer := nvml.ERROR_GPU_IS_LOST
	calls := 0
	s, log := mocked(t, &mock.Device{GetPowerUsageFunc: func() (uint32, nvml.Return) { calls++; return 5000, answer }}, "nvmlDeviceGetPowerUsage")
	d := sample(t, s).Devices[0]
	if d.Lost != "gpu_is_lost" || d.Power != nil || d.UUID != "GPU-a" {
		t.Errorf("device %+v; want it lost, with its name", d)
	}
	if got := sample(t, s).Devices[0]; got.Lost == "" || calls != 1 {
		t.Errorf("at once: lost %q after %d calls; want no second call", got.Lost, calls)
	}
	answer = nvml.SUCCESS
	s.gpus[0].retryAt = time.Now()
	if got := sample(t, s).Devices[0]; got.Lost != "" || got.Power == nil || *got.Power != 5 {
		t.Errorf("later: %+v; want it back", got)
	}
	if n := strings.Count(log.String(), "GPU cannot be read"); n != 1 {
		t.Errorf("the loss was logged %d times; want once\n%s", n, log)
	}
}

func TestReturnCodes(t *testing.T) {
	for name, c := range map[string]struct {
		code     nvml.Return
		calls    int // in three samplings within the minute
		failures int
		warnings int
	}{
		"not supported": {nvml.ERROR_NOT_SUPPORTED, 1, 0, 0},
		"no data":       {nvml.ERROR_NO_DATA, 3, 0, 0},
		"denied":        {nvml.ERROR_NO_PERMISSION, 1, 1, 1},
		"transient":     {nvml.ERROR_IN_USE, 3, 3, 0},
		"unknown":       {nvml.ERROR_UNKNOWN, 3, 3, 0},
		"no code of 13": {nvml.Return(4711), 3, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			s, log := mocked(t, &mock.Device{GetPowerUsageFunc: func() (uint32, nvml.Return) { calls++; return 5000, c.code }}, "nvmlDeviceGetPowerUsage")
			failures := 0
			for range 3 {
				snapshot := sample(t, s)
				if d := snapshot.Devices[0]; d.Lost != "" || d.Power != nil {
					t.Errorf("device %+v; want it up, without power", d)
				}
				for _, e := range snapshot.Errors {
					failures += int(e.Count)
					if e.Call != "nvmlDeviceGetPowerUsage" || e.Code != codeName(int(c.code)) {
						t.Errorf("failure %+v; want the call with its code", e)
					}
				}
			}
			if warnings := strings.Count(log.String(), "denies"); calls != c.calls || failures != c.failures || warnings != c.warnings {
				t.Errorf("%d calls, %d failures, %d warnings; want %d, %d, %d", calls, failures, warnings, c.calls, c.failures, c.warnings)
			}
			before := calls
			s.freshAt = s.freshAt.Add(-retryInterval)
			sample(t, s)
			if calls != before+1 {
				t.Errorf("after a minute %d more calls; want 1", calls-before)
			}
		})
	}
}

func TestDriverGone(t *testing.T) {
	s, _ := mocked(t, &mock.Device{GetPowerUsageFunc: func() (uint32, nvml.Return) { return 0, nvml.ERROR_DRIVER_NOT_LOADED }}, "nvmlDeviceGetPowerUsage")
	_, err := s.Sample()
	if gone, ok := errors.AsType[*GoneError](err); !ok || gone.Code != "driver_not_loaded" || gone.Call != "nvmlDeviceGetPowerUsage" {
		t.Errorf("Sample() = %v; want the driver gone", err)
	}
	s, _ = mocked(t, &mock.Device{})
	s.gpus = append(s.gpus, &nvmlGPU{Identity: Identity{Index: 1}})
	_, err = s.Sample()
	if gone, ok := errors.AsType[*GoneError](err); !ok || gone.Code != "devices_changed" {
		t.Errorf("Sample() with one GPU less = %v; want devices_changed", err)
	}
}

// links is a mock GPU with NVLink whose fields are answered by value.
func links(states string, value func(f nvml.FieldValue) (uint64, nvml.Return)) *mock.Device {
	return &mock.Device{
		GetNvLinkStateFunc: func(link int) (nvml.EnableState, nvml.Return) {
			if link >= len(states) {
				return 0, nvml.ERROR_INVALID_ARGUMENT
			}
			switch states[link] {
			case '1':
				return nvml.FEATURE_ENABLED, nvml.SUCCESS
			case '0':
				return nvml.FEATURE_DISABLED, nvml.SUCCESS
			}
			return 0, nvml.ERROR_UNKNOWN
		},
		GetFieldValuesFunc: func(values []nvml.FieldValue) nvml.Return {
			for i, v := range values {
				n, ret := value(v)
				values[i].NvmlReturn, values[i].ValueType = uint32(ret), 3
				binary.NativeEndian.PutUint64(values[i].Value[:], n)
			}
			return nvml.SUCCESS
		},
	}
}

func TestNVLink(t *testing.T) {
	none := func(nvml.FieldValue) (uint64, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	sum := func(f nvml.FieldValue) (uint64, nvml.Return) {
		if f.ScopeId == allLinks && (f.FieldId == fieldNVLinkDataTx || f.FieldId == fieldNVLinkDataRx) {
			return uint64(f.FieldId), nvml.SUCCESS
		}
		return none(f)
	}
	each := func(f nvml.FieldValue) (uint64, nvml.Return) {
		switch f.FieldId {
		case fieldNVLink5TxBytes, fieldNVLink5RxBytes, fieldNVLinkReplays:
			return 100 * uint64(f.ScopeId+1), nvml.SUCCESS
		case fieldNVLinkCRCErrors:
			if f.ScopeId == 2 {
				return 0, nvml.ERROR_UNKNOWN
			}
			return 1, nvml.SUCCESS
		}
		return none(f)
	}
	holed := func(f nvml.FieldValue) (uint64, nvml.Return) {
		if f.FieldId == fieldNVLink5TxBytes && f.ScopeId == 2 {
			return 0, nvml.ERROR_UNKNOWN
		}
		return each(f)
	}
	for name, c := range map[string]struct {
		states string
		value  func(nvml.FieldValue) (uint64, nvml.Return)
		want   *NVLink
	}{
		"no links":         {"", none, nil},
		"a sum in KiB":     {"111", sum, &NVLink{Active: new(3), Transmitted: new(uint64(138 << 10)), Received: new(uint64(139 << 10)), Errors: map[string]uint64{}}},
		"by link":          {"1011", each, &NVLink{Active: new(3), Transmitted: new(uint64(800)), Received: new(uint64(800)), Errors: map[string]uint64{"replay": 800}}},
		"one link fails":   {"1011", holed, &NVLink{Active: new(3), Received: new(uint64(800)), Errors: map[string]uint64{"replay": 800}}},
		"all down":         {"00", sum, &NVLink{Active: new(0), Transmitted: new(uint64(138 << 10)), Received: new(uint64(139 << 10)), Errors: map[string]uint64{}}},
		"a state unknown":  {"1?1", sum, nil},
		"nothing readable": {"1", none, &NVLink{Active: new(1), Errors: map[string]uint64{}}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := mocked(t, links(c.states, c.value), "nvmlDeviceGetNvLinkState", "nvmlDeviceGetFieldValues")
			if diff := cmp.Diff(c.want, sample(t, s).Devices[0].NVLink); diff != "" {
				t.Errorf("NVLink (-want +got):\n%s", diff)
			}
		})
	}
}

// What is "at once" must not depend on the machine: two samples of real time may lie further apart than the shortest window.
func TestGPMWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := 0
		device := &mock.Device{
			GpmQueryDeviceSupportFunc: func() (nvml.GpmSupport, nvml.Return) {
				return nvml.GpmSupport{IsSupportedDevice: 1}, nvml.SUCCESS
			},
			GpmSampleGetFunc: func(nvml.GpmSample) nvml.Return { taken++; return nvml.SUCCESS },
		}
		s, _ := mocked(t, device, "nvmlGpmQueryDeviceSupport", "nvmlGpmSampleAlloc", "nvmlGpmSampleGet", "nvmlGpmMetricsGet", "nvmlGpmSampleFree")
		lib := s.lib.(*mock.Interface)
		freed := 0
		var allocated []nvml.GpmSample
		lib.GpmSampleAllocFunc = func() (nvml.GpmSample, nvml.Return) {
			allocated = append(allocated, &mock.GpmSample{FreeFunc: func() nvml.Return { freed++; return nvml.SUCCESS }})
			return allocated[len(allocated)-1], nvml.SUCCESS
		}
		var compared [][2]nvml.GpmSample
		lib.GpmMetricsGetFunc = func(get *nvml.GpmMetricsGetType) nvml.Return {
			compared = append(compared, [2]nvml.GpmSample{get.Sample1, get.Sample2})
			for i := range get.NumMetrics {
				get.Metrics[i].Value = 50
				if get.Metrics[i].MetricId == uint32(nvml.GPM_METRIC_ANY_TENSOR_UTIL) {
					get.Metrics[i].NvmlReturn = uint32(nvml.ERROR_NOT_SUPPORTED)
				}
			}
			return nvml.SUCCESS
		}
		w := &s.gpus[0].window
		activity := func() Activity { return sample(t, s).Devices[0].Activity }
		if a := activity(); a != (Activity{}) {
			t.Errorf("first sample: %+v; want nothing", a)
		}
		if a := activity(); a != (Activity{}) || len(compared) != 0 {
			t.Errorf("a sample too soon: %+v; want nothing", a)
		}
		w.at = w.at.Add(-time.Second)
		a := activity()
		if a.SM == nil || *a.SM != 0.5 || a.Tensor != nil || len(compared) != 1 {
			t.Errorf("a second later: %+v; want halves, but for what is not supported", a)
		}
		if b := activity(); b != a || len(compared) != 1 {
			t.Errorf("at once again: %+v; want the same, without a comparison", b)
		}
		w.at = w.at.Add(-time.Second)
		activity()
		if compared[1][0] != compared[0][1] || compared[1][0] == compared[1][1] {
			t.Error("the newer sample of one comparison is not the older one of the next")
		}
		w.at = w.at.Add(-time.Hour)
		if a := activity(); a != (Activity{}) {
			t.Errorf("an hour later: %+v; want nothing", a)
		}
		if len(allocated) != 2 || taken != 6 {
			t.Errorf("%d buffers, %d samples; want 2, 6", len(allocated), taken)
		}
		s.freeWindow(w)
		if freed != 2 || w.last != nil || w.next != nil {
			t.Errorf("%d buffers freed; want 2", freed)
		}
	})
}

func TestProgramName(t *testing.T) {
	for in, want := range map[string]string{
		"/usr/bin/python3":                       "python3",
		"/usr/bin/python3 -m vllm --api-key=abc": "python3",
		"VLLM::EngineCore":                       "VLLM::EngineCore",
		" ":                                      "unknown",
		"":                                       "unknown",
		"/":                                      "unknown",
		"a\x00\nb":                               "a??b",
		"bad\xff":                                "bad?",
		strings.Repeat("ü", 100):                 strings.Repeat("ü", 64),
	} {
		if got := programName(in); got != want {
			t.Errorf("programName(%q) = %q; want %q", in, got, want)
		}
	}
}
