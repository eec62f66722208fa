package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"html"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNoSecretComesOut plants a secret of its own in every place that can hold one, before servers that echo all that they
// are told, does all that the program does, and searches all that came out of it: pages, metrics, logs, answers, files,
// arguments, what children are given, and a crash.
//
// A name of the test's own, the witness, must be found in each of these: what is not searched cannot be clean.
func TestNoSecretComesOut(t *testing.T) {
	for _, format := range []string{"logfmt", "json"} {
		t.Run(format, func(t *testing.T) {
			var c canaries
			var h haul
			s := newSite(t, &c, newParrot(t, &c))
			s.runDaemon(&h, format)
			if format == "json" { // it is a matter of the log alone
				if len(h.where(s.witness)["log"]) == 0 {
					t.Error("the witness is not found in the log: a secret would not be either")
				}
				for name, core := range s.cores {
					if found := h.where(core)["log"]; found != "" {
						t.Errorf("%s is in the log: %s", name, found)
					}
				}
				return
			}
			s.runCommands(&h)

			for _, place := range []string{
				"log", "/metrics", "/metrics as a scraper", "/", "/config", "/api/v1/targets", "/probe", "storage", "runs show", "runs export", "report", "ramp",
				"gate", "check-config", "probe", "reload", "arguments", "environment of the worker", "crash",
			} {
				if !slices.ContainsFunc(h.places(), func(p string) bool { return strings.HasPrefix(p, place) }) {
					t.Errorf("nothing came out of %s: it was not looked at; there are %q", place, h.places())
				}
			}
			seen := h.where(s.witness)
			for _, place := range []string{"log", "/metrics", "/metrics as a scraper", "/", "/config", "/api/v1/targets", "/probe", "storage", "runs show", "report", "ramp", "gate", "arguments"} {
				if !slices.ContainsFunc(slices.Collect(maps.Keys(seen)), func(p string) bool { return strings.HasPrefix(p, place) }) {
					t.Errorf("the witness is not found in %s: a secret would not be either", place)
				}
			}
			unheard := []string{}
			for name, core := range s.cores {
				if len(s.parrot.told.where(core)) == 0 {
					unheard = append(unheard, name)
				}
				allowed := map[string]string{"environment": "environment of the prober", "environment unused": "environment of the prober"}[name]
				places := h.where(core)
				for _, place := range slices.Sorted(maps.Keys(places)) {
					if place != allowed {
						t.Errorf("%s is in %s: %s", name, place, places[place])
					}
				}
				if allowed != "" && places[allowed] == "" {
					t.Errorf("%s is not in %s, where it must be: the search does not work", name, allowed)
				}
			}
			places, size := h.sum()
			slices.Sort(unheard)
			t.Logf("%d canaries in %d places, %d bytes; the servers heard all but %q", len(s.cores), places, size, unheard)
			for _, name := range []string{
				"target header", "header of two words", "authorization inline", "header file", "header secret", "authorization file", "environment", "basic password",
				"basic password file", "oauth2 secret", "oauth2 parameter", "oauth2 token", "oauth2 secret file", "token url", "proxy password", "proxy header",
				"private question", "private system prompt", "engine authorization", "engine header", "http_sd query", "http_sd authorization", "http_sd header",
				"http_sd template", "target file template", "on demand", "lane header", "lane authorization", "lane password", "header of the command", "gate credentials",
			} {
				if slices.Contains(unheard, name) {
					t.Errorf("no server was told %s: nobody could have echoed it", name)
				}
			}
		})
	}
}

// program is the prober in a process of its own.
type program struct {
	*exec.Cmd
	address string
	client  *http.Client
	user    string
	pass    string
	exited  chan struct{}
}

// start runs the program until it has said where it listens.
func (s *site) start(h *haul, file, webConfig, format string) *program {
	t := s.t
	t.Helper()
	port := freePort(t)
	library := filepath.Join(s.dir, "nvml-"+port) // opening it takes until the end: so there is a worker to look at
	if err := syscall.Mkfifo(library, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &program{address: "http://127.0.0.1:" + port, user: "ops", pass: s.plant("web password"), exited: make(chan struct{})}
	p.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	p.Cmd = exec.Command(os.Args[0], "run", "--config.file="+file, "--web.config.file="+webConfig, "--web.listen-address=127.0.0.1:"+port, "--web.enable-lifecycle",
		"--storage.path="+s.data(), "--log.level=debug", "--log.format="+format, "--shutdown-timeout=1s",
		"--collector.gpu.expected-devices=1", "--collector.gpu.library="+library)
	p.Env = append(append(os.Environ(), asProgram+"=1", "NVIDIA_VISIBLE_DEVICES="+s.witness), s.environment()...)
	p.Stdout, p.Stderr = h.writer("stdout"), h.writer("log")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.exited); p.Wait() }()
	t.Cleanup(func() {
		p.Process.Kill()
		<-p.exited
		// A worker that waits for its library while its prober dies waits on: the loader's lock keeps Go's runtime from all else.
		if f, err := os.OpenFile(library, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			f.Close()
		}
	})
	until(t, "the prober is ready", func() bool {
		select {
		case <-p.exited:
			t.Fatalf("the prober has ended:\n%s", h.found["log"])
		default:
		}
		status, _ := p.ask(t, h, "", "GET", "/-/ready")
		return status == http.StatusOK
	})
	return p
}

// ask asks for a path, and adds the answer, header and all. Without a place it adds nothing.
func (p *program) ask(t *testing.T, h *haul, place, method, path string, header ...string) (status int, body []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(p.user, p.pass)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") == "text/event-stream" { // it has no end: the first event will do
		for lines := bufio.NewReader(resp.Body); ; {
			line, err := lines.ReadBytes('\n')
			body = append(body, line...)
			if err != nil || len(line) == 1 {
				break
			}
		}
	} else {
		body, _ = io.ReadAll(resp.Body)
	}
	if place != "" {
		h.add(place, body)
		h.add(place+", its header", fmt.Appendf(nil, "%s %v", resp.Status, resp.Header))
	}
	return resp.StatusCode, body
}

// end ends the program by a signal.
func (p *program) end(signal os.Signal) {
	p.Process.Signal(signal)
	<-p.exited
}

// runDaemon does with a daemon all that can be done.
func (s *site) runDaemon(h *haul, format string) {
	t := s.t
	web := s.write("web.yml", fmt.Sprintf("basic_auth_users: {ops: '%s'}\n", webHash))
	file := s.write("prober.yml", s.config())
	p := s.start(h, file, web, format)

	s.proc(h, p)
	expected := strings.Count(s.config(), "  - {name: ") // about
	until(t, "the parrot was told what there is to tell", func() bool {
		_, metrics := p.ask(t, h, "", "GET", "/metrics")
		failed := regexp.MustCompile(`(?m)^llm_probe_requests_total\{.*outcome="([a-z_0-9]+)".*target="([^"]+)".*\} [1-9]`).FindAllSubmatch(metrics, -1)
		outcomes, targets := map[string]bool{}, map[string]bool{}
		for _, m := range failed {
			outcomes[string(m[1])], targets[string(m[2])] = true, true
		}
		return len(targets) > expected/2 && len(outcomes) >= 8 && outcomes["content_mismatch"] && outcomes["timeout_first_token"]
	})
	s.rampOverHTTP(h, p)
	s.parrot.hurts.Store(true) // what has worked fails from here on
	s.reloads(h, p, file)
	if format == "json" {
		p.end(syscall.SIGTERM)
		return
	}
	s.crawl(h, p)
	s.demand(h, p)
	s.gate(h, p)
	p.end(syscall.SIGTERM)
	s.storage(h)

	p = s.start(h, file, web, format) // it remembers
	s.crawl(h, p)
	p.end(syscall.SIGQUIT) // Go's runtime says all that it knows, and ends
	log := h.found["log"]
	if i := bytes.Index(log, []byte("SIGQUIT")); i >= 0 {
		h.add("crash", log[i:])
	}
	s.storage(h)
}

// proc looks at the process and its child as others on the machine can.
func (s *site) proc(h *haul, p *program) {
	read := func(pid, name string) []byte {
		data, err := os.ReadFile(filepath.Join("/proc", pid, name))
		if err != nil {
			return nil
		}
		return data
	}
	pid := fmt.Sprint(p.Process.Pid)
	h.add("arguments", read(pid, "cmdline"))
	h.add("environment of the prober", read(pid, "environ"))
	until(s.t, "there is a GPU worker", func() bool {
		tasks, _ := filepath.Glob("/proc/" + pid + "/task/*/children")
		for _, file := range tasks {
			children, err := os.ReadFile(file)
			if err != nil {
				continue // the thread has ended
			}
			for child := range strings.FieldsSeq(string(children)) {
				// In this order: until it has become the worker, a child has the environment of the prober.
				arguments := read(child, "cmdline")
				if environment := read(child, "environ"); bytes.Contains(arguments, []byte("gpu-worker")) && bytes.Contains(environment, []byte(s.witness)) {
					h.add("environment of the worker", environment)
					h.add("arguments of the worker", arguments)
					return true
				}
			}
		}
		return false
	})
}

// rampOverHTTP runs the ramp to its end.
func (s *site) rampOverHTTP(h *haul, p *program) {
	ramp := "/api/v1/ramps/" + s.witness + "/runs"
	if status, body := p.ask(s.t, h, ramp, "POST", ramp); status != http.StatusAccepted {
		s.t.Fatalf("the ramp was not started: %d %s", status, body)
	}
	p.ask(s.t, h, ramp, "POST", ramp) // it is busy
	p.ask(s.t, h, "/runs under way", "GET", "/runs")
	until(s.t, "the ramp has ended", func() bool {
		status, _ := p.ask(s.t, h, ramp+"/current", "GET", ramp+"/current")
		return status == http.StatusNotFound
	})
}

// reloads loads files that are wrong, and then the one that is not.
func (s *site) reloads(h *haul, p *program, file string) {
	for i, text := range s.bad() {
		s.write("prober.yml", text)
		if status, body := p.ask(s.t, h, "reload", "POST", "/-/reload"); status != http.StatusBadRequest {
			s.t.Errorf("bad file %d: %d %s; want 400:\n%s", i, status, body, text)
		}
	}
	os.Remove(file)
	p.ask(s.t, h, "reload", "POST", "/-/reload")
	s.write("prober.yml", s.config())
	if status, body := p.ask(s.t, h, "reload", "POST", "/-/reload"); status != http.StatusOK {
		s.t.Errorf("the good file: %d %s; want 200", status, body)
	}
}

var href = regexp.MustCompile(`(?:href|src|data-[a-z-]+)="([^"]*)"`)

// crawl reads every page that there is a link to, and every path of the API.
func (s *site) crawl(h *haul, p *program) {
	t := s.t
	next := []string{
		"/", "/metrics", "/config", "/schedule", "/runs", "/metrics-guide", "/live/status", "/fragments/status", "/-/healthy", "/-/ready", "/debug/pprof/", "/debug/vars",
		"/targets/" + s.witness, "/targets/" + s.witness + "/live", "/targets/own", "/nothing/here", "/api/v1/nothing",
		"/api/v1/targets", "/api/v1/targets/" + s.witness, "/api/v1/targets/" + s.witness + "/requests?limit=100", "/api/v1/targets/" + s.witness + "/verdict",
		"/api/v1/targets/own/requests?limit=100", "/api/v1/targets/inline-refuse/requests?limit=100", "/api/v1/targets/basic-refuse/verdict",
		"/api/v1/runs", "/api/v1/ramps", "/api/v1/openapi.yaml",
	}
	_, runs := p.ask(t, h, "", "GET", "/api/v1/runs")
	for _, id := range regexp.MustCompile(`"id":"([^"]+)"`).FindAllSubmatch(runs, -1) {
		next = append(next, "/api/v1/runs/"+string(id[1]), "/api/v1/runs/"+string(id[1])+"/requests", "/runs/"+string(id[1]))
	}
	done := map[string]bool{}
	for len(next) > 0 && len(done) < 400 {
		path := next[0]
		next = next[1:]
		if done[path] {
			continue
		}
		done[path] = true
		status, body := p.ask(t, h, path, "GET", path)
		if strings.HasPrefix(path, "/debug/") && status != http.StatusNotFound {
			t.Errorf("GET %s = %d; want 404", path, status)
		}
		base, _ := url.Parse(path)
		for _, m := range href.FindAllSubmatch(body, -1) {
			to, err := base.Parse(html.UnescapeString(string(m[1])))
			if err == nil && to.Host == "" && strings.HasPrefix(to.Path, "/") {
				to.Fragment = ""
				next = append(next, to.String())
			}
		}
	}
	for name, accept := range map[string]string{
		"protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "OpenMetrics": "application/openmetrics-text;version=1.0.0",
	} {
		p.ask(t, h, "/metrics as a scraper, "+name, "GET", "/metrics", "Accept", accept)
		p.ask(t, h, "/metrics as a scraper, packed "+name, "GET", "/metrics", "Accept", accept, "Accept-Encoding", "gzip")
	}
	for _, probe := range []string{s.witness + "/probes/spoken", s.witness + "/probes/checked", "own/probes/own_checked", "inline-refuse/probes/spoken", "basic-redirect/probes/spoken", "oauthbad-ok/probes/spoken"} {
		path := "/api/v1/targets/" + probe + "/run"
		p.ask(t, h, path, "POST", path)
	}
}

// demand asks for probes on demand.
func (s *site) demand(h *haul, p *program) {
	for _, manner := range manners() {
		for _, probe := range []string{"spoken", "own", "silent", "checked"} {
			for _, debug := range []string{"", "&debug=true"} {
				path := "/probe?module=" + probe + debug + "&target=" + url.QueryEscape(s.parrot.URL+"/"+manner+"/v1")
				if status, body := p.ask(s.t, h, "/probe "+manner+" "+probe+debug, "GET", path, "X-Prometheus-Scrape-Timeout-Seconds", "1"); status != http.StatusOK {
					s.t.Errorf("%s = %d %s", path, status, body)
				}
			}
		}
	}
	p.ask(s.t, h, "/probe with the witness", "GET", "/probe?debug=true&module=spoken&model="+s.witness+"&target="+url.QueryEscape(s.parrot.URL+"/ok/v1"))
	p.ask(s.t, h, "/probe refused", "GET", "/probe?module=spoken&target="+url.QueryEscape("http://me:"+s.core("probe target")+"@127.0.0.1:1/?key="+s.core("probe query")))
}

// gate asks the daemon for a verdict, and somebody who is none.
func (s *site) gate(h *haul, p *program) {
	auth := s.write("gate.yml", fmt.Sprintf("basic_auth: {username: ops, password: '%s'}\n", s.plant("web password")))
	wrong := s.write("gate_wrong.yml", fmt.Sprintf("authorization: {credentials: '%s'}\nhttp_headers: {X-Api-Key: {secrets: ['%s']}}\n", s.plant("gate credentials"), s.plant("gate header")))
	oauth := s.write("gate_oauth.yml", fmt.Sprintf("oauth2: {client_id: me, client_secret: '%s', token_url: '%s/token/bad'}\n", s.plant("gate oauth2 secret"), s.parrot.URL))
	for _, form := range []string{"text", "json"} {
		s.command(h, "gate", "gate", "--url="+p.address, "--target="+s.witness, "--http.config.file="+auth, "--output="+form)
	}
	for _, bad := range []string{
		"basic_auth: '" + s.plant("gate as a text") + "'\n", "authorization: {credentials: ['" + s.plant("gate as a list") + "']}\n", "api_key: " + s.core("gate unknown key") + "\n",
		s.core("gate nothing but a key") + "\n", "bearer_token: \"" + s.core("gate torn") + "\n", "proxy_url: 'http://me:" + s.core("gate proxy") + "@x:y'\n",
	} {
		s.command(h, "gate with a bad file", "gate", "--url="+p.address, "--target=t", "--http.config.file="+s.write("gate_bad.yml", bad))
		s.command(h, "gate with a bad file", "baseline", "save", "t", "--storage.path="+s.data(), "--prometheus.url="+p.address, "--prometheus.http-config="+filepath.Join(s.dir, "gate_bad.yml"))
	}
	for _, manner := range []string{"refuse", "redirect", "status", "ok"} {
		s.command(h, "gate elsewhere", "gate", "--url="+s.parrot.URL+"/"+manner, "--target=t", "--http.config.file="+wrong)
	}
	s.command(h, "gate elsewhere", "gate", "--url="+s.parrot.URL, "--target=t", "--http.config.file="+oauth)
	s.command(h, "gate elsewhere", "baseline", "save", "t", "--storage.path="+s.data(), "--prometheus.url="+s.parrot.URL+"/refuse", "--prometheus.http-config="+wrong)
}

// command runs a command in this process.
func (s *site) command(h *haul, place string, args ...string) {
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	code := run(ctx, append([]string{"--log.level=debug"}, args...), &out, h.writer(place)) // a log is written by several at once
	h.add(place, out.Bytes())
	h.add(place, fmt.Appendf(nil, "exit code %d\n", code))
}

// runCommands runs the commands that need no daemon.
func (s *site) runCommands(h *haul) {
	for _, assignment := range s.environment() {
		name, value, _ := strings.Cut(assignment, "=")
		s.t.Setenv(name, value)
	}
	data := "--storage.path=" + s.data()
	file := s.write("prober.yml", s.config())
	s.command(h, "check-config", "check-config", file)
	for i, text := range s.bad() {
		s.command(h, "check-config", "check-config", s.write(fmt.Sprintf("bad%d.yml", i), text))
	}
	for _, bad := range []string{"basic_auth_users: {ops: ['" + s.plant("web as a list") + "']}\n", "basic_auth_users: '" + s.plant("web as a text") + "'\n", "tls_server_config: {key: " + s.core("web key") + "}\n"} {
		s.command(h, "a bad web configuration", "run", "--config.file="+file, "--web.listen-address=127.0.0.1:0", data, "--no-collector.gpu", "--web.config.file="+s.write("web_bad.yml", bad))
	}
	key := s.file("header of the command")
	for _, manner := range manners() {
		for _, form := range []string{"text", "json"} {
			if manner == "hang" && form == "json" {
				continue
			}
			s.command(h, "probe", "probe", "--url="+s.parrot.URL+"/"+manner+"/v1", "--model=m", "-n1", "--timeout=1s", "--credentials-file="+key, "--header-file=x-api-key="+key, "--output="+form)
		}
	}
	s.command(h, "probe", "probe", "--url=http://me:"+s.core("probe password")+"@127.0.0.1:1/v1", "--model=m")
	report := filepath.Join(s.dir, "report.html")
	for _, form := range []string{"text", "json", "junit", "markdown"} {
		args := []string{"ramp", s.witness, "--config.file=" + file, data, "--no-collector.gpu", "--output=" + form}
		if form == "text" {
			args = append(args, "--report="+report)
		} else if form != "json" {
			continue // runs show has the others
		}
		s.command(h, "ramp", args...)
	}
	page, err := os.ReadFile(report)
	if err != nil {
		s.t.Fatal(err)
	}
	h.add("report", page)
	s.command(h, "runs list", "runs", "list", data)
	entries, err := os.ReadDir(filepath.Join(s.data(), "runs"))
	if err != nil {
		s.t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, e := range entries {
		if id, _, _ := strings.Cut(e.Name(), "."); strings.Contains(id, s.witness) {
			ids[id] = true
		}
	}
	if len(ids) < 3 {
		s.t.Errorf("there are the runs %v; want those of the daemon and of the commands", ids)
	}
	for id := range ids {
		for _, form := range []string{"text", "json", "junit", "markdown"} {
			s.command(h, "runs show", "runs", "show", id, data, "--output="+form)
		}
		for _, form := range []string{"csv", "json"} {
			s.command(h, "runs export", "runs", "export", id, data, "--format="+form)
			s.command(h, "runs export", "runs", "export", id, data, "--what=stages", "--format="+form)
		}
		s.command(h, "baseline", "baseline", "save", s.witness, "--run="+id, data)
	}
	s.command(h, "rules", "rules", "--help")
	s.storage(h)
}

// storage reads every file that was written.
func (s *site) storage(h *haul) {
	root := s.data()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		h.add("storage "+name, data)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
