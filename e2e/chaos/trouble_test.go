//go:build linux

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/llmprober/llm_prober/e2e/process"
)

// trouble is something that happens to the prober itself, again and again.
type trouble struct {
	name  string
	pause time.Duration // at least, from one to the next
	// once has it happen, and returns when it is over.
	once func(ctx context.Context, random *rand.Rand) error
}

// run has the trouble happen until ctx ends. One that has begun is finished.
func (x *trouble) run(ctx context.Context, random *rand.Rand, say func(string, ...any)) error {
	for wait(ctx, x.pause/2+rand64(random, x.pause)) {
		say("%-10s begins", x.name)
		if err := x.once(ctx, random); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		say("%-10s is over", x.name)
	}
	return nil
}

// during files a span around something that disturbs all probes, and the readers of /metrics.
func (r *rig) during(name string, want []string, do func() error) error {
	s := span{name: name, want: want, from: time.Now(), deaf: true}
	err := do()
	s.until = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.disturbed = append(r.disturbed, s)
	return err
}

// longStall is how long something is kept from running that says that the machine did not let it, and not that it had much to do: the
// prober's limits are little more than a second.
const longStall = 300 * time.Millisecond

// stalls files a span for each time in which the machine kept this process, and so perhaps the prober or a server, from running:
// what is late for that says nothing of the prober. Each processor is watched, for it may be one alone that stands still, and with it
// whoever is on it; and each server whose process nothing is done to.
func (r *rig) stalls(ctx context.Context) {
	var watchers sync.WaitGroup
	defer watchers.Wait()
	for _, s := range r.steady {
		watchers.Go(func() { r.beats(ctx, s) })
	}
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		watchers.Go(func() { r.ticks(ctx) })
		return
	}
	for cpu := range 1024 { // as many as a CPUSet knows
		if !all.IsSet(cpu) {
			continue
		}
		watchers.Go(func() {
			// The thread may have started processes, which end with it: it must be as it was afterwards.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var one unix.CPUSet
			one.Set(cpu)
			if unix.SchedSetaffinity(0, &one) == nil {
				defer unix.SchedSetaffinity(0, &all)
			}
			r.ticks(ctx)
		})
	}
}

// ticks watches the processor that it runs on.
func (r *rig) ticks(ctx context.Context) {
	for last := time.Now(); wait(ctx, 20*time.Millisecond); last = time.Now() {
		r.stalled(last, time.Now())
	}
}

// beats watches a server, by a page that no fault concerns.
func (r *rig) beats(ctx context.Context, s *server) {
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	for wait(ctx, 50*time.Millisecond) {
		from := time.Now()
		resp, err := client.Get("http://" + s.address + "/health")
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		r.stalled(from, time.Now())
	}
}

// stalled files a time that something was kept from running, if it was long.
func (r *rig) stalled(from, until time.Time) {
	if until.Sub(from) < longStall {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.disturbed = append(r.disturbed, span{
		name: "stall", want: []string{"ok", "timeout_connect", "timeout_first_token", "timeout_idle", "timeout_total"}, from: from, until: until,
	})
}

// stood reports whether the machine did.
func (r *rig) stood() bool {
	return slices.ContainsFunc(r.disturbed, func(s span) bool { return s.name == "stall" })
}

// files takes the prober's file descriptors away: no new one at all, or a few, in turn. Those that are open stay so.
func (r *rig) files() trouble {
	none := false
	return trouble{"files", 20 * time.Second, func(ctx context.Context, random *rand.Rand) error {
		r.descriptors.Lock()
		defer r.descriptors.Unlock()
		pid := r.prober.PID()
		var old unix.Rlimit
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
			return err
		}
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			return err
		}
		few := old
		few.Cur = 8
		if none = !none; !none {
			few.Cur = uint64(len(open) + 1 + random.IntN(3))
		}
		r.shortage.Add(1)
		defer r.shortage.Add(1)
		// A request needs one, and a name another; where there is none, nothing is said of the target.
		return r.during("files", []string{"ok", "unsent"}, func() error {
			if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
				return err
			}
			wait(ctx, 4*time.Second+rand64(random, 2*time.Second))
			err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &old, nil)
			// Accepting waits for up to a second after it failed. What waited to be accepted is served or refused.
			return errors.Join(err, process.Poll(10*time.Second, func() error {
				_, err := newScraper(r.address).scrape()
				if _, answered := errors.AsType[*refusedError](err); answered {
					return nil
				}
				return err
			}))
		})
	}}
}

// reloads sends a storm of SIGHUPs, with files that are good, bad, empty or not there, and a target that comes and goes.
func (r *rig) reloads() trouble {
	with := r.config + fmt.Sprintf("  - {name: guest, url: \"http://%s/v1\", model: sim, probes: [ask]}\n", r.calm.address)
	noise := make([]byte, 4096)
	files := []string{
		r.config, r.config, with, with,
		"", "targets: [", r.config + "\nnonsense: true\n", strings.Replace(r.config, "[ask, whole]", "[ask, hole]", 1),
		strings.Replace(r.config, "interval: 2s", "interval: soon", 1), strings.Repeat("a: b\n", 10_000), string(noise),
	}
	return trouble{"reloads", 12 * time.Second, func(ctx context.Context, random *rand.Rand) error {
		for end := time.Now().Add(4*time.Second + rand64(random, 2*time.Second)); wait(ctx, rand64(random, 120*time.Millisecond)) && time.Now().Before(end); {
			var err error
			if i := random.IntN(len(files) + 1); i < len(files) {
				err = r.configure(files[i])
			} else {
				err = os.Remove(r.file)
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			r.prober.Signal(syscall.SIGHUP)
		}
		if err := r.configure(r.config); err != nil {
			return err
		}
		// A reload needs a file, and files may be what is missing.
		return process.Poll(time.Minute, func() error {
			r.prober.Signal(syscall.SIGHUP)
			p, err := newScraper(r.address).scrape()
			if err != nil {
				return err
			}
			if p.sum("llm_prober_config_last_reload_successful") != 1 || p.count("llm_probe_up", `target="guest"`) != 0 {
				return errors.New("the good configuration is not in force")
			}
			return nil
		})
	}}
}

// readers reads /metrics and never takes the answer, begins requests and never ends them, or says nothing at all. Others must be
// served all the time, with a few of them and with many.
func (r *rig) readers() trouble {
	many := false
	return trouble{"readers", 8 * time.Second, func(ctx context.Context, random *rand.Rand) error {
		defer func() { many = !many }()
		if !many {
			return r.hang(ctx, few, 6*time.Second)
		}
		return r.hang(ctx, 40, 24*time.Second)
	}}
}

// few is how many readers hang at least: fewer than the pages that the prober renders at once.
const few = 2

// hang has n readers hang for a while, and as many that send their request byte by byte.
func (r *rig) hang(ctx context.Context, n int, patience time.Duration) error {
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	// As on a path across a network: little is on its way at once, so that what is not read stays with the prober.
	dialer := net.Dialer{Timeout: 5 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = errors.Join(unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 536), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096))
		}), err)
	}}
	dial := func(text string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, "tcp", r.address)
		if err != nil {
			return nil, err
		}
		conns = append(conns, c)
		_, err = c.Write([]byte(text))
		return c, err
	}
	var slow []net.Conn
	for range n {
		if _, err := dial("GET /metrics HTTP/1.1\r\nHost: " + r.address + "\r\n\r\n"); err != nil {
			return ignoreEnd(ctx, err)
		}
		c, err := dial("GET /metrics HTTP/1.1\r\nHost: " + r.address + "\r\nX-Slow: ")
		if err != nil {
			return ignoreEnd(ctx, err)
		}
		slow = append(slow, c)
	}
	began, gone := time.Now(), 0
	var deaf time.Time // since when others have not been served, though there were files; zero: they have been
	var longest time.Duration
	for time.Since(began) < patience && ctx.Err() == nil {
		wait(ctx, time.Second)
		gone = 0
		for _, c := range slow {
			if _, err := c.Write([]byte("a")); err != nil {
				gone++
			}
		}
		from, shortage := time.Now(), r.shortage.Load()
		p, err := newScraper(r.address).scrape()
		switch {
		case err == nil:
			deaf = time.Time{}
			if busy := int(p.sum("promhttp_metric_handler_requests_in_flight")); time.Since(began) < 5*time.Second {
				r.mu.Lock()
				r.hung = max(r.hung, busy-1)
				r.mu.Unlock()
			}
		case shortage%2 != 0 || r.shortage.Load() != shortage:
			deaf = time.Time{} // without files the prober accepts nobody, whoever hangs
		case deaf.IsZero():
			deaf = from
		}
		if !deaf.IsZero() {
			longest = max(longest, time.Since(deaf))
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case longest > 4*time.Second:
		return fmt.Errorf("%d readers that do not read kept the others from /metrics for %s", n, longest)
	case n > few && gone < len(slow):
		return fmt.Errorf("%d of %d requests that do not end are still waited for after %s", len(slow)-gone, len(slow), patience)
	}
	return nil
}

// ignoreEnd is no error if the test has only gone on.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// worker kills the process that reads GPUs, or has it hang. The first one is killed: of a short test's few all may be made to hang.
func (r *rig) worker() trouble {
	hangs := 0 // the last that was made to, which is ended for it after a while
	return trouble{"worker", 18 * time.Second, func(ctx context.Context, random *rand.Rand) error {
		pid, err := r.workerPID()
		if err != nil || pid == hangs {
			return nil // it is waiting to be started again, or to be ended
		}
		if r.kills.Load() > 0 && random.IntN(3) == 0 {
			hangs = pid
			r.hangs.Add(1)
			return syscall.Kill(pid, syscall.SIGSTOP)
		}
		r.kills.Add(1)
		return syscall.Kill(pid, syscall.SIGKILL)
	}}
}

// workerPID finds the process.
func (r *rig) workerPID() (int, error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.prober.PID()))
	if err != nil {
		return 0, err
	}
	for _, list := range lists {
		children, _ := os.ReadFile(list) // a thread may have ended
		for child := range strings.FieldsSeq(string(children)) {
			line, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if slices.ContainsFunc(bytes.Split(line, []byte{0}), func(arg []byte) bool { return string(arg) == "gpu-worker" }) {
				return strconv.Atoi(child)
			}
		}
	}
	return 0, errors.New("there is no gpu-worker")
}

// disk fills the disk of the records, has a ramp write on it, makes room, and has a ramp write again.
func (r *rig) disk() trouble {
	return trouble{"disk", 10 * time.Second, func(ctx context.Context, random *rand.Rand) error {
		id, err := r.full(ctx, func() (string, error) { return r.ramp(ctx) })
		if err != nil {
			return err
		}
		kept, err := r.recorded(id)
		if err != nil {
			return err
		}
		if kept {
			return fmt.Errorf("run %s is on record, though the disk was full", id)
		}
		r.unwritten.Add(1)
		r.descriptors.Lock() // without one nothing can be written either
		defer r.descriptors.Unlock()
		if id, err = r.ramp(ctx); err != nil {
			return err
		}
		r.written.Add(1)
		return process.Poll(10*time.Second, func() error {
			kept, err := r.recorded(id)
			if err == nil && !kept {
				err = fmt.Errorf("run %s is not on record, though there is room again", id)
			}
			return err
		})
	}}
}

// full does something while there is no room for a single byte: what the prober gives up meanwhile is taken at once.
func (r *rig) full(ctx context.Context, do func() (string, error)) (id string, err error) {
	filler, err := os.Create(filepath.Join(r.storage, "filler"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, filler.Close(), os.Remove(filler.Name())) }()
	if err := fill(filler); err != nil {
		return "", err
	}
	filling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	filled := make(chan error, 1)
	go func() {
		var err error
		for err == nil && wait(filling, 20*time.Millisecond) {
			err = fill(filler)
		}
		filled <- err
	}()
	id, err = do()
	cancel()
	return id, errors.Join(err, <-filled)
}

// fill writes until there is no room for a single byte.
func fill(file *os.File) error {
	for size := 1 << 16; size > 0; {
		if _, err := file.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			return err
		}
	}
	return nil
}

// ramp runs the ramp and waits until it has ended.
func (r *rig) ramp(ctx context.Context) (id string, err error) {
	var started struct{ ID string }
	err = process.Poll(40*time.Second, func() error {
		err := r.api(http.MethodPost, "/api/v1/ramps/written/runs", &started)
		if err == nil && started.ID == "" {
			err = errors.New("the run has no id")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return started.ID, process.Poll(60*time.Second, func() error {
		var ramps struct {
			Items []struct{ Running *struct{ ID string } }
		}
		if err := r.api(http.MethodGet, "/api/v1/ramps", &ramps); err != nil {
			return err
		}
		if len(ramps.Items) != 1 || ramps.Items[0].Running != nil {
			return fmt.Errorf("run %s has not ended", started.ID)
		}
		return nil
	})
}

// recorded reports whether a run is on record.
func (r *rig) recorded(id string) (bool, error) {
	var runs struct {
		Items []struct{ ID, State string }
	}
	err := process.Poll(20*time.Second, func() error { return r.api(http.MethodGet, "/api/v1/runs?limit=100", &runs) })
	for _, run := range runs.Items {
		if run.ID == id {
			return run.State == "ended", err
		}
	}
	return false, err
}

// api asks the prober's own interface, on a connection of its own.
func (r *rig) api(method, path string, into any) error {
	return process.Fetch(method, "http://"+r.address+path, nil, into)
}
