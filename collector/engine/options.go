package engine

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// Options say which engine is read, and how.
type Options struct {
	// Target is the value of the label target. Not empty.
	Target string

	// MetricsURL is where the engine's metrics are, as http://host:8000/metrics. It must lead to one engine, not in turn to several.
	MetricsURL string

	// Kind is what engine it is; "" means KindAuto.
	Kind Kind

	// Interval between fetches; 0 means DefaultInterval, and 1 s to 10 min are allowed. Engines in Python write the page on the thread
	// that also serves requests, tens of milliseconds for a large one: more often disturbs what is measured.
	Interval time.Duration

	// Timeout of a fetch, the whole answer included; 0 means DefaultTimeout, or the interval where that is shorter. At most the interval.
	Timeout time.Duration

	// Client makes the requests. Not nil. It follows redirects or not, as it was made.
	Client *http.Client

	// Labels are on all series beside target; nil is none.
	Labels map[string]string

	// Match leaves out the series that have one of these labels with another value: for a page that speaks of several models,
	// {"model_name": "..."}. Series without such a label stay. nil leaves out nothing.
	Match map[string]string

	// Custom says for families of ours, by their name in Mappable, what they are on the page. It comes before what is known
	// of the kind. KindCustom has nothing else.
	Custom map[string]Source

	// Secrets are what the client sends to prove who it is: an engine that echoes it does not bring it into the log. nil: nothing.
	Secrets func() []string

	// DestructiveReads allows to read TensorRT-LLM's JSON (/metrics, /perf_metrics), which each read empties: others who read it lose
	// what the prober takes. Without it, a URL that turns out to be one of these is read once and never again.
	DestructiveReads bool
}

// Source is a metric of the engine.
type Source struct {
	Metric string            // its name on the page; _sum and _count of a histogram may be meant
	Match  map[string]string // label values that its series must have; nil takes all. They are summed
	Scale  float64           // what its values are multiplied by to be in our unit; 0 means 1
}

// What Options mean by 0.
const (
	DefaultInterval = 10 * time.Second
	DefaultTimeout  = 5 * time.Second
)

// withDefaults returns o complete, or everything that is wrong with it.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if o.Target == "" {
		wrong("target must not be empty")
	}
	if u, err := url.Parse(o.MetricsURL); err != nil {
		wrong("metrics URL: %w", err)
	} else if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		wrong("metrics URL %q: want http://host:port/path", o.MetricsURL)
	}
	if o.Kind == "" {
		o.Kind = KindAuto
	}
	if !slices.Contains(Kinds(), o.Kind) {
		wrong("kind %q: want one of %q", o.Kind, Kinds())
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Interval < time.Second || o.Interval > 10*time.Minute {
		wrong("interval %s: want 1s to 10m", o.Interval)
	}
	if o.Timeout == 0 {
		o.Timeout = min(DefaultTimeout, o.Interval)
	}
	if o.Timeout <= 0 || o.Timeout > o.Interval {
		wrong("timeout %s: want above 0 and at most the interval, %s", o.Timeout, o.Interval)
	}
	if o.Client == nil {
		wrong("client missing")
	}
	errs = append(errs, checkLabels(o.Labels), checkCustom(o.Custom))
	if o.Kind == KindCustom && len(o.Custom) == 0 {
		wrong("kind custom: name at least one metric under custom")
	}
	if err := errors.Join(errs...); err != nil {
		return o, fmt.Errorf("engine of target %q: %w", o.Target, err)
	}
	return o, nil
}

func checkLabels(l map[string]string) error {
	taken := map[string]bool{"target": true, model.BucketLabel: true, model.QuantileLabel: true}
	for _, f := range Families() {
		taken[f.Label] = true
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(l)) {
		switch {
		case !model.LegacyValidation.IsValidLabelName(name) || strings.HasPrefix(name, model.ReservedLabelPrefix):
			errs = append(errs, fmt.Errorf("label %q: not a valid name: use letters, digits and _, no digit first, and no leading __", name))
		case taken[name]:
			errs = append(errs, fmt.Errorf("label %q: the name is used by llm_prober itself", name))
		case !utf8.ValidString(l[name]):
			errs = append(errs, fmt.Errorf("label %q: value %q is not UTF-8", name, l[name]))
		}
	}
	return errors.Join(errs...)
}

func checkCustom(custom map[string]Source) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(custom)) {
		s := custom[name]
		switch {
		case !slices.Contains(Mappable(), name):
			errs = append(errs, fmt.Errorf("custom %q: no such metric: want one of %q", name, Mappable()))
		case s.Metric == "":
			errs = append(errs, fmt.Errorf("custom %q: metric must not be empty", name))
		case s.Scale < 0 || math.IsNaN(s.Scale) || math.IsInf(s.Scale, 0):
			errs = append(errs, fmt.Errorf("custom %q: scale %v: want a number above 0", name, s.Scale))
		}
	}
	return errors.Join(errs...)
}

// same reports whether two options, both with their defaults, differ in nothing but their client and its secrets.
func (o Options) same(other Options) bool {
	o.Client, other.Client, o.Secrets, other.Secrets = nil, nil, nil, nil
	return reflect.DeepEqual(o, other)
}

// sameSeries reports whether the series of two options have the same labels.
func (o Options) sameSeries(other Options) bool {
	return o.Target == other.Target && maps.Equal(o.Labels, other.Labels)
}

// samePage reports whether two options read the same numbers.
func (o Options) samePage(other Options) bool {
	return o.MetricsURL == other.MetricsURL && o.Kind == other.Kind && maps.Equal(o.Match, other.Match) && reflect.DeepEqual(o.Custom, other.Custom)
}

// rules are those of each kind that a page may turn out to be of.
func (o Options) rules() map[Kind][]rule {
	kinds := []Kind{o.Kind}
	if o.Kind == KindAuto {
		kinds = engineKinds()
	}
	custom := customRules(newFamilyTable(), o.Custom)
	rules := make(map[Kind][]rule, len(kinds))
	for _, k := range kinds {
		rules[k] = overlay(rulesOf(k), custom)
	}
	return rules
}
