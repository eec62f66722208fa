package cron

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// asReplica is the variable that makes the test binary a prober of TestProcesses: it holds a replicaOptions.
const asReplica = "LLM_PROBER_TEST_REPLICA"

const (
	// every is how often each ramp of TestProcesses runs, jitter how far they are apart.
	every  = 2 * time.Second
	jitter = time.Second

	// reportAfter is how long after its jitter TestProcesses' probers are certain who has claimed an occasion, in place of
	// five and a half minutes.
	reportAfter = 5 * time.Second
)

// replicaOptions say what a process of TestProcesses is.
type replicaOptions struct {
	Name    string
	Kind    string // files or leases
	Dir     string // of the claims, or of the service account
	API     [2]string
	Ramps   int
	Records string // file: what it ran, which outlives it
	Journal string // file: what it did
	Slow    time.Duration
	Seed    uint64
}

// A replica process is a prober without targets: cron, claims and records are the real ones, a run is a line.
func replicaProcess(text string) error {
	var o replicaOptions
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	records, err := os.OpenFile(o.Records, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(o.Journal, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	keeps := &notes{file: file}
	claims := Claims(FileClaims{Dir: o.Dir, Holder: o.Name})
	if o.Kind == "leases" {
		leases, err := InCluster(o.Dir, "replicas", func(key string) string {
			return map[string]string{"KUBERNETES_SERVICE_HOST": o.API[0], "KUBERNETES_SERVICE_PORT": o.API[1]}[key]
		}, nil)
		if err != nil {
			return err
		}
		leases.holder = o.Name // processes of one machine have one name
		claims = leases
	}
	s := New(Options{
		Claims: slowClaims{claims, o.Slow, keeps, rand.New(rand.NewPCG(o.Seed, uint64(os.Getpid()))), new(sync.Mutex)},
		Events: replicaEvents{keeps: keeps},
		LastRun: func(name string) time.Time {
			nominal, err := newestIn(o.Records, name)
			if err != nil {
				keeps.write("error", name, time.Time{}, err.Error())
			}
			return nominal
		},
		Start: func(_ context.Context, name string, nominal time.Time, _ record.Trigger) {
			keeps.write("run", name, nominal, "")
			time.Sleep(20 * time.Millisecond)
			fmt.Fprintf(records, "%s %d\n", name, nominal.Unix())
		},
	})
	s.settled = reportAfter - lateAfter
	var entries []Entry
	for n := range o.Ramps {
		name := "soak-" + strconv.Itoa(n)
		entries = append(entries, Entry{Name: name, Targets: []string{name}, Schedule: "@every 2s", Jitter: jitter})
	}
	if err := s.applyEvery(entries, every); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // the test is gone
	}()
	fmt.Println("ready")
	standstills(context.Background(), keeps.stood) // until it is killed
	return nil
}

// standstills tells stood of the times in which the process was stopped, or given no processor, until ctx ends.
func standstills(ctx context.Context, stood func(from, until time.Time)) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for last := time.Now(); ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
		now := time.Now()
		if now.Sub(last) > standsFor {
			stood(last, now)
		}
		if last = now; ctx.Err() != nil {
			return
		}
	}
}

// applyEvery is Apply for occasions more often than a crontab line can say.
func (s *Scheduler) applyEvery(entries []Entry, every time.Duration) error {
	specs := make(map[string]*Spec, len(entries))
	for _, e := range entries {
		specs[e.Name] = &Spec{text: e.Schedule, loc: time.UTC, every: every}
	}
	return s.apply(entries, specs)
}

// notes is a file to which each line is written at once: what is in it is true, whenever the process is killed.
type notes struct {
	mu   sync.Mutex // of the order
	file *os.File
}

func (n *notes) write(what, ramp string, nominal time.Time, more string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(n.file, "%d %d %s %s %d %s\n", time.Now().UnixNano(), os.Getpid(), what, ramp, nominal.Unix(), more)
}

// stood says that the machine kept the process from going on.
func (n *notes) stood(from, _ time.Time) {
	n.write("stood", "-", from, strconv.FormatInt(from.UnixNano(), 10))
}

// newestIn is the newest run in a file of records.
func newestIn(file, ramp string) (newest time.Time, err error) {
	f, err := os.Open(file)
	if err != nil {
		return newest, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, unix, _ := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseInt(unix, 10, 64); err == nil && name == ramp && time.Unix(n, 0).After(newest) {
			newest = time.Unix(n, 0)
		}
	}
	return newest, lines.Err()
}

// slowClaims are claims that take a while, before and after, as on a network's file system.
type slowClaims struct {
	Claims
	most   time.Duration
	keeps  *notes
	random *rand.Rand
	mu     *sync.Mutex // of random
}

func (c slowClaims) wait() {
	c.mu.Lock()
	d := time.Duration(c.random.Int64N(int64(c.most)))
	c.mu.Unlock()
	time.Sleep(d)
}

func (c slowClaims) Claim(ctx context.Context, name string, nominal time.Time) (bool, error) {
	c.keeps.write("asks", name, nominal, "")
	defer c.keeps.write("answered", name, nominal, "")
	c.wait()
	ours, err := c.Claims.Claim(ctx, name, nominal)
	switch {
	case err != nil:
		c.keeps.write("unknown", name, nominal, err.Error())
	case ours:
		c.keeps.write("claimed", name, nominal, "")
	}
	c.wait()
	return ours, err
}

// replicaEvents writes down what became of occasions.
type replicaEvents struct {
	NoEvents
	keeps *notes
}

func (e replicaEvents) Missed(name string, reason Reason, nominal ...time.Time) {
	for _, n := range nominal {
		e.keeps.write("missed", name, n, string(reason))
	}
}

func (e replicaEvents) ClaimedElsewhere(name string, nominal time.Time) {
	e.keeps.write("elsewhere", name, nominal, "")
}
