package config

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	commoncfg "github.com/prometheus/common/config"
)

// A configuration can be printed, logged and served: whatever the verb or the encoder, secrets come out as <secret>.

// String is the effective configuration as YAML, defaults included.
func (c *Config) String() string { return encodeYAML(c) }

// Format implements fmt.Formatter: every verb prints String.
func (c Config) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// String is the effective target as YAML.
func (t *Target) String() string { return encodeYAML(t) }

// Format implements fmt.Formatter: every verb prints String.
func (t Target) Format(f fmt.State, _ rune) { io.WriteString(f, t.String()) }

// MarshalYAML hides what Prometheus' types would show.
func (t Target) MarshalYAML() (any, error) {
	type plain Target
	t.redact()
	return plain(t), nil
}

// MarshalJSON hides what Prometheus' types would show.
func (t Target) MarshalJSON() ([]byte, error) {
	type plain Target
	t.redact()
	return json.Marshal(plain(t))
}

// redact hides what Prometheus' types would show. It is for a copy of a target.
func (t *TargetSettings) redact() {
	t.HTTP = redacted(t.HTTP)
	if t.Engine != nil {
		e := *t.Engine
		e.HTTP = redacted(e.HTTP)
		t.Engine = &e
	}
}

// String is the template as YAML.
func (t *TargetTemplate) String() string { return encodeYAML(t) }

// Format implements fmt.Formatter: every verb prints String.
func (t TargetTemplate) Format(f fmt.State, _ rune) { io.WriteString(f, t.String()) }

// MarshalYAML hides what Prometheus' types would show.
func (t TargetTemplate) MarshalYAML() (any, error) {
	type plain TargetTemplate
	t.redact()
	return plain(t), nil
}

// MarshalJSON hides what Prometheus' types would show.
func (t TargetTemplate) MarshalJSON() ([]byte, error) {
	type plain TargetTemplate
	t.redact()
	return json.Marshal(plain(t))
}

// IsZero reports whether the template says nothing.
func (t TargetTemplate) IsZero() bool {
	return reflect.ValueOf(t.TargetSettings).IsZero() && t.Protocol == "" && t.APIVersion == "" && t.Model == "" && t.Probes == nil
}

// String is the source as YAML.
func (h *HTTPSD) String() string { return encodeYAML(h) }

// Format implements fmt.Formatter: every verb prints String.
func (h HTTPSD) Format(f fmt.State, _ rune) { io.WriteString(f, h.String()) }

// MarshalYAML hides what Prometheus' types would show.
func (h HTTPSD) MarshalYAML() (any, error) {
	type plain HTTPSD
	h.HTTP, h.URL = redacted(h.HTTP), withoutQuery(h.URL)
	return plain(h), nil
}

// MarshalJSON hides what Prometheus' types would show.
func (h HTTPSD) MarshalJSON() ([]byte, error) {
	type plain HTTPSD
	h.HTTP, h.URL = redacted(h.HTTP), withoutQuery(h.URL)
	return json.Marshal(plain(h))
}

// String is the effective ramp as YAML, defaults included.
func (r *Ramp) String() string { return encodeYAML(r) }

// Format implements fmt.Formatter: every verb prints String.
func (r Ramp) Format(f fmt.State, _ rune) { io.WriteString(f, r.String()) }

// String is the lane as YAML.
func (l *Lane) String() string { return encodeYAML(l) }

// Format implements fmt.Formatter: every verb prints String.
func (l Lane) Format(f fmt.State, _ rune) { io.WriteString(f, l.String()) }

// MarshalYAML hides what Prometheus' types would show.
func (l Lane) MarshalYAML() (any, error) {
	type plain Lane
	l.redact()
	return plain(l), nil
}

// MarshalJSON hides what Prometheus' types would show.
func (l Lane) MarshalJSON() ([]byte, error) {
	type plain Lane
	l.redact()
	return json.Marshal(plain(l))
}

// redact is for a copy of a lane.
func (l *Lane) redact() {
	if l.HTTP != nil {
		l.HTTP = new(redacted(*l.HTTP))
	}
}

// redacted returns h without the secrets that are no Secret by type: who is named in a proxy's URL,
// and the parameters and claims of OAuth 2, which hold passwords in some of its flows.
func redacted(h HTTPClientConfig) HTTPClientConfig {
	h.ProxyURL = redactedURL(h.ProxyURL)
	if h.OAuth2 == nil {
		return h
	}
	o := *h.OAuth2
	o.TokenURL = withoutQuery(o.TokenURL)
	o.ProxyURL = redactedURL(o.ProxyURL)
	o.EndpointParams = maps.Clone(o.EndpointParams)
	for k := range o.EndpointParams {
		o.EndpointParams[k] = secretToken
	}
	o.Claims = maps.Clone(o.Claims)
	for k := range o.Claims {
		o.Claims[k] = secretToken
	}
	h.OAuth2 = &o
	return h
}

// withoutQuery is a URL without the values in its query, where keys are often put.
func withoutQuery(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.RawQuery == "" {
		return text
	}
	var shown []string
	for _, name := range slices.Sorted(maps.Keys(u.Query())) {
		shown = append(shown, url.QueryEscape(name)+"="+secretToken)
	}
	u.RawQuery = strings.Join(shown, "&")
	return u.String()
}

func redactedURL(u commoncfg.URL) commoncfg.URL {
	if u.URL == nil || u.User == nil {
		return u
	}
	shown := *u.URL
	shown.User = url.User("xxxxx")
	return commoncfg.URL{URL: &shown}
}
