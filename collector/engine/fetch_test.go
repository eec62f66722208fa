package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/llmprober/llm_prober/prober/redaction"
)

// gathered is what a collector serves, as "name{value of its label}", target and histograms' buckets left out.
func gathered(t testing.TB, c prometheus.Collector) map[string]float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, mf := range families {
		for _, m := range mf.GetMetric() {
			parts := []string{strings.TrimPrefix(mf.GetName(), prefix)}
			for _, l := range m.GetLabel() {
				if l.GetName() != "target" {
					parts = append(parts, "{"+l.GetValue()+"}")
				}
			}
			name := strings.Join(parts, "")
			switch mf.GetType() {
			case dto.MetricType_COUNTER:
				got[name] = m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				got[name] = m.GetGauge().GetValue()
			case dto.MetricType_HISTOGRAM:
				got[name+"_count"], got[name+"_sum"] = float64(m.GetHistogram().GetSampleCount()), m.GetHistogram().GetSampleSum()
			}
		}
	}
	return got
}

// What an answer that failed says of it is told with the status, as one short line.
func TestFailuresSayWhatTheServerSays(t *testing.T) {
	for _, c := range []struct {
		name, body, want string
		status           int
	}{
		{
			name: "llama.cpp without --metrics", status: http.StatusNotImplemented,
			body: `{"error":{"code":501,"message":"This server does not support metrics endpoint. Start it with ` + "`--metrics`" + `","type":"not_supported_error"}}`,
			want: "HTTP status 501 Not Implemented: not_supported_error: This server does not support metrics endpoint. Start it with `--metrics`",
		},
		{
			name: "llama.cpp without its key", status: http.StatusUnauthorized,
			body: `{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}`,
			want: "HTTP status 401 Unauthorized: authentication_error: Invalid API Key",
		},
		{name: "plain text", status: http.StatusNotFound, body: "404 page\x1b[31m\nnot found\n", want: "HTTP status 404 Not Found: 404 page [31m not found"},
		{name: "nothing", status: http.StatusBadGateway, want: "HTTP status 502 Bad Gateway"},
		{
			name: "too much", status: http.StatusBadGateway, body: strings.Repeat("na", 1<<20),
			want: "HTTP status 502 Bad Gateway: " + strings.Repeat("na", 150) + "…",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			defer s.Close()
			err := fetch(t.Context(), s.Client(), s.URL, new(bytes.Buffer))
			if err == nil || err.Error() != c.want {
				t.Errorf("fetch() = %v; want %s", err, c.want)
			}
		})
	}
}

// A redirect says where it leads, for that to be written down, and nothing of what else the answer has put there.
func TestRedirectsSayWhereTheyLead(t *testing.T) {
	const engine, secret = "http://engine:8000", `zq00xksecret/+"&<`
	for _, c := range []struct{ name, location, want string }{
		{"a slash that lacks", engine + "/metrics/", ": this redirect is not followed; if the metrics are at http://engine:8000/metrics/, write that as metrics_url"},
		{"a path alone", "/metrics/", ": this redirect is not followed; if the metrics are at http://engine:8000/metrics/, write that as metrics_url"},
		{"TLS", "https://engine/metrics", ": this redirect is not followed; if the metrics are at https://engine/metrics, write that as metrics_url"},
		{"credentials", "http://me:hunter2@engine/m?key=hunter2&a=b#hunter2", ": this redirect is not followed; if the metrics are at http://engine/m, write that as metrics_url"},
		{"a secret as it is", "/x/" + secret, ": this redirect is not followed; if the metrics are at " + engine + "/x/<secret>, write that as metrics_url"},
		{"a secret in signs", "/x/zq00xk%73ecret%2F+%22&%3c", ": this redirect is not followed; if the metrics are at " + engine + "/x/<secret>, write that as metrics_url"},
		{"signs that are not shown", "/m%1b%5b31m%0a%E2%80%AEx", ": this redirect is not followed; if the metrics are at http://engine:8000/m [31m x, write that as metrics_url"},
		{"too much", "/" + strings.Repeat("na", 1000), ": this redirect is not followed; if the metrics are at " + engine + "/" + strings.Repeat("na", 140) + "n…, write that as metrics_url"},
		{"no web address", "mailto:hunter2@engine", ": this redirect is not followed"},
		{"nowhere", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &http.Client{
				Transport: responds(func(r *http.Request) *http.Response {
					header := http.Header{}
					if c.location != "" {
						header.Set("Location", c.location)
					}
					return &http.Response{StatusCode: 307, Status: "307 Temporary Redirect", Header: header, Body: http.NoBody, Request: r}
				}),
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			}
			err := fetch(t.Context(), client, engine+"/metrics", new(bytes.Buffer))
			err = redaction.Of(secret).Error(err) // as it is logged
			if want := "HTTP status 307 Temporary Redirect" + c.want; err == nil || err.Error() != want || reasonOf(err) != reasonRedirect {
				t.Errorf("fetch() = %v; want %s", err, want)
			}
		})
	}
}

// responds is a server of whole responses.
type responds func(*http.Request) *http.Response

func (s responds) RoundTrip(r *http.Request) (*http.Response, error) { return s(r), nil }

// Each way in which a fetch can fail has its reason.
func TestFailures(t *testing.T) {
	serve := func(h http.HandlerFunc) func(*testing.T) (string, *http.Client) {
		return func(t *testing.T) (string, *http.Client) {
			s := httptest.NewServer(h)
			t.Cleanup(s.Close)
			return s.URL, s.Client()
		}
	}
	status := func(code int) func(*testing.T) (string, *http.Client) {
		return serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
		})
	}
	body := func(text string) func(*testing.T) (string, *http.Client) {
		return serve(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
	}
	short := func(call string, errno syscall.Errno) func(*testing.T) (string, *http.Client) {
		return func(*testing.T) (string, *http.Client) {
			return "http://127.0.0.1:1", &http.Client{Transport: &http.Transport{DialContext: func(_ context.Context, network, _ string) (net.Conn, error) {
				to := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
				return nil, &net.OpError{Op: "dial", Net: network, Addr: to, Err: os.NewSyscallError(call, errno)}
			}}}
		}
	}
	for _, c := range []struct {
		name, want string
		server     func(*testing.T) (url string, client *http.Client)
		change     func(*Options)
	}{
		{name: "nobody listens", want: reasonConnect, server: func(*testing.T) (string, *http.Client) {
			return "http://127.0.0.1:1", new(http.Client) // a port that nobody is given
		}},
		{name: "no file descriptor", want: reasonUnsent, server: short("socket", syscall.EMFILE)},
		{name: "no port", want: reasonUnsent, server: short("connect", syscall.EADDRNOTAVAIL)},
		{name: "a connection that the kernel gives up", want: reasonTimeout, server: short("connect", syscall.ETIMEDOUT)},
		{name: "TLS that the client does not trust", want: reasonConnect, server: func(t *testing.T) (string, *http.Client) {
			s := httptest.NewUnstartedServer(http.NotFoundHandler())
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
			s.StartTLS()
			t.Cleanup(s.Close)
			return s.URL, &http.Client{Transport: &http.Transport{TLSClientConfig: new(tls.Config)}}
		}},
		{name: "no answer", want: reasonTimeout, server: serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })},
		{name: "half an answer", want: reasonTimeout, server: serve(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "vllm:generation_tokens_total 5\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})},
		{name: "a broken answer", want: reasonCut, server: serve(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "vllm:generation_tokens_total 5\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})},
		{name: "a page that ends within a line", want: reasonCut, server: body("vllm:generation_tokens_total 5")},
		{name: "moved", want: reasonRedirect, server: status(301)},
		{name: "wrong path", want: reasonClientError, server: status(404)},
		{name: "still loading", want: reasonServerError, server: status(503)},
		{name: "no content", want: reasonMalformed, server: status(204)},
		{name: "a page without end", want: reasonTooLarge, server: serve(func(w http.ResponseWriter, r *http.Request) {
			line := bytes.Repeat([]byte("some_other_metric 5\n"), 1000)
			for r.Context().Err() == nil {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		})},
		{name: "something else", want: reasonMalformed, server: body("<html></html>")},
		{name: "not a number", want: reasonMalformed, server: body("vllm:generation_tokens_total many\n")},
		{name: "labels that are none", want: reasonMalformed, server: body(`vllm:generation_tokens_total{a="1",a="2"} 5` + "\n")},
		{name: "no engine", want: reasonUnrecognised, server: body("up 1\n")},
		{name: "another engine than was said", want: reasonUnrecognised, server: body("sglang:num_running_reqs 1\n"), change: func(o *Options) { o.Kind = KindVLLM }},
		{name: "a router, whatever was said", want: reasonNotAnEngine, server: body("vllm:num_requests_running{server=\"a\"} 1\n"), change: func(o *Options) { o.Kind = KindVLLM }},
		{name: "a model that is not on the page", want: reasonUnrecognised, server: body("vllm:num_requests_running{model_name=\"a\"} 1\n"), change: func(o *Options) { o.Match = map[string]string{"model": "a"} }},
		{name: "JSON that reading empties", want: reasonDestructive, server: body(`[{"iter":1,"numActiveRequests":2}]`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, client := c.server(t)
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			defer client.CloseIdleConnections()
			e := newTestEngine(t, func(o *Options) {
				o.MetricsURL, o.Client, o.Interval, o.Timeout = url, client, time.Minute, time.Minute
				if c.want == reasonTimeout {
					o.Timeout = 20 * time.Millisecond
				}
				if c.change != nil {
					c.change(o)
				}
			})
			e.scrape(t.Context())

			got := gathered(t, e)
			want := map[string]float64{"up": 0, "last_scrape_timestamp_seconds": 0, "restarts_total": 0}
			for _, reason := range Reasons() {
				want["scrape_failures_total{"+reason+"}"] = 0
			}
			want["scrape_failures_total{"+c.want+"}"] = 1
			if got["scrape_duration_seconds"] <= 0 {
				t.Errorf("scrape_duration_seconds = %v; want above 0", got["scrape_duration_seconds"])
			}
			delete(got, "scrape_duration_seconds")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, ok := e.Snapshot(); ok {
				t.Error("there is a snapshot")
			}
		})
	}
}

// What is asked for: plain text, uncompressed.
func TestRequest(t *testing.T) {
	var got http.Header
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		io.WriteString(w, "vllm:generation_tokens_total 5\n")
	}))
	defer s.Close()
	e := newTestEngine(t, func(o *Options) { o.MetricsURL, o.Client = s.URL, s.Client() })
	e.scrape(t.Context())
	want := http.Header{"Accept": {accept}, "Accept-Encoding": {"identity"}, "User-Agent": {"llm_prober"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// answers is a server without a network, so that it can stand in a bubble.
type answers func(*http.Request) (string, error)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := a(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Status: "200 OK", Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

func (a answers) client() *http.Client { return &http.Client{Transport: a} }

// An endpoint that hangs costs its series and nothing else: scrapes are served at once all the while, and it is asked again.
func TestHungEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var hang atomic.Bool
		e := newTestEngine(t, func(o *Options) {
			o.Client = answers(func(r *http.Request) (string, error) {
				n := asked.Add(1)
				if hang.Load() {
					<-r.Context().Done()
					return "", r.Context().Err()
				}
				return fmt.Sprintf("vllm:num_requests_running 3\nvllm:generation_tokens_total %d\n", 100*n), nil
			}).client()
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); e.Run(ctx) }()

		time.Sleep(time.Minute)
		got, before := gathered(t, e), asked.Load()
		if got["up"] != 1 || got["requests_running"] != 3 || got["generation_tokens_total"] != float64(100*(before-1)) {
			t.Fatalf("after a minute: %v", got)
		}
		if before < 5 || before > 7 {
			t.Errorf("asked %d times in a minute; want every 10 s", before)
		}

		hang.Store(true)
		time.Sleep(5 * time.Minute)
		began := time.Now()
		got = gathered(t, e)
		if took := time.Since(began); took != 0 {
			t.Errorf("a scrape took %v; want no wait", took)
		}
		for name := range got {
			switch name, _, _ = strings.Cut(name, "{"); name {
			case "up", "scrape_failures_total", "scrape_duration_seconds", "last_scrape_timestamp_seconds", "restarts_total":
			default:
				t.Errorf("%s is served while the endpoint hangs", name)
			}
		}
		hung := asked.Load() - before
		if failed := got["scrape_failures_total{timeout}"]; got["up"] != 0 || failed < float64(hung-1) || failed > float64(hung) {
			t.Errorf("while it hangs: %v, asked %d times", got, hung)
		}
		// A timeout of half the interval leaves it to chance whether each place in the interval is used, or every second.
		if hung < 14 || hung > 31 {
			t.Errorf("asked %d times in five minutes", hung)
		}

		hang.Store(false)
		time.Sleep(30 * time.Second)
		if got := gathered(t, e); got["up"] != 1 || got["generation_tokens_total"] != float64(100*(asked.Load()-1)) || got["restarts_total"] != 0 {
			t.Errorf("after it recovered: %v, asked %d times", got, asked.Load())
		}
		hang.Store(true)
		time.Sleep(12 * time.Second) // a fetch may be under way: it is given up at once
		cancel()
		<-done
	})
}

// The view of an engine whose goroutine does not get to run is not served for ever.
func TestStaleView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEngine(t, func(o *Options) {
			o.Client = answers(func(*http.Request) (string, error) {
				return "vllm:num_requests_running 3\nvllm:generation_tokens_total 5\n", nil
			}).client()
		})
		e.scrape(t.Context())
		time.Sleep(25 * time.Second)
		if got := gathered(t, e); got["up"] != 1 || got["snapshot_age_seconds"] != 25 || got["requests_running"] != 3 {
			t.Errorf("after 25 s: %v", got)
		}
		time.Sleep(time.Second)
		got := gathered(t, e)
		if _, ok := got["requests_running"]; ok || got["up"] != 0 {
			t.Errorf("after 26 s: %v", got)
		}
	})
}

// The kind is found anew with each page, and a page without anything says nothing about it.
func TestKindIsFoundAnew(t *testing.T) {
	page := ""
	e := newTestEngine(t, func(o *Options) {
		o.Client = answers(func(*http.Request) (string, error) { return page, nil }).client()
	})
	for _, c := range []struct {
		page, kind string
		up         float64
	}{
		{"", "", 0},
		{"vllm:generation_tokens_total 5\n", "vllm", 1},
		{"# nothing yet\n", "vllm", 1},
		{"sglang:num_running_reqs 5\n", "sglang", 1},
		{"up 1\n", "", 0},
		{"vllm:num_requests_running{server=\"a\"} 5\n", "", 0},
		{"dynamo_frontend_active_requests 5\nvllm:generation_tokens_total 5\n", "dynamo", 1},
		{"num_requests_running 1\nnum_requests_waiting 0\ngpu_cache_usage_perc 0\n", "nim", 1},
	} {
		page = c.page
		e.scrape(t.Context())
		got := gathered(t, e)
		if got["up"] != c.up || c.kind != "" && got["info{"+c.kind+"}"] != 1 {
			t.Errorf("page %q: %v; want kind %q", c.page, got, c.kind)
		}
	}
}

// TensorRT-LLM's JSON is read once and then left to those whom it belongs to, unless that was allowed.
func TestDestructiveReads(t *testing.T) {
	const iterations = `[{"iter":7,"numActiveRequests":5,"numQueuedRequests":3,"numCompletedRequests":1,"iterLatencyMS":15.5,"kvCacheStats":{"maxNumBlocks":1000,"usedNumBlocks":500}},
		{"iter":8,"numActiveRequests":4,"numQueuedRequests":2,"numCompletedRequests":2,"kvCacheStats":{"maxNumBlocks":1000,"usedNumBlocks":600}}]`
	const requests = `[{"request_id":3,"perf_metrics":{"timing_metrics":{"arrival_time":100.0,"first_scheduled_time":100.25,"first_token_time":100.5,"last_token_time":102.5}}},
		{"request_id":4,"perf_metrics":{"timing_metrics":{"arrival_time":101.0,"first_scheduled_time":101.75,"first_token_time":0,"last_token_time":0}}}]`

	t.Run("not allowed", func(t *testing.T) {
		for _, kind := range []Kind{KindAuto, KindTRTLLM, KindVLLM} {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				e := newTestEngine(t, func(o *Options) {
					o.Kind = kind
					o.Client = answers(func(*http.Request) (string, error) { asked++; return iterations, nil }).client()
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				e.Run(ctx)
				if got := gathered(t, e); asked != 1 || got["up"] != 0 || got["scrape_failures_total{destructive}"] != 1 {
					t.Errorf("kind %s: asked %d times: %v", kind, asked, got)
				}
			})
		}
	})
	t.Run("allowed", func(t *testing.T) {
		page := iterations
		e := newTestEngine(t, func(o *Options) {
			o.DestructiveReads = true
			o.Client = answers(func(*http.Request) (string, error) { return page, nil }).client()
		})
		read := func() map[string]float64 {
			e.scrape(t.Context())
			got := gathered(t, e)
			for name := range got {
				if strings.HasPrefix(name, "scrape_") || strings.HasPrefix(name, "last_") || strings.HasPrefix(name, "snapshot_") || got[name] == 0 {
					delete(got, name)
				}
			}
			return got
		}
		want := map[string]float64{
			"up": 1, "info{trtllm}": 1, "instances": 1,
			"requests_running": 4, "requests_waiting": 2, "kv_cache_usage_ratio": .6,
			"steps_total": 2, "requests_finished_total{other}": 3,
		}
		if diff := cmp.Diff(want, read()); diff != "" {
			t.Errorf("iterations (-want +got):\n%s", diff)
		}
		page = "[]" // idle: nothing new, and what was counted stays
		want = map[string]float64{"up": 1, "info{trtllm}": 1, "instances": 1, "steps_total": 2, "requests_finished_total{other}": 3}
		if diff := cmp.Diff(want, read()); diff != "" {
			t.Errorf("idle (-want +got):\n%s", diff)
		}
		page = requests
		want = map[string]float64{
			"up": 1, "info{trtllm}": 1, "instances": 1, "steps_total": 2, "requests_finished_total{other}": 5,
			"queue_wait_seconds_count": 2, "queue_wait_seconds_sum": 1,
			"time_to_first_token_seconds_count": 1, "time_to_first_token_seconds_sum": .5,
			"prefill_seconds_count": 1, "prefill_seconds_sum": .25,
			"decode_seconds_count": 1, "decode_seconds_sum": 2,
			"request_duration_seconds_count": 1, "request_duration_seconds_sum": 2.5,
		}
		if diff := cmp.Diff(want, read()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// A fetch that ends because the prober does is nobody's fault.
func TestShutdownIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	e := newTestEngine(t, func(o *Options) {
		o.Client = answers(func(r *http.Request) (string, error) {
			cancel()
			<-r.Context().Done()
			return "", r.Context().Err()
		}).client()
	})
	e.scrape(ctx)
	if got := gathered(t, e); got["scrape_failures_total{timeout}"]+got["scrape_failures_total{connect}"] != 0 {
		t.Errorf("a shutdown was counted: %v", got)
	}
}

// A failure that lasts is logged once.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	fails := true
	e, err := New(Options{
		Target: "chat", MetricsURL: "http://user:secret@127.0.0.1/metrics",
		Client: answers(func(*http.Request) (string, error) {
			if fails {
				return "", errors.New("broken")
			}
			return "vllm:num_requests_running 3\nvllm:generation_tokens_total 5\n", nil
		}).client(),
	}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	if err != nil {
		t.Fatal(err)
	}
	for _, fails = range []bool{true, true, false, false, true} {
		e.scrape(t.Context())
	}
	const about = `target=chat metrics_url=http://user:xxxxx@127.0.0.1/metrics`
	want := `level=WARN msg="engine metrics cannot be read" ` + about + ` reason=connect err="Get \"http://user:***@127.0.0.1/metrics\": broken"
level=INFO msg="engine metrics are being read" ` + about + ` kind=vllm instances=1
level=WARN msg="engine metrics cannot be read" ` + about + ` reason=connect err="Get \"http://user:***@127.0.0.1/metrics\": broken"
`
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
