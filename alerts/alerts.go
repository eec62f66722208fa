// Package alerts holds the Prometheus rules that are shipped with the prober, and writes them for an installation.
//
// The rules need no templating to be right: objectives, thresholds and intervals are series of the prober's own, so that one
// static set serves every target. What an installation may want to say is how its scrape job is called, and where its
// runbooks and dashboards are; nothing else is changed, comments included.
//
//	rules/*.yml ──embed──> Prometheus  a file for rule_files
//	                   └─> Operator    a PrometheusRule for the Prometheus Operator
package alerts

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

//go:embed rules/*.yml
var files embed.FS

// What the shipped files say, and what Options replace.
const (
	DefaultJob          = "llm_prober"
	DefaultRunbookURL   = "https://github.com/llmprober/llm_prober/blob/main/docs/runbooks"
	DefaultDashboardURL = "http://grafana.example"
)

// Options say how the rules are written. The zero value writes them as they are shipped.
type Options struct {
	Job          string // the job of the prober's scrape configuration; DefaultJob if empty
	RunbookURL   string // of the folder of the runbooks; DefaultRunbookURL if empty
	DashboardURL string // of Grafana, without /d/; DefaultDashboardURL, which leads nowhere, if empty

	// For Operator alone.
	Name      string            // of the resource; llm-prober if empty
	Namespace string            // of the resource; left out if empty
	Labels    map[string]string // of the resource, such as those that a Prometheus selects its rules by
}

// Files are the rule files as they are shipped, at the root of the file system.
func Files() fs.FS {
	sub, err := fs.Sub(files, "rules")
	if err != nil {
		panic(err) // rules is a valid path
	}
	return sub
}

// Prometheus writes all rules as one file for Prometheus's rule_files.
func Prometheus(o Options) ([]byte, error) {
	groups, err := o.groups()
	if err != nil {
		return nil, err
	}
	return append([]byte("groups:\n"), groups...), nil
}

// Operator writes all rules as a PrometheusRule, the resource of the Prometheus Operator.
func Operator(o Options) ([]byte, error) {
	groups, err := o.groups()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n")
	fmt.Fprintf(&b, "  name: %s\n", quoted(or(o.Name, "llm-prober")))
	if o.Namespace != "" {
		fmt.Fprintf(&b, "  namespace: %s\n", quoted(o.Namespace))
	}
	if len(o.Labels) > 0 {
		b.WriteString("  labels:\n")
		for _, name := range slices.Sorted(maps.Keys(o.Labels)) {
			fmt.Fprintf(&b, "    %s: %s\n", quoted(name), quoted(o.Labels[name]))
		}
	}
	b.WriteString("spec:\n  groups:\n")
	for line := range bytes.Lines(groups) {
		if len(bytes.TrimSpace(line)) > 0 {
			b.WriteString("  ")
		}
		b.Write(line)
	}
	return b.Bytes(), nil
}

// groups are those of all files, filled in: what follows "groups:", with the comments before it.
func (o Options) groups() ([]byte, error) {
	fill, err := o.replacer()
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "rules/*.yml")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		about, groups, found := strings.Cut(string(text), "groups:\n")
		if !found {
			return nil, fmt.Errorf("%s: no line %q", name, "groups:")
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		for line := range strings.Lines(about) {
			b.WriteString("  " + line)
		}
		b.WriteString(fill.Replace(groups))
	}
	return b.Bytes(), nil
}

// jobName is what needs no quoting, in YAML or in PromQL.
var jobName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]*$`)

func (o Options) replacer() (*strings.Replacer, error) {
	job := or(o.Job, DefaultJob)
	var errs []error
	if !jobName.MatchString(job) {
		errs = append(errs, fmt.Errorf("job %q: want letters, digits, and any of _ . / - after the first", job))
	}
	base := func(what, value, otherwise string) string {
		value = strings.TrimSuffix(or(value, otherwise), "/")
		u, err := url.Parse(value)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			errs = append(errs, fmt.Errorf("%s %q: want an http or https URL", what, value))
		case u.RawQuery != "" || u.Fragment != "" || u.String() != value || strings.ContainsAny(value, "'{}"):
			errs = append(errs, fmt.Errorf("%s %q: want a plain URL, without query, fragment or characters to be escaped", what, value))
		}
		return value
	}
	runbooks := base("runbook URL", o.RunbookURL, DefaultRunbookURL)
	dashboards := base("dashboard URL", o.DashboardURL, DefaultDashboardURL)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return strings.NewReplacer(
		`job="`+DefaultJob+`"`, `job="`+job+`"`,
		"          job: "+DefaultJob+"\n", "          job: "+quoted(job)+"\n",
		"runbook_url: "+DefaultRunbookURL+"/", "runbook_url: "+runbooks+"/",
		"dashboard_url: "+DefaultDashboardURL+"/d/", "dashboard_url: "+dashboards+"/d/",
	), nil
}

// quoted is a text as YAML reads it back: JSON's strings are YAML's.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings have JSON
	}
	return string(b)
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
