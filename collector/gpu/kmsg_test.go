package gpu

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestParseKernelRecord(t *testing.T) {
	const uuid = "GPU-5c5b8a3e-1111-4222-8333-444455556666"
	for name, c := range map[string]struct {
		record string
		want   kernelReport
		ok     bool
	}{
		"fallen off":      {"4,1234,5678901,-;NVRM: Xid (PCI:0000:44:00): 79, GPU has fallen off the bus", kernelReport{PCI: "0000:44:00.0", Code: "79"}, true},
		"GSP":             {"3,9,1,-;NVRM: Xid (PCI:0000:3b:00): 120, pid='<unknown>', name=<unknown>, GSP Error: Task 1", kernelReport{PCI: "0000:3b:00.0", Code: "120"}, true},
		"old driver":      {"4,9,1,-;NVRM: Xid (0000:03:00): 31, Ch 00000010", kernelReport{PCI: "0000:03:00.0", Code: "31"}, true},
		"MIG":             {"4,9,1,-;NVRM: Xid (PCI:0000:c7:00 GPU-I:01): 43, pid=1, name=python", kernelReport{PCI: "0000:c7:00.0", Code: "43"}, true},
		"large domain":    {"4,9,1,-;NVRM: Xid (PCI:0002C1E3:00:00): 48, DBE", kernelReport{PCI: "2c1e3:00:00.0", Code: "48"}, true},
		"device line":     {"4,9,1,-;NVRM: Xid (PCI:0000:3b:00): 13, Graphics\n SUBSYSTEM=pci\n DEVICE=+pci:0000:3b:00.0", kernelReport{PCI: "0000:3b:00.0", Code: "13"}, true},
		"with a stamp":    {"4,9,1,-;[  5.1] NVRM: Xid (PCI:0000:3b:00): 62, x", kernelReport{PCI: "0000:3b:00.0", Code: "62"}, true},
		"code at the end": {"4,9,1,-;NVRM: Xid (PCI:0000:3b:00): 8", kernelReport{PCI: "0000:3b:00.0", Code: "8"}, true},
		"no known code":   {"4,9,1,-;NVRM: Xid (PCI:0000:3b:00): 123456, x", kernelReport{PCI: "0000:3b:00.0", Code: "other"}, true},
		"in words": {`4,9,1,-;NVRM: The NVIDIA GPU 0000:b3:00.0\x0aNVRM: (PCI ID: 10de:2330) installed in this system has\x0aNVRM: fallen off the bus and is not responding to commands.`,
			kernelReport{PCI: "0000:b3:00.0", Code: fallenOffBus}, true},
		"who is where": {"4,9,1,-;NVRM: GPU at PCI:0000:44:00: " + uuid, kernelReport{PCI: "0000:44:00.0", UUID: uuid}, true},

		"of a user's program": {"12,1234,5678901,-;NVRM: Xid (PCI:0000:44:00): 79, made up", kernelReport{}, false},
		"other driver":        {"4,9,1,-;nvme 0000:44:00: Xid 79", kernelReport{}, false},
		"no address":          {"4,9,1,-;NVRM: Xid (PCI:zz): 79, x", kernelReport{}, false},
		"no code":             {"4,9,1,-;NVRM: Xid (PCI:0000:44:00): GPU", kernelReport{}, false},
		"long code":           {"4,9,1,-;NVRM: Xid (PCI:0000:44:00): 12345678901234567890", kernelReport{}, false},
		"no colon":            {"4,9,1,-;NVRM: Xid (PCI:0000:44:00) 79", kernelReport{}, false},
		"open bracket":        {"4,9,1,-;NVRM: Xid (PCI:0000:44:00 79", kernelReport{}, false},
		"another sentence":    {"4,9,1,-;NVRM: The NVIDIA GPU 0000:b3:00.0 is fine", kernelReport{}, false},
		"an unknown UUID":     {"4,9,1,-;NVRM: GPU at PCI:0000:44:00: GPU-????????-????-????-????-????????????", kernelReport{}, false},
		"no prefix":           {"NVRM: Xid (PCI:0000:44:00): 79, x", kernelReport{}, false},
		"empty":               {"", kernelReport{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseKernelRecord([]byte(c.record))
			if ok != c.ok {
				t.Fatalf("parseKernelRecord(%q) = %+v, %v; want %v", c.record, got, ok, c.ok)
			}
			if diff := cmp.Diff(c.want, got); ok && diff != "" {
				t.Errorf("parseKernelRecord(%q) (-want +got):\n%s", c.record, diff)
			}
		})
	}
}

func FuzzParseKernelRecord(f *testing.F) {
	f.Add([]byte("4,1234,5678901,-;NVRM: Xid (PCI:0000:44:00): 79, GPU has fallen off the bus"))
	f.Add([]byte("4,9,1,-;NVRM: GPU at PCI:0000:44:00: GPU-5c5b8a3e-1111-4222-8333-444455556666"))
	f.Add([]byte(`4,9,1,-;NVRM: The NVIDIA GPU 0000:b3:00.0\x0aNVRM: fallen off the bus`))
	f.Fuzz(func(t *testing.T, record []byte) {
		r, ok := parseKernelRecord(record)
		if !ok {
			return
		}
		if r.PCI == "" || normalPCI(r.PCI) != r.PCI {
			t.Errorf("PCI = %q; want a normal address", r.PCI)
		}
		if (r.Code == "") == (r.UUID == "") {
			t.Errorf("%+v; want either a code or a UUID", r)
		}
		if n, digits := decimal([]byte(r.Code), 3); r.Code != "" && r.Code != fallenOffBus && r.Code != "other" && (!digits || n > 999) {
			t.Errorf("Code = %q; want few values", r.Code)
		}
	})
}

// fakeLog is a kernel log whose reads return what the test says.
type fakeLog struct {
	records chan any // string or error
	closed  chan struct{}
	once    sync.Once
}

func newFakeLog() *fakeLog { return &fakeLog{records: make(chan any), closed: make(chan struct{})} }

func (l *fakeLog) Read(p []byte) (int, error) {
	select {
	case r := <-l.records:
		if err, ok := r.(error); ok {
			return 0, err
		}
		return copy(p, r.(string)), nil
	case <-l.closed:
		return 0, os.ErrClosed
	}
}

func (l *fakeLog) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

func TestKernelLogIsASecondSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, Options{KernelLog: true})
		m := f.manager
		log := newFakeLog()
		var opened atomic.Int64
		m.openKernelLog = func() (kernelLog, error) {
			switch opened.Add(1) {
			case 1:
				return nil, errors.New("open kernel log: permission denied")
			case 3:
				log = newFakeLog()
			}
			return log, nil
		}
		m.driverUUID = func(pci string) string {
			if pci == "0000:99:00.0" {
				return "GPU-of-the-driver"
			}
			return ""
		}
		f.fail.Store(true)
		metrics := prometheus.NewRegistry()
		metrics.MustRegister(NewCollector(m.View))
		stop := f.run()
		synctest.Wait()
		if v := m.View(); v.Sources[sourceKmsg] {
			t.Error("the kernel log is said to be heard; it could not be opened")
		}
		time.Sleep(kernelLogRetry)
		synctest.Wait()

		// NVML has never answered: the address is all there is, unless the log or the driver names the GPU.
		log.records <- "4,1,1,-;NVRM: Xid (PCI:0000:10:00): 79, x"
		log.records <- "4,1,1,-;some other line"
		log.records <- syscall.EPIPE // overwritten records are no end
		log.records <- "4,1,1,-;NVRM: GPU at PCI:0000:11:00: GPU-5c5b8a3e-1111-4222-8333-444455556666"
		log.records <- "4,1,1,-;NVRM: Xid (PCI:0000:11:00): 48, x"
		log.records <- "4,1,1,-;NVRM: Xid (PCI:0000:99:00): 95, x"
		synctest.Wait()
		p := scrapeText(t, metrics)
		for _, want := range []string{
			`llm_gpu_xid_errors_total{gpu="0000:10:00.0",source="kmsg",uuid="",xid="79"} 1`,
			`llm_gpu_xid_errors_total{gpu="0000:11:00.0",source="kmsg",uuid="GPU-5c5b8a3e-1111-4222-8333-444455556666",xid="48"} 1`,
			`llm_gpu_xid_errors_total{gpu="0000:99:00.0",source="kmsg",uuid="GPU-of-the-driver",xid="95"} 1`,
			`llm_gpu_xid_source_up{source="kmsg"} 1`,
			`llm_gpu_xid_source_up{source="nvml"} 0`,
		} {
			if !strings.Contains(p, want+"\n") {
				t.Errorf("no %s in\n%s", want, p)
			}
		}

		// Now NVML answers: what was counted belongs to the GPU, and the codes that matter are there as zeros.
		f.fail.Store(false)
		w := <-f.launched
		w.play(time.Second, device(0))
		log.records <- "4,1,1,-;NVRM: Xid (PCI:0000:10:00): 79, x"
		log.records <- errors.New("read: input/output error") // opened again after a while
		time.Sleep(time.Second)
		synctest.Wait()
		p = scrapeText(t, metrics)
		for _, want := range []string{
			`llm_gpu_xid_errors_total{gpu="0",source="kmsg",uuid="GPU-a",xid="79"} 2`,
			`llm_gpu_xid_errors_total{gpu="0",source="kmsg",uuid="GPU-a",xid="95"} 0`,
			`llm_gpu_xid_errors_total{gpu="0",source="nvml",uuid="GPU-a",xid="79"} 0`,
			`llm_gpu_xid_source_up{source="kmsg"} 0`,
		} {
			if !strings.Contains(p, want+"\n") {
				t.Errorf("no %s in\n%s", want, p)
			}
		}
		if strings.Contains(p, `gpu="0000:10:00.0"`) {
			t.Errorf("the address is still there:\n%s", p)
		}
		go w.play(2*kernelLogRetry, device(0))
		time.Sleep(kernelLogRetry)
		synctest.Wait()
		if opened.Load() != 3 || !m.View().Sources[sourceKmsg] {
			t.Errorf("opened %d times, listening %v; want 3, true", opened.Load(), m.View().Sources[sourceKmsg])
		}
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
		synctest.Wait()
	})
}

// TestKernelLogWorksWithoutTheBuild needs no worker at all.
func TestKernelLogWorksWithoutTheBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, Options{KernelLog: true})
		f.manager.built = false
		log := newFakeLog()
		f.manager.openKernelLog = func() (kernelLog, error) { return log, nil }
		stop := f.run()
		log.records <- "4,1,1,-;NVRM: Xid (PCI:0000:10:00): 79, x"
		synctest.Wait()
		if v := f.manager.View(); len(v.XIDs) != 1 || v.XIDs[0].Count != 1 || v.State != StateNotInBuild {
			t.Errorf("XIDs %+v in state %s; want one, not_in_build", v.XIDs, v.State)
		}
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

// TestRealKernelLog opens /dev/kmsg, where that is allowed, and ends while the read waits.
func TestRealKernelLog(t *testing.T) {
	log, err := openKernelLog()
	if err != nil {
		t.Skipf("the kernel log cannot be read here: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = followKernelLog(ctx, func() (kernelLog, error) { return log, nil }, cancel, func(kernelReport) {})
	if err != nil {
		t.Errorf("followKernelLog() = %v; want nil at the end of its context", err)
	}
	if _, err := log.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read() afterwards = %v; want it closed", err)
	}
}
