package gpu

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func registry(t *testing.T, v View) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(NewCollector(func() View { return v })); err != nil {
		t.Fatal(err)
	}
	return r
}

// full has every reading there can be.
func full() View {
	f, n, u, yes := new(0.5), new(3), new(uint64(7)), new(true)
	return View{
		State: StateRunning, Age: 1500 * time.Millisecond, LastSuccess: time.Unix(1000, 0), Expected: new(2), Visible: new(1),
		Restarts: map[string]uint64{restartStuck: 2},
		Errors:   []CallErrors{{"nvmlX", "unknown", 4}},
		XIDs:     []XIDCount{{GPU: Identity{Index: 0, UUID: "u"}, Code: "79", Source: sourceNVML, Count: 1, Last: time.Unix(900, 0)}},
		Sources:  map[string]bool{sourceNVML: true, sourceKmsg: false},
		Snapshot: &Snapshot{
			Driver: Driver{"580.1", "13.580.1", "13.0"}, Duration: 20 * time.Millisecond,
			Devices: []Device{{
				Identity: Identity{0, "u", "0000:3b:00.0"}, Info: Info{"Test", "hopper", "9.0", "v", "0"},
				Utilization: f, MemoryUtilization: f, Memory: &Memory{10, 5, 4, u},
				Temperature: f, MemoryTemperature: f, Margin: f, Thresholds: Pairs{"slowdown": 89},
				Power: f, PowerInstant: f, PowerLimit: f, PowerDefault: f, PowerMax: f, Energy: f,
				Clocks: Pairs{"sm": 1e9}, ClocksMax: Pairs{"sm": 2e9}, ClockEvents: map[string]bool{"gpu_idle": true}, ClockEventSeconds: Pairs{"sw_thermal": 2},
				PerformanceState: n, ECC: &ECC{yes, u, u, u, u}, Rows: &Rows{1, 2, true, false}, Pages: &Pages{u, u, yes}, RecoveryAction: n,
				PCIe: PCIe{n, n, n, n, u, u, u}, NVLink: &NVLink{n, u, u, map[string]uint64{"crc": 1}}, Activity: Activity{f, f, f, f, f},
				Persistence: yes, ComputeMode: n, MIGMode: yes,
				MIG:       []MIGInstance{{"MIG-1", 1, 0, "1g.10gb", &Memory{10, 5, 4, u}, Activity{f, f, f, f, f}}},
				Processes: &Processes{2, []ProcessMemory{{"python3", 9}}},
			}},
		},
	}
}

// TestEveryFamilyIsExported also keeps Families, the help texts and the labels in order.
func TestEveryFamilyIsExported(t *testing.T) {
	r := registry(t, full())
	got, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[bool]string{true: "COUNTER", false: "GAUGE"}
	exported := map[string]bool{MetricTargetInfo: true}
	for _, f := range got {
		exported[f.GetName()] = true
		i := slices.IndexFunc(Families(), func(want Family) bool { return want.Name == f.GetName() })
		if i < 0 {
			t.Errorf("%s is not in Families", f.GetName())
			continue
		}
		want := Families()[i]
		if f.GetType().String() != kinds[want.Counter] || f.GetHelp() != want.Help {
			t.Errorf("%s is a %s with help %q; want %+v", want.Name, f.GetType(), f.GetHelp(), want)
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(want.Labels)), labels); diff != "" && len(labels)+len(want.Labels) > 0 {
			t.Errorf("labels of %s (-want +got):\n%s", want.Name, diff)
		}
	}
	names := map[string]bool{}
	for _, f := range Families() {
		if names[f.Name] {
			t.Errorf("%s is in Families twice", f.Name)
		}
		names[f.Name] = true
		if !exported[f.Name] {
			t.Errorf("%s has no series although everything is known", f.Name)
		}
		if strings.HasSuffix(f.Name, "_total") != f.Counter {
			t.Errorf("%s: counter is %v", f.Name, f.Counter)
		}
		if !strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s: help %q has no full stop", f.Name, f.Help)
		}
	}
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
}

// TestHostileValues has what a broken driver or a user's process may say; one bad series would cost the whole page.
func TestHostileValues(t *testing.T) {
	d := Device{Identity: Identity{0, "u\xff\n", "x"}, Info: Info{Name: "a\"b\\\xc3"}, Power: new(1.0),
		Processes: &Processes{1, []ProcessMemory{{"p", 1}, {"p", 2}}},
		MIG:       []MIGInstance{{"m", 1, 0, "", &Memory{Total: 1}, Activity{}}, {"m", 1, 0, "", &Memory{Total: 2}, Activity{}}}}
	v := View{State: StateRunning, Snapshot: &Snapshot{Devices: []Device{d, d}}, Errors: []CallErrors{{"c", "x", 1}, {"c", "x", 1}}}
	text := scrapeText(t, registry(t, v))
	if !strings.Contains(text, `llm_gpu_power_watts{gpu="0",uuid="u�\n"} 1`) {
		t.Errorf("the reading is not there:\n%s", text)
	}
}

func TestStatesOnPage(t *testing.T) {
	for _, s := range States() {
		text := scrapeText(t, registry(t, View{State: s, Age: -1}))
		if want := `llm_gpu_collector_state{state="` + string(s) + `"} 1`; !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
		quiet := s == StateDisabled || s == StateNotInBuild || s == StateNoHardware
		if strings.Contains(text, MetricCollectorSuccess) == quiet {
			t.Errorf("state %s: %s there: %v", s, MetricCollectorSuccess, !quiet)
		}
	}
}

func TestTargets(t *testing.T) {
	targets := NewTargets()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(targets)
	if text := scrapeText(t, r); text != "" {
		t.Errorf("without targets:\n%s", text)
	}
	gpus := map[string][]string{"chat": {"GPU-2", "GPU-1", "GPU-2"}, "code": {"GPU-1"}, "none": nil}
	targets.Set(gpus)
	gpus["chat"][0] = "changed by the caller"
	want := `# HELP llm_target_gpu_info GPUs that serve a target, as configured; always 1.
# TYPE llm_target_gpu_info gauge
llm_target_gpu_info{target="chat",uuid="GPU-1"} 1
llm_target_gpu_info{target="chat",uuid="GPU-2"} 1
llm_target_gpu_info{target="code",uuid="GPU-1"} 1
`
	if diff := cmp.Diff(want, scrapeText(t, r)); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	targets.Set(nil)
	if text := scrapeText(t, r); text != "" {
		t.Errorf("after they have gone:\n%s", text)
	}
}

func TestOptions(t *testing.T) {
	for name, c := range map[string]struct {
		in   Options
		want string
	}{
		"zero":       {Options{}, ""},
		"all":        {Options{Enabled: true, Interval: 200 * time.Millisecond, ExpectedDevices: 8}, ""},
		"too often":  {Options{Interval: 100 * time.Millisecond}, "GPU options: interval 100ms: want 200ms to 1m"},
		"too seldom": {Options{Interval: time.Hour}, "GPU options: interval 1h0m0s: want 200ms to 1m"},
		"negative":   {Options{ExpectedDevices: -1}, "GPU options: expected devices -1: want 0 to 1024"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewManager(c.in, slog.New(slog.DiscardHandler))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("NewManager(%+v) = %q; want %q", c.in, got, c.want)
			}
		})
	}
}
