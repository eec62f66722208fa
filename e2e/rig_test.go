//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/llmprober/llm_prober/e2e/process"
)

// The jobs by which one Prometheus scrapes the prober, each in another way.
const (
	dual    = "llm_prober" // native histograms and classic ones: what deploy/compose does
	classic = "llm_prober_classic"
	native  = "llm_prober_native"
)

var jobs = []string{dual, classic, native}

// scrapeInterval is a second instead of some fifteen.
const scrapeInterval = time.Second

// rig is the chain.
type rig struct {
	dir     string // of this run: configurations, logs, data
	root    string // of the repository
	bin     string // with the programs
	started time.Time

	prober        *process.Process
	proberFile    string
	proberAddress string
	gpuFile       string // what the GPU stand-in answers

	steady, fragile, night, overrun, crowd, calm *server

	prometheus   prometheus
	alertmanager alertmanager
	webhook      *webhook
}

// newRig starts everything, and waits until all three jobs are scraped.
func newRig(t *testing.T, root, bin string) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir(), root: root, bin: bin, webhook: newWebhook(t)}

	// The later a program is in the chain, the later it starts, and the earlier it ends.
	r.steady = r.simulate(t, "steady", "--fault=rate_limited=0:0.05")
	r.fragile = r.simulate(t, "fragile")
	r.night = r.simulate(t, "night", "--max-running=4")
	r.overrun = r.simulate(t, "overrun", "--max-running=4")
	r.crowd = r.simulate(t, "crowd")
	r.calm = r.simulate(t, "calm", "--dialect=tgi")
	r.night.change(t, "throttle=8") // the first night is a bad one
	r.probe(t)
	r.alert(t)
	r.scrape(t)
	return r
}

// server is a simulated LLM server.
type server struct {
	*process.Process
	address string
	start   func() *process.Process
}

// simulate starts a simulated server.
func (r *rig) simulate(t *testing.T, name string, flags ...string) *server {
	t.Helper()
	s := &server{address: process.FreeAddress(t)}
	s.start = func() *process.Process {
		return process.Start(t, r.dir, name, nil, r.program("llm_prober"), append([]string{
			"simulate", "--listen-address=" + s.address, "--model=sim-8b", "--profile=a100-8b", "--per-request-metrics",
		}, flags...)...)
	}
	s.Process = s.start()
	s.Ready(t, "http://"+s.address+"/health")
	return s
}

// change changes something about the server from now on.
func (s *server) change(t *testing.T, set string) {
	t.Helper()
	var now []any
	if err := process.Fetch(http.MethodPost, "http://"+s.address+"/control/engine", []map[string]string{{"set": set}}, &now); err != nil {
		t.Fatalf("change %s: %v", set, err)
	}
	t.Logf("%s: %s", s.Name, set)
}

// restart starts the server anew, as it was at first.
func (s *server) restart(t *testing.T) {
	t.Helper()
	s.Process = s.start()
	s.Ready(t, "http://"+s.address+"/health")
}

// probe starts the prober, with a GPU that answers as an H100 does.
func (r *rig) probe(t *testing.T) {
	t.Helper()
	broken := process.FreeAddress(t) // nothing listens there
	values := strings.NewReplacer(
		"${steady}", "http://"+r.steady.address, "${fragile}", "http://"+r.fragile.address, "${night}", "http://"+r.night.address,
		"${overrun}", "http://"+r.overrun.address, "${crowd}", "http://"+r.crowd.address, "${calm}", "http://"+r.calm.address,
		"${dir}", r.dir, "${broken}", "http://"+broken+"/targets",
	)
	r.proberFile = r.write(t, "prober.yml", values.Replace(string(read(t, "testdata/prober.yml"))))
	r.write(t, "targets.json", fmt.Sprintf(`[{"targets": ["http://%s/v1"], "labels": {"team": "found"}}]`, r.crowd.address))
	r.gpuFile = r.write(t, "gpu.nvml", gpu(t, r.root, nil))

	address := process.FreeAddress(t)
	r.prober = process.Start(t, r.dir, "prober", nil, r.program("llm_prober"),
		"run", "--config.file="+r.proberFile, "--web.listen-address="+address, "--storage.path="+filepath.Join(r.dir, "runs"),
		"--collector.gpu.library="+process.GPULibrary(t, r.root, r.dir, r.gpuFile), "--collector.gpu.interval=500ms", "--collector.gpu.processes",
		"--collector.gpu.expected-devices=2", "--shutdown-timeout=2s")
	r.prober.Ready(t, "http://"+address+"/-/ready")
	r.proberAddress = address
}

// gpu is what the stand-in for NVIDIA's library answers: an H100, and a second one that is divided; with other values for some keys.
func gpu(t *testing.T, root string, values map[string]string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(string(read(t, filepath.Join(root, "collector/gpu/testdata/devices/h100.nvml")))) {
		key, _, _ := strings.Cut(line, " = ")
		if _, other := values[key]; !other && key != "Count" {
			b.WriteString(line)
		}
	}
	b.WriteString(`Count = 2
MaxMigDeviceCount = 7
gpu1.UUID = GPU-6a7b1c02-1111-4222-8333-000000000101
gpu1.PciInfo = 0:1c:0
gpu1.MinorNumber = 1
gpu1.MigMode = 1 1
gpu1.UtilizationRates = !3
gpu1.mig.0 = MIG-00000000-0000-4000-8000-00000000000a 1 0 2000 1500 400 100 NVIDIA H100 MIG 3g.40gb
gpm.mig.2 = 75
gpm.mig.10 = 25
`)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "%s = %s\n", key, values[key])
	}
	return b.String()
}

// alert starts Alertmanager with the shipped routes and inhibitions.
func (r *rig) alert(t *testing.T) {
	t.Helper()
	routes, err := compression.Routes(read(t, filepath.Join(r.root, "alerts/alertmanager.example.yml")), r.webhook.url)
	if err != nil {
		t.Fatal(err)
	}
	file, address := r.write(t, "alertmanager.yml", string(routes)), process.FreeAddress(t)
	p := process.Start(t, r.dir, "alertmanager", nil, r.program("alertmanager"), "--config.file="+file, "--web.listen-address="+address,
		"--storage.path="+filepath.Join(r.dir, "alertmanager"), "--cluster.listen-address=", "--log.level=warn")
	p.Ready(t, "http://"+address+"/-/ready")
	r.alertmanager = alertmanager{"http://" + address}
}

// scrape starts Prometheus with the shipped rules.
func (r *rig) scrape(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.root, "alerts/rules/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules (%v)", err)
	}
	for _, file := range files {
		rules, err := compression.Rules(read(t, file))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		r.write(t, "rules/"+filepath.Base(file), string(rules))
	}
	file := r.write(t, "prometheus.yml", r.scraping(t))
	address := process.FreeAddress(t)
	p := process.Start(t, r.dir, "prometheus", nil, r.program("prometheus"), "--config.file="+file, "--web.listen-address="+address,
		"--storage.tsdb.path="+filepath.Join(r.dir, "prometheus"), "--enable-feature=exemplar-storage", "--log.level=warn",
		// What are five minutes and one minute in real time.
		"--query.lookback-delta=5s", "--rules.alert.resend-delay=2s")
	p.Ready(t, "http://"+address+"/-/ready")
	r.prometheus, r.started = prometheus{"http://" + address}, time.Now()
	for _, job := range jobs {
		process.Await(t, time.Minute, "job "+job+" is scraped", r.found(fmt.Sprintf(`up{job=%q} == 1`, job)))
	}
}

// scraping is the Prometheus configuration of deploy/compose, at the addresses and intervals of the chain, with its job two more
// times: without native histograms, and without classic ones.
func (r *rig) scraping(t *testing.T) string {
	t.Helper()
	var c struct {
		Global        map[string]any   `yaml:"global"`
		RuleFiles     []string         `yaml:"rule_files"`
		Alerting      map[string]any   `yaml:"alerting"`
		ScrapeConfigs []map[string]any `yaml:"scrape_configs"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(read(t, filepath.Join(r.root, "deploy/compose/prometheus/prometheus.yml"))))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	if len(c.ScrapeConfigs) != 1 || c.ScrapeConfigs[0]["job_name"] != dual {
		t.Fatalf("deploy/compose scrapes %v; want one job %s", c.ScrapeConfigs, dual)
	}
	at := func(address string) []any { return []any{map[string]any{"targets": []string{address}}} }
	c.Global["scrape_interval"], c.Global["scrape_timeout"], c.Global["evaluation_interval"] = scrapeInterval.String(), scrapeInterval.String(), "1s"
	c.RuleFiles = []string{"rules/*.yml"}
	c.Alerting["alertmanagers"] = []any{map[string]any{"static_configs": at(strings.TrimPrefix(r.alertmanager.url, "http://"))}}
	shipped := c.ScrapeConfigs[0]
	shipped["static_configs"] = at(r.proberAddress)
	without := func(job, histograms string) map[string]any {
		other := maps.Clone(shipped)
		other["job_name"], other[histograms] = job, false
		return other
	}
	c.ScrapeConfigs = append(c.ScrapeConfigs, without(classic, "scrape_native_histograms"), without(native, "always_scrape_classic_histograms"))
	b, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// found is the condition that an expression has a value now.
func (r *rig) found(expr string) func() error {
	return func() error {
		result, err := r.prometheus.instant(expr)
		if err == nil && len(result) == 0 {
			err = fmt.Errorf("%s has no value", expr)
		}
		return err
	}
}

// grows is the condition that each job has all of these counters grow within what a dashboard's shortest window sees at one of its
// steps. What happened once, while nothing was scraped, is in no window.
func (r *rig) grows(counters ...string) func() error {
	for i, c := range counters {
		counters[i] = fmt.Sprintf("sum by (job) (increase(%s[%s])) > 0", c, compression.Window-step)
	}
	return r.found(fmt.Sprintf("count(%s) == %d", strings.Join(counters, " and "), len(jobs)))
}

// reload makes the prober load a configuration.
func (r *rig) reload(t *testing.T, configuration string) {
	t.Helper()
	r.write(t, filepath.Base(r.proberFile), configuration)
	r.prober.Signal(syscall.SIGHUP)
}

// program is the path of a program.
func (r *rig) program(name string) string { return filepath.Join(r.bin, name) }

// write writes a file of this run in one step, so that no reader sees half of it, and returns its path.
func (r *rig) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
