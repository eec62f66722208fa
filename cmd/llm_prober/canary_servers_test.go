package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// parrot is a model server, an engine, a server of tokens, one of targets and a proxy, each of which says all that it was
// told in every place that it has.
type parrot struct {
	*httptest.Server
	c     *canaries
	hurts atomic.Bool // what has worked fails
	told  haul        // what it was told: else there would be nothing to echo
}

// The ways in which a parrot answers a question: the first parts of the paths of its targets.
func manners() []string {
	return []string{"ok", "refuse", "text", "status", "redirect", "event", "torn", "garbage", "page", "limit", "hang"}
}

func newParrot(t *testing.T, c *canaries) *parrot {
	p := &parrot{c: c}
	p.Server = httptest.NewUnstartedServer(p)
	p.Config.ErrorLog = nil
	p.Start()
	t.Cleanup(p.Close)
	return p
}

// ServeHTTP implements http.Handler.
func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	heard, _ := httputil.DumpRequest(r, true) // what there is of it
	user, password, _ := r.BasicAuth()
	said := user + ":" + password + " " + string(heard)
	p.told.add("the parrot", []byte(said))
	line := strings.Join(strings.Fields(said), " ")
	manner, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Host != "" || r.Method == http.MethodConnect: // it is a proxy
		abrupt(w, "407 "+r.Header.Get("Proxy-Authorization"), "Proxy-Authenticate: "+line, said)
	case manner == "engine":
		p.engine(w, r, line)
	case manner == "token":
		if strings.HasSuffix(r.URL.Path, "/bad") {
			abrupt(w, "401 "+line, "", `{"error":"invalid_client","error_description":`+quote(line)+`}`)
			return
		}
		reply(w, "application/json", fmt.Sprintf(`{"access_token":%s,"token_type":"Bearer","expires_in":2}`, quote(p.c.plant("oauth2 token"))))
	case manner == "targets":
		p.targets(w, r, line)
	case strings.HasSuffix(r.URL.Path, "/tokenize"):
		http.Error(w, said, http.StatusNotFound)
	default:
		p.model(w, r, manner, line)
	}
}

func reply(w http.ResponseWriter, kind, text string) {
	w.Header().Set("Content-Type", kind)
	io.WriteString(w, text)
}

func quote(text string) string {
	quoted, _ := json.Marshal(text) // a string can be
	return string(quoted)
}

// abrupt answers by bytes of its own, and closes.
func abrupt(w http.ResponseWriter, status, header, body string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 %s\r\nConnection: close\r\n", status)
	if header != "" {
		fmt.Fprintf(conn, "%s\r\n", header)
	}
	fmt.Fprintf(conn, "\r\n%s", body)
}

// model answers a question.
func (p *parrot) model(w http.ResponseWriter, r *http.Request, manner, line string) {
	credentials := strings.Join([]string{r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), r.Header.Get("X-Tenant"), r.Header.Get("X-File")}, " ")
	for _, name := range []string{"Server", "X-Request-Id", "Request-Id", "Cf-Ray", "X-Ratelimit-Limit", "Set-Cookie", "Server-Timing", "Openai-Processing-Ms"} {
		w.Header().Set(name, credentials)
	}
	w.Header().Set("Traceparent", line[:min(len(line), 4000)])
	event := func(doc string) {
		fmt.Fprintf(w, "data: %s\n\n", doc)
		w.(http.Flusher).Flush()
	}
	switch manner {
	case "refuse":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":{"message":%[1]s,"type":%[1]s,"code":%[1]s}}`, quote(line))
	case "text":
		w.Header().Set("Content-Type", credentials)
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "<html>%s", strings.Repeat("x", 900)+credentials)
	case "status":
		abrupt(w, "503 "+credentials, "Retry-After: "+credentials, credentials)
	case "redirect":
		w.Header().Set("Location", "http://"+credentials+"@127.0.0.1:1/?key="+credentials)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case "event":
		w.Header().Set("Content-Type", "text/event-stream")
		event(fmt.Sprintf(`{"error":{"message":%[1]s,"type":%[1]s}}`, quote(credentials)))
	case "torn":
		w.Header().Set("Content-Type", "text/event-stream")
		event(fmt.Sprintf(`{"choices":[{"index":0,"delta":{"content":%s}}]}`, quote(credentials)))
	case "garbage":
		w.Header().Set("Content-Type", "text/event-stream")
		event("{" + credentials)
	case "page":
		reply(w, "text/html", credentials)
	case "limit":
		w.Header().Set("Retry-After", credentials)
		http.Error(w, line, http.StatusTooManyRequests)
	case "hang":
		w.Header().Set("Content-Type", "text/event-stream")
		event(`{"choices":[{"index":0,"delta":{"role":"assistant"}}]}`)
		<-r.Context().Done()
	default:
		answer := credentials
		if body, ok := p.heardPrivately(line); ok { // a user's own question has an answer that is as private
			answer = p.c.plant("private answer") + body
		}
		id, model := quote("chatcmpl-"+credentials), quote(credentials)
		if strings.Contains(line, `"stream":false`) || !strings.Contains(line, `"stream":true`) {
			reply(w, "application/json", fmt.Sprintf(`{"id":%s,"model":%s,"choices":[{"index":0,"message":{"role":"assistant","content":%s},"finish_reason":%s}]}`, id, model, quote(answer), model))
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			event(fmt.Sprintf(`{"id":%s,"model":%s,"system_fingerprint":%s,"choices":[{"index":0,"delta":{"content":%s}}]}`, id, model, model, quote(answer)))
		}
		event(fmt.Sprintf(`{"id":%s,"model":%s,"choices":[{"index":0,"delta":{},"finish_reason":%s}]}`, id, model, model))
		event("[DONE]")
	}
}

func (p *parrot) heardPrivately(line string) (string, bool) {
	if core := p.c.core("private question"); strings.Contains(line, core) {
		return core, true
	}
	return "", false
}

// engine answers with metrics, or not.
func (p *parrot) engine(w http.ResponseWriter, r *http.Request, line string) {
	credentials := r.Header.Get("Authorization") + r.Header.Get("X-Api-Key")
	switch r.URL.Path {
	case "/engine/status/metrics":
		abrupt(w, "401 "+line, "", line)
	case "/engine/redirect/metrics":
		w.Header().Set("Location", "http://127.0.0.1:1/?key="+credentials)
		w.WriteHeader(http.StatusFound)
	case "/engine/away/metrics":
		w.Header().Set("Location", "http://"+credentials+"/%zz")
		w.WriteHeader(http.StatusFound)
	case "/engine/garbage/metrics":
		fmt.Fprintf(w, "vllm:num_requests_running{model_name=%s %s\n", credentials, credentials)
	case "/engine/json/metrics":
		reply(w, "application/json", `[{"iter":`+quote(credentials)+`}]`)
	default:
		value := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(credentials)
		fmt.Fprintf(w, "# HELP vllm:num_requests_running %[1]s\n# TYPE vllm:num_requests_running gauge\n"+
			"vllm:num_requests_running{engine=\"%[1]s\",model_name=\"%[1]s\"} 4\n"+
			"# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{engine=\"%[1]s\",model_name=\"%[1]s\"} 1\n"+
			"# TYPE vllm:cache_config_info gauge\nvllm:cache_config_info{engine=\"%[1]s\",block_size=\"%[1]s\",cache_dtype=\"%[1]s\"} 1\n"+
			"# TYPE vllm:request_success counter\nvllm:request_success_total{finished_reason=\"%[1]s\",model_name=\"%[1]s\",engine=\"0\"} 3\n", value)
	}
}

// targets answers with a list of targets, or not.
func (p *parrot) targets(w http.ResponseWriter, r *http.Request, line string) {
	credentials := r.Header.Get("Authorization") + r.Header.Get("X-Api-Key")
	list := fmt.Sprintf(`[{"targets":[%s],"labels":{"__name":"found"}}]`, quote(p.URL+"/ok/found/v1"))
	if !p.hurts.Load() && strings.HasPrefix(r.URL.Path, "/targets/good") {
		reply(w, "application/json", list)
		return
	}
	switch strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/targets/good"), "/targets/") {
	case "kind":
		reply(w, credentials, list)
	case "label":
		reply(w, "application/json", fmt.Sprintf(`[{"targets":["x:1"],"labels":{"__protocol":%[1]s,"__name":%[1]s}}]`, quote(credentials)))
	case "redirect":
		w.Header().Set("Location", "http://"+credentials+"/%zz")
		w.WriteHeader(http.StatusFound)
	case "garbage":
		reply(w, "application/json", credentials)
	default:
		abrupt(w, "500 "+line, "", line)
	}
}

// until asks again and again whether something is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(90 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("%s: not so after a minute and a half", what)
		}
	}
}

// freePort is a port on which nobody listens now: below those that systems give to who asks for any, as other tests do meanwhile.
func freePort(t *testing.T) string {
	t.Helper()
	var err error
	for range 100 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal(err)
	return ""
}
