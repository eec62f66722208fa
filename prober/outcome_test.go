package prober_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// simulated runs a simulated server for the length of the test and returns its base URL.
func simulated(t testing.TB, o simulator.Options) *url.URL {
	t.Helper()
	base, _ := simulatedServer(t, o)
	return base
}

func simulatedServer(t testing.TB, o simulator.Options) (*url.URL, *simulator.Server) {
	t.Helper()
	s, err := simulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("simulator: %v", err)
		}
	})
	return &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/v1"}, s
}

// ask measures one request to base.
func ask(t testing.TB, ctx context.Context, base *url.URL, header http.Header, req prober.Request) *prober.Result {
	t.Helper()
	client, err := transport.New(transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		t.Fatal(err)
	}
	if req.ID == "" {
		req.ID = prober.NewID()
	}
	req.Target, req.Probe = "sim", t.Name()
	if req.Call.Messages == nil {
		req.Call.Messages = []wire.Message{{Role: "user", Content: "Tell me a story."}}
	}
	req.Call.Model = "sim-8b"
	if req.Call.MaxOutputTokens == 0 {
		req.Call.MaxOutputTokens = 20
	}
	return prober.New(prober.Options{URL: base, Protocol: protocol, Client: client, Header: header}).Do(ctx, &req)
}

// check holds every result, whatever its outcome, to what Result promises.
func check(t testing.TB, r *prober.Result) {
	t.Helper()
	if (r.Err == nil) != (r.Outcome == prober.OK) {
		t.Errorf("outcome %s with error %v", r.Outcome, r.Err)
	}
	tl := r.Timeline
	last := tl.Intended
	for _, step := range []struct {
		name string
		at   time.Time
	}{
		{"dispatched", tl.Dispatched}, {"connect start", tl.ConnectStart}, {"connect done", tl.ConnectDone},
		{"write start", tl.WriteStart}, {"wrote", tl.Wrote}, {"headers", tl.Headers}, {"first event", tl.FirstEvent},
		{"first token", tl.FirstToken}, {"last token", tl.LastToken}, {"end", tl.End},
	} {
		if step.at.IsZero() {
			continue
		}
		// The server may answer while the write is still returning.
		if step.at.Before(last) && !(step.name == "headers" && step.at.After(tl.WriteStart)) {
			t.Errorf("%s is %v before the step ahead of it", step.name, last.Sub(step.at))
		}
		last = step.at
	}
	if tl.End.IsZero() || tl.Dispatched.IsZero() {
		t.Error("no end or no dispatch")
	}
	if _, ok := r.TTFT(); ok && r.Outcome != prober.OK {
		t.Errorf("a request that ended as %s has a TTFT", r.Outcome)
	}
}

func TestOutcomes(t *testing.T) {
	base := simulated(t, simulator.Options{FirstToken: 5 * time.Millisecond, PerToken: time.Millisecond})
	// One short limit each, and so long that what must come before it does on a busy machine: another one might be met first.
	firstToken, idle := prober.Limits{FirstToken: 3 * time.Second}, prober.Limits{Idle: 3 * time.Second}
	total := prober.Limits{Total: 400 * time.Millisecond}
	tests := []struct {
		name   string
		fault  string
		whole  bool
		limits prober.Limits
		want   prober.Outcome
		err    string // must be in the error's text
		chunks int    // exactly; -1: any
	}{
		{name: "ok", want: prober.OK, chunks: 20},
		{name: "ok, not streamed", whole: true, want: prober.OK},
		{name: "no usage", fault: "no_usage", want: prober.OK, chunks: 20},
		{name: "no [DONE]", fault: "no_done", want: prober.OK, chunks: 20},
		{name: "keep-alive comments", fault: "keep_alive=1ms", want: prober.OK, chunks: 20},
		{name: "several tokens an event", fault: "chunk=4", want: prober.OK, chunks: 5},
		{name: "cut after 10 tokens", fault: "cut=10", want: prober.TruncatedStream, err: "after 10 content events", chunks: 10},
		{name: "closed after 10 tokens", fault: "close=10", want: prober.TruncatedStream, err: "after 10 content events", chunks: 10},
		{name: "reset after 10 tokens", fault: "reset=10", want: prober.TruncatedStream, chunks: -1},
		{name: "no finish reason, no [DONE]", fault: "no_finish,no_done", want: prober.TruncatedStream, chunks: 20},
		{name: "error event on a 200", fault: "error=3", want: prober.StreamError, chunks: 3},
		{name: "429", fault: "rate_limited=7", want: prober.RateLimited, err: "HTTP 429"},
		{name: "429, not streamed", fault: "rate_limited=7", whole: true, want: prober.RateLimited},
		{name: "500", fault: "internal_error", want: prober.HTTP5xx, err: "HTTP 500"},
		{name: "503", fault: "overloaded", want: prober.Overloaded, err: "HTTP 503"},
		{name: "hung before the header", fault: "hang_before_headers", limits: firstToken, want: prober.TimeoutFirstToken, err: "3s"},
		{name: "hung after the header", fault: "hang_after_headers", limits: firstToken, want: prober.TimeoutFirstToken, err: "HTTP 200"},
		{name: "hung, not streamed", fault: "hang_after_headers", whole: true, limits: total, want: prober.TimeoutTotal, err: "400ms"},
		{name: "stalled", fault: "stall=1h@4", limits: idle, want: prober.TimeoutIdle, err: "after 4 content events", chunks: 4},
		{name: "endless, over time", fault: "endless", limits: total, want: prober.TimeoutTotal, chunks: -1},
		{name: "endless, over size", fault: "endless", limits: prober.Limits{BodyBytes: 20000}, want: prober.TooLarge, err: "20000 bytes", chunks: -1},
		{name: "one line of a GiB", fault: "giant_line=1073741824", want: prober.TooLarge, err: "1048576 bytes", chunks: 1},
		{name: "invalid UTF-8", fault: "invalid_utf8", want: prober.MalformedStream, err: "UTF-8", chunks: 1},
		{name: "malformed JSON", fault: "malformed_json=2", want: prober.MalformedStream, chunks: 2},
		{name: "nothing in it", fault: "empty", want: prober.EmptyOutput},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{}
			if tt.fault != "" {
				header.Set("X-Sim-Fault", tt.fault)
			}
			if strings.HasPrefix(string(tt.want), "timeout") {
				t.Parallel() // they wait
			}
			r := ask(t, t.Context(), base, header, prober.Request{Limits: tt.limits, Call: wire.Call{Stream: !tt.whole}})
			check(t, r)
			if r.Outcome != tt.want {
				t.Fatalf("outcome = %s (%v); want %s", r.Outcome, r.Err, tt.want)
			}
			if r.Err != nil && !strings.Contains(r.Err.Error(), tt.err) {
				t.Errorf("error = %q; want it to contain %q", r.Err, tt.err)
			}
			if tt.chunks >= 0 && len(r.Chunks) != tt.chunks {
				t.Errorf("%d chunks; want %d", len(r.Chunks), tt.chunks)
			}
			if strings.HasPrefix(string(tt.want), "timeout") && r.Duration() > 20*time.Second { // a noisy machine; the next limit is 60 s
				t.Errorf("gave up after %v; the limits are %+v", r.Duration(), tt.limits)
			}
			if tt.want == prober.RateLimited && r.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter = %v; want 7s", r.RetryAfter)
			}
		})
	}
}

func TestTokenCounts(t *testing.T) {
	base := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	tests := []struct {
		name, fault string
		options     wire.Options
		whole       bool
		want        int
		source      prober.TokenSource
		perChunk    int32
	}{
		{name: "usage", want: 24, source: prober.TokensUsage, perChunk: -1},
		{name: "usage, not streamed", whole: true, want: 24, source: prober.TokensUsage},
		{name: "usage, four a chunk", fault: "chunk=4", want: 24, source: prober.TokensUsage, perChunk: -1},
		{name: "continuous usage, four a chunk", fault: "chunk=4", options: wire.Options{ContinuousUsage: true}, want: 24, source: prober.TokensUsage, perChunk: 4},
		{name: "token ids, four a chunk", fault: "chunk=4", options: wire.Options{ReturnTokenIDs: true}, want: 24, source: prober.TokensUsage, perChunk: 4},
		{name: "token ids and no usage", fault: "chunk=4,no_usage", options: wire.Options{ReturnTokenIDs: true}, want: 24, source: prober.TokensChunks, perChunk: 4},
		{name: "nothing but events", fault: "chunk=4,no_usage", want: 6, source: prober.TokensEvents, perChunk: -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{}
			if tt.fault != "" {
				header.Set("X-Sim-Fault", tt.fault)
			}
			r := ask(t, t.Context(), base, header, prober.Request{Call: wire.Call{MaxOutputTokens: 24, Stream: !tt.whole, Options: tt.options}})
			check(t, r)
			if r.Outcome != prober.OK || r.OutputTokens != tt.want || r.OutputSource != tt.source {
				t.Fatalf("%s (%v): %d tokens by %s; want ok, %d by %s", r.Outcome, r.Err, r.OutputTokens, r.OutputSource, tt.want, tt.source)
			}
			for i, c := range r.Chunks {
				if c.Tokens != tt.perChunk {
					t.Errorf("chunk %d has %d tokens; want %d", i, c.Tokens, tt.perChunk)
				}
			}
		})
	}
}

func TestConnectionFailures(t *testing.T) {
	// A listener whose queue of connections is never taken from still connects; one that reads and hangs up does not answer.
	hangUp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := hangUp.Accept()
			if err != nil {
				return
			}
			http.ReadRequest(bufio.NewReader(c)) // the request is taken, then dropped
			c.Close()
		}
	}()
	t.Cleanup(func() { hangUp.Close(); <-served })

	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = nil
	t.Cleanup(secure.Close)

	// On the port of a connection's near end nobody can come to listen.
	near, err := net.Dial("tcp", secure.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	nameless := &net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	}}}

	tests := []struct {
		name, url string
		options   transport.Options
		want      prober.Outcome
	}{
		{name: "refused", url: "http://" + near.LocalAddr().String() + "/v1", want: prober.Connect},
		{name: "no such name", url: "http://no-such-host.invalid./v1", options: transport.Options{Dial: nameless.DialContext}, want: prober.DNS},
		{name: "hung up before the header", url: "http://" + hangUp.Addr().String() + "/v1", want: prober.Connect},
		{name: "unknown authority", url: secure.URL + "/v1", want: prober.TLS},
		{name: "TLS to a plain server", url: "https://" + hangUp.Addr().String() + "/v1", want: prober.TLS},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := askWith(t, tt.options, tt.url, nil, prober.Limits{Total: 10 * time.Second}, 1)[0]
			if r.Outcome != tt.want {
				t.Errorf("outcome = %s (%v); want %s", r.Outcome, r.Err, tt.want)
			}
		})
	}
}

func TestUnexpectedBodies(t *testing.T) {
	tests := []struct {
		name, contentType, body string
		status                  int
		whole                   bool
		want                    prober.Outcome
		err                     string
	}{
		{name: "HTML with 200", contentType: "text/html", body: "<html>Welcome</html>", want: prober.MalformedStream, err: "text/html"},
		{name: "JSON instead of a stream", contentType: "application/json", body: `{"choices":[{"message":{"content":"x"}}]}`, want: prober.MalformedStream, err: "application/json"},
		{name: "JSON error instead of a stream", contentType: "application/json", body: `{"error":{"message":"boom"}}`, want: prober.StreamError, err: "boom"},
		{name: "empty body", contentType: "text/event-stream", want: prober.TruncatedStream},
		{name: "cut inside an event", contentType: "text/event-stream", body: "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choi", want: prober.TruncatedStream, err: "after 1 content events"},
		{name: "overloaded in the stream", contentType: "text/event-stream", body: "data: {\"error\":{\"message\":\"Model is overloaded\",\"http_status_code\":422}}\n\n", want: prober.Overloaded},
		{name: "rate limited in the stream", contentType: "text/event-stream", body: "data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n", want: prober.RateLimited},
		{name: "not found", status: 404, contentType: "application/json", body: `{"error":{"message":"model gone"}}`, want: prober.HTTP4xx, err: "model gone"},
		{name: "moved", status: 302, body: "elsewhere", want: prober.HTTP4xx, err: "302"},
		{name: "bad gateway", status: 502, contentType: "text/html", body: "<html>", want: prober.HTTP5xx},
		{name: "site is overloaded", status: 529, body: `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, want: prober.Overloaded},
		{name: "whole, not JSON", whole: true, contentType: "application/json", body: "oops", want: prober.MalformedStream},
		{name: "whole, an error", whole: true, contentType: "application/json", body: `{"error":{"message":"boom"}}`, want: prober.StreamError},
		{name: "whole, empty", whole: true, contentType: "application/json", body: `{"choices":[{"message":{"content":""},"finish_reason":"stop"}]}`, want: prober.EmptyOutput},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", tt.contentType)
				if tt.status != 0 {
					w.WriteHeader(tt.status)
				}
				fmt.Fprint(w, tt.body)
			}))
			defer server.Close()
			base, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			r := ask(t, t.Context(), base, nil, prober.Request{Call: wire.Call{Stream: !tt.whole}})
			check(t, r)
			if r.Outcome != tt.want || !strings.Contains(fmt.Sprint(r.Err), tt.err) {
				t.Errorf("outcome = %s (%v); want %s with %q", r.Outcome, r.Err, tt.want, tt.err)
			}
		})
	}
}

func TestCanceledIsNoFailure(t *testing.T) {
	base := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	for _, fault := range []string{"hang_before_headers", "hang_after_headers", "stall=1h@2"} {
		t.Run(fault, func(t *testing.T) {
			reason := errors.New("the configuration changed")
			ctx, cancel := context.WithCancelCause(t.Context())
			results := make(chan *prober.Result)
			go func() {
				results <- ask(t, ctx, base, http.Header{"X-Sim-Fault": {fault}}, prober.Request{Call: wire.Call{Stream: true}})
			}()
			cancel(reason)
			r := <-results
			if r.Outcome != prober.Canceled || !errors.Is(r.Err, reason) || r.Outcome.Failed() {
				t.Errorf("outcome = %s (%v), failed %v; want canceled by %q", r.Outcome, r.Err, r.Outcome.Failed(), reason)
			}
		})
	}
}

// TestKnownTimes measures a server whose times are set, and that says when it really sent what it did. The tolerance is the machine's
// noise between the two; bench/accuracy measures the error. What disturbs one measurement of a busy machine does not disturb five of
// them, one after the other.
func TestKnownTimes(t *testing.T) {
	base, server := simulatedServer(t, simulator.Options{FirstToken: 100 * time.Millisecond, PerToken: 20 * time.Millisecond})
	var off []string
	for range 5 {
		r := ask(t, t.Context(), base, nil, prober.Request{Call: wire.Call{Stream: true, MaxOutputTokens: 50}})
		check(t, r)
		ttft, ok := r.TTFT()
		if !ok {
			t.Fatalf("no TTFT: %s (%v)", r.Outcome, r.Err)
		}
		tpot, _ := prober.TPOT(r)
		if r.OutputTokens != 50 || len(r.Chunks) != 50 {
			t.Errorf("%d tokens in %d chunks; want 50 in 50", r.OutputTokens, len(r.Chunks))
		}
		if !r.Timeline.FirstEvent.Equal(r.Timeline.FirstToken) && r.Timeline.FirstEvent.After(r.Timeline.FirstToken) {
			t.Error("first event after the first token")
		}
		if ttft < 100*time.Millisecond {
			t.Errorf("TTFT = %v; want 100ms and a little", ttft)
		}
		truth, ok := server.Truth(r.Request.ID)
		if !ok || len(truth.Tokens) != 50 {
			t.Fatalf("the truth has %d tokens; want 50", len(truth.Tokens))
		}
		first := time.Duration(truth.Tokens[0].Sent)
		each := (time.Duration(truth.Tokens[49].Sent) - first) / 49
		if ttft-first <= 300*time.Millisecond && (tpot-each).Abs() <= 5*time.Millisecond {
			return
		}
		off = append(off, fmt.Sprintf("TTFT %v, TPOT %v; sent after %v, and each %v", ttft, tpot, first, each))
	}
	t.Errorf("%s; want the TTFT that and a little, and the TPOT within 5ms", strings.Join(off, "\n"))
}

func TestRequestIDTravels(t *testing.T) {
	headers := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers <- r.Header
		fmt.Fprint(w, `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}`)
	}))
	defer server.Close()
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := ask(t, t.Context(), base, nil, prober.Request{})
	h := <-headers
	id, parent := h.Get("X-Request-Id"), h.Get("Traceparent")
	if r.Outcome != prober.OK || id != r.Request.ID || parent != "00-"+id+"-"+id[16:]+"-01" || len(id) != 32 {
		t.Errorf("outcome %s, X-Request-Id %q, Traceparent %q; want id %q in both", r.Outcome, id, parent, r.Request.ID)
	}
}

func TestHeadersOfInterest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-queue-time", "12")
		w.Header().Set("X-RateLimit-Remaining-Requests", strings.Repeat("9", 1000))
		w.Header().Set("Set-Cookie", "id=secret")
		fmt.Fprint(w, `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}`)
	}))
	defer server.Close()
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	h := ask(t, t.Context(), base, nil, prober.Request{}).Header
	if len(h) != 2 || h.Get("X-Queue-Time") != "12" || len(h.Get("X-Ratelimit-Remaining-Requests")) != 256 {
		t.Errorf("headers kept: %v; want the queue's time and 256 characters of the limit", h)
	}
}
