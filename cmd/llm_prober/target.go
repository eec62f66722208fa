package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober/ask"
	"github.com/llmprober/llm_prober/prober/queuewait"
	"github.com/llmprober/llm_prober/prober/transport"
)

// target is one endpoint that is probed, with what is learnt of it.
type target struct {
	fingerprint string
	asked       *ask.Target
	queue       *queuewait.Target
}

// endpointFingerprint changes with everything that makes it another endpoint, or other requests. What is beside the
// requests (bounds, labels, prices, the choice of probes) does not: what was learnt of the endpoint, and requests under
// way, outlive its change.
func endpointFingerprint(cfg *config.Config, tc *config.Target) string {
	endpoint := *tc
	endpoint.Probes, endpoint.Labels, endpoint.Budget, endpoint.MaxInFlight = nil, nil, config.Budget{}, 0
	endpoint.Engine, endpoint.GPUs, endpoint.Price = nil, nil, nil
	return fmt.Sprintf("%x %v;", endpoint.Fingerprint(), cfg.Global.DegradedAfter)
}

func newTarget(cfg *config.Config, tc *config.Target, fingerprint string) (*target, error) {
	asked, err := ask.NewTarget(ask.Options{
		Name: tc.Name, Model: tc.Model, URL: tc.URL, Protocol: tc.Protocol, Header: header(tc.Headers),
		Transport: transportOptions(tc.HTTP), DegradedAfter: time.Duration(cfg.Global.DegradedAfter),
	})
	if err != nil {
		return nil, err
	}
	return &target{fingerprint: fingerprint, asked: asked, queue: queuewait.NewTarget()}, nil
}

// transportOptions are those of a client of the configuration.
func transportOptions(c config.HTTPClientConfig) transport.Options {
	return transport.Options{HTTP: c, HTTP2: c.EnableHTTP2, UserAgent: userAgent()}
}

// header is what is sent with each request.
func header(secrets map[string]config.Secret) http.Header {
	h := http.Header{}
	for name, value := range secrets {
		h.Set(name, string(value))
	}
	return h
}

func (t *target) close() { t.asked.Close() }
