package collector

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/llmprober/llm_prober/prober/queuewait"
)

// Series names the series of one target and probe. It is identified by all its label values and by whether it streams; the rest
// may change without the counters starting anew. A Series is not changed once applied.
type Series struct {
	Target string // not empty
	Model  string // may be empty
	Probe  string // not empty

	Stream   bool              // whether the probe streams: only then are there TTFT and token series
	Interval time.Duration     // between two requests; 0: no fixed interval
	Labels   map[string]string // the target's own labels and the global ones; nil is none

	QueueWaitSources []queuewait.Source // where a queue wait can come from, each once; nil: nowhere
	Price            *TokenPrice        // nil: what requests cost is not known
	HourlyPrice      *HourlyPrice       // of the target, the same for all its probes; nil: none
	Abandonment      Curve              // streaming only; nil: none

	Retries bool // whether failed requests are sent again
	Bursts  bool // whether requests are sent in bursts, after a silence
	Turns   int  // of a conversation, at most maxTurns; 0: none
}

// maxTurns bounds the values of the label turn.
const maxTurns = 100

// probeKey is how a result finds its series.
type probeKey struct{ target, probe string }

func (s *Series) key() probeKey { return probeKey{s.Target, s.Probe} }

// identity tells series that keep their values through a reload from those that start anew.
func (s *Series) identity() string {
	return strconv.FormatBool(s.Stream) + identityOf(s.labels())
}

// labels are all labels of the series. An empty value is the same as no label to Prometheus, and is left out,
// but for the three that every series has.
func (s *Series) labels() prometheus.Labels {
	labels := make(prometheus.Labels, len(s.Labels)+3)
	for name, value := range s.Labels {
		if value != "" {
			labels[name] = value
		}
	}
	labels["target"], labels["model"], labels["probe"] = s.Target, s.Model, s.Probe
	return labels
}

// check returns all that is wrong with the labels of s.
func (s *Series) check(taken map[string]bool) error {
	var errs []error
	if s.Target == "" || s.Probe == "" {
		errs = append(errs, errors.New("target and probe must not be empty"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		switch {
		case !model.LegacyValidation.IsValidLabelName(name) || strings.HasPrefix(name, model.ReservedLabelPrefix):
			errs = append(errs, fmt.Errorf("label %q: not a valid name: use letters, digits and _, no digit first, and no leading __", name))
		case taken[name]:
			errs = append(errs, fmt.Errorf("label %q: the name is used by llm_prober itself", name))
		}
	}
	labels := s.labels()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if !utf8.ValidString(labels[name]) {
			errs = append(errs, fmt.Errorf("label %q: value %q is not UTF-8", name, labels[name]))
		}
	}
	errs = append(errs, s.checkValues()...)
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("series target %q probe %q: %w", s.Target, s.Probe, errors.Join(errs...))
}

// checkValues returns all that is wrong with what s is measured against.
func (s *Series) checkValues() (errs []error) {
	seen := make(map[queuewait.Source]bool)
	for _, source := range s.QueueWaitSources {
		if !slices.Contains(queuewait.Sources(), source) || seen[source] {
			errs = append(errs, fmt.Errorf("queue wait source %q: not one of %q, each once", source, queuewait.Sources()))
		}
		seen[source] = true
	}
	if s.Price != nil {
		errs = append(errs, s.Price.check())
	}
	if s.HourlyPrice != nil {
		errs = append(errs, checkAmounts(s.HourlyPrice.Currency, s.HourlyPrice.Amount))
	}
	if len(s.Abandonment) > 0 && !s.Stream {
		errs = append(errs, errors.New("abandonment: the probe does not stream"))
	}
	errs = append(errs, s.Abandonment.check())
	if s.Turns < 0 || s.Turns > maxTurns {
		errs = append(errs, fmt.Errorf("%d turns: want 0 to %d", s.Turns, maxTurns))
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// takenLabels are the label names that a target's own labels must not use.
func takenLabels() map[string]bool {
	taken := map[string]bool{
		"target": true, "model": true, "probe": true,
		"ramp": true, "lane": true, "stage": true, "currency": true,
		model.BucketLabel: true, model.QuantileLabel: true, // Prometheus' own
	}
	for _, f := range Families() {
		if f.Scope == PerProber {
			continue // has no target's labels
		}
		for _, name := range f.Labels {
			taken[name] = true
		}
	}
	return taken
}
