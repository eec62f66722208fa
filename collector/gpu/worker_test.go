package gpu

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fakeSource is a driver as the test plays it.
type fakeSource struct {
	open   func() error
	sample func() (*Snapshot, error)
	xids   chan []XID
	flying InFlight
	closed int
}

func (s *fakeSource) Open() error {
	if s.open != nil {
		return s.open()
	}
	return nil
}

func (s *fakeSource) Sample() (*Snapshot, error) {
	if s.sample != nil {
		return s.sample()
	}
	return &Snapshot{Devices: []Device{device(0)}}, nil
}

func (s *fakeSource) WaitXIDs(d time.Duration) []XID {
	select {
	case x := <-s.xids:
		return x
	case <-time.After(d):
		return nil
	}
}

func (s *fakeSource) InFlight() (InFlight, bool) { return s.flying, s.flying.Call != "" }
func (s *fakeSource) Close() error               { s.closed++; return nil }

// inProcess is a worker in this process.
type inProcess struct {
	in     *io.PipeWriter
	heard  chan message // closed at the end of its output
	result chan error
	cancel context.CancelFunc
	config configMessage
}

func startInProcess(source Source, first ...message) *inProcess {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	w := &inProcess{in: inW, heard: make(chan message, 10_000), result: make(chan error, 1), cancel: cancel}
	go func() {
		w.result <- runWorker(ctx, inR, outW, slog.New(slog.DiscardHandler), func(c configMessage, _ *slog.Logger) Source {
			w.config = c
			return source
		})
		_ = outW.Close()
	}()
	go func() {
		defer close(w.heard)
		for {
			m, err := readMessage(outR)
			if err != nil {
				return
			}
			w.heard <- m
		}
	}()
	for _, m := range first {
		_ = writeMessage(inW, m)
	}
	return w
}

// end closes everything and returns what runWorker returned.
func (w *inProcess) end() error {
	w.cancel()
	err := <-w.result
	_ = w.in.Close()
	return err
}

func TestWorkerSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fakeSource{xids: make(chan []XID)}
		w := startInProcess(source, configMessage{Interval: int64(500 * time.Millisecond), Library: "lib", Skip: []int{2}})
		time.Sleep(10*time.Second - time.Millisecond)
		source.xids <- []XID{{Code: "79"}}
		synctest.Wait()
		if err := w.end(); err != nil {
			t.Errorf("runWorker() = %v", err)
		}
		count := map[byte]int{}
		for m := range w.heard {
			count[m.frameKind()]++
		}
		if got := [3]int{count[progressMessage{}.frameKind()], count[snapshotMessage{}.frameKind()], count[xidMessage{}.frameKind()]}; got != [3]int{20, 20, 1} {
			t.Errorf("progress, snapshots, xids = %v; want 20, 20, 1", got)
		}
		if source.closed != 1 || w.config.Library != "lib" || len(w.config.Skip) != 1 {
			t.Errorf("closed %d times, settings %+v; want once, as sent", source.closed, w.config)
		}
		synctest.Wait()
	})
}

func TestWorkerEndsWithItsInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := new(fakeSource)
		w := startInProcess(source, configMessage{Interval: int64(time.Second)})
		time.Sleep(3 * time.Second)
		_ = w.in.Close() // the prober is gone
		if err := <-w.result; err != nil || source.closed != 1 {
			t.Errorf("runWorker() = %v, closed %d times; want nil, once", err, source.closed)
		}
		w.cancel()
		synctest.Wait()
	})
}

func TestWorkerStuckInTheDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		source := &fakeSource{
			flying: InFlight{Call: "nvmlDeviceGetPowerUsage", GPU: 3, For: time.Hour},
			sample: func() (*Snapshot, error) { <-release; return &Snapshot{}, nil },
		}
		w := startInProcess(source, configMessage{Interval: int64(time.Second)})
		time.Sleep(30 * time.Second)
		synctest.Wait()
		beats := 0
		for len(w.heard) > 0 {
			if p, ok := (<-w.heard).(progressMessage); ok && p.Open && p.InFlight != nil && p.InFlight.GPU == 3 {
				beats++
			}
		}
		if beats < 60 { // the first of 61 may come before the source is open
			t.Errorf("%d progress messages name the call; want 60 or 61", beats)
		}
		asked := time.Now()
		err := w.end()
		if took := time.Since(asked); !errors.Is(err, errCallStuck) || !strings.Contains(err.Error(), "nvmlDeviceGetPowerUsage on GPU 3") || took != shutdownGrace {
			t.Errorf("runWorker() = %v after %v; want the call named after %v", err, took, shutdownGrace)
		}
		close(release) // a process would have ended
		synctest.Wait()
	})
}

func TestWorkerTellsThatTheDriverIsGone(t *testing.T) {
	gone := &GoneError{Call: "nvmlInit", Code: "driver_not_loaded", Cure: "modprobe nvidia"}
	for name, c := range map[string]struct {
		source *fakeSource
		closed int
	}{
		"at the start": {&fakeSource{open: func() error { return gone }}, 0},
		"later":        {&fakeSource{sample: func() (*Snapshot, error) { return nil, gone }}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := startInProcess(c.source, configMessage{Interval: int64(time.Second)})
				err := <-w.result
				var last message
				for m := range w.heard {
					last = m
				}
				if want := (goneMessage{Code: "driver_not_loaded", Detail: "nvmlInit: driver_not_loaded: modprobe nvidia"}); last != want {
					t.Errorf("last message %+v; want %+v", last, want)
				}
				if _, ok := errors.AsType[*GoneError](err); !ok || c.source.closed != c.closed {
					t.Errorf("runWorker() = %v, closed %d times; want the error, %d", err, c.source.closed, c.closed)
				}
				w.cancel()
				_ = w.in.Close()
				synctest.Wait()
			})
		})
	}
}

func TestWorkerStartedByHand(t *testing.T) {
	var frame bytes.Buffer
	if err := writeMessage(&frame, goneMessage{}); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{"closed": "", "typing": "help\nhelp\nhelp\n", "another frame": frame.String()} {
		t.Run(name, func(t *testing.T) {
			err := runWorker(context.Background(), strings.NewReader(in), io.Discard, slog.New(slog.DiscardHandler), func(configMessage, *slog.Logger) Source {
				t.Error("the driver was opened")
				return new(fakeSource)
			})
			if err == nil || !strings.Contains(err.Error(), "read settings") {
				t.Errorf("runWorker() = %v; want it to miss its settings", err)
			}
		})
	}
}

func TestReadLog(t *testing.T) {
	for name, c := range map[string]struct {
		in    string
		line  string
		lines int // passed on at Info or above
	}{
		"nothing":     {"", "", 0},
		"logged":      {"time=1 level=INFO msg=a\ntime=2 level=WARN msg=b\n", "time=2 level=WARN msg=b", 2},
		"lower case":  {"level=warn caller=x.go:1 msg=a\n", "level=warn caller=x.go:1 msg=a", 1},
		"JSON":        {`{"time":"1","level":"ERROR","msg":"a"}` + "\n", `{"time":"1","level":"ERROR","msg":"a"}`, 1},
		"the linker":  {"time=1 level=INFO msg=a\n./x: symbol lookup error: undefined symbol: nvmlX\n", "./x: symbol lookup error: undefined symbol: nvmlX", 1},
		"a trace":     {"\nSIGSEGV: segmentation violation\nPC=0x0\n\ngoroutine 1\n", "SIGSEGV: segmentation violation", 0},
		"a long line": {strings.Repeat("x", 5000) + "\nnext\n", strings.Repeat("x", logLineBytes), 0},
		"too many":    {strings.Repeat("time=1 level=INFO msg=a\n", 1000), "time=1 level=INFO msg=a", logLines},
		"bytes":       {"bad \xff\n", "bad �", 0},
	} {
		t.Run(name, func(t *testing.T) {
			log := new(syncBuffer)
			p := &process{log: slog.New(slog.NewTextHandler(log, nil))}
			p.readLog(strings.NewReader(c.in))
			if got := p.ending().Line; got != c.line {
				t.Errorf("line = %q; want %q", got, c.line)
			}
			if got := strings.Count(log.String(), "gpu worker says"); got != c.lines {
				t.Errorf("%d lines passed on; want %d:\n%s", got, c.lines, log)
			}
		})
	}
}
