package prober_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	commoncfg "github.com/prometheus/common/config"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// askWith measures one streamed request through a client of its own.
func askWith(t *testing.T, o transport.Options, to string, header http.Header, limits prober.Limits, times int) []*prober.Result {
	t.Helper()
	client, err := transport.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	p := prober.New(prober.Options{URL: base, Protocol: protocol, Client: client, Header: header})
	var results []*prober.Result
	for range times {
		r := p.Do(t.Context(), &prober.Request{ID: prober.NewID(), Limits: limits, Call: wire.Call{
			Model: "m", Stream: true, MaxOutputTokens: 64, Messages: []wire.Message{{Role: "user", Content: "x"}},
		}})
		check(t, r)
		results = append(results, r)
	}
	return results
}

func events(w http.ResponseWriter, docs ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, d := range docs {
		fmt.Fprintf(w, "data: %s\n\n", d)
	}
	w.(http.Flusher).Flush()
}

func pause(d time.Duration) { <-time.NewTimer(d).C }

const (
	oneToken  = `{"choices":[{"delta":{"content":"a"}}]}`
	theFinish = `{"choices":[{"delta":{},"finish_reason":"stop"}]}`
)

// TestTokenFetchIsNotTimed: fetching an OAuth 2.0 token is not the target's time, and its failure not the target's slowness.
func TestTokenFetchIsNotTimed(t *testing.T) {
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pause(2200 * time.Millisecond)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"abc","token_type":"Bearer","expires_in":3600}`)
	}))
	defer tokens.Close()
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		events(w, oneToken, theFinish, "[DONE]")
	}))
	defer model.Close()
	with := func(tokenURL string) transport.Options {
		return transport.Options{HTTP: commoncfg.HTTPClientConfig{OAuth2: &commoncfg.OAuth2{ClientID: "i", ClientSecret: "s", TokenURL: tokenURL}}}
	}
	r := askWith(t, with(tokens.URL), model.URL, nil, prober.Limits{FirstToken: 2 * time.Second, Connect: 2 * time.Second}, 1)[0]
	if ttft, ok := r.TTFT(); !ok || ttft > 2*time.Second || r.DispatchDelay() < 2200*time.Millisecond {
		t.Errorf("outcome %s (%v), TTFT %v, dispatch delay %v; want ok, the token's 2.2s in the dispatch delay alone", r.Outcome, r.Err, ttft, r.DispatchDelay())
	}
	r = askWith(t, with("http://127.0.0.1:1/token"), model.URL, nil, prober.Limits{}, 1)[0]
	if r.Outcome != prober.Connect || !strings.Contains(r.Err.Error(), "127.0.0.1:1") {
		t.Errorf("no token: outcome %s (%v); want connect, naming the token's server", r.Outcome, r.Err)
	}
}

// TestReasoningInOneSegment: reasoning that was streamed counts, also where it shares a stamp with the first token of the answer.
func TestReasoningInOneSegment(t *testing.T) {
	reasoning := `{"choices":[{"delta":{"reasoning_content":"a"}}]}`
	r := inFakeTime(t, prober.Limits{}, func(w io.Writer) {
		fmt.Fprintf(w, "data: %s\n\ndata: %s\n\ndata: %s\n\n", reasoning, reasoning, oneToken)
		for range 5 {
			time.Sleep(20 * time.Millisecond)
			fmt.Fprintf(w, "data: %s\n\n", oneToken)
		}
		fmt.Fprintf(w, "data: %s\n\ndata: %s\n\ndata: [DONE]\n\n", theFinish,
			`{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":8,"completion_tokens_details":{"reasoning_tokens":2}}}`)
	})
	n := 0
	for _, tokens := range prober.InterTokenLatencies(r) {
		n += tokens
	}
	if got := prober.StreamedTokens(r); got != 8 || n != 7 {
		t.Errorf("%d tokens, latencies of %d; want 8 and 7", got, n)
	}
}

// TestEventsAfterFinish: a server that goes on sending once it has finished is not waited for.
func TestEventsAfterFinish(t *testing.T) {
	r := inFakeTime(t, prober.Limits{}, func(w io.Writer) {
		fmt.Fprintf(w, "data: %s\n\ndata: %s\n\n", oneToken, theFinish)
		for {
			time.Sleep(500 * time.Millisecond)
			if _, err := io.WriteString(w, "data: {\"choices\":[]}\n\n"); err != nil {
				return
			}
		}
	})
	if r.Outcome != prober.OK || r.Duration() > 5*time.Second {
		t.Errorf("outcome %s (%v) after %v; want ok within the grace of 5s", r.Outcome, r.Err, r.Duration())
	}
}

func TestStreamWithJSONType(t *testing.T) {
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "data: %s\n\ndata: %s\n\n", oneToken, theFinish)
	}))
	defer model.Close()
	if r := askWith(t, transport.Options{}, model.URL, nil, prober.Limits{}, 1)[0]; r.Outcome != prober.MalformedStream {
		t.Errorf("outcome = %s (%v); want malformed_stream: the server reported no error", r.Outcome, r.Err)
	}
}

// TestIdleThroughNetHTTP: a stream that is never idle for longer than the limit is no idle timeout, whoever carries it.
func TestIdleThroughNetHTTP(t *testing.T) {
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 14 {
			events(w, oneToken)
			pause(250 * time.Millisecond)
		}
		events(w, theFinish, "[DONE]")
	})
	proxy := httptest.NewServer(origin) // a plain proxy is given the whole URL; this one answers itself
	t.Cleanup(proxy.Close)
	proxyURL, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	secure := httptest.NewUnstartedServer(origin)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for _, tt := range []struct {
		name, url string
		options   transport.Options
	}{
		{"proxy", "http://model.example/v1", transport.Options{HTTP: commoncfg.HTTPClientConfig{ProxyConfig: commoncfg.ProxyConfig{ProxyURL: commoncfg.URL{URL: proxyURL}}}}},
		{"http2", secure.URL, transport.Options{HTTP2: true, HTTP: commoncfg.HTTPClientConfig{TLSConfig: commoncfg.TLSConfig{InsecureSkipVerify: true}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			idle := 3 * time.Second // far above the pauses, which a busy machine makes longer, and below all of them together
			r := askWith(t, tt.options, tt.url, nil, prober.Limits{Idle: idle}, 1)[0]
			if r.Outcome != prober.OK || r.Duration() < idle {
				t.Errorf("outcome = %s (%v) after %v; want ok after more than %v", r.Outcome, r.Err, r.Duration(), idle)
			}
		})
	}
}

// A request for which this machine has no descriptor says nothing of the target: no failure, and nothing to ask again.
func TestUnsent(t *testing.T) {
	short := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, short }
	r := askWith(t, transport.Options{Dial: dial}, "http://127.0.0.1:1", nil, prober.Limits{}, 1)[0]
	if r.Outcome != prober.Unsent || r.Outcome.Failed() || r.Outcome.OfTarget() || !errors.Is(r.Err, syscall.EMFILE) || !r.Timeline.WriteStart.IsZero() {
		t.Errorf("outcome %s: %v; want unsent, which is no failure, with the cause", r.Outcome, r.Err)
	}
	if !prober.Connect.Failed() || prober.OK.Failed() || prober.Canceled.Failed() {
		t.Error("connect is a failure; ok and canceled are none")
	}
}
