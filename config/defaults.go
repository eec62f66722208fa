package config

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// applyDefaults gives every field that the file leaves out its final value, and writes what is written in several ways in one.
// It is the only place where defaults are set. Root is the file, for the fields of which zero is a value, too.
func applyDefaults(c *Config, root *node) {
	g := &c.Global
	set(&g.Timeout, model.Duration(60*time.Second))
	set(&g.ConnectTimeout, min(model.Duration(10*time.Second), g.Timeout))
	set(&g.FirstTokenTimeout, g.Timeout)
	set(&g.IdleTimeout, g.Timeout)
	set(&g.MaxInFlight, 64)
	set(&g.DegradedAfter, model.Duration(10*time.Millisecond))

	global := root.get("global")
	for _, p := range c.Probes {
		set(&p.Timeout, g.Timeout)
		set(&p.ConnectTimeout, min(g.ConnectTimeout, p.Timeout))
		// Global's defaults for these two are its own timeout, which is not the probe's.
		first, idle := p.Timeout, p.Timeout
		if global.has("first_token_timeout") {
			first = min(g.FirstTokenTimeout, p.Timeout)
		}
		if global.has("idle_timeout") {
			idle = min(g.IdleTimeout, p.Timeout)
		}
		set(&p.FirstTokenTimeout, first)
		set(&p.IdleTimeout, idle)
		if p.Stream == nil {
			p.Stream = new(true)
		}
		set(&p.Connection, ConnectionFresh)
		for _, tool := range p.Tools {
			if tool != nil {
				set(&tool.Type, "function")
			}
		}
		nullDefaults(p.ExtraBody)
	}

	for i, t := range c.Targets {
		set(&t.Protocol, Protocols()[0])
		set(&t.MaxInFlight, 8)
		t.URL = strings.TrimRight(t.URL, "/")
		for name, value := range g.Labels {
			if _, own := t.Labels[name]; !own {
				if t.Labels == nil {
					t.Labels = map[string]string{}
				}
				t.Labels[name] = value
			}
		}
		if t.Headers != nil {
			headers := make(map[string]Secret, len(t.Headers))
			for name, value := range t.Headers {
				headers[http.CanonicalHeaderKey(name)] = value
			}
			t.Headers = headers
		}
		at := root.get("targets").item(i)
		httpDefaults(&t.HTTP, at.get("http"))
		if !slices.Contains(UnsentOptions(t.Protocol), "max_tokens_field") {
			set(&t.MaxTokensField, MaxTokens)
		}
		nullDefaults(t.ExtraBody)
		if t.Engine != nil {
			engineDefaults(t.Engine, at.get("engine"))
		}
		if t.Price != nil && t.Price.Input != nil && t.Price.CachedInput == nil {
			t.Price.CachedInput = new(*t.Price.Input)
		}
	}
}

// httpDefaults turns off what Prometheus' defaults turn on. A redirect could carry credentials to another host, and would be
// measured as part of the answer; over HTTP/2 the times of arrival are not the kernel's.
func httpDefaults(h *HTTPClientConfig, at *node) {
	if !at.has("follow_redirects") {
		h.FollowRedirects = false
	}
	if !at.has("enable_http2") {
		h.EnableHTTP2 = false
	}
}

// nullDefaults gives each null its value: to the YAML library it is none.
func nullDefaults(extra map[string]JSON) {
	for name, value := range extra {
		if value == nil {
			extra[name] = JSON("null")
		}
	}
}

// set gives *v the default if it has no value.
func set[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
