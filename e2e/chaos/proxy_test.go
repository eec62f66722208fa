//go:build linux

package chaos

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/llmprober/llm_prober/e2e/process"
)

// proxy is a network between the prober and a server: toxiproxy, in this process.
type proxy struct {
	listen, upstream string
	server           *toxiproxy.ApiServer

	mu  sync.Mutex // protects now
	now *toxiproxy.Proxy
}

func newProxy(listen, upstream string) *proxy {
	return &proxy{listen: listen, upstream: upstream, server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
}

// poison replaces the network by one with these toxics, in the form of toxiproxy's API; with none it is a good one. A new proxy for
// each, because toxiproxy may hang where a toxic is taken from connections under way; those are closed.
func (p *proxy) poison(toxics ...string) error {
	p.stop()
	next := toxiproxy.NewProxy(p.server, p.listen, p.listen, p.upstream)
	for _, text := range toxics {
		if _, err := next.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			return fmt.Errorf("toxic %s: %w", text, err)
		}
	}
	// A process that is being started meanwhile has the listener that was just closed until it has become the new program.
	if err := process.Poll(30*time.Second, next.Start); err != nil {
		return fmt.Errorf("proxy on %s: %w", p.listen, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = next
	return nil
}

// stop takes the network away: nothing listens any more.
func (p *proxy) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil {
		p.now.Stop()
		p.now = nil
	}
}

// states are what a network does to requests, and what that is to be called. All times are well beyond the prober's limits, or well
// within them.
func (p *proxy) states() []state {
	toxic := func(name, toxic string, want ...string) state {
		return state{name, want, func() error { return p.poison(toxic) }}
	}
	return []state{
		{"good network", []string{"ok"}, func() error { return p.poison() }},
		toxic("latency", `{"type": "latency", "attributes": {"latency": 150, "jitter": 50}}`, "ok"),
		toxic("long latency", `{"type": "latency", "attributes": {"latency": 5000}}`, "timeout_first_token"),
		toxic("reset", `{"type": "reset_peer", "attributes": {"timeout": 0}}`, "connect"),
		toxic("late reset", `{"type": "reset_peer", "attributes": {"timeout": 300}}`, "connect"),
		toxic("hang up", `{"type": "timeout", "attributes": {"timeout": 400}}`, "connect"),
		toxic("black hole", `{"type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`, "timeout_first_token"),
		toxic("nothing but the end", `{"type": "timeout", "attributes": {"timeout": 0}}`, "connect"),
		toxic("cut in the header", `{"type": "limit_data", "attributes": {"bytes": 40}}`, "connect"),
		toxic("cut in the body", `{"type": "limit_data", "attributes": {"bytes": 1200}}`, "truncated_stream"),
		toxic("slow close", `{"type": "slow_close", "attributes": {"delay": 3000}}`, "ok"),
		toxic("1 KB/s", `{"type": "bandwidth", "attributes": {"rate": 1}}`, "timeout_total", "timeout_idle", "timeout_first_token"),
		toxic("small pieces", `{"type": "slicer", "attributes": {"average_size": 16, "size_variation": 8, "delay": 100}}`, "ok"),
		{"refused", []string{"connect"}, func() error { p.stop(); return nil }},
	}
}
