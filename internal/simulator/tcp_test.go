package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// overTCP runs a server on a loopback socket, where answers are lent, and returns its address.
func overTCP(t testing.TB, o Options) (*Server, string) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ctx, l); err != nil {
			t.Errorf("Serve() = %v; want nil", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return s, l.Addr().String()
}

// postTCP sends one streaming request of that many tokens on a connection of its own.
func postTCP(ctx context.Context, addr, id string, tokens int, headers ...string) (*http.Response, error) {
	body := fmt.Sprintf(`{"stream":true,"max_tokens":%d,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"go"}]}`, tokens)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Request-Id", id)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return client.Do(req)
}

// eventually waits until ok, which some other goroutine is about to make true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after a minute: %s", what)
		}
	}
}

func TestOverTCP(t *testing.T) {
	for _, test := range []struct {
		name string
		opts Options
	}{
		{"fixed", Options{FirstToken: 20 * ms, PerToken: 2 * ms}},
		{"fixed at once", Options{FirstToken: 20 * ms}},
		{"engine", Options{StepBase: 2 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, addr := overTCP(t, test.opts)
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					id := fmt.Sprint(i)
					resp, err := postTCP(t.Context(), addr, id, 100)
					if err != nil {
						t.Error(err)
						return
					}
					body, err := partial(resp)
					if err != nil || contents(body) != 100 || !strings.HasSuffix(body, "data: [DONE]\n\n") || !strings.Contains(body, `"completion_tokens":100`) {
						t.Errorf("stream %s: %v, %d tokens; want 100, with usage and [DONE]", id, err, contents(body))
					}
					tr, ok := s.Truth(id)
					if !ok || len(tr.Tokens) != 100 || tr.Finish != "length" {
						t.Errorf("stream %s: truth of %d tokens, finish %q; want 100, length", id, len(tr.Tokens), tr.Finish)
						return
					}
					for k, tok := range tr.Tokens {
						if tok.Sent < tok.Due {
							t.Errorf("stream %s: token %d was sent %v before it was due", id, k, time.Duration(tok.Due-tok.Sent))
						}
					}
				})
			}
			wg.Wait()
			if got := s.engine.load(); got != (load{}) {
				t.Errorf("afterwards load() = %+v; want nothing", got)
			}
		})
	}
}

func TestReset(t *testing.T) {
	_, addr := overTCP(t, Options{FirstToken: ms, PerToken: ms})
	for _, test := range []struct {
		fault string
		want  error
	}{{"reset=3", syscall.ECONNRESET}, {"close=3", io.ErrUnexpectedEOF}} {
		resp, err := postTCP(t.Context(), addr, "r", 10, faultHeader, test.fault)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := partial(resp); !errors.Is(err, test.want) || contents(body) > 3 {
			t.Errorf("%s: %d tokens, then %v; want at most 3, then %v", test.fault, contents(body), err, test.want)
		}
	}
}

func TestClientThatLeavesALentAnswer(t *testing.T) {
	s, addr := overTCP(t, Options{FirstToken: ms, PerToken: ms})
	ctx, leave := context.WithCancel(t.Context())
	resp, err := postTCP(ctx, addr, "r", 30000) // half a minute
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 5000); err != nil {
		t.Fatal(err)
	}
	leave()
	resp.Body.Close()
	eventually(t, "the sequence is aborted", func() bool {
		tr, _ := s.Truth("r")
		return tr.Finish == "abort" && s.engine.load() == load{}
	})
}

// TestClientThatDoesNotRead has one client stop reading: the others must not notice, and it must get all once it reads on.
func TestClientThatDoesNotRead(t *testing.T) {
	s, addr := overTCP(t, Options{MaxModelLen: 100000, FirstToken: ms, PerToken: 20 * time.Microsecond})
	const many = 60000 // 15 MB: more than the kernel buffers
	stuck, err := postTCP(t.Context(), addr, "stuck", many)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all tokens are made", func() bool {
		tr, _ := s.Truth("stuck")
		return tr.OutputTokens == many
	})
	s.truth.mu.Lock()
	seq := s.truth.byID["stuck"]
	s.truth.mu.Unlock()
	seq.mu.Lock()
	unsent := len(seq.pending)
	seq.mu.Unlock()
	if unsent == 0 {
		t.Skip("the kernel buffered the whole answer: nothing was stuck")
	}
	other, err := postTCP(t.Context(), addr, "other", 100)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := partial(other); err != nil || contents(body) != 100 {
		t.Errorf("beside a stuck client another got %d tokens, %v; want 100", contents(body), err)
	}
	if body, err := partial(stuck); err != nil || contents(body) != many || !strings.Contains(body, "[DONE]") {
		t.Errorf("the stuck client got %d tokens, %v, once it read on; want %d", contents(body), err, many)
	}
}

func TestHandlerAloneOnAnyServer(t *testing.T) {
	// Without Serve's connection context nothing is lent, and all goes well too.
	s, err := New(Options{FirstToken: 5 * ms, PerToken: ms})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: s.Handler()}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	wg.Go(func() { srv.Serve(l) })
	defer wg.Wait()
	defer srv.Close()
	defer stop()
	resp, err := postTCP(t.Context(), l.Addr().String(), "r", 50)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := partial(resp); err != nil || contents(body) != 50 {
		t.Errorf("got %d tokens, %v; want 50", contents(body), err)
	}
}
