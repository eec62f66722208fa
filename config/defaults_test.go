package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
)

func seconds(n int) model.Duration { return model.Duration(n) * model.Duration(time.Second) }

func TestDefaults(t *testing.T) {
	c := parseText(t, `
probes: {p: {prompt_tokens: 7, max_output_tokens: 1, interval: 1s}}
targets: [{name: t, url: "http://h/v1/", model: m, probes: [p], headers: {x-key: a}}]
`, "")
	want := &Config{
		Global: Global{
			Timeout: seconds(60), ConnectTimeout: seconds(10), FirstTokenTimeout: seconds(60), IdleTimeout: seconds(60),
			MaxInFlight: 64, DegradedAfter: model.Duration(10 * time.Millisecond),
		},
		Probes: map[string]*Probe{"p": {
			PromptTokens: Range{7, 7}, MaxOutputTokens: 1, Stream: new(true), Interval: seconds(1), Connection: ConnectionFresh,
			Timeout: seconds(60), ConnectTimeout: seconds(10), FirstTokenTimeout: seconds(60), IdleTimeout: seconds(60),
		}},
		Targets: []*Target{{
			Name: "t", URL: "http://h/v1", Protocol: "openai_chat", Model: "m", Probes: []string{"p"},
			TargetSettings: TargetSettings{MaxInFlight: 8, MaxTokensField: "max_tokens", Headers: map[string]Secret{"X-Key": "a"}},
		}},
	}
	if diff := cmp.Diff(want.Global, c.Global); diff != "" {
		t.Errorf("global (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.Probes, c.Probes); diff != "" {
		t.Errorf("probes (-want +got):\n%s", diff)
	}
	if got, want := c.Targets[0].Fingerprint(), want.Targets[0].Fingerprint(); got != want {
		t.Errorf("target = %v", c.Targets[0])
	}
}

func TestTimeouts(t *testing.T) {
	type timeouts struct{ Total, Connect, FirstToken, Idle model.Duration }
	for _, tt := range []struct {
		name, global, probe string
		want                timeouts
	}{
		{"none", "{}", "", timeouts{seconds(60), seconds(10), seconds(60), seconds(60)}},
		{"global's", "{timeout: 30s}", "", timeouts{seconds(30), seconds(10), seconds(30), seconds(30)}},
		{"a short one of global's", "{timeout: 5s}", "", timeouts{seconds(5), seconds(5), seconds(5), seconds(5)}},
		{"all of global's", "{timeout: 30s, connect_timeout: 3s, first_token_timeout: 20s, idle_timeout: 4s}", "",
			timeouts{seconds(30), seconds(3), seconds(20), seconds(4)}},
		{"a longer one of the probe", "{timeout: 30s}", "timeout: 90s", timeouts{seconds(90), seconds(10), seconds(90), seconds(90)}},
		{"a longer one, and parts of global's", "{timeout: 30s, first_token_timeout: 20s, idle_timeout: 4s}", "timeout: 90s",
			timeouts{seconds(90), seconds(10), seconds(20), seconds(4)}},
		{"a shorter one cuts global's", "{timeout: 30s, connect_timeout: 8s, first_token_timeout: 20s, idle_timeout: 4s}", "timeout: 6s",
			timeouts{seconds(6), seconds(6), seconds(6), seconds(4)}},
		{"the probe's own", "{timeout: 30s, idle_timeout: 4s}", "connect_timeout: 1s, first_token_timeout: 2s, idle_timeout: 30s",
			timeouts{seconds(30), seconds(1), seconds(2), seconds(30)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := parseText(t, "global: "+tt.global+"\nprobes: {p: {prompt_tokens: 7, max_output_tokens: 1, interval: 1s, "+tt.probe+"}}\ntargets: []\n", "")
			p := c.Probes["p"]
			if diff := cmp.Diff(tt.want, timeouts{p.Timeout, p.ConnectTimeout, p.FirstTokenTimeout, p.IdleTimeout}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRedirectsAndHTTP2AreOffUnlessAskedFor(t *testing.T) {
	for http, want := range map[string][2]bool{
		"{}":                                {false, false},
		"{follow_redirects: true}":          {true, false},
		"{enable_http2: true}":              {false, true},
		"{follow_redirects: false}":         {false, false},
		"{authorization: {credentials: c}}": {false, false},
	} {
		c := parseText(t, "probes: {}\ntargets: [{name: t, url: 'http://h', model: m, probes: [], http: "+http+"}]", "")
		if got := [2]bool{c.Targets[0].HTTP.FollowRedirects, c.Targets[0].HTTP.EnableHTTP2}; got != want {
			t.Errorf("http: %s gives %v; want %v", http, got, want)
		}
	}
}

func TestLabelsOfGlobal(t *testing.T) {
	c := parseText(t, `
global: {labels: {vantage: eu, team: a}}
probes: {}
targets:
  - {name: a, url: "http://h", model: m, probes: []}
  - {name: b, url: "http://h", model: m, probes: [], labels: {team: b, own: c}}
  - {name: c, url: "http://h", model: m, probes: [], labels: {team: ""}}
`, "")
	for i, want := range []map[string]string{
		{"vantage": "eu", "team": "a"},
		{"vantage": "eu", "team": "b", "own": "c"},
		{"vantage": "eu", "team": ""},
	} {
		if diff := cmp.Diff(want, c.Targets[i].Labels); diff != "" {
			t.Errorf("target %s (-want +got):\n%s", c.Targets[i].Name, diff)
		}
	}
}
