package config

import (
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

// Config is one configuration file, decoded, completed with defaults and checked.
// It is never changed after Load returned it.
type Config struct {
	Global  Global            `yaml:"global,omitempty" json:"global,omitempty"`
	Probes  map[string]*Probe `yaml:"probes" json:"probes"`
	Targets []*Target         `yaml:"targets" json:"targets"`
}

// Global holds what applies to all targets and probes that do not say otherwise.
type Global struct {
	Timeout           model.Duration    `yaml:"timeout,omitempty" json:"timeout,omitempty"`                         // whole request; default 60s
	ConnectTimeout    model.Duration    `yaml:"connect_timeout,omitempty" json:"connect_timeout,omitempty"`         // name, TCP and TLS; default 10s
	FirstTokenTimeout model.Duration    `yaml:"first_token_timeout,omitempty" json:"first_token_timeout,omitempty"` // default: timeout
	IdleTimeout       model.Duration    `yaml:"idle_timeout,omitempty" json:"idle_timeout,omitempty"`               // between events; default: timeout
	Labels            map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`                           // on every probe series
	MaxInFlight       int               `yaml:"max_in_flight,omitempty" json:"max_in_flight,omitempty"`             // over all targets; default 64
	DegradedAfter     model.Duration    `yaml:"degraded_after,omitempty" json:"degraded_after,omitempty"`           // own lateness that marks a measurement; default 10ms
}

// Probe is a named request shape.
type Probe struct {
	PromptTokens       Range          `yaml:"prompt_tokens" json:"prompt_tokens"`                                   // "400" or "20-60", drawn evenly
	SharedPrefixTokens int            `yaml:"shared_prefix_tokens,omitempty" json:"shared_prefix_tokens,omitempty"` // of those, the same in every request; 0: a unique first line
	MaxOutputTokens    int            `yaml:"max_output_tokens" json:"max_output_tokens"`
	Stream             *bool          `yaml:"stream,omitempty" json:"stream,omitempty"`         // default true
	Interval           model.Duration `yaml:"interval" json:"interval"`                         // at least 1s
	Jitter             model.Duration `yaml:"jitter,omitempty" json:"jitter,omitempty"`         // a random extra delay of each tick, below interval/2; default 0
	Connection         string         `yaml:"connection,omitempty" json:"connection,omitempty"` // "fresh" (default) or "reuse"
	Timeout            model.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`       // these four default to global's
	ConnectTimeout     model.Duration `yaml:"connect_timeout,omitempty" json:"connect_timeout,omitempty"`
	FirstTokenTimeout  model.Duration `yaml:"first_token_timeout,omitempty" json:"first_token_timeout,omitempty"`
	IdleTimeout        model.Duration `yaml:"idle_timeout,omitempty" json:"idle_timeout,omitempty"`
}

// Target is one endpoint, protocol and model that is probed.
type Target struct {
	Name        string            `yaml:"name" json:"name"`
	URL         string            `yaml:"url" json:"url"`                               // base URL, as SDKs take it: http://host:8000/v1
	Protocol    string            `yaml:"protocol,omitempty" json:"protocol,omitempty"` // default openai_chat
	Model       string            `yaml:"model" json:"model"`
	Probes      []string          `yaml:"probes" json:"probes"`                                   // names from probes
	Labels      map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`               // on this target's series
	MaxInFlight int               `yaml:"max_in_flight,omitempty" json:"max_in_flight,omitempty"` // default 8
	Budget      Budget            `yaml:"budget,omitempty" json:"budget,omitempty"`               //
	Headers     map[string]Secret `yaml:"headers,omitempty" json:"headers,omitempty"`             // sent with each request; values may be ${ENV}
	HTTP        HTTPClientConfig  `yaml:"http,omitempty" json:"http,omitempty"`                   // as Prometheus' HTTP client configuration
}

// Budget bounds what probing may cost a target. 0 means no bound.
type Budget struct {
	OutputTokensPerHour int `yaml:"output_tokens_per_hour,omitempty" json:"output_tokens_per_hour,omitempty"`
	RequestsPerMinute   int `yaml:"requests_per_minute,omitempty" json:"requests_per_minute,omitempty"`
}

// Range is a length or a span of lengths, both ends included: "400" or "20-60".
type Range struct{ Min, Max int }

// Secret is a string that is never printed; ${NAME} in it is replaced by the environment variable NAME when the file is loaded.
type Secret = commoncfg.Secret

// HTTPClientConfig is Prometheus' own.
type HTTPClientConfig = commoncfg.HTTPClientConfig
