package config

import (
	"fmt"
	"maps"
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
		if r := p.Retry; r != nil {
			if r.On == nil {
				r.On = []RetryOn{"429", "503", "connect"}
			}
			set(&r.Backoff, model.Duration(time.Second))
			set(&r.MaxBackoff, max(model.Duration(30*time.Second), r.Backoff))
		}
		for _, tool := range p.Tools {
			if tool != nil {
				set(&tool.Type, "function")
			}
		}
		nullDefaults(p.ExtraBody)
	}

	for i, t := range c.Targets {
		targetDefaults(t, g, root.get("targets").item(i))
	}
	c.own = len(c.Targets)
	for i, f := range c.TargetFiles {
		set(&f.Name, fmt.Sprintf("files_%d", i+1))
		set(&f.RefreshInterval, model.Duration(10*time.Second))
		set(&f.MaxTargets, 1000)
		templateDefaults(&f.Template, root.get("target_files").item(i).get("template"))
	}
	for i, h := range c.HTTPSD {
		set(&h.Name, fmt.Sprintf("http_%d", i+1))
		set(&h.RefreshInterval, model.Duration(60*time.Second))
		set(&h.MaxTargets, 1000)
		httpDefaults(&h.HTTP, root.get("http_sd").item(i).get("http"))
		templateDefaults(&h.Template, root.get("http_sd").item(i).get("template"))
	}
	if d := c.ProbeOnDemand; d != nil {
		set(&d.MaxInFlight, 2)
		templateDefaults(&d.Template, root.get("probe_on_demand").get("template"))
	}
	for i, r := range c.Ramps {
		rampDefaults(r, root.get("ramps").item(i))
	}
}

// targetDefaults completes a target. At is where it is written; of one from outside, nil.
func targetDefaults(t *Target, g *Global, at *node) {
	set(&t.Protocol, Protocols()[0])
	t.URL = strings.TrimRight(t.URL, "/")
	for name, value := range g.Labels {
		if _, own := t.Labels[name]; !own {
			if t.Labels == nil {
				t.Labels = map[string]string{}
			}
			t.Labels[name] = value
		}
	}
	if !slices.Contains(UnsentOptions(t.Protocol), "max_tokens_field") {
		set(&t.MaxTokensField, MaxTokens)
	}
	settingsDefaults(&t.TargetSettings, at)
}

// templateDefaults completes a template in as far as a target made of it can do no more: where what is written matters, not its value.
func templateDefaults(t *TargetTemplate, at *node) { settingsDefaults(&t.TargetSettings, at) }

// settingsDefaults completes what targets and templates share. Without a place only what has no value is set: so it is with what was made of a template.
func settingsDefaults(t *TargetSettings, at *node) {
	set(&t.MaxInFlight, 8)
	t.Headers = canonical(t.Headers)
	nullDefaults(t.ExtraBody)
	if at != nil {
		httpDefaults(&t.HTTP, at.get("http"))
	}
	if t.Engine != nil {
		engineDefaults(t.Engine, at.get("engine"), at != nil)
	}
	if t.Price != nil && t.Price.Input != nil && t.Price.CachedInput == nil {
		t.Price.CachedInput = new(*t.Price.Input)
	}
}

// canonical writes the names of headers as HTTP does.
func canonical(headers map[string]Secret) map[string]Secret {
	if headers == nil {
		return nil
	}
	written := make(map[string]Secret, len(headers))
	for name, value := range headers {
		written[http.CanonicalHeaderKey(name)] = value
	}
	return written
}

// rampDefaults completes a ramp.
func rampDefaults(r *Ramp, at *node) {
	set(&r.Timezone, "UTC")
	set(&r.Drain, model.Duration(60*time.Second))
	set(&r.Repeat, 1)
	set(&r.SampleInterval, model.Duration(5*time.Second))
	if r.Requests == nil {
		r.Requests = new(true)
	}
	for _, b := range r.Blackouts {
		set(&b.Timezone, r.Timezone)
	}
	if r.Shape != nil {
		shapeDefaults(r.Shape)
	}
	laneDefaults(r, at)
	for i, o := range r.Objectives {
		if o.Indicator != IndicatorAvailability && !at.get("objectives").item(i).has("percentile") {
			o.Percentile = 95
		}
	}
	set(&r.Abort.ErrorShare, 0.5)
	set(&r.Abort.Victims, 2)
	set(&r.Abort.Over, model.Duration(30*time.Second))
	if c := r.Compare; c != nil {
		if !at.get("compare").has("max_regression") {
			c.MaxRegression = 0.10
		}
		set(&c.Confidence, 0.95)
	}
}

// laneDefaults gives a ramp the lanes that it does not write, and each lane what it takes from its ramp.
func laneDefaults(r *Ramp, at *node) {
	neighbours := r.Shape != nil && r.Shape.NoisyNeighbour != nil
	switch {
	case neighbours:
		for _, name := range []string{LaneVictim, LaneNeighbour} {
			if r.Lane(name) == nil && !at.get("lanes").hasBad() {
				r.Lanes = append(r.Lanes, &Lane{Name: name})
			}
		}
	case !at.has("lanes"):
		r.Lanes = []*Lane{{Name: LaneMain}}
	case len(r.Lanes) == 1:
		set(&r.Lanes[0].Name, LaneMain)
	}
	for i, l := range r.Lanes {
		set(&l.Target, r.Target)
		set(&l.MaxInFlight, max(1000, l.Concurrency))
		l.Headers = canonical(l.Headers)
		if l.HTTP != nil {
			httpDefaults(l.HTTP, at.get("lanes").item(i).get("http"))
		}
		if l.Mix == nil {
			l.Mix = maps.Clone(r.Mix)
			if neighbours && l.Name == LaneNeighbour && r.Shape.NoisyNeighbour.Mix != nil {
				l.Mix = maps.Clone(r.Shape.NoisyNeighbour.Mix)
			}
		}
		if l.Arrivals == nil && l.Concurrency == 0 && r.asksByRate(l) {
			l.Arrivals = &Arrivals{}
		}
		if a := l.Arrivals; a != nil {
			set(&a.Process, ProcessPoisson)
			if a.Process == ProcessTrace {
				set(&a.Speed, 1)
			}
		}
	}
}

// shapeDefaults completes a shape.
func shapeDefaults(s *Shape) {
	minutes := func(n int) model.Duration { return model.Duration(n) * model.Duration(time.Minute) }
	if p := s.Baseline; p != nil {
		set(&p.Requests, 20)
	}
	if p := s.Step; p != nil {
		set(&p.Each, minutes(2))
	}
	if p := s.Linear; p != nil {
		set(&p.Over, minutes(10))
	}
	if p := s.Spike; p != nil {
		set(&p.For, minutes(1)/2)
		set(&p.Every, minutes(3))
		set(&p.Times, 3)
	}
	if p := s.Soak; p != nil {
		set(&p.For, minutes(60))
	}
	if p := s.BurstAfterIdle; p != nil {
		set(&p.Times, 3)
	}
	if p := s.Search; p != nil {
		set(&p.Tolerance, 0.05)
		set(&p.Each, minutes(2))
	}
	if p := s.MixSweep; p != nil {
		if p.Shares == nil {
			p.Shares = []float64{0, 0.1, 0.2, 0.4}
		}
		set(&p.Each, minutes(5))
	}
	if p := s.NoisyNeighbour; p != nil {
		set(&p.For, minutes(1))
		set(&p.Every, minutes(3))
		set(&p.Times, 3)
	}
	if p := s.Recovery; p != nil {
		set(&p.Before, minutes(3))
		set(&p.For, minutes(2))
		set(&p.Watch, minutes(10))
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
