package prober

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober/transport"
)

// A prober that stood still past a limit reads what the server has sent meanwhile.
func TestAnswerAfterAStandstill(t *testing.T) {
	next := make(chan string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		if r.URL.Path == "/answer" {
			for text := range next {
				io.WriteString(w, text)
				w.(http.Flusher).Flush()
			}
		}
	}))
	defer server.Close()
	over := sync.OnceFunc(func() { close(next) })
	defer over()
	client, err := transport.New(transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	send := func(path string) *transport.Exchange {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, server.URL+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		x, err := client.Do(t.Context(), req, transport.Deadlines{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(x.Close)
		return x
	}
	for try := 1; !send("/").Phases.Headers.Kernel; try++ { // stamping is switched on a little after it was asked for
		if try == 1000 {
			t.Skip("this kernel does not stamp arrivals")
		}
	}

	m := &measurement{r: &Result{}, limits: Limits{}.withDefaults(), ctx: t.Context()}
	a := &answer{m: m, x: send("/answer"), first: time.Now(), total: time.Now().Add(time.Minute)}
	a.arm()
	p := make([]byte, 100)
	if n, err := a.Read(p); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read of nothing past the limit = %d, %v; want %v", n, err, os.ErrDeadlineExceeded)
	}
	next <- "hello"
	n := 0
	for n == 0 { // until it has arrived
		if n, err = a.Read(p); n == 0 && !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(a.total) {
			t.Fatalf("Read past the limit = %d, %v; want what has arrived", n, err)
		}
		runtime.Gosched()
	}
	if string(p[:n]) != "hello" || !a.stamp.Kernel {
		t.Errorf("Read past the limit = %q, stamp %+v; want hello, stamped by the kernel", p[:n], a.stamp)
	}
	a.tokens, a.last = true, time.Now() // from now on the idle limit counts
	over()
	if rest, err := io.ReadAll(a); len(rest) != 0 || err != nil {
		t.Errorf("the rest = %q, %v; want its end", rest, err)
	}
}
