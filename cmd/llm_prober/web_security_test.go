package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/internal/simulator"
)

// TestWebConfig starts the program with each kind of --web.config.file, and comes with and without what it demands.
func TestWebConfig(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	cert, key := ca.issue("server", x509.ExtKeyUsageServerAuth)
	clientCert, clientKey := ca.issue("client", x509.ExtKeyUsageClientAuth)
	otherCert, otherKey := other.issue("client", x509.ExtKeyUsageClientAuth)
	load := func(cert, key string) []tls.Certificate {
		t.Helper()
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{pair}
	}
	server := fmt.Sprintf("tls_server_config:\n  cert_file: %s\n  key_file: %s\n", cert, key)
	mutual := server + fmt.Sprintf("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: %s\n", ca.file)
	users := fmt.Sprintf("basic_auth_users: {ops: '%s'}\n", webHash)

	type visit struct {
		name       string
		tls        *tls.Config // with the authority in place of its own where it has none; nil: of nothing else
		user, pass string
		want       int // 0: no connection
	}
	for _, c := range []struct {
		name, file string
		plain      bool
		visits     []visit
	}{
		{"a certificate", server, false, []visit{
			{name: "TLS 1.3", want: 200},
			{name: "TLS 1.2", tls: &tls.Config{MaxVersion: tls.VersionTLS12}, want: 200},
			{name: "TLS 1.1", tls: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}},
			{name: "another authority", tls: &tls.Config{RootCAs: other.pool}},
		}},
		{"a certificate of each client", mutual, false, []visit{
			{name: "none"},
			{name: "by another authority", tls: &tls.Config{Certificates: load(otherCert, otherKey)}},
			{name: "a server's", tls: &tls.Config{Certificates: load(cert, key)}},
			{name: "the right one", tls: &tls.Config{Certificates: load(clientCert, clientKey)}, want: 200},
		}},
		{"passwords", server + users, false, []visit{
			{name: "none", want: 401},
			{name: "wrong", user: "ops", pass: "wrong", want: 401},
			{name: "of nobody", user: "nobody", pass: webPassword, want: 401},
			{name: "the hash", user: "ops", pass: webHash, want: 401},
			{name: "right", user: "ops", pass: webPassword, want: 200},
		}},
		{"both", mutual + users, false, []visit{
			{name: "a password alone", user: "ops", pass: webPassword},
			{name: "a certificate alone", tls: &tls.Config{Certificates: load(clientCert, clientKey)}, want: 401},
			{name: "both", tls: &tls.Config{Certificates: load(clientCert, clientKey)}, user: "ops", pass: webPassword, want: 200},
		}},
		{"passwords without TLS", users, true, []visit{
			{name: "none", want: 401},
			{name: "right", user: "ops", pass: webPassword, want: 200},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := serveProgram(t, c.file)
			for _, v := range c.visits {
				conf := &tls.Config{}
				if v.tls != nil {
					conf = v.tls
				}
				if conf.RootCAs == nil {
					conf.RootCAs = ca.pool
				}
				client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}
				scheme := map[bool]string{true: "http", false: "https"}[c.plain]
				for _, path := range []string{"/", "/metrics", "/api/v1/targets", "/config", "/probe?target=x&module=y"} {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+address+path, nil)
					if err != nil {
						t.Fatal(err)
					}
					if v.user != "" {
						r.SetBasicAuth(v.user, v.pass)
					}
					got := 0
					resp, err := client.Do(r)
					if err == nil {
						got = resp.StatusCode
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					want := v.want
					if want == 200 && strings.HasPrefix(path, "/probe") {
						want = http.StatusForbidden // it is switched off
					}
					if got != want {
						t.Errorf("%s: GET %s = %d (%v); want %d", v.name, path, got, err, want)
					}
				}
			}
		})
	}
}

// serveProgram runs the program in this process with a web configuration, to the end of the test, and returns its address.
func serveProgram(t *testing.T, web string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("prober.yml", "probes: {a: {prompt_tokens: 20, max_output_tokens: 1, interval: 1h}}\ntargets: []\ntarget_files: [{files: ["+dir+"/none.json]}]\n")
	read, log := io.Pipe()
	ctx, done := t.Context(), make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"run", "--config.file=" + file, "--web.config.file=" + write("web.yml", web), "--web.listen-address=127.0.0.1:0", "--no-collector.gpu",
			"--storage.path=", "--shutdown-timeout=0s"}, log, log)
		log.Close()
	}()
	t.Cleanup(func() { <-done }) // t's context has ended by then
	address := make(chan string, 1)
	go func() {
		defer close(address)
		for lines := bufio.NewScanner(read); lines.Scan(); {
			if _, rest, found := strings.Cut(lines.Text(), `msg="Listening on" address=`); found {
				address <- strings.TrimSpace(rest)
			}
		}
	}()
	found := <-address
	if found == "" {
		t.Fatalf("it does not serve with\n%s", web)
	}
	return found
}

// A web configuration that allows a TLS that is broken is refused, whatever exporter-toolkit would do.
func TestWebConfigRefusesOldTLS(t *testing.T) {
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"tls_server_config: {min_version: TLS10}\n", false},
		{"tls_server_config: {min_version: TLS11}\n", false},
		{"tls_server_config:\n  max_version: TLS11\n", false},
		{"tls_server_config: {min_version: \"TLS11\"}\n", false},
		{"tls_server_config: {min_version: TLS12}\n", true},
		{"tls_server_config: {min_version: TLS13}\n", true},
		{"{", true}, // others say what is wrong with it
		{"", true},
	} {
		file := filepath.Join(t.TempDir(), "web.yml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := checkWebConfig(file)
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "write TLS12 or TLS13") {
			t.Errorf("checkWebConfig(%q) = %v; want no error: %t", c.text, err, c.ok)
		}
	}
	if err := checkWebConfig(filepath.Join(t.TempDir(), "none.yml")); err == nil {
		t.Error("a file that is not there is taken")
	}
	w := httptest.NewRecorder() // the file is read again for each connection, by exporter-toolkit alone
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS11}
	secured(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("GET over TLS 1.1 = %d; want 403", w.Code)
	}
}

// routesOf are all that is served of a daemon that may be changed over HTTP, on a listener of its own.
func routesOf(t *testing.T) string {
	t.Helper()
	model := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	d, _, registry := started(t, func() string { return fmt.Sprintf(withRamps, model, "") })
	f := &webFlags{lifecycle: true}
	server := httptest.NewServer(f.routes(d, collector.Handler(registry, d.logger), d.pages))
	t.Cleanup(server.Close)
	return server.URL
}

// No page of another origin changes anything: not by a form, not by a script, not by a simple request. Programs and our own
// pages do.
func TestOtherOriginsChangeNothing(t *testing.T) {
	base := routesOf(t)
	host := strings.TrimPrefix(base, "http://")
	changing := [][2]string{
		{"POST", "/-/reload"}, {"POST", "/api/v1/ramps/endless/runs"}, {"DELETE", "/api/v1/ramps/endless/runs/current"}, {"POST", "/api/v1/targets/t/probes/fast/run"},
		{"POST", "/ramps/endless/start"}, {"POST", "/ramps/endless/stop"},
	}
	ask := func(method, path string, header ...string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for _, foreign := range [][]string{
		{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		{"Sec-Fetch-Site", "same-site", "Origin", "http://other.example"},
		{"Sec-Fetch-Site", "cross-site", "Content-Type", "application/x-www-form-urlencoded"},
		{"Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain", "Origin", "null"},
		{"Origin", "https://evil.example"}, // a browser of before 2023
		{"Origin", "http://127.0.0.1:1"},   // another port of this host
		{"Origin", "null"},                 // a sandbox
		{"Origin", "https://evil.example", "Sec-Fetch-Site", ""},
	} {
		for _, c := range changing {
			if status, body := ask(c[0], c[1], foreign...); status != http.StatusForbidden || !strings.Contains(body, "cross-origin") {
				t.Errorf("%s %s with %q = %d %s; want 403 for its origin", c[0], c[1], foreign, status, body)
			}
		}
	}
	for _, c := range changing {
		if status, _ := ask("GET", c[1]); status != http.StatusMethodNotAllowed && status != http.StatusNotFound {
			if c[1] != "/api/v1/ramps/endless/runs/current" || status != http.StatusNotFound { // which is a page of its own
				t.Errorf("GET %s = %d; want that a GET changes nothing", c[1], status)
			}
		}
	}
	for _, own := range [][]string{{}, {"Sec-Fetch-Site", "same-origin", "Origin", "http://" + host}, {"Sec-Fetch-Site", "none"}, {"Origin", "http://" + host}} {
		if status, body := ask("POST", "/api/v1/targets/t/probes/none/run", own...); status != http.StatusNotFound {
			t.Errorf("POST with %q = %d %s; want that it gets through, to what is not there", own, status, body)
		}
	}
	if status, _ := ask("POST", "/api/v1/targets/t/probes/fast/run", "Content-Type", "application/x-www-form-urlencoded"); status != http.StatusUnsupportedMediaType {
		t.Errorf("a form without a word on its origin = %d; want 415", status)
	}
}

// Every answer tells browsers what it is not.
func TestSecurityHeaders(t *testing.T) {
	base := routesOf(t)
	for _, path := range []string{"/", "/metrics", "/api/v1/targets", "/config", "/schedule", "/runs", "/targets/t", "/static/nothing", "/nothing", "/probe", "/-/healthy", "/-/ready", "/-/reload"} {
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		policy := resp.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("GET %s: Content-Security-Policy is %q", path, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer"} {
			if got := resp.Header.Values(name); !slices.Equal(got, []string{want}) {
				t.Errorf("GET %s: %s is %q; want %q", path, name, got, want)
			}
		}
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("GET %s may be read by %q", path, got)
		}
	}
}

// What a client may send is bounded: a header that is too large is refused, and a body that nobody wants is not read.
func TestRequestsAreBounded(t *testing.T) {
	address := serveProgram(t, "")
	send := func(head string, body io.Reader) (int, error) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, head) // as much as is taken: whoever refuses does not read to the end
		if body != nil {
			io.Copy(conn, body)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		return resp.StatusCode, nil
	}
	if status, err := send("GET /metrics HTTP/1.1\r\nHost: x\r\nX-Big: "+strings.Repeat("x", 60<<10)+"\r\n\r\n", nil); status != http.StatusOK {
		t.Errorf("a header of 60 KiB = %d, %v; want 200", status, err)
	}
	if status, err := send("GET /metrics HTTP/1.1\r\nHost: x\r\nX-Big: "+strings.Repeat("x", 80<<10)+"\r\n\r\n", nil); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 80 KiB = %d, %v; want 431", status, err)
	}
	taken := &counted{left: 64 << 20}
	_, err := send("POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: "+fmt.Sprint(taken.left)+"\r\n\r\n", taken)
	if taken.left == 0 {
		t.Errorf("64 MiB for nobody were all read (%v)", err)
	}
}

// counted is so many bytes, of which it knows how many were not asked for.
type counted struct{ left int }

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), c.left)
	c.left -= n
	return n, nil
}

// Credentials of other clients than probes' stay at the origin that they are for.
func TestOtherClientsKeepTheirCredentials(t *testing.T) {
	asked := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer elsewhere.Close()
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer home.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "http.yml")
	if err := os.WriteFile(file, []byte("follow_redirects: true\nhttp_headers: {X-Api-Key: {secrets: [canary]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"gate", "--url=" + home.URL, "--target=t", "--http.config.file=" + file},
		{"baseline", "save", "t", "--storage.path=" + dir, "--prometheus.url=" + home.URL, "--prometheus.http-config=" + file},
	} {
		var out strings.Builder
		if code := run(t.Context(), args, &out, &out); code == 0 || asked != 0 {
			t.Errorf("%s: exit code %d, and the other server was asked %d times; want a failure and never\n%s", args[0], code, asked, &out)
		}
	}
	old := filepath.Join(dir, "old.yml")
	if err := os.WriteFile(old, []byte("tls_config: {min_version: TLS11}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if code := run(t.Context(), []string{"gate", "--url=" + home.URL, "--target=t", "--http.config.file=" + old}, &out, &out); code != 1 || !strings.Contains(out.String(), "TLS before 1.2") {
		t.Errorf("gate with TLS 1.1: exit code %d: %s; want 1 and why", code, &out)
	}
	out.Reset()
	if code := run(t.Context(), []string{"baseline", "save", "t", "--storage.path=" + dir, "--prometheus.url=http://me:canary@127.0.0.1:1"}, &out, &out); code != 1 || strings.Contains(out.String(), "canary") || !strings.Contains(out.String(), "process lists") {
		t.Errorf("baseline with a password in the URL: exit code %d: %s; want 1 and why", code, &out)
	}
}

// The tests that docs/security.md names are there.
func TestSecurityDocument(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(repository, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllSubmatch(document, -1) {
		named[string(name[1])] = true
	}
	if len(named) < 20 {
		t.Fatalf("%d tests are named in docs/security.md: that is not how they are found", len(named))
	}
	declared := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(t \*testing\.T\)`)
	err = filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // what others make beside it comes and goes
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(source, -1) {
			delete(named, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range named {
		t.Errorf("docs/security.md names %s, which is nowhere", name)
	}
}
