package gpu

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Manager keeps a worker running, replaces it when it fails, and holds what it last said. Make it with NewManager.
type Manager struct {
	options Options
	log     *slog.Logger
	times   times
	built   bool // the driver's bindings are in this binary

	launch        launch
	detect        func() hardware
	driverUUID    func(pci string) string
	openKernelLog func() (kernelLog, error)
	changes       chan struct{} // told of every change, when there is room; nil but in tests

	mu          sync.Mutex // protects all following fields
	state       State
	since       time.Time
	problem     string
	pid         int
	hardware    hardware
	expectedPCI int // most GPUs ever seen on the PCI bus: one that falls off is still expected
	snapshot    *Snapshot
	sampled     time.Time // when the sampling of snapshot began
	stuck       *InFlight
	restarts    map[string]uint64
	errors      map[CallErrors]uint64 // key without Count
	inventory   inventory
	listening   map[string]bool // by source of XIDs
}

// times are the Manager's patience. Tests shorten some.
type times struct {
	check        time.Duration // between two looks at a worker that says nothing
	stuck        time.Duration // a call that takes longer is called stuck
	hang         time.Duration // and after this its worker is ended
	stuckOpening time.Duration // the same while the driver is loaded: without persistence mode, each GPU takes seconds
	hangOpening  time.Duration
	silent       time.Duration // a worker that says nothing at all for longer is ended
	term         time.Duration // from SIGTERM to SIGKILL; more than shutdownGrace
	kill         time.Duration // from SIGKILL to setting the worker aside
	backoff      time.Duration // before the second worker; doubles
	backoffMost  time.Duration
	healthy      time.Duration // a worker that lasted so long makes backoff start again
	skip         time.Duration // how long a GPU is left out after a call about it has hung; doubles
	skipMost     time.Duration
	hardware     time.Duration // between two looks for hardware where there is none
	stale        time.Duration // age at which readings are withdrawn; at least 5 intervals
}

func defaultTimes() times {
	return times{
		check:        500 * time.Millisecond,
		stuck:        3 * time.Second,
		hang:         10 * time.Second,
		stuckOpening: 10 * time.Second,
		hangOpening:  60 * time.Second,
		silent:       5 * time.Second,
		term:         3 * time.Second,
		kill:         3 * time.Second,
		backoff:      time.Second,
		backoffMost:  30 * time.Second,
		healthy:      time.Minute,
		skip:         2 * time.Minute,
		skipMost:     time.Hour,
		hardware:     time.Minute,
		stale:        10 * time.Second,
	}
}

// NewManager returns a Manager that does nothing until Run.
func NewManager(options Options, logger *slog.Logger) (*Manager, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	command := selfCommand
	if argv := options.Command; len(argv) > 0 {
		command = func() *exec.Cmd { return exec.Command(argv[0], argv[1:]...) }
	}
	m := &Manager{
		options:       options,
		log:           logger,
		times:         defaultTimes(),
		built:         built,
		launch:        launcher(command, logger),
		detect:        func() hardware { return detectHardware("/", os.Getenv("NVIDIA_VISIBLE_DEVICES")) },
		driverUUID:    func(pci string) string { return driverUUID("/", pci) },
		openKernelLog: openKernelLog,
		state:         StateDisabled,
		since:         time.Now(),
		restarts:      map[string]uint64{},
		errors:        map[CallErrors]uint64{},
		inventory:     newInventory(),
		listening:     map[string]bool{},
	}
	for _, reason := range restartReasons() {
		m.restarts[reason] = 0
	}
	return m, nil
}

// Run collects until ctx ends, then ends the worker and returns. Nothing that happens to the driver ends it earlier.
// Its error says that a worker could not be ended: the kernel holds it in the driver.
func (m *Manager) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	if !m.options.Enabled {
		<-ctx.Done()
		return nil
	}
	if m.options.KernelLog {
		wg.Go(func() { m.readKernelLog(ctx) })
	}
	if !m.built {
		m.enter(StateNotInBuild, ErrNotInBuild.Error())
		m.log.Warn("no GPU collection", "err", ErrNotInBuild)
		<-ctx.Done()
		return nil
	}
	// Workers die with the thread that started them, so it has to live as long as they may.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return m.supervise(ctx)
}

// supervise runs one worker after the other.
func (m *Manager) supervise(ctx context.Context) error {
	var (
		undead  []*worker
		skipped = quarantine{times: m.times, gpus: map[int]*leftOut{}}
		wait    = m.times.backoff
		said    = "nothing yet" // the problem that was logged last, so that a lasting one is logged once; "" when there is none
	)
	for m.awaitHardware(ctx) {
		if undead = stillUndead(undead); len(undead) > 1 {
			m.enter(StateWedged, "two workers are held in the driver and cannot be ended; a reboot may be the only cure")
			m.log.Error("GPU collection waits: two workers cannot be ended", "pids", []int{undead[0].pid, undead[1].pid})
			select {
			case <-undead[0].exited:
			case <-undead[1].exited:
			case <-ctx.Done():
			}
			continue
		}

		m.enter(StateStarting, "")
		started := time.Now()
		var end generation
		w, err := m.launch(configMessage{
			Interval:  int64(m.options.Interval),
			Library:   m.options.Library,
			Processes: m.options.Processes,
			Skip:      skipped.now(started),
		})
		if err != nil {
			end = generation{reason: restartStart, detail: err.Error()}
		} else {
			m.setPID(w.pid)
			end = m.follow(ctx, w, skipped.next(started), func(s *Snapshot) {
				if said != "" {
					m.log.Info("GPU collection works", "gpus", len(s.Devices), "driver", s.Driver.Version, "nvml", s.Driver.NVML)
					said = ""
				}
			})
			if !m.reap(w) {
				m.log.Error("gpu worker cannot be ended: the kernel holds it in the driver", "worker_pid", w.pid)
				undead = append(undead, w)
			} else if end.reason == "" {
				end = afterExit(w.ending(), end)
			}
			m.setPID(0)
		}
		if ctx.Err() != nil {
			break
		}

		m.ended(end)
		if time.Since(started) >= m.times.healthy && end.worked {
			wait = m.times.backoff
			skipped.forgive(time.Now())
		}
		if end.reason == restartRetry {
			continue
		}
		if end.reason == restartStuck && end.gpu >= 0 {
			skipped.add(end.gpu, time.Now())
		}
		if problem := end.reason + ": " + end.detail; problem != said {
			said = problem
			m.log.Warn("gpu worker ended; another one follows", "reason", end.reason, "detail", end.detail, "in", wait)
		} else {
			m.log.Debug("gpu worker ended; another one follows", "reason", end.reason, "detail", end.detail, "in", wait)
		}
		if !sleep(ctx, wait) {
			break
		}
		wait = min(2*wait, m.times.backoffMost)
	}
	if undead = stillUndead(undead); len(undead) > 0 {
		return fmt.Errorf("gpu worker %d cannot be ended: the kernel holds it in the driver", undead[0].pid)
	}
	return nil
}

// generation is the life of one worker, as far as it matters to the next one.
type generation struct {
	reason string // one of restartReasons; "" when the worker ended by itself
	detail string
	gpu    int  // index of the GPU whose call hung; -1 for none
	worked bool // it sent a snapshot
}

// follow takes in what a worker says until it ends or has to be ended. At retry, unless that is zero, it is to be
// ended so that the next worker tries the GPUs again that this one leaves out.
func (m *Manager) follow(ctx context.Context, w *worker, retry time.Time, works func(*Snapshot)) generation {
	end := generation{gpu: -1}
	var (
		opened bool
		gone   *goneMessage
		call   *InFlight // as of the last progress message; nothing is known about what came after it
		heard  = time.Now()
		awake  = heard
	)
	tick := time.NewTicker(m.times.check)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return end
		case msg, ok := <-w.messages:
			heard = time.Now()
			if !ok {
				if gone != nil {
					end.reason, end.detail = restartDriver, gone.Detail
				}
				return end
			}
			switch msg := msg.(type) {
			case progressMessage:
				opened, call = msg.Open, msg.InFlight
			case snapshotMessage:
				end.worked = true
				m.accept(msg.Snapshot, heard)
				works(msg.Snapshot)
			case xidMessage:
				m.report(msg.XIDs, sourceNVML)
			case goneMessage:
				gone = &msg
			}
		case <-tick.C:
		}

		now := time.Now()
		if now.Sub(awake) >= m.times.silent/2 {
			heard = now // this process itself stood still: what the worker said meanwhile is still to be read
		}
		awake = now
		stuck, hang := m.times.stuckOpening, m.times.hangOpening
		if opened {
			stuck, hang = m.times.stuck, m.times.hang
		}
		var late *InFlight
		if call != nil && call.For >= stuck {
			late = call
		}
		m.setStuck(late, end.worked)
		switch {
		case late != nil && late.For >= hang:
			end.reason, end.gpu = restartStuck, late.GPU
			end.detail = late.Call + " did not return"
			if late.GPU >= 0 {
				end.detail = fmt.Sprintf("%s on GPU %d did not return", late.Call, late.GPU)
			}
			return end
		case now.Sub(heard) >= m.times.silent:
			end.reason, end.detail = restartSilent, "the worker said nothing for "+m.times.silent.String()
			if gone != nil {
				end.reason, end.detail = restartDriver, gone.Detail
			}
			return end
		case !retry.IsZero() && !now.Before(retry):
			end.reason, end.detail = restartRetry, "trying a GPU again that was left out"
			return end
		}
	}
}

// afterExit completes the end of a worker that ended by itself.
func afterExit(e ending, end generation) generation {
	switch {
	case e.Protocol != nil:
		end.reason, end.detail = restartProtocol, e.Protocol.Error()
	default:
		end.reason, end.detail = restartCrashed, cmp.Or(e.Status, "ended without being asked to")
		if e.Line != "" {
			end.detail += ": " + e.Line
		}
	}
	return end
}

// reap ends a worker and reports whether it is gone.
func (m *Manager) reap(w *worker) bool {
	w.terminate()
	if after(w.exited, m.times.term) {
		return true
	}
	w.kill()
	if after(w.exited, m.times.kill) {
		return true
	}
	w.abandon()
	return false
}

// awaitHardware returns true once there is reason to start a worker, and false when ctx has ended.
func (m *Manager) awaitHardware(ctx context.Context) bool {
	for ctx.Err() == nil {
		h := m.detect()
		m.mu.Lock()
		m.hardware = h
		m.expectedPCI = max(m.expectedPCI, h.PCI)
		quiet := m.state == StateNoHardware
		m.mu.Unlock()
		if h.Present || m.options.Library != "" || m.options.ExpectedDevices > 0 {
			return true
		}
		if !quiet {
			m.enter(StateNoHardware, "")
			m.log.Info("no NVIDIA GPU found; it is looked for again from time to time", "every", m.times.hardware)
		}
		sleep(ctx, m.times.hardware)
	}
	return false
}

// accept takes in a snapshot that arrived at a time.
func (m *Manager) accept(s *Snapshot, at time.Time) {
	s.plausible() // the worker did; a number that is not must not depend on it
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range s.Errors {
		m.errors[CallErrors{Call: e.Call, Code: e.Code}] += e.Count
	}
	full := *s
	full.Devices = m.inventory.complete(s.Devices)
	m.snapshot = &full
	m.sampled = at.Add(-s.Duration)
	m.listening[sourceNVML] = s.XIDs
	if s.XIDs {
		m.inventory.heard[sourceNVML] = true
	}
	m.problem = ""
	m.enterLocked(StateRunning, "")
	m.changed()
}

// changed lets a test know that there is something new to look at.
func (m *Manager) changed() {
	select {
	case m.changes <- struct{}{}:
	default:
	}
}

// report counts XIDs. The codes are limited here, whoever sent them.
func (m *Manager) report(xids []XID, source string) {
	for _, x := range xids {
		m.log.Warn("GPU reports an error", "xid", x.Code, "gpu_uuid", x.UUID, "pci", x.PCI, "source", source)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range xids {
		m.inventory.count(x, source)
	}
	m.changed()
}

// readKernelLog follows the kernel log until ctx ends, and opens it again after a failure.
func (m *Manager) readKernelLog(ctx context.Context) {
	said := ""
	for {
		err := followKernelLog(ctx, m.openKernelLog, func() { m.setListening(true) }, func(r kernelReport) {
			if r.Code == "" {
				m.hint(r.PCI, r.UUID)
				return
			}
			// What NVML or the log have said about the address comes first; the driver's files may block no more
			// than any read of /proc.
			m.report([]XID{{UUID: m.uuidAt(r.PCI), PCI: r.PCI, Code: r.Code, Time: time.Now()}}, sourceKmsg)
		})
		m.setListening(false)
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			m.log.Warn("no XIDs from the kernel log for now", "err", err)
		}
		if !sleep(ctx, kernelLogRetry) {
			return
		}
	}
}

func (m *Manager) uuidAt(pci string) string {
	m.mu.Lock()
	uuid := m.inventory.uuidAt(pci)
	m.mu.Unlock()
	if uuid != "" {
		return uuid
	}
	if uuid = m.driverUUID(pci); uuid != "" {
		m.hint(pci, uuid)
	}
	return uuid
}

func (m *Manager) hint(pci, uuid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inventory.hints[pci] = uuid
}

func (m *Manager) setListening(ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listening[sourceKmsg] = ok
	if ok {
		m.inventory.heard[sourceKmsg] = true
	}
	m.changed()
}

func (m *Manager) setPID(pid int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pid = pid
	if pid == 0 {
		m.stuck = nil
		m.listening[sourceNVML] = false
	}
}

func (m *Manager) setStuck(late *InFlight, worked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stuck = late
	switch {
	case late != nil:
		m.enterLocked(StateStuck, "")
	case worked:
		m.enterLocked(StateRunning, "")
	}
}

// ended notes why a worker is replaced.
func (m *Manager) ended(end generation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.restarts[end.reason]++
	m.enterLocked(StateBackoff, end.detail)
	m.changed()
}

func (m *Manager) enter(s State, problem string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.enterLocked(s, problem)
}

// enterLocked changes the state; an empty problem leaves the last one standing.
func (m *Manager) enterLocked(s State, problem string) {
	if problem != "" {
		m.problem = problem
	}
	if m.state != s {
		m.state, m.since = s, time.Now()
		m.changed()
	}
}

// View returns what is known now. It only reads memory and may be called at any time.
func (m *Manager) View() View {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := View{
		State:    m.state,
		Since:    m.since,
		Problem:  m.problem,
		PID:      m.pid,
		Age:      -1,
		Expected: m.expectedLocked(),
		Restarts: maps.Clone(m.restarts),
		XIDs:     m.inventory.counts(),
		Sources:  map[string]bool{},
	}
	if m.snapshot != nil {
		v.Age = max(0, time.Since(m.sampled))
		v.LastSuccess = m.sampled
		if v.Age <= max(m.times.stale, 5*m.options.Interval) {
			v.Snapshot = m.snapshot
			visible := 0
			for _, d := range m.snapshot.Devices {
				if d.Lost != lostMissing {
					visible++
				}
			}
			v.Visible = &visible
		}
	}
	if m.stuck != nil {
		v.Stuck = new(*m.stuck)
	}
	for e, n := range m.errors {
		v.Errors = append(v.Errors, CallErrors{Call: e.Call, Code: e.Code, Count: n})
	}
	slices.SortFunc(v.Errors, func(a, b CallErrors) int { return cmp.Or(cmp.Compare(a.Call, b.Call), cmp.Compare(a.Code, b.Code)) })
	if m.options.Enabled && m.built && m.state != StateNoHardware {
		v.Sources[sourceNVML] = m.listening[sourceNVML]
	}
	if m.options.Enabled && m.options.KernelLog {
		v.Sources[sourceKmsg] = m.listening[sourceKmsg]
	}
	return v
}

func (m *Manager) expectedLocked() *int {
	switch {
	case !m.options.Enabled:
		return nil
	case m.options.ExpectedDevices > 0:
		return new(m.options.ExpectedDevices)
	case m.expectedPCI == 0 || m.hardware.Partial:
		return nil
	}
	return new(m.expectedPCI)
}

// quarantine remembers the GPUs whose calls have hung. The worker is one process and its calls are made one after the
// other, so one such GPU would cost the readings of all.
type quarantine struct {
	times times
	gpus  map[int]*leftOut // by index
}

type leftOut struct {
	until time.Time
	wait  time.Duration
}

func (q *quarantine) add(gpu int, now time.Time) {
	wait := q.times.skip
	if old := q.gpus[gpu]; old != nil {
		wait = min(2*old.wait, q.times.skipMost)
	}
	q.gpus[gpu] = &leftOut{until: now.Add(wait), wait: wait}
}

// now lists the GPUs that a worker started at a time is to leave out.
func (q *quarantine) now(at time.Time) []int {
	var out []int
	for gpu, l := range q.gpus {
		if at.Before(l.until) {
			out = append(out, gpu)
		}
	}
	slices.Sort(out)
	return out
}

// next is when the first of the GPUs left out at a time is to be tried again; zero when there is none.
func (q *quarantine) next(at time.Time) time.Time {
	var next time.Time
	for _, l := range q.gpus {
		if at.Before(l.until) && (next.IsZero() || l.until.Before(next)) {
			next = l.until
		}
	}
	return next
}

// forgive forgets the GPUs that have been tried again, with success.
func (q *quarantine) forgive(now time.Time) {
	maps.DeleteFunc(q.gpus, func(_ int, l *leftOut) bool { return now.Sub(l.until) >= q.times.healthy })
}

func stillUndead(ws []*worker) []*worker {
	return slices.DeleteFunc(ws, func(w *worker) bool {
		select {
		case <-w.exited:
			return true
		default:
			return false
		}
	})
}

// after reports whether done was closed within d.
func after(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// sleep waits for d and reports whether ctx is still going on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
