package gpu

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakes stands for the launching of processes: each launch hands a fakeWorker to the test.
type fakes struct {
	manager  *Manager
	launched chan *fakeWorker
	fail     atomic.Bool // the next launches
}

// fakeWorker is a worker process as the test plays it.
type fakeWorker struct {
	config   configMessage
	said     chan message // to messages, while the process lives
	messages chan message
	exited   chan struct{}
	unread   chan struct{} // closed when the manager has asked it to end: nobody reads any more
	once     sync.Once

	mu         sync.Mutex
	ending     ending
	terminated int
	killed     int
	abandoned  bool
	obeys      string
}

func (w *fakeWorker) exit(e ending) {
	w.once.Do(func() {
		w.mu.Lock()
		w.ending = e
		w.mu.Unlock()
		close(w.exited)
	})
}

// pump is the pipe: it is closed with the process.
func (w *fakeWorker) pump() {
	defer close(w.messages)
	for {
		select {
		case m := <-w.said:
			select {
			case w.messages <- m:
			case <-w.unread:
			}
		case <-w.exited:
			return
		}
	}
}

// say sends messages and reports whether the process lives.
func (w *fakeWorker) say(messages ...message) bool {
	for _, m := range messages {
		select {
		case w.said <- m:
		case <-w.exited:
			return false
		}
	}
	return true
}

// obey says what makes the process exit: "term", "kill" or nothing.
func (w *fakeWorker) obey(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.obeys = what
}

func (w *fakeWorker) signals() (terminated, killed int, abandoned bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.terminated, w.killed, w.abandoned
}

// newFakes returns a Manager for use inside a bubble.
func newFakes(t *testing.T, options Options) *fakes {
	t.Helper()
	options.Enabled = true
	m, err := NewManager(options, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f := &fakes{manager: m, launched: make(chan *fakeWorker, 100)}
	m.built = true
	m.detect = func() hardware { return hardware{Present: true, PCI: 2} }
	m.driverUUID = func(string) string { return "" }
	pid := 100
	m.launch = func(config configMessage) (*worker, error) {
		if f.fail.Load() {
			return nil, errors.New("no such file")
		}
		fw := &fakeWorker{config: config, said: make(chan message), messages: make(chan message), exited: make(chan struct{}), unread: make(chan struct{}), obeys: "term"}
		go fw.pump()
		pid++
		f.launched <- fw
		return &worker{
			pid: pid, messages: fw.messages, exited: fw.exited,
			ending: func() ending { fw.mu.Lock(); defer fw.mu.Unlock(); return fw.ending },
			terminate: func() {
				fw.mu.Lock()
				if fw.terminated++; fw.terminated == 1 {
					close(fw.unread)
				}
				obeys := fw.obeys == "term"
				fw.mu.Unlock()
				if obeys {
					fw.exit(ending{})
				}
			},
			kill: func() {
				fw.mu.Lock()
				fw.killed++
				obeys := fw.obeys == "kill"
				fw.mu.Unlock()
				if obeys {
					fw.exit(ending{Status: "signal: killed"})
				}
			},
			abandon: func() { fw.mu.Lock(); defer fw.mu.Unlock(); fw.abandoned = true },
		}, nil
	}
	return f
}

// run starts the manager and returns what stops it and gives Run's error.
func (f *fakes) run() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.manager.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// play is a worker that is well for a time: progress and snapshots every second.
func (w *fakeWorker) play(d time.Duration, devices ...Device) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if !w.say(progressMessage{Open: true}, snapshotMessage{&Snapshot{Devices: devices, XIDs: true}}) || after(w.exited, time.Second) {
			return
		}
	}
}

// hang is a worker one of whose calls does not return, until it is ended.
func (w *fakeWorker) hang(call string, gpu int) {
	for began := time.Now(); w.say(progressMessage{Open: true, InFlight: &InFlight{Call: call, GPU: gpu, For: time.Since(began)}}); {
		if after(w.exited, 500*time.Millisecond) {
			return
		}
	}
}

func device(index int) Device {
	return Device{Identity: Identity{Index: index, UUID: "GPU-" + string(rune('a'+index)), PCI: normalPCI("0:1" + string(rune('0'+index)) + ":0")}}
}

func TestBackoffGrowsAndStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, Options{})
		stop := f.run()
		last := time.Now()
		var gaps []time.Duration
		for range 7 {
			w := <-f.launched
			gaps = append(gaps, time.Since(last))
			w.exit(ending{Status: "exit status 2"})
			last = time.Now()
		}
		w := <-f.launched
		w.play(61*time.Second, device(0)) // healthy
		w.exit(ending{Status: "exit status 2"})
		last = time.Now()
		w = <-f.launched
		gaps = append(gaps, time.Since(last))
		s := time.Second
		if diff := cmp.Diff([]time.Duration{0, s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, s}, gaps); diff != "" {
			t.Errorf("waits before each worker (-want +got):\n%s", diff)
		}
		if n := f.manager.View().Restarts[restartCrashed]; n != 8 {
			t.Errorf("restarts = %d; want 8", n)
		}
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
		if terminated, killed, _ := w.signals(); terminated != 1 || killed != 0 {
			t.Errorf("at the end the worker got %d SIGTERM and %d SIGKILL; want 1 and 0", terminated, killed)
		}
	})
}

func TestStuckWorkerIsEndedAndItsGPULeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, Options{})
		stop := f.run()
		w := <-f.launched
		w.obey("kill")
		w.play(5*time.Second, device(0), device(1))
		began := time.Now()
		go w.hang("nvmlDeviceGetPowerUsage", 1)

		time.Sleep(2900 * time.Millisecond)
		synctest.Wait()
		if v := f.manager.View(); v.State != StateRunning || v.Stuck != nil {
			t.Errorf("after 2.9 s: state %s, stuck %v; want running", v.State, v.Stuck)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		v := f.manager.View()
		if v.State != StateStuck || v.Stuck == nil || v.Stuck.GPU != 1 || v.Stuck.Call != "nvmlDeviceGetPowerUsage" {
			t.Errorf("after 3.1 s: state %s, stuck %+v; want the call", v.State, v.Stuck)
		}
		next := <-f.launched
		// 10 s of patience, 3 s after SIGTERM until SIGKILL, 1 s of backoff.
		if took := time.Since(began); took != 14*time.Second {
			t.Errorf("the next worker came after %v; want 14s", took)
		}
		if terminated, killed, abandoned := w.signals(); terminated != 1 || killed != 1 || abandoned {
			t.Errorf("signals: %d SIGTERM, %d SIGKILL, abandoned %v; want 1, 1, false", terminated, killed, abandoned)
		}
		if diff := cmp.Diff([]int{1}, next.config.Skip); diff != "" {
			t.Errorf("Skip (-want +got):\n%s", diff)
		}
		if v := f.manager.View(); !strings.Contains(v.Problem, "nvmlDeviceGetPowerUsage on GPU 1") || v.Restarts[restartStuck] != 1 {
			t.Errorf("Problem = %q, restarts %v; want the call named, one stuck", v.Problem, v.Restarts)
		}

		// Two minutes after the hang the GPU is tried again; when it hangs again, it is left out for four.
		lost := Device{Identity: device(1).Identity, Lost: lostHung}
		go next.play(time.Hour, device(0), lost)
		for i, want := range []time.Duration{2 * time.Minute, 4 * time.Minute} {
			left := time.Now()
			retry := <-f.launched
			if waited := time.Since(left); waited < want-2*time.Second || waited > want+time.Second {
				t.Errorf("round %d: tried again after %v; want %v", i, waited, want)
			}
			if len(retry.config.Skip) != 0 {
				t.Errorf("round %d: Skip = %v; want none", i, retry.config.Skip)
			}
			go retry.hang("nvmlDeviceGetPowerUsage", 1)
			next = <-f.launched
			go next.play(time.Hour, device(0), lost)
		}
		if v := f.manager.View(); v.Restarts[restartRetry] != 2 || v.Restarts[restartStuck] != 3 {
			t.Errorf("restarts %v; want 2 to try again, 3 stuck", v.Restarts)
		}
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
		synctest.Wait()
	})
}

func TestQuarantineForgives(t *testing.T) {
	q := quarantine{times: defaultTimes(), gpus: map[int]*leftOut{}}
	start := time.Now()
	q.add(3, start)
	q.add(1, start)
	if diff := cmp.Diff([]int{1, 3}, q.now(start)); diff != "" {
		t.Errorf("now (-want +got):\n%s", diff)
	}
	if next := q.next(start); !next.Equal(start.Add(2 * time.Minute)) {
		t.Errorf("next = %v; want 2m later", next.Sub(start))
	}
	later := start.Add(2 * time.Minute)
	if out := q.now(later); len(out) != 0 || !q.next(later).IsZero() {
		t.Errorf("after 2m: now %v, next %v; want none", out, q.next(later))
	}
	for range 10 {
		q.add(3, later)
	}
	if wait := q.gpus[3].wait; wait != time.Hour {
		t.Errorf("wait after 11 hangs = %v; want an hour", wait)
	}
	q.forgive(later.Add(30 * time.Second))
	if len(q.gpus) != 2 {
		t.Errorf("forgiven too early: %v", q.gpus)
	}
	q.forgive(later.Add(time.Minute))
	if slices.Sorted(maps.Keys(q.gpus))[0] != 3 || len(q.gpus) != 1 {
		t.Errorf("after a healthy minute: %v; want GPU 3 alone", q.gpus)
	}
}

// TestWorkerThatDoesNotDie has the kernel hold workers in the driver, where even SIGKILL does not reach them.
func TestWorkerThatDoesNotDie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, Options{})
		stop := f.run()
		first := <-f.launched
		first.obey("")
		go first.hang("nvmlDeviceGetMemoryInfo_v2", -1)
		second := <-f.launched // the one replacement
		if _, killed, abandoned := first.signals(); killed != 1 || !abandoned {
			t.Errorf("the first worker: killed %d times, abandoned %v; want once and true", killed, abandoned)
		}
		second.play(5*time.Second, device(0))
		if v := f.manager.View(); v.State != StateRunning || v.Snapshot == nil {
			t.Errorf("with one worker set aside: state %s; want running, with readings", v.State)
		}
		second.obey("")
		go second.hang("nvmlDeviceGetMemoryInfo_v2", -1)
		time.Sleep(time.Hour)
		synctest.Wait()
		if v := f.manager.View(); v.State != StateWedged || len(f.launched) != 0 {
			t.Errorf("with two: state %s, %d more workers; want wedged and none", v.State, len(f.launched))
		}
		first.exit(ending{Status: "signal: killed"})
		third := <-f.launched // the first has died at last
		third.play(2*time.Second, device(0))
		if v := f.manager.View(); v.State != StateRunning {
			t.Errorf("state %s; want running", v.State)
		}
		if err := stop(); err == nil || !strings.Contains(err.Error(), "cannot be ended") {
			t.Errorf("Run() = %v; want it to tell of the second worker", err)
		}
		second.exit(ending{})
		synctest.Wait()
	})
}

func TestReadingsAreWithdrawnWhenTheyAreOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, Options{})
		stop := f.run()
		if v := f.manager.View(); v.Age != -1 || v.Snapshot != nil || v.Visible != nil || !v.LastSuccess.IsZero() {
			t.Errorf("before the first snapshot: %+v", v)
		}
		w := <-f.launched
		sampled := time.Now()
		w.say(progressMessage{Open: true})
		time.Sleep(2 * time.Second)
		w.say(snapshotMessage{&Snapshot{Devices: []Device{device(0)}, Duration: 2 * time.Second}})
		synctest.Wait()
		v := f.manager.View()
		if v.Age != 2*time.Second || !v.LastSuccess.Equal(sampled) || v.Snapshot == nil || *v.Visible != 1 || *v.Expected != 2 {
			t.Errorf("age %v, last %v, visible %v, expected %v; want 2s since the sampling began, 1 and 2", v.Age, v.LastSuccess, v.Visible, v.Expected)
		}
		for range 9 { // the worker lives, its sampling is slow
			w.say(progressMessage{Open: true})
			time.Sleep(time.Second)
		}
		v = f.manager.View()
		if v.Age != 11*time.Second || v.Snapshot != nil || v.Visible != nil || !v.LastSuccess.Equal(sampled) {
			t.Errorf("after 11 s: age %v, snapshot %v; want the age alone", v.Age, v.Snapshot)
		}
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

func TestEndings(t *testing.T) {
	for name, c := range map[string]struct {
		play   func(*fakeWorker)
		reason string
		detail string
	}{
		"gone": {func(w *fakeWorker) {
			w.say(goneMessage{Code: "driver_not_loaded", Detail: "nvmlInit: driver_not_loaded"})
			w.exit(ending{Status: "exit status 1"})
		}, restartDriver, "driver_not_loaded"},
		"gone, but does not end": {func(w *fakeWorker) {
			w.say(goneMessage{Code: "driver_not_loaded", Detail: "nvmlInit: driver_not_loaded"})
		}, restartDriver, "driver_not_loaded"},
		"crashed":   {func(w *fakeWorker) { w.exit(ending{Status: "exit status 127", Line: "undefined symbol: nvmlX"}) }, restartCrashed, "exit status 127: undefined symbol: nvmlX"},
		"ended":     {func(w *fakeWorker) { w.exit(ending{}) }, restartCrashed, "without being asked"},
		"gibberish": {func(w *fakeWorker) { w.exit(ending{Protocol: errFrameMagic}) }, restartProtocol, "not a frame"},
		"silent":    {func(*fakeWorker) {}, restartSilent, "said nothing for 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes(t, Options{})
				stop := f.run()
				go c.play(<-f.launched)
				<-f.launched
				v := f.manager.View()
				if v.Restarts[c.reason] != 1 || !strings.Contains(v.Problem, c.detail) {
					t.Errorf("restarts %v, problem %q; want one %s, %q", v.Restarts, v.Problem, c.reason, c.detail)
				}
				if err := stop(); err != nil {
					t.Errorf("Run() = %v", err)
				}
			})
		})
	}
	t.Run("start", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFakes(t, Options{})
			f.fail.Store(true)
			stop := f.run()
			time.Sleep(10 * time.Second) // tries at 0, 1, 3, 7
			synctest.Wait()
			if v := f.manager.View(); v.Restarts[restartStart] != 4 || v.State != StateBackoff {
				t.Errorf("restarts %v, state %s; want 4 starts", v.Restarts, v.State)
			}
			if err := stop(); err != nil {
				t.Errorf("Run() = %v", err)
			}
		})
	})
}

func TestSlowStartIsNoHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, Options{})
		stop := f.run()
		w := <-f.launched
		// Eight GPUs without persistence mode: a handle each takes seconds.
		for s := range 40 {
			w.say(progressMessage{InFlight: &InFlight{Call: "nvmlDeviceGetHandleByIndex", GPU: s / 9, For: time.Duration(s%9) * time.Second}})
			time.Sleep(time.Second)
			if v := f.manager.View(); v.State != StateStarting || v.Stuck != nil {
				t.Fatalf("after %d s: state %s, stuck %v; want starting", s, v.State, v.Stuck)
			}
		}
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

func TestNoHardwareIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, Options{})
		log := new(syncBuffer)
		f.manager.log = slog.New(slog.NewTextHandler(log, nil))
		var present atomic.Bool
		var looked atomic.Int64
		f.manager.detect = func() hardware { looked.Add(1); return hardware{Present: present.Load()} }
		stop := f.run()
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		v := f.manager.View()
		if v.State != StateNoHardware || len(f.launched) != 0 || looked.Load() != 61 || v.Expected != nil || len(v.Sources) != 0 {
			t.Errorf("state %s, %d workers, looked %d times, expected %v; want no_hardware, none, 61, nil", v.State, len(f.launched), looked.Load(), v.Expected)
		}
		if lines := strings.Count(log.String(), "\n"); lines != 1 {
			t.Errorf("%d lines in the log; want 1:\n%s", lines, log)
		}
		present.Store(true)
		<-f.launched
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

func TestNotBuiltAndDisabled(t *testing.T) {
	for name, c := range map[string]struct {
		enabled bool
		want    State
	}{"not built": {true, StateNotInBuild}, "disabled": {false, StateDisabled}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes(t, Options{})
				f.manager.built = false
				f.manager.options.Enabled = c.enabled
				stop := f.run()
				time.Sleep(time.Minute)
				synctest.Wait()
				if v := f.manager.View(); v.State != c.want || len(f.launched) != 0 {
					t.Errorf("state %s, %d workers; want %s, none", v.State, len(f.launched), c.want)
				}
				if err := stop(); err != nil {
					t.Errorf("Run() = %v", err)
				}
			})
		})
	}
}

func TestExpectedDevices(t *testing.T) {
	two, eight := 2, 8
	for name, c := range map[string]struct {
		configured int
		hardware   []hardware // one detection after the other
		want       *int
	}{
		"on the bus":            {0, []hardware{{Present: true, PCI: 2}}, &two},
		"configured":            {8, []hardware{{Present: true, PCI: 2}}, &eight},
		"configured, none seen": {8, []hardware{{}}, &eight},
		"one has fallen off":    {0, []hardware{{Present: true, PCI: 2}, {Present: true, PCI: 1}}, &two},
		"some in a container":   {0, []hardware{{Present: true, PCI: 2, Partial: true}}, nil},
		"not on a bus":          {0, []hardware{{Present: true}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakes(t, Options{ExpectedDevices: c.configured})
				found := c.hardware
				f.manager.detect = func() hardware {
					h := found[0]
					if len(found) > 1 {
						found = found[1:]
					}
					return h
				}
				stop := f.run()
				for range c.hardware {
					(<-f.launched).exit(ending{})
				}
				synctest.Wait()
				if diff := cmp.Diff(c.want, f.manager.View().Expected); diff != "" {
					t.Errorf("Expected (-want +got):\n%s", diff)
				}
				if err := stop(); err != nil {
					t.Errorf("Run() = %v", err)
				}
			})
		})
	}
}
