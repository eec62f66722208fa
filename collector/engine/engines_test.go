package engine

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counting is a server whose engine generates one token for each fetch, having generated start before.
func counting(start int64, asked *atomic.Int64) *http.Client {
	return answers(func(*http.Request) (string, error) {
		return fmt.Sprintf("vllm:num_requests_running 1\nvllm:generation_tokens_total %d\n", start+asked.Add(1)), nil
	}).client()
}

func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b, c atomic.Int64
		options := func(target string, client *http.Client) Options {
			return Options{Target: target, MetricsURL: "http://" + target, Client: client}
		}
		s := NewEngines(slog.New(slog.DiscardHandler))
		apply := func(options ...Options) {
			t.Helper()
			if err := s.Apply(options); err != nil {
				t.Fatal(err)
			}
		}
		tokens := func(target string) float64 {
			t.Helper()
			e := s.Engine(target)
			if e == nil {
				return -1
			}
			return gathered(t, e)["generation_tokens_total"]
		}
		apply(options("a", counting(100, &a)))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()

		time.Sleep(time.Minute)
		if got, n := tokens("a"), a.Load(); got != float64(n-1) || n < 5 {
			t.Errorf("after a minute: %v tokens, asked %d times", got, n)
		}

		// A new client, and a new target.
		old := s.Engine("a")
		apply(options("a", counting(100+a.Load(), &c)), options("b", counting(0, &b)))
		time.Sleep(time.Minute)
		if s.Engine("a") != old || c.Load() == 0 || tokens("a") != float64(a.Load()+c.Load()-1) {
			t.Errorf("after a new client: %v tokens, asked %d and %d times", tokens("a"), a.Load(), c.Load())
		}
		if n := b.Load(); n == 0 || tokens("b") != float64(n-1) {
			t.Errorf("a new target: %v tokens, asked %d times", tokens("b"), n)
		}

		// Other options: another engine, which goes on counting, at once and after its next fetch.
		before, asked := tokens("a"), c.Load()
		o := options("a", counting(100+a.Load(), &c))
		o.Interval = 30 * time.Second
		apply(o, options("b", counting(0, &b)))
		if got := tokens("a"); got != before || s.Engine("a") == old {
			t.Errorf("after a change of the interval: %v tokens; want %v", got, before)
		}
		time.Sleep(2 * time.Minute)
		if got, n := tokens("a"), c.Load()-asked; got != before+float64(n) || n > 5 {
			t.Errorf("two minutes after: %v tokens; want %v more than %v", got, n, before)
		}

		// Another page: what its engine had counted before is not added.
		before = tokens("a")
		c.Store(0)
		o.MetricsURL, o.Client = "http://elsewhere", counting(5000, &c)
		apply(o, options("b", counting(0, &b)))
		time.Sleep(2 * time.Minute)
		if got, want := tokens("a"), before+float64(c.Load()-1); got != want {
			t.Errorf("after a change of the URL: %v tokens; want %v", got, want)
		}

		// A mistake changes nothing.
		if err := s.Apply([]Options{o, o, {Target: "d"}}); err == nil {
			t.Error("two of one target, and one without a URL: no error")
		}
		if s.Engine("a") == nil || s.Engine("b") == nil {
			t.Error("a mistake removed engines")
		}

		asked = b.Load()
		apply(o)
		if s.Engine("b") != nil {
			t.Error("b is still there")
		}
		time.Sleep(time.Minute)
		if n := b.Load(); n != asked {
			t.Errorf("b was asked %d times after it had been removed", n-asked)
		}
		cancel()
		<-done
		asked = c.Load()
		apply(o, options("b", counting(0, &b)))
		time.Sleep(time.Minute)
		if c.Load() != asked {
			t.Error("fetches after the end")
		}
	})
}

// Fetches, scrapes, reloads and questions at the same time, over real connections.
func TestConcurrency(t *testing.T) {
	fetched := make(chan struct{}, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "vllm:num_requests_running 1\nvllm:generation_tokens_total 5")
		fetched <- struct{}{}
	}))
	defer server.Close()
	client := server.Client()
	defer client.CloseIdleConnections()

	s := NewEngines(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	var reloads sync.WaitGroup
	for i := range 4 {
		reloads.Go(func() {
			for round := range 50 {
				var options []Options
				for target := range 5 {
					if (target+round+i)%3 != 0 {
						options = append(options, Options{
							Target: fmt.Sprint("t", target), MetricsURL: server.URL, Client: client, Interval: time.Duration(1+round%2) * time.Second,
						})
					}
				}
				if err := s.Apply(options); err != nil {
					t.Error(err)
				}
				gathered(t, s)
				if e := s.Engine("t1"); e != nil {
					e.Snapshot()
					e.Window(epoch, time.Now())
				}
			}
		})
	}
	reloads.Wait()
	for range 2 {
		<-fetched
		gathered(t, s)
	}
	cancel()
	wg.Wait()
}
