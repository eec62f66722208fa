package prober_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// inFakeTime measures one request to a server that is a function over a pipe, in a bubble of fake time: what a real clock
// shows within its noise is exact here.
func inFakeTime(t *testing.T, limits prober.Limits, serve func(w io.Writer)) (r *prober.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r = askPiped(t, t.Context(), limits, func(w io.Writer) {
			io.WriteString(w, streamHeader)
			serve(w)
		})
	})
	return r
}

const streamHeader = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

// askPiped measures one request to a server that is a function over a pipe, and that says all, its header included.
func askPiped(t *testing.T, ctx context.Context, limits prober.Limits, serve func(w io.Writer)) *prober.Result {
	t.Helper()
	served := make(chan struct{})
	client, err := transport.New(transport.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer close(served)
			defer far.Close()
			request, err := http.ReadRequest(bufio.NewReader(far))
			if err != nil {
				return
			}
			io.Copy(io.Discard, request.Body)
			serve(far)
		}()
		return near, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		t.Fatal(err)
	}
	p := prober.New(prober.Options{URL: &url.URL{Scheme: "http", Host: "server", Path: "/v1"}, Protocol: protocol, Client: client})
	r := p.Do(ctx, &prober.Request{
		ID: prober.NewID(), Limits: limits,
		Call: wire.Call{Messages: []wire.Message{{Role: "user", Content: "Hello"}}, MaxOutputTokens: 10, Stream: true},
	})
	client.Close()
	<-served
	check(t, r)
	return r
}

func say(w io.Writer, text string) {
	fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", text)
}

const finished = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"

func TestTimelineIsExact(t *testing.T) {
	r := inFakeTime(t, prober.Limits{}, func(w io.Writer) {
		time.Sleep(300 * time.Millisecond)
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n")
		time.Sleep(50 * time.Millisecond)
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"hm\"}}]}\n\n")
		for range 4 {
			time.Sleep(20 * time.Millisecond)
			say(w, "a")
		}
		time.Sleep(7 * time.Millisecond)
		io.WriteString(w, finished+"data: [DONE]\n\n")
	})
	tl := r.Timeline
	since := func(at time.Time) time.Duration { return at.Sub(tl.Dispatched) }
	for _, step := range []struct {
		name string
		got  time.Duration
		want time.Duration
	}{
		{"first event", since(tl.FirstEvent), 300 * time.Millisecond},
		{"first token", since(tl.FirstToken), 350 * time.Millisecond},
		{"first output", since(tl.FirstOutput), 370 * time.Millisecond},
		{"last token", since(tl.LastToken), 430 * time.Millisecond},
		{"end", since(tl.End), 437 * time.Millisecond},
	} {
		if step.got != step.want {
			t.Errorf("%s after %v; want %v", step.name, step.got, step.want)
		}
	}
	if ttft, ok := r.TTFT(); !ok || ttft != 350*time.Millisecond || r.Clock != prober.ClockUser || len(r.Chunks) != 5 {
		t.Errorf("TTFT %v (%v), clock %s, %d chunks; want 350ms by the user's clock, 5", ttft, ok, r.Clock, len(r.Chunks))
	}
}

// TestLimitsAreExact has each limit meet a server that is silent in the phase that it bounds.
func TestLimitsAreExact(t *testing.T) {
	limits := prober.Limits{FirstToken: 3 * time.Second, Idle: 2 * time.Second, Total: 20 * time.Second}
	tests := []struct {
		name  string
		serve func(w io.Writer)
		want  prober.Outcome
		after time.Duration
	}{
		{"no token", func(w io.Writer) { time.Sleep(time.Hour) }, prober.TimeoutFirstToken, 3 * time.Second},
		{"comments are no token", func(w io.Writer) {
			for range 100 {
				if _, err := io.WriteString(w, ": ping\n\n"); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}, prober.TimeoutFirstToken, 3 * time.Second},
		{"silence after a token", func(w io.Writer) {
			time.Sleep(time.Second)
			say(w, "a")
			time.Sleep(1900 * time.Millisecond)
			say(w, "b")
			time.Sleep(time.Hour)
		}, prober.TimeoutIdle, 4900 * time.Millisecond},
		{"tokens for ever", func(w io.Writer) {
			for {
				time.Sleep(time.Second)
				if _, err := fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"); err != nil {
					return
				}
			}
		}, prober.TimeoutTotal, 20 * time.Second},
		{"a finish, and then silence", func(w io.Writer) {
			time.Sleep(time.Second)
			say(w, "a")
			io.WriteString(w, finished)
			time.Sleep(time.Hour)
		}, prober.OK, time.Second},
		{"a finish, and then a lost connection", func(w io.Writer) {
			time.Sleep(time.Second)
			say(w, "a")
			io.WriteString(w, finished)
			time.Sleep(500 * time.Millisecond)
		}, prober.OK, 1500 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := inFakeTime(t, limits, tt.serve)
			if r.Outcome != tt.want || r.Duration() != tt.after {
				t.Errorf("outcome = %s (%v) after %v; want %s after %v", r.Outcome, r.Err, r.Duration(), tt.want, tt.after)
			}
		})
	}
}

// A caller whose time is up waits no longer than it said: a timeout, and not one that nobody counts as the cancellation is.
func TestCallersTimeIsUp(t *testing.T) {
	const patience = 50 * time.Millisecond
	for _, tt := range []struct {
		name string
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		want prober.Outcome
	}{
		{"time is up", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, patience)
		}, prober.TimeoutTotal},
		{"canceled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			stop := time.AfterFunc(patience, cancel)
			return ctx, func() { stop.Stop(); cancel() }
		}, prober.Canceled},
	} {
		for _, said := range []string{"", streamHeader} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := tt.ctx(t.Context())
				defer cancel()
				r := askPiped(t, ctx, prober.Limits{}, func(w io.Writer) {
					io.WriteString(w, said)
					time.Sleep(time.Minute)
				})
				if r.Outcome != tt.want || r.Duration() != patience {
					t.Errorf("%s after %q: outcome = %s (%v) after %v; want %s after %v", tt.name, said, r.Outcome, r.Err, r.Duration(), tt.want, patience)
				}
			})
		}
	}
}

// The framed end of a body may follow the last event late, on a busy server most of all.
func TestReuseWhenTheEndIsLate(t *testing.T) {
	const text = "data: " + oneToken + "\n\ndata: " + theFinish + "\n\ndata: [DONE]\n\n"
	synctest.Test(t, func(t *testing.T) {
		var served sync.WaitGroup
		defer served.Wait()
		options := transport.Options{Reuse: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			served.Go(func() {
				defer far.Close()
				for r := bufio.NewReader(far); ; {
					request, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, request.Body)
					fmt.Fprintf(far, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(text), text)
					time.Sleep(100 * time.Millisecond)
					io.WriteString(far, "0\r\n\r\n")
				}
			})
			return near, nil
		}}
		for i, r := range askWith(t, options, "http://server/v1", nil, prober.Limits{}, 3) {
			if r.Outcome != prober.OK || r.Reused != (i > 0) {
				t.Errorf("request %d: outcome %s (%v), reused %t; want ok, all but the first on its connection", i, r.Outcome, r.Err, r.Reused)
			}
		}
	})
}
