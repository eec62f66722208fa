//go:build linux && cgo

package gpu

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// series writes one series of a GPU as it stands on the page, for the labels that sort before uuid.
func series(name string, gpu int, more string) string {
	return fmt.Sprintf(`%s{gpu="%d",%suuid="%s"}`, name, gpu, more, testUUID(gpu))
}

func testUUID(gpu int) string { return fmt.Sprintf("GPU-00000000-0000-4000-8000-%012d", gpu) }

// machine is the answers of a machine with n GPUs, and more lines.
func machine(n int, more ...string) string {
	lines := []string{
		"DriverVersion = 580.95.05", "NVMLVersion = 13.580.95.05", "CudaDriverVersion = 13000",
		"Count = " + strconv.Itoa(n), "Name = NVIDIA Test", "Architecture = 9", "PowerUsage = 100000",
		"UtilizationRates = 50 25", "MemoryInfo_v2 = 1000 600 300 100", "SupportedEventTypes = 8",
	}
	for i := range n {
		lines = append(lines, fmt.Sprintf("gpu%d.UUID = %s", i, testUUID(i)), fmt.Sprintf("gpu%d.PciInfo = 0:%x:0", i, 0x10+i))
	}
	return strings.Join(append(more, lines...), "\n") + "\n" // the first line with a key counts
}

func TestNotSupportedIsAbsent(t *testing.T) {
	t.Parallel()
	r := startRig(t, buildLibrary(t), "Count = 1\nUUID = "+testUUID(0)+"\n")
	p := r.snapshots(2)
	p.expect(t, map[string]float64{series(MetricUp, 0, ""): 1, MetricCollectorSuccess: 1, MetricDevicesVisible: 1})
	for _, f := range Families() {
		if len(f.Labels) > 1 && f.Labels[0] == "gpu" && f.Name != MetricUp && f.Name != MetricInfo {
			p.absent(t, f.Name)
		}
	}
	p.absent(t, MetricCollectorErrors) // "not supported" is no error
}

func TestMissingSymbol(t *testing.T) {
	t.Parallel()
	library := buildLibrary(t,
		"-DnvmlDeviceGetMarginTemperature=left_out_1",
		"-DnvmlDeviceGetMemoryInfo_v2=left_out_2",
		"-DnvmlDeviceGetCurrentClocksEventReasons=left_out_3",
		"-DnvmlDeviceGetRemappedRows=left_out_4",
		"-DnvmlGpmQueryDeviceSupport=left_out_5",
		"-DnvmlEventSetWait_v2=left_out_6")
	r := startRig(t, library, machine(1, "MarginTemperature = 20", "RemappedRows = 1 0 0 0", "gpm = 1",
		"MemoryInfo = 1000 700 300", "CurrentClocksThrottleReasons = 4"))
	p := r.snapshots(3)
	p.expect(t, map[string]float64{
		series(MetricUp, 0, ""):                                     1,
		series(MetricPower, 0, ""):                                  100,
		series(MetricMemoryUsed, 0, ""):                             700, // by the older call
		series(MetricClockEventActive, 0, `reason="sw_power_cap",`): 1,
		`llm_gpu_collector_restarts_total{reason="crashed"}`:        0,
	})
	p.absent(t, MetricTemperatureMargin, MetricRemappedRows, MetricMemoryReserved, MetricSMActive)
}

// TestUnguardedSymbol shows what would happen without the guard, and that only the worker pays for it: nvmlInit_v2 is
// called before anything can be looked up.
func TestUnguardedSymbol(t *testing.T) {
	t.Parallel()
	r := startRig(t, buildLibrary(t, "-DnvmlInit_v2=left_out"), machine(1))
	r.wait("crash", func(p page) bool { return p.series[`llm_gpu_collector_restarts_total{reason="crashed"}`] >= 1 })
	if problem := r.manager.View().Problem; !strings.Contains(problem, "undefined symbol: nvmlInit") {
		t.Errorf("Problem = %q; want the dynamic linker's words", problem)
	}
}

func TestLostGPU(t *testing.T) {
	t.Parallel()
	r := startRig(t, buildLibrary(t), machine(8))
	before := r.snapshots(1)
	for gpu := range 8 {
		before.expect(t, map[string]float64{series(MetricUp, gpu, ""): 1, series(MetricPower, gpu, ""): 100})
	}
	r.write(machine(8, "gpu3.all = !15"))
	p := r.wait("lost GPU", func(p page) bool { return p.is(series(MetricUp, 3, ""), 0) })
	for gpu := range 8 {
		if gpu == 3 {
			for s := range p.series {
				if strings.Contains(s, testUUID(3)) && !strings.HasPrefix(s, MetricUp+"{") && !strings.HasPrefix(s, "llm_gpu_xid_") {
					t.Errorf("the lost GPU still has %s", s)
				}
			}
			continue
		}
		p.expect(t, map[string]float64{series(MetricUp, gpu, ""): 1, series(MetricPower, gpu, ""): 100})
	}
	p.expect(t, map[string]float64{MetricDevicesVisible: 8, MetricCollectorSuccess: 1, `llm_gpu_collector_restarts_total{reason="driver"}`: 0})
	// A wait for events fails at once while a lost GPU is in its set. The others are heard again soon, without a loop
	// that is busy until then. What comes while the set is made anew is not heard, so there is more than one.
	number := 0
	p = r.wait("XID of another GPU", func(p page) bool {
		if p.series[xidSeries(5, "94", "nvml")] >= 1 && p.is(`llm_gpu_xid_source_up{source="nvml"}`, 1) {
			return true
		}
		number++
		r.write(machine(8, "gpu3.all = !15", fmt.Sprintf("xid = %d 5 94", number)))
		return false
	})
	if n := p.series[`llm_gpu_collector_errors_total{call="nvmlEventSetWait",code="gpu_is_lost"}`]; n > 3 {
		t.Errorf("%v failed waits for events; want a few at most", n)
	}
}

func xidSeries(gpu int, xid, source string) string {
	return fmt.Sprintf(`llm_gpu_xid_errors_total{gpu="%d",source="%s",uuid="%s",xid="%s"}`, gpu, source, testUUID(gpu), xid)
}

// TestLostBeforeStart has a worker that has never been told who the GPU is, after one that has.
func TestLostBeforeStart(t *testing.T) {
	t.Parallel()
	r := newRig(t, buildLibrary(t), machine(2), Options{})
	r.manager.times.backoff = 10 * time.Millisecond
	r.start()
	r.snapshots(1)
	r.write(machine(2, "gpu1.HandleByIndex = !999"))
	killWorker(t, r)
	p := r.wait("lost GPU", func(p page) bool { return p.is(series(MetricUp, 1, ""), 0) })
	p.expect(t, map[string]float64{series(MetricUp, 0, ""): 1})
	if n := len(p.family(MetricUp)); n != 2 {
		t.Errorf("%d series of llm_gpu_up; want 2", n)
	}
	// It is gone altogether: what was known of it stays, and says so.
	r.write(machine(1))
	killWorker(t, r)
	p = r.wait("one visible GPU", func(p page) bool { return p.is(MetricDevicesVisible, 1) })
	p.expect(t, map[string]float64{series(MetricUp, 0, ""): 1, series(MetricUp, 1, ""): 0})
}

// TestOthersGPUs has GPUs that this container may not open. They are not lost.
func TestOthersGPUs(t *testing.T) {
	t.Parallel()
	r := startRig(t, buildLibrary(t), machine(3, "gpu0.HandleByIndex = !4", "gpu2.HandleByIndex = !17"))
	p := r.snapshots(1)
	p.expect(t, map[string]float64{series(MetricUp, 1, ""): 1, series(MetricPower, 1, ""): 100, MetricDevicesVisible: 1})
	if n := len(p.family(MetricUp)); n != 1 {
		t.Errorf("%d series of llm_gpu_up; want 1", n)
	}
}

// workerPID is the number of the worker. Signals to 0, which is none, would go to the tests, and to who runs them.
func workerPID(t *testing.T, r *rig) int {
	t.Helper()
	pid := r.manager.View().PID
	if pid == 0 {
		t.Fatal("there is no worker")
	}
	return pid
}

func killWorker(t *testing.T, r *rig) {
	t.Helper()
	if err := syscall.Kill(workerPID(t, r), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestXIDEvent(t *testing.T) {
	t.Parallel()
	r := startRig(t, buildLibrary(t), machine(2))
	p := r.wait("XID source", func(p page) bool {
		return p.is(`llm_gpu_xid_source_up{source="nvml"}`, 1) && p.is(xidSeries(1, "79", "nvml"), 0)
	})
	p.absent(t, MetricXIDLast)
	r.write(machine(2, "xid = 1 1 79"))
	p = r.wait("XID 79", func(p page) bool { return p.is(xidSeries(1, "79", "nvml"), 1) })
	p.expect(t, map[string]float64{xidSeries(0, "79", "nvml"): 0})
	r.write(machine(2, "xid = 2 1 79"))
	r.wait("XID 79 again", func(p page) bool { return p.is(xidSeries(1, "79", "nvml"), 2) })
	r.write(machine(2, "xid = 3 0 31"))
	r.wait("XID 31, not created ahead", func(p page) bool { return p.is(xidSeries(0, "31", "nvml"), 1) })
	if last := time.Unix(int64(r.scrape().series[strings.Replace(xidSeries(0, "31", "nvml"), "errors_total", "last_timestamp_seconds", 1)]), 0); time.Since(last).Abs() > time.Minute {
		t.Errorf("last XID 31 at %v; want now", last)
	}
	// A new worker does not start counting again.
	killWorker(t, r)
	r.wait("new worker", func(p page) bool { return p.is(`llm_gpu_collector_restarts_total{reason="crashed"}`, 1) })
	r.snapshots(1).expect(t, map[string]float64{xidSeries(1, "79", "nvml"): 2})
}

// TestHang has each kind of call never return.
func TestHang(t *testing.T) {
	library := buildLibrary(t)
	for name, c := range map[string]struct {
		answer string
		gpu    int // that is left out afterwards; -1: none
	}{
		"a reading":      {"gpu1.PowerUsage = @hang", 1},
		"a slow reading": {"gpu1.RemappedRows = @hang", 1},
		"a handle":       {"gpu1.HandleByIndex = @hang", 1},
		"loading":        {"Init = @hang", -1},
		"events":         {"EventSetWait = @hang", -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, library, machine(2), Options{})
			m := r.manager
			m.times.stuck, m.times.hang = 2*time.Second, 5*time.Second // a driver that is only slow, on a busy machine, is no stuck one
			m.times.stuckOpening, m.times.hangOpening = m.times.stuck, m.times.hang
			m.times.backoff, m.times.backoffMost = 10*time.Millisecond, 10*time.Millisecond
			r.start()
			r.snapshots(1)

			r.write(machine(2, c.answer))
			killWorker(t, r) // whatever is read at the start only hangs in a new worker
			r.wait(fmt.Sprintf("stuck call about GPU %d", c.gpu), func(p page) bool {
				in := r.manager.View().Stuck
				return p.is(MetricCallStuck, 1) && in != nil && in.GPU == c.gpu
			})
			took := make([]time.Duration, 50)
			for i := range took {
				began := time.Now()
				r.scrape()
				took[i] = time.Since(began)
			}
			slices.Sort(took)
			t.Logf("scrapes while the driver hangs: median %v, slowest %v", took[25], took[49])
			if took[25] > 250*time.Millisecond { // the driver would take seconds; the rest is left to other work on a busy machine
				t.Errorf("half of 50 scrapes took %v or more; want 250 ms at most", took[25])
			}

			r.wait("end of the stuck worker", func(p page) bool { return p.series[`llm_gpu_collector_restarts_total{reason="stuck"}`] >= 1 })
			if c.gpu < 0 {
				r.write(machine(2)) // the driver as a whole comes back
				p := r.snapshots(1)
				p.expect(t, map[string]float64{series(MetricUp, 0, ""): 1, series(MetricUp, 1, ""): 1})
				return
			}
			// The GPU alone is left out; the other one is read again.
			r.snapshots(2)
			p := r.wait("call that returns", func(p page) bool { return p.is(MetricCallStuck, 0) })
			p.expect(t, map[string]float64{series(MetricUp, 0, ""): 1, series(MetricPower, 0, ""): 100, series(MetricUp, 1, ""): 0, MetricCallStuck: 0})
		})
	}
}

// TestHangAtShutdown ends a Manager whose worker cannot give the driver back.
func TestHangAtShutdown(t *testing.T) {
	t.Parallel()
	r := startRig(t, buildLibrary(t), machine(1, "Shutdown = @hang"))
	r.snapshots(1) // and the end of the test waits for Run, which must not fail
}

func TestCrash(t *testing.T) {
	library := buildLibrary(t)
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		r := startRig(t, library, machine(1))
		r.snapshots(1)
		began := time.Now()
		killWorker(t, r)
		r.wait("restart", func(p page) bool { return p.is(`llm_gpu_collector_restarts_total{reason="crashed"}`, 1) })
		r.snapshots(1)
		took := time.Since(began)
		if took > 15*time.Second { // a second of it is the backoff; a busy machine takes long to start a process
			t.Errorf("recovered after %v; want 15 s at most", took)
		}
		restarts := uint64(0)
		for _, n := range r.manager.View().Restarts {
			restarts += n
		}
		if restarts != 1 {
			t.Errorf("%d restarts; want one", restarts)
		}
		t.Logf("recovered from a killed worker after %v", took)
	})
	t.Run("in the driver", func(t *testing.T) {
		t.Parallel()
		r := startRig(t, library, machine(1))
		r.snapshots(1)
		r.write(machine(1, "PowerUsage = @crash"))
		r.wait("restart", func(p page) bool { return p.series[`llm_gpu_collector_restarts_total{reason="crashed"}`] >= 1 })
		r.write(machine(1))
		r.snapshots(1)
	})
}

func TestFieldIDsFitTheDriver(t *testing.T) {
	library := buildLibrary(t)
	fields := []string{"fi.74 = u64 1000000000", "fi.251 = u64 2000000000", "fi.252 = u64 0", "fi.253 = u64 0",
		"fi.269 = u64 3000000000", "fi.270 = u64 0", "fi.271 = u64 0"}
	for nvml, want := range map[string]float64{"12.570.86.15": -1, "12.575.57.08": 2, "13.580.159.03": 2, "13.590.48.01": 3} {
		t.Run(nvml, func(t *testing.T) {
			t.Parallel()
			r := startRig(t, library, machine(1, append(fields, "NVMLVersion = "+nvml)...))
			p := r.snapshots(1)
			p.expect(t, map[string]float64{series(MetricClockEventSeconds, 0, `reason="sw_power_cap",`): 1})
			got, ok := p.series[series(MetricClockEventSeconds, 0, `reason="sw_thermal",`)]
			if ok != (want >= 0) || ok && got != want {
				t.Errorf("sw_thermal with NVML %s = %v, %v; want %v", nvml, got, ok, want)
			}
		})
	}
}

// TestDriverUpgrade replaces the library's file and the kernel driver under a running worker.
func TestDriverUpgrade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	library := filepath.Join(dir, "libnvidia-ml.so.1")
	compile(t, library, `-DLIBRARY="580.1"`)
	clock := []string{"fi.251 = u64 1000000000", "fi.269 = u64 2000000000"}
	r := newRig(t, library, machine(1, append(clock, "kernel = 580.1", "DriverVersion = 580.1", "NVMLVersion = 13.580.1")...), Options{})
	r.manager.times.backoff, r.manager.times.backoffMost = 10*time.Millisecond, 100*time.Millisecond
	r.start()
	p := r.snapshots(1)
	p.expect(t, map[string]float64{series(MetricClockEventSeconds, 0, `reason="sw_thermal",`): 1})

	// The kernel driver first: until the library follows, nothing works.
	next := machine(1, append(clock, "kernel = 590.2", "DriverVersion = 590.2", "NVMLVersion = 13.590.2")...)
	r.write(next)
	r.wait("mismatch", func(p page) bool { return p.series[`llm_gpu_collector_restarts_total{reason="driver"}`] >= 2 })
	if problem := r.manager.View().Problem; !strings.Contains(problem, "lib_rm_version_mismatch") {
		t.Errorf("Problem = %q; want the mismatch", problem)
	}
	compile(t, library+".new", `-DLIBRARY="590.2"`)
	if err := os.Rename(library+".new", library); err != nil {
		t.Fatal(err)
	}
	p = r.snapshots(1)
	p.expect(t, map[string]float64{
		`llm_gpu_driver_info{cuda_version="13.0",driver_version="590.2",nvml_version="13.590.2"}`: 1,
		series(MetricClockEventSeconds, 0, `reason="sw_thermal",`):                                2,
	})
}

func TestSentinelsNeverLeak(t *testing.T) {
	t.Parallel()
	r := startRig(t, buildLibrary(t), machine(1,
		"UtilizationRates = 4294967295 4294967295",
		"MemoryInfo_v2 = 18446744073709551615 18446744073709551615 18446744073709551615 18446744073709551615",
		"MemoryInfo = 18446744073709551615 1 1",
		"TemperatureV = 2147483647", "Temperature.0 = 4294967295", "MarginTemperature = 2147483647",
		"TemperatureThreshold.0 = 4294967295", "TemperatureThreshold.1 = 0",
		"PowerUsage = 4294967295", "EnforcedPowerLimit = 4294967295", "PowerManagementDefaultLimit = 4294967295",
		"PowerManagementLimitConstraints = 4294967295 4294967295", "TotalEnergyConsumption = 18446744073709551615",
		"ClockInfo.0 = 4294967295", "ClockInfo.1 = 4294967295", "MaxClockInfo.0 = 4294967295",
		"CurrentClocksEventReasons = 18446744073709551615", "PerformanceState = 32",
		"RemappedRows = 4294967295 4294967295 0 0",
		"CurrPcieLinkGeneration = 4294967295", "CurrPcieLinkWidth = 4294967295", "MaxPcieLinkGeneration = 0", "MaxPcieLinkWidth = 0",
		"fi.3 = u64 18446744073709551615", "fi.4 = u64 9223372036854775807", "fi.82 = u32 4294967295", "fi.186 = u32 4294967295",
		"fi.230 = u32 4294967295", "fi.94 = u32 4294967295", "fi.197 = u64 18446744073709551615", "fi.198 = u32 123",
		"fi.74 = u64 18446744073709551615", "fi.251 = u64 18446744073709551615", "fi.76 = f64 nan",
		"NvLinks = 1", "fi.138.all = u64 18446744073709551615", "fi.161.link = u64 18446744073709551615",
		"gpm = 1", "gpm.1 = nan", "gpm.2 = 9223372036854775807", "gpm.3 = -1", "gpm.5 = inf", "gpm.10 = 100.4",
	))
	p := r.wait("two samples of GPM", func(p page) bool { return len(p.family(MetricDRAMActive)) > 0 })
	p.expect(t, map[string]float64{
		series(MetricUp, 0, ""):           1,
		series(MetricDRAMActive, 0, ""):   1, // rounding, not nonsense
		series(MetricNVLinkActive, 0, ""): 1,
	})
	p.absent(t, MetricUtilization, MetricMemoryUtilization, MetricMemoryTotal, MetricMemoryUsed, MetricMemoryFree, MetricMemoryReserved,
		MetricTemperature, MetricTemperatureThreshold, MetricTemperatureMargin,
		MetricPower, MetricPowerInstant, MetricPowerLimit, MetricPowerLimitDefault, MetricPowerLimitMax, MetricEnergy,
		MetricClock, MetricClockMax, MetricClockEventActive, MetricClockEventSeconds, MetricPerformanceState,
		MetricECCErrors, MetricRemappedRows, MetricRecoveryAction,
		MetricPCIeGeneration, MetricPCIeGenerationMax, MetricPCIeWidth, MetricPCIeWidthMax, MetricPCIeReplays, MetricPCIeTransmit, MetricPCIeReceive,
		MetricNVLinkTransmit, MetricNVLinkErrors,
		MetricGraphicsActive, MetricSMActive, MetricSMOccupancy, MetricTensorActive)
}

func TestMIG(t *testing.T) {
	t.Parallel()
	r := startRig(t, buildLibrary(t), machine(1, "MigMode = 1 1", "UtilizationRates = !3", "MaxMigDeviceCount = 7",
		"mig.0 = MIG-00000000-0000-4000-8000-00000000000a 1 0 2000 1500 400 100 NVIDIA Test MIG 3g.40gb",
		"mig.2 = MIG-00000000-0000-4000-8000-00000000000b 2 0 1000 100 850 50 NVIDIA Test MIG 1c.2g.20gb",
		"mig.3 = MIG-00000000-0000-4000-8000-00000000000c 2 1 1000 100 850 50 NVIDIA Test MIG 1c.2g.20gb",
		"gpm = 1", "gpm.1 = 50", "gpm.mig.2 = 75", "gpm.mig.5 = 25"))
	p := r.wait("two samples of GPM", func(p page) bool { return len(p.family(MetricMIGSMActive)) > 0 })
	instance := func(name string, gi int) string {
		return fmt.Sprintf(`%s{gpu="0",gpu_instance_id="%d",uuid="%s"}`, name, gi, testUUID(0))
	}
	info := func(gi, ci int, uuid, profile string) string {
		return fmt.Sprintf(`llm_gpu_mig_info{compute_instance_id="%d",gpu="0",gpu_instance_id="%d",mig_uuid="MIG-00000000-0000-4000-8000-00000000000%s",profile="%s",uuid="%s"}`, ci, gi, uuid, profile, testUUID(0))
	}
	p.expect(t, map[string]float64{
		series(MetricMIGMode, 0, ""):         1,
		series(MetricGraphicsActive, 0, ""):  0.5,
		info(1, 0, "a", "3g.40gb"):           1,
		info(2, 0, "b", "1c.2g.20gb"):        1,
		info(2, 1, "c", "1c.2g.20gb"):        1,
		instance(MetricMIGMemoryTotal, 1):    2000,
		instance(MetricMIGMemoryUsed, 1):     1500,
		instance(MetricMIGMemoryReserved, 2): 50,
		instance(MetricMIGSMActive, 1):       0.75,
		instance(MetricMIGTensorActive, 2):   0.25,
	})
	p.absent(t, MetricUtilization, MetricMIGDRAMActive)
	if n := len(p.family(MetricMIGMemoryTotal)); n != 2 {
		t.Errorf("%d series of %s; want one for each GPU instance", n, MetricMIGMemoryTotal)
	}
}

func TestProcesses(t *testing.T) {
	library := buildLibrary(t)
	answers := machine(1, "compute = 10:500 11:700 12:18446744073709551615 13:40", "graphics = 11:700",
		"process.10 = /usr/bin/python3", "process.11 = /opt/py/python3 -m vllm.entrypoints", "process.12 = /usr/bin/trainer")
	t.Run("asked for", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, library, answers, Options{Processes: true}).start()
		r.snapshots(1).expect(t, map[string]float64{
			series(MetricProcesses, 0, ""):                       4,
			series(MetricProcessMemory, 0, `process="python3",`): 1200,
			series(MetricProcessMemory, 0, `process="unknown",`): 40,
		})
	})
	t.Run("by default not", func(t *testing.T) {
		t.Parallel()
		startRig(t, library, answers).snapshots(1).absent(t, MetricProcesses, MetricProcessMemory)
	})
}

func TestDriverComesLater(t *testing.T) {
	t.Parallel()
	r := newRig(t, buildLibrary(t), machine(1, "Init = !9"), Options{})
	r.manager.times.backoff, r.manager.times.backoffMost = 10*time.Millisecond, 10*time.Millisecond
	r.start()
	p := r.wait("attempts", func(p page) bool { return p.series[`llm_gpu_collector_restarts_total{reason="driver"}`] >= 3 })
	p.expect(t, map[string]float64{MetricCollectorSuccess: 0})
	p.absent(t, MetricUp, MetricDriverInfo, MetricSnapshotAge)
	if n := strings.Count(r.log.String(), "another one follows"); n != 1 {
		t.Errorf("the lasting problem was logged %d times; want once\n%s", n, r.log)
	}
	r.write(machine(1))
	r.snapshots(2).expect(t, map[string]float64{series(MetricUp, 0, ""): 1}) // the first is logged right after it is on the page
	if !strings.Contains(r.log.String(), "GPU collection works") {
		t.Error("the recovery was not logged")
	}
}

func TestNoLibrary(t *testing.T) {
	t.Parallel()
	r := startRig(t, filepath.Join(t.TempDir(), "libnvidia-ml.so.1"), "")
	r.wait("restart", func(p page) bool { return p.series[`llm_gpu_collector_restarts_total{reason="driver"}`] >= 1 })
	if problem := r.manager.View().Problem; !strings.Contains(problem, "install the NVIDIA driver") {
		t.Errorf("Problem = %q; want what to do", problem)
	}
}

func TestForeignOutput(t *testing.T) {
	t.Parallel()
	r := newRig(t, "unused", "", Options{Command: []string{"/bin/sh", "-c", "echo hello, this is no frame"}}).start()
	r.wait("restart", func(p page) bool { return p.series[`llm_gpu_collector_restarts_total{reason="protocol"}`] >= 1 })
}

func TestCommandMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t, "unused", "", Options{Command: []string{filepath.Join(t.TempDir(), "nothing")}}).start()
	r.wait("restart", func(p page) bool { return p.series[`llm_gpu_collector_restarts_total{reason="start"}`] >= 1 })
}

// TestScrapesDoNotLoadTheDriver looks into the memory of this process, which is the prober here.
func TestScrapesDoNotLoadTheDriver(t *testing.T) {
	t.Parallel()
	library := buildLibrary(t)
	r := startRig(t, library, machine(1))
	r.snapshots(2)
	if strings.Contains(readFile(t, "/proc/self/maps"), library) {
		t.Error("the driver's library is loaded in the prober")
	}
	if !strings.Contains(readFile(t, fmt.Sprintf("/proc/%d/maps", r.manager.View().PID)), library) {
		t.Error("the driver's library is not loaded in the worker")
	}
}

// TestWorkerDiesWithTheProber kills a prober, whatever its worker is doing.
func TestWorkerDiesWithTheProber(t *testing.T) {
	standin := buildLibrary(t)
	for name, answers := range map[string]string{
		"healthy": machine(1),
		"stuck":   machine(1, "PowerUsage = @hang"),
		"stopped": machine(1), // no code of the worker's runs
		"loading": "",         // the dynamic linker holds its locks, so that no thread can be started
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			library, file := standin, filepath.Join(t.TempDir(), "answers")
			if name == "loading" {
				library = filepath.Join(t.TempDir(), "libnvidia-ml.so.1")
				if err := syscall.Mkfifo(library, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(file, []byte(answers), 0o644); err != nil {
				t.Fatal(err)
			}
			prober := exec.Command("/proc/self/exe", proberCommand, library)
			prober.Env = append(os.Environ(), "LLM_PROBER_NVML_FILE="+file, "GOMAXPROCS=1")
			prober.Stderr = os.Stderr
			out, err := prober.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := prober.Start(); err != nil {
				t.Fatal(err)
			}
			want := map[string]State{"stuck": StateStuck, "loading": StateStarting}[name]
			pid := awaitState(t, out, cmp.Or(want, StateRunning))
			worker, err := os.FindProcess(pid)
			if err != nil {
				t.Fatal(err)
			}
			defer worker.Kill() // should it live
			switch name {
			case "stopped":
				err = worker.Signal(syscall.SIGSTOP)
			case "loading": // which it is once it has opened the library; it gets nothing to read
				var nothing *os.File
				if nothing, err = os.OpenFile(library, os.O_WRONLY, 0); err == nil {
					defer nothing.Close()
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			ended := watchEnd(t, pid)
			if err := prober.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = prober.Wait()
			ended()
		})
	}
}

// awaitState reads what a prober says until its worker is in a state, and returns the worker's process id.
func awaitState(t *testing.T, said io.Reader, want State) (pid int) {
	t.Helper()
	for state := State(""); state != want || pid == 0; {
		if _, err := fmt.Fscanln(said, &state, &pid); err != nil {
			t.Fatal(err)
		}
	}
	return pid
}
