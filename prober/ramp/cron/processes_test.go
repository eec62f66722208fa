//go:build unix

package cron

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// firingsVariable says how many occasions TestProcesses has; a thousand of them take four and a half minutes.
	firingsVariable = "LLM_PROBER_REPLICA_FIRINGS"
	// seedVariable repeats the kills and pauses of a failed TestProcesses.
	seedVariable = "LLM_PROBER_REPLICA_SEED"

	rampsOfProcess = 8

	// undisturbed is how long before an occasion a prober must be there for the occasion to be its: what it had to do before is
	// done then.
	undisturbed = time.Second

	// A prober that is there asks for an occasion within asksWithin of its start, begins within beginsWithin of the answer, and
	// reports within reportsWithin of the time at which it is to: all that takes it milliseconds, and on a machine that stands
	// still as much longer as it does. What stands still for more than standsFor counts as stopped.
	asksWithin    = 3 * time.Second
	beginsWithin  = 1500 * time.Millisecond
	reportsWithin = 3 * time.Second
	standsFor     = 900 * time.Millisecond

	// mostCampaigns is for how many times the planned time a campaign goes on at most, until it has shown enough.
	mostCampaigns = 5
)

// TestProcesses has two and three probers, each a process of its own, run eight ramps every two seconds each, while they are
// killed, started again, stopped and let go on at random: half of the time at any moment, half just when an occasion is
// claimed. The API server is slow now and then, fails before and after the act, and loses answers.
//
//   - An occasion runs at most once.
//   - It runs once if a prober was there, neither killed nor stopped, from undisturbed before it until it had claimed and begun
//     it; but where another one had claimed it and was killed or stopped with the claim in its hand, and where the API server
//     failed all who asked.
//   - What was claimed and did not run is reported as missed by the claimant, when it is back.
//   - What has run nobody reports as missed.
func TestProcesses(t *testing.T) {
	firings := 104
	if text := os.Getenv(firingsVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s=%q: want a number", firingsVariable, text)
		}
		firings = n
	} else if testing.Short() {
		firings = 24
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedVariable); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s=%q: want a number", seedVariable, text)
		}
		seed = n
	}
	for _, kind := range []string{"files", "leases"} {
		for _, replicas := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s/%d", kind, replicas), func(t *testing.T) {
				t.Parallel()
				c := &campaign{t: t, kind: kind, seed: seed + uint64(replicas), least: (firings + rampsOfProcess - 1) / rampsOfProcess}
				t.Logf("%s=%d", seedVariable, seed)
				c.run(replicas)
			})
		}
	}
}

// A campaign is one set of probers and what became of their occasions.
type campaign struct {
	t      *testing.T
	kind   string
	seed   uint64
	rounds int
	least  int    // rounds that were planned; there may be more
	dir    string // of the claims, or of the service account
	api    *fakeAPI
	server *httptest.Server

	mu     sync.Mutex // protects random and stood
	random *rand.Rand
	stood  [][2]time.Time // from, until: when this process, and so perhaps all others, was given no processor

	all        []*process
	begin, end time.Time // occasions are after begin and before end
}

// A process is one prober, and all its lives.
type process struct {
	*campaign
	name             string
	records, journal string
	lives            []*life
	did              []did
}

// A life is from a start to a kill.
type life struct {
	cmd           *exec.Cmd
	pid           int
	ready, killed time.Time      // ready: from then on it is there
	stops         [][2]time.Time // from, until
	stood         [][2]time.Time // as well, by its own account
}

// did is a line of a journal.
type did struct {
	at         time.Time
	pid        int
	what, ramp string
	nominal    int64
	more       string
}

func (c *campaign) run(replicas int) {
	c.random = rand.New(rand.NewPCG(c.seed, 0))
	c.dir = filepath.Join(c.t.TempDir(), "claims")
	if c.kind == "leases" {
		c.serve()
	}
	start := time.Now().Truncate(every)
	home := c.t.TempDir()
	for i := range replicas {
		name := fmt.Sprintf("prober-%d", i)
		p := &process{campaign: c, name: name, records: filepath.Join(home, name+".records"), journal: filepath.Join(home, name+".journal")}
		var runs strings.Builder
		for n := range rampsOfProcess { // as if it had run the latest occasion
			fmt.Fprintf(&runs, "soak-%d %d\n", n, start.Unix())
		}
		if err := os.WriteFile(p.records, []byte(runs.String()), 0o600); err != nil {
			c.t.Fatal(err)
		}
		c.all = append(c.all, p)
		p.start()
	}
	defer func() {
		for _, p := range c.all {
			p.kill()
		}
	}()
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	var watch sync.WaitGroup
	watch.Go(func() {
		standstills(ctx, func(from, until time.Time) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.stood = append(c.stood, [2]time.Time{from, until})
		})
	})
	c.begin = time.Now().Truncate(every)
	for range mostCampaigns { // on a quiet machine once
		c.rounds += c.least
		c.end = c.begin.Add(time.Duration(c.rounds)*every + jitter)
		var wg sync.WaitGroup
		for _, p := range c.all {
			wg.Go(p.trouble)
		}
		wg.Wait()
		for _, p := range c.all {
			p.read()
		}
		if c.shown().enough(c.least) {
			break
		}
	}
	time.Sleep(time.Until(reported(time.Now()).Add(reportsWithin + undisturbed))) // all are there now, and report
	for _, p := range c.all {
		p.kill()
		p.read()
	}
	cancel()
	watch.Wait()
	c.check()
}

// trouble kills and stops a process until the end, and leaves it running. The first process is stopped first, the others are
// killed first: there are always both.
func (p *process) trouble() {
	stops := p == p.all[0]
	for ; ; stops = p.upTo(2) == 0 {
		time.Sleep(min(p.peace(), time.Until(p.end)))
		switch {
		case !time.Now().Before(p.end):
			return
		case stops:
			p.stop(p.upTo(2 * time.Second))
		default:
			p.kill()
			time.Sleep(p.upTo(2 * time.Second))
			p.start()
		}
	}
}

// peace is how long a prober is left alone: until any time, or until an occasion is being claimed.
func (c *campaign) peace() time.Duration {
	if c.upTo(2) == 0 {
		return c.upTo(6 * time.Second)
	}
	occasion := time.Now().Truncate(every).Add(time.Duration(1+c.upTo(3)) * every)
	return time.Until(occasion.Add(c.upTo(jitter + 200*time.Millisecond)))
}

// upTo is a random duration, or number, below n.
func (c *campaign) upTo(n time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.random.Int64N(int64(n)))
}

// start starts a process, and waits until it is ready.
func (p *process) start() {
	options, err := json.Marshal(replicaOptions{
		Name: p.name, Kind: p.kind, Dir: p.dir, API: p.address(), Ramps: rampsOfProcess, Records: p.records, Journal: p.journal,
		Slow: 60 * time.Millisecond, Seed: p.seed,
	})
	if err != nil {
		p.t.Error(err)
		return
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asReplica+"="+string(options), "GOMAXPROCS=2")
	cmd.Stderr = os.Stderr
	out, err1 := cmd.StdoutPipe()
	_, err2 := cmd.StdinPipe() // it ends with ours
	if err := cmp.Or(err1, err2); err != nil {
		p.t.Error(err)
		return
	}
	if err := cmd.Start(); err != nil {
		p.t.Error(err)
		return
	}
	l := &life{cmd: cmd, pid: cmd.Process.Pid}
	p.lives = append(p.lives, l)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		p.t.Errorf("%s said %q, %v; want ready", p.name, line, err)
	}
	l.ready = time.Now()
}

// stop stops a process for a while.
func (p *process) stop(d time.Duration) {
	l := p.lives[len(p.lives)-1]
	from := time.Now()
	p.signal(l, syscall.SIGSTOP)
	time.Sleep(d)
	p.signal(l, syscall.SIGCONT)
	l.stops = append(l.stops, [2]time.Time{from, time.Now()})
}

// kill ends a process at once. It may be dead already.
func (p *process) kill() {
	if len(p.lives) == 0 || !p.lives[len(p.lives)-1].killed.IsZero() {
		return
	}
	l := p.lives[len(p.lives)-1]
	l.killed = time.Now()
	p.signal(l, syscall.SIGKILL)
	_ = l.cmd.Wait() // "signal: killed"
}

func (p *process) signal(l *life, s syscall.Signal) {
	if err := l.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("%s: %v: %v", p.name, s, err)
	}
}

// read reads what the process has written down.
func (p *process) read() {
	p.did = nil
	for _, l := range p.lives {
		l.stood = nil
	}
	data, err := os.ReadFile(p.journal)
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 6)
		if len(f) < 6 {
			continue // its last words
		}
		at, err1 := strconv.ParseInt(f[0], 10, 64)
		pid, err2 := strconv.Atoi(f[1])
		nominal, err3 := strconv.ParseInt(f[4], 10, 64)
		if err := cmp.Or(err1, err2, err3); err != nil {
			p.t.Errorf("%s: %q: %v", p.name, line, err)
			continue
		}
		d := did{at: time.Unix(0, at), pid: pid, what: f[2], ramp: f[3], nominal: nominal, more: f[5]}
		switch d.what {
		case "error":
			p.t.Errorf("%s: %s", p.name, d.more)
		case "stood":
			from, _ := strconv.ParseInt(d.more, 10, 64)
			for _, l := range p.lives {
				if l.pid == pid {
					l.stood = append(l.stood, [2]time.Time{time.Unix(0, from), d.at})
				}
			}
		}
		p.did = append(p.did, d)
	}
}

// there tells whether one life of the process had nothing happen to it from undisturbed before an occasion until it had begun
// what it may.
func (p *process) there(ramp string, nominal time.Time) bool {
	start := startOf(ramp, nominal)
	from := start.Add(-undisturbed)
	for _, l := range p.lives {
		killed := l.killed
		if killed.IsZero() {
			killed = time.Now() // not before, that is
		}
		if l.ready.After(from) || !killed.After(start) {
			continue
		}
		until := start.Add(asksWithin)
		if asked, ok := p.first(l, "asks", ramp, nominal); ok {
			until = asked.Add(claimWithin) // else it hangs
		}
		if answered, ok := p.first(l, "answered", ramp, nominal); ok {
			until = answered
			if p.ran(ramp, nominal) == 0 || len(p.when("unknown", ramp, nominal)) > 0 { // it may have to begin it, or to report it, yet
				until = until.Add(beginsWithin)
			}
		}
		if killed.After(until) && !p.stopped(l, from, until) && !p.busy(l, ramp, start) {
			return true
		}
	}
	return false
}

// busy tells whether the claim of an earlier occasion was answered so late that its run may not have been over at a time.
func (p *process) busy(l *life, ramp string, at time.Time) bool {
	over := true
	for _, d := range p.did {
		switch {
		case d.pid != l.pid || d.ramp != ramp || d.at.After(at):
		case d.what == "asks":
			over = false
		case d.what == "answered":
			over = d.at.Before(at.Add(-undisturbed))
		}
	}
	return !over
}

// stopped tells whether a life was stopped, or given no processor, at any time between two.
func (c *campaign) stopped(l *life, from, until time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(slices.Concat(l.stops, l.stood, c.stood), func(s [2]time.Time) bool {
		return s[0].Before(until) && s[1].After(from)
	})
}

// first is when a life of the process did something about an occasion.
func (p *process) first(l *life, what, ramp string, nominal time.Time) (at time.Time, ok bool) {
	for _, d := range p.when(what, ramp, nominal) {
		if d.pid == l.pid {
			return d.at, true
		}
	}
	return at, false
}

// when lists what the process did about an occasion.
func (p *process) when(what, ramp string, nominal time.Time) (all []did) {
	for _, d := range p.did {
		if d.what == what && d.ramp == ramp && d.nominal == nominal.Unix() {
			all = append(all, d)
		}
	}
	return all
}

// ran is how often an occasion ran.
func (c *campaign) ran(ramp string, nominal time.Time) (n int) {
	for _, p := range c.all {
		n += len(p.when("run", ramp, nominal))
	}
	return n
}

// claimant is who has an occasion; false: nobody. An empty name is one that was killed before it had written its name down.
func (c *campaign) claimant(ramp string, nominal time.Time) (string, bool) {
	if c.kind == "files" {
		data, err := os.ReadFile(filepath.Join(c.dir, claimFile(ramp, nominal)))
		name, _, _ := strings.Cut(string(data), "\n")
		return name, err == nil
	}
	c.api.mu.Lock()
	defer c.api.mu.Unlock()
	l, ok := c.api.leases[leaseName("replicas", ramp, nominal)]
	return l.Spec.Holder[:max(strings.LastIndexByte(l.Spec.Holder, '_'), 0)], ok
}

// shown is how much of what a campaign is about has happened in it.
type shown struct {
	once    int // occasions that ran once
	covered int // at which a prober was there
	kills   int
	stops   int
}

// enough tells whether that shows something, in a campaign of so many rounds.
func (s shown) enough(rounds int) bool {
	total := rounds * rampsOfProcess
	return s.once >= total/2 && s.covered >= total/4 && s.kills > 0 && s.stops > 0
}

func (c *campaign) shown() (s shown) {
	for round := 1; round <= c.rounds; round++ {
		nominal := c.begin.Add(time.Duration(round) * every)
		for n := range rampsOfProcess {
			ramp := "soak-" + strconv.Itoa(n)
			if c.ran(ramp, nominal) == 1 {
				s.once++
			}
			if slices.ContainsFunc(c.all, func(p *process) bool { return p.there(ramp, nominal) }) {
				s.covered++
			}
		}
	}
	for _, p := range c.all {
		s.kills += len(p.lives) - 1 // the last is killed by the end
		for _, l := range p.lives {
			s.stops += len(l.stops)
		}
	}
	return s
}

// check holds what became of each occasion against what could.
func (c *campaign) check() {
	var once, lost, lostTold, nobody, nobodyTold, failed int
	for round := 1; round <= c.rounds; round++ {
		nominal := c.begin.Add(time.Duration(round) * every)
		for n := range rampsOfProcess {
			ramp := "soak-" + strconv.Itoa(n)
			what := fmt.Sprintf("%s at %s", ramp, nominal.UTC().Format(time.TimeOnly))
			holder, claimed := c.claimant(ramp, nominal)
			var there, told, unknown int
			runs := c.ran(ramp, nominal)
			for _, p := range c.all {
				told += len(p.when("missed", ramp, nominal))
				if p.there(ramp, nominal) {
					there++
					if asked := p.when("unknown", ramp, nominal); len(asked) > 0 {
						unknown++
						if len(p.when("missed", ramp, nominal)) == 0 {
							c.t.Errorf("%s: %s could not claim it, and did not report that", what, p.name)
						}
					}
					if holder == p.name && runs == 0 && len(p.when("unknown", ramp, nominal)) == 0 {
						c.t.Errorf("%s: %s has claimed it, was there, and did not run it", what, p.name)
					}
				}
			}
			switch {
			case runs > 1:
				c.t.Errorf("%s ran %d times", what, runs)
			case runs == 1:
				once++
				c.checkAlarms(what, ramp, nominal)
			case claimed:
				lost++
				if c.checkTold(what, ramp, nominal, holder) {
					lostTold++
				}
			case there > unknown:
				c.t.Errorf("%s: %d were there, %d of them could not claim it, nobody has, and it did not run", what, there, unknown)
			default:
				nobody++
				nobodyTold += min(told, 1)
				failed += min(unknown, 1)
			}
		}
	}
	total, s := c.rounds*rampsOfProcess, c.shown()
	c.t.Logf("%d occasions, at %d of them a prober was there: %d ran once; %d were claimed by one that was killed, or could not know, of which %d were reported by it; "+
		"%d were claimed by nobody (%d: the API server failed those who asked), of which %d were reported; %d kills, %d stops",
		total, s.covered, once, lost, lostTold, nobody, failed, nobodyTold, s.kills, s.stops)
	if once+lost+nobody != total || !s.enough(c.least) {
		c.t.Errorf("of %d occasions %d ran, %d were lost and %d claimed by nobody, at %d of them a prober was there; %d kills, %d stops: this shows little",
			total, once, lost, nobody, s.covered, s.kills, s.stops)
	}
}

// checkAlarms looks for reports that an occasion was missed which has run.
func (c *campaign) checkAlarms(what, ramp string, nominal time.Time) {
	for _, p := range c.all {
		for _, d := range p.when("missed", ramp, nominal) {
			switch {
			case d.more == string(ClaimFailed) && c.kind == "leases": // it could not know
			case len(p.when("run", ramp, nominal)) == 1 && d.more == string(Down) && !p.recorded(ramp, nominal): // killed in the run
			case c.claimedAfter(ramp, nominal, reported(nominal).Add(-undisturbed)): // stopped in the middle of its claim
			default:
				c.t.Errorf("%s ran, and %s reports that it was missed: %s", what, p.name, d.more)
			}
		}
	}
}

// checkTold tells whether a claimant that did not run an occasion has reported it, and fails where it had the time to.
func (c *campaign) checkTold(what, ramp string, nominal time.Time, holder string) bool {
	for _, p := range c.all {
		if p.name != holder {
			continue
		}
		told := len(p.when("missed", ramp, nominal)) > 0
		for _, l := range p.lives {
			if l.ready.Before(nominal) {
				continue
			}
			if until := reported(l.ready).Add(reportsWithin); !told && l.killed.After(until) && !p.stopped(l, l.ready, until) {
				c.t.Errorf("%s: %s has claimed it, did not run it, and has not reported that since it is back", what, p.name)
			}
			break // later ones have later runs on record
		}
		return told
	}
	return false
}

// startOf is when an occasion begins for all probers.
func startOf(ramp string, nominal time.Time) time.Time {
	t := timetable{spec: &Spec{loc: time.UTC, every: every}, name: ramp, jitter: jitter}
	return nominal.Add(t.delay(nominal))
}

// reported is when a prober that is there reports an occasion that nobody runs.
func reported(nominal time.Time) time.Time { return nominal.Add(jitter + reportAfter) }

// recorded tells whether the process has a record of a run.
func (p *process) recorded(ramp string, nominal time.Time) bool {
	data, err := os.ReadFile(p.records)
	if err != nil {
		p.t.Error(err)
	}
	return strings.Contains(string(data), fmt.Sprintf("%s %d\n", ramp, nominal.Unix()))
}

// claimedAfter tells whether an occasion was claimed after a time only.
func (c *campaign) claimedAfter(ramp string, nominal, t time.Time) bool {
	for _, p := range c.all {
		for _, d := range p.when("claimed", ramp, nominal) {
			return d.at.After(t)
		}
	}
	return false
}

// serve serves Leases over TLS, as an API server with troubles of its own.
func (c *campaign) serve() {
	c.api = &fakeAPI{page: sweepPage}
	c.api.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			return false
		}
		if c.upTo(100) < 25 {
			time.Sleep(c.upTo(150 * time.Millisecond))
		}
		trouble := c.upTo(100)
		switch {
		case trouble < 3: // before the act
			c.api.status(w, http.StatusInternalServerError, "etcdserver: request timed out")
			return true
		case trouble < 6 && r.Method == http.MethodPost: // after the act
			c.api.create(r)
			c.api.status(w, http.StatusGatewayTimeout, "the proxy gave up")
			return true
		case trouble < 9 && r.Method == http.MethodPost: // after the act, and nobody hears of it
			c.api.create(r)
			panic(http.ErrAbortHandler)
		}
		return false
	}
	c.server = httptest.NewUnstartedServer(c.api)
	c.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	c.server.StartTLS()
	c.t.Cleanup(c.server.Close)
	c.dir = account(c.t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.server.Certificate().Raw}))
}

// address is that of the API server.
func (c *campaign) address() (hostPort [2]string) {
	if c.server != nil {
		hostPort[0], hostPort[1], _ = net.SplitHostPort(c.server.Listener.Addr().String())
	}
	return hostPort
}

// create does what a POST asks for, where the name is free. The answer is lost.
func (a *fakeAPI) create(r *http.Request) {
	l, problem := a.read(r)
	_, _ = io.Copy(io.Discard, r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, taken := a.leases[l.Metadata.Name]; !taken && problem == "" {
		l.Metadata.Created = time.Now().UTC().Truncate(time.Second)
		a.putLocked(l)
	}
}
