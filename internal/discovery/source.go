package discovery

import (
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/prober/transport"
)

// source is a place where targets are listed, files or a URL, and what is known of it.
type source struct {
	name     string
	reads    []string // the files, or the URL: what makes it the same source in another configuration
	reader   reader
	mapping  mapping
	interval time.Duration
	bound    int             // of its targets
	secrets  func() []string // that a server may echo, and errors are not to tell; nil: there are none
	log      *slog.Logger

	// used by one goroutine at a time: first that of New and Load, then its own
	wait  time.Duration     // until it is read next
	seen  map[string]digest // by place: what differs from what is in force, and was there when last looked at; zero: nothing was
	tried map[string]trial  // by place: what was made of a document that is not in force
	said  map[string]string // by place: the error that was logged last; "" is the place of what concerns all
	empty bool              // that it has no documents was logged
	lost  map[string]error  // by place: why a list that was taken over is not in force

	// protected by the Discovery's mu; lists are changed by the goroutine above alone
	lists  map[string]*list // by place
	status Status
}

// newSources makes the sources of a configuration, the files first.
func newSources(o Options) ([]*source, error) {
	var sources []*source
	add := func(name string, reads []string, r reader, template *config.TargetTemplate, interval time.Duration, bound int) {
		sources = append(sources, &source{
			name: name, reads: reads, reader: r, mapping: mapping{o.Config, template}, interval: interval, bound: bound,
			log:  o.Logger.With("source", name),
			seen: map[string]digest{}, tried: map[string]trial{}, said: map[string]string{}, lost: map[string]error{},
			lists: map[string]*list{}, status: Status{Source: name},
		})
	}
	for _, f := range o.Config.TargetFiles {
		add(f.Name, f.Files, files{f.Files}, &f.Template, time.Duration(f.RefreshInterval), f.MaxTargets)
	}
	for _, h := range o.Config.HTTPSD {
		e, err := newEndpoint(h, o.UserAgent)
		if err != nil {
			return nil, err
		}
		add(h.Name, []string{h.URL}, e, &h.Template, time.Duration(h.RefreshInterval), h.MaxTargets)
		sources[len(sources)-1].secrets = func() []string { return append(inQuery(h.URL), transport.Secrets(h.HTTP)...) }
	}
	return sources, nil
}

// same reports whether s reads what other reads, so that the lists of one are those of the other.
func (s *source) same(other *source) bool {
	return s.name == other.name && slices.Equal(s.reads, other.reads)
}

// inQuery are the values in a URL's query, which may be keys.
func inQuery(address string) []string {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	return slices.Concat(slices.Collect(maps.Values(u.Query()))...)
}

// shown is a URL without what may be secret in it.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
