package ask_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ask"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

// results is a sink that keeps all.
type results struct {
	mu  sync.Mutex
	all []*prober.Result
}

func (s *results) Observe(r *prober.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, r)
}

// take returns what has come since it was last called.
func (s *results) take() []*prober.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

func kinds(all []*prober.Result) []prober.Outcome {
	var list []prober.Outcome
	for _, r := range all {
		list = append(list, r.Outcome)
	}
	return list
}

// simulated is a target that is a simulated server, for the length of the test.
func simulated(t testing.TB, so simulator.Options) *ask.Target {
	t.Helper()
	s, err := simulator.New(so)
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
		if err := <-done; err != nil {
			t.Errorf("simulator: %v", err)
		}
	})
	return target(t, ask.Options{URL: "http://" + l.Addr().String() + "/v1"})
}

// target makes a target named chat, with a fixed seed.
func target(t testing.TB, o ask.Options) *ask.Target {
	t.Helper()
	o.Name, o.Model, o.Protocol, o.Seed = "chat", "sim-8b", "openai_chat", 1
	made, err := ask.NewTarget(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

// probe makes a streaming probe named p of at most 16 output tokens, whose results go to the sink that is returned.
func probe(t testing.TB, of *ask.Target, s ask.Spec) (*ask.Probe, *results) {
	t.Helper()
	sink := new(results)
	s.Name, s.Sink, s.Call.Stream = "p", sink, true
	if s.Call.MaxOutputTokens == 0 {
		s.Call.MaxOutputTokens = 16
	}
	if s.Shape.PromptTokens == (workload.Range{}) {
		s.Shape.PromptTokens = workload.Range{Min: 60, Max: 60}
	}
	p, err := of.Probe(s)
	if err != nil {
		t.Fatal(err)
	}
	return p, sink
}

// failures are what to ask again after.
func failures(t testing.TB, words ...string) ask.Failures {
	t.Helper()
	f, err := ask.ParseFailures(words...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// scripted is a server over pipes, for bubbles of fake time: it answers each connection by the next line of its script, and
// by the last one from then on.
type scripted struct {
	mu     sync.Mutex
	script []func(w io.Writer)
	heard  []asked
	wg     sync.WaitGroup
}

// asked is a request as the server read it.
type asked struct {
	at     time.Time
	header http.Header
	body   struct {
		Messages  []wire.Message `json:"messages"`
		MaxTokens int            `json:"max_tokens"`
		MinTokens int            `json:"min_tokens"`
	}
}

func (s *scripted) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	s.wg.Go(func() {
		defer far.Close()
		request, err := http.ReadRequest(bufio.NewReader(far))
		if err != nil {
			return
		}
		a := asked{at: time.Now(), header: request.Header}
		body, err := io.ReadAll(request.Body)
		if err != nil || json.Unmarshal(body, &a.body) != nil {
			return
		}
		s.mu.Lock()
		answer := s.script[min(len(s.heard), len(s.script)-1)]
		s.heard = append(s.heard, a)
		s.mu.Unlock()
		answer(far)
		io.Copy(io.Discard, far) // the client closes first: a pipe whose far end is closed takes no deadlines
	})
	return near, nil
}

// asked returns the requests that have come.
func (s *scripted) asked() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.heard)
}

// target makes a target of the server. It is to be closed by the caller, within the bubble.
func (s *scripted) target(t *testing.T) *ask.Target {
	t.Helper()
	made, err := ask.NewTarget(ask.Options{
		Name: "chat", Model: "m", URL: "http://server/v1", Protocol: "openai_chat", Seed: 1,
		Header: http.Header{"X-Of-Target": {"yes"}}, Transport: transport.Options{Dial: s.dial},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// refuse answers with a status and further lines of header.
func refuse(status int, header ...string) func(io.Writer) {
	return func(w io.Writer) {
		lines := strings.Join(append(slices.Clone(header), "Content-Length: 0"), "\r\n")
		fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n%s\r\n\r\n", status, http.StatusText(status), lines)
	}
}

// answer streams a text in one token after a time, with its usage.
func answer(after time.Duration, text string) func(io.Writer) {
	return func(w io.Writer) {
		io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
		_ = workload.SleepUntilTimer(context.Background(), time.Now().Add(after)) // of the bubble
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", text)
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"+
			"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":60,\"completion_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":16}}}\n\ndata: [DONE]\n\n")
	}
}

// hang says nothing until the client goes.
func hang(io.Writer) {}

// drop closes the connection.
func drop(w io.Writer) {
	if c, ok := w.(io.Closer); ok {
		c.Close()
	}
}

type writer = io.Writer

// inBubble runs f in a bubble of fake time, with a target that a script answers.
func inBubble(t *testing.T, script []func(writer), f func(t *testing.T, server *scripted, target *ask.Target)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := &scripted{script: script}
		target := server.target(t)
		defer server.wg.Wait()
		defer target.Close()
		f(t, server, target)
	})
}

// countDials counts the connections that dial makes, for callers that make one at a time.
func countDials(n *int, dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		*n++
		return dial(ctx, network, addr)
	}
}
