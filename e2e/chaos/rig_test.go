//go:build linux

package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/e2e/process"
)

// rig is the prober, all that it asks, and all that is between them.
type rig struct {
	dir, program, storage string
	isolated              bool

	calm    *server   // nothing is ever done to it
	steady  []*server // it, and those whose processes nothing is done to
	scripts []*script
	control map[string][]string // the targets without a script, and their only outcomes

	prober  *process.Process
	address string
	file    string // the configuration
	config  string
	metrics *proxy // before the page of the engine

	descriptors  sync.Mutex   // held while there are none, and while there must be some
	shortage     atomic.Int64 // odd while there are none, and another one each time
	kills, hangs atomic.Int64
	written      atomic.Int64
	unwritten    atomic.Int64
	mu           sync.Mutex // protects what follows
	disturbed    []span     // times in which all probes, or all readers, were disturbed
	hung         int        // readers that were seen to hang at once
}

// interval is that of all probes.
const interval = 2 * time.Second

func newRig(t *testing.T, program string) *rig {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{dir: t.ArtifactDir(), program: program, isolated: os.Getenv(inside) != ""}
	values := []string{}
	put := func(name, address string) { values = append(values, "${"+name+"}", address) }

	r.calm = r.simulate(t, "calm")
	r.steady = append(r.steady, r.calm)
	put("calm", r.calm.address)
	put("full", fullServer(t))
	for i, name := range []string{"server_1", "server_2", "server_3"} {
		s := r.simulate(t, name)
		r.steady = append(r.steady, s)
		put(name, s.address)
		r.scripts = append(r.scripts, &script{target: name, kind: "server", part: i, parts: 3, states: s.states(), least: 5 * time.Second, edges: []string{"ok"}})
	}
	between := func(name string) *proxy {
		p := newProxy(process.FreeAddress(t), r.calm.address)
		if err := p.poison(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.stop)
		put(name, p.listen)
		return p
	}
	for i, name := range []string{"network_1", "network_2"} {
		// The old network is closed, whatever is under way on it, and for a moment there is none.
		r.scripts = append(r.scripts, &script{target: name, kind: "network", part: i, parts: 2, states: between(name).states(), least: 5 * time.Second, edges: []string{"truncated_stream", "connect"}})
	}
	mortal := r.simulate(t, "mortal")
	put("mortal", mortal.address)
	r.scripts = append(r.scripts, &script{target: "mortal", kind: "mortal", parts: 1, states: mortal.lives(), least: 5 * time.Second,
		edges: []string{"ok", "connect", "truncated_stream", "timeout_first_token", "timeout_idle", "timeout_total"}})
	r.metrics = between("metrics")
	r.control = map[string][]string{
		"control": {"ok"}, "ramped": {"ok"}, "engined": {"ok"}, "plain": {"tls"}, "missing": {"http_4xx"}, "wrong": {"content_mismatch"}, "full": {"timeout_connect"},
	}

	text, err := os.ReadFile("testdata/prober.yml")
	if err != nil {
		t.Fatal(err)
	}
	r.config = strings.NewReplacer(values...).Replace(string(text))
	r.storage = filepath.Join(r.dir, "data")
	if r.isolated {
		n, err := newNames()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.close)
		_, port, _ := strings.Cut(r.calm.address, ":")
		r.config += "  - {name: named, url: \"http://server.test:" + port + "/v1\", model: sim, probes: [ask]}\n"
		r.scripts = append(r.scripts, &script{target: "named", kind: "named", parts: 1, states: n.states(), least: 5 * time.Second, edges: []string{"ok", "dns"}})

		if err := os.Mkdir(r.storage, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("chaos", r.storage, "tmpfs", 0, "size=8m,mode=700"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(r.storage, syscall.MNT_DETACH) })
	}
	r.file = filepath.Join(r.dir, "prober.yml")
	if err := r.configure(r.config); err != nil {
		t.Fatal(err)
	}
	r.address = process.FreeAddress(t)
	r.prober = process.Start(t, r.dir, "prober",
		[]string{"GODEBUG=netdns=go"}, program,
		"run", "--config.file="+r.file, "--web.listen-address="+r.address, "--web.enable-lifecycle", "--storage.path="+r.storage,
		"--collector.gpu.library="+process.GPULibrary(t, root, r.dir, filepath.Join(root, "collector/gpu/testdata/devices/h100.nvml")), "--collector.gpu.expected-devices=1",
		"--shutdown-timeout=3s", "--log.level=debug", "--log.format=json")
	r.prober.Ready(t, "http://"+r.address+"/-/ready")
	return r
}

// configure writes the configuration in one step.
func (r *rig) configure(text string) error {
	if err := os.WriteFile(r.file+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(r.file+".new", r.file)
}

// targets lists those that are there from beginning to end.
func (r *rig) targets() (names []string) {
	for name := range r.control {
		names = append(names, name)
	}
	for _, s := range r.scripts {
		names = append(names, s.target)
	}
	return names
}

// engine has the page of the engine hang, break off or be away. Its target's probes must feel none of it.
func (r *rig) engine(w *watch) *script {
	var states []state
	for _, st := range r.metrics.states() {
		reason, troubled := map[string]string{
			"long latency": "timeout", "black hole": "timeout", "1 KB/s": "timeout", "reset": "connect", "late reset": "connect",
			"cut in the header": "connect", "cut in the body": "cut", "refused": "connect",
		}[st.name]
		if !troubled && st.name != "good network" && st.name != "latency" {
			continue
		}
		states = append(states, state{st.name, nil, func() error {
			before := w.newest().sum("llm_engine_scrape_failures_total", `reason="`+reason+`"`)
			if err := st.set(); err != nil {
				return err
			}
			// Longer than there may be no page to look at.
			return process.Poll(time.Minute, func() error {
				p := w.newest()
				up := p.sum("llm_engine_up", `target="engined"`)
				switch {
				case troubled && (up != 0 || p.sum("llm_engine_scrape_failures_total", `reason="`+reason+`"`) <= before):
					return errors.New("the engine's metrics do not count as failed for " + reason)
				case !troubled && up != 1:
					return errors.New("the engine's metrics are not read")
				}
				return nil
			})
		}})
	}
	return &script{target: "metrics", kind: "metrics", parts: 1, states: states, least: 3 * time.Second}
}
