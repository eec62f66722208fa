// Package rulecheck parses every expression of the shipped rules and runbooks, and requires that what it reads exists.
package rulecheck

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// family is a line of alerts/testdata/families.json, which a test there keeps what the collectors say.
type family struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	Labels    []string `json:"labels"`
	NoBuckets bool     `json:"nobuckets"`
}

// future are the families that rules read already and no collector has yet. It must shrink: one that a collector has fails the test.
//
// There is none at present.
func future() []family { return nil }

// scraped are the labels that Prometheus and Kubernetes add to a scrape.
func scraped() []string { return []string{"job", "instance", "pod"} }

const root = "../../.."

// known is everything that an expression may read, by the name of the series.
type known map[string][]string // labels beside scraped(); nil: those of a recorded series, which are not looked at

func families(t *testing.T) []family {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "alerts/testdata/families.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []family
	for line := range strings.Lines(string(text)) {
		var f family
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	if len(all) < 100 {
		t.Fatalf("%d families", len(all))
	}
	return all
}

func (k known) add(f family) {
	k[f.Name] = f.Labels
	if f.Type != "histogram" {
		return
	}
	k[f.Name+"_count"], k[f.Name+"_sum"] = f.Labels, f.Labels
	if !f.NoBuckets {
		k[f.Name+"_bucket"] = append([]string{"le"}, f.Labels...)
	}
}

func rules(t *testing.T, p parser.Parser) []rulefmt.Rule {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "alerts/rules/*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var all []rulefmt.Rule
	for _, file := range files {
		groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
		for _, err := range errs {
			t.Error(err)
		}
		if groups == nil {
			continue
		}
		for _, g := range groups.Groups {
			all = append(all, g.Rules...)
		}
	}
	if len(all) < 100 {
		t.Fatalf("%d rules", len(all))
	}
	return all
}

func TestNames(t *testing.T) {
	p := parser.NewParser(parser.Options{})
	metrics := known{"up": nil, "scrape_duration_seconds": nil}
	exists := make(map[string]bool)
	for _, f := range families(t) {
		metrics.add(f)
		exists[f.Name] = true
	}
	for _, f := range future() {
		if exists[f.Name] {
			t.Errorf("%s is exported now: take it off the list future", f.Name)
		}
		metrics.add(f)
	}
	all := rules(t, p)
	for _, r := range all {
		if r.Record != "" {
			metrics[r.Record] = nil
		}
	}
	labelNames := map[string]bool{"ago": true, "basis": true} // made by rules
	for _, names := range metrics {
		for _, name := range append(names, scraped()...) {
			labelNames[name] = true
		}
	}

	read := make(map[string]bool)
	for _, r := range all {
		check(t, p, r.Record+r.Alert, r.Expr, metrics, labelNames, read)
	}
	runbooks, err := filepath.Glob(filepath.Join(root, "docs/runbooks/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```promql\n(.*?)\n```")
	for _, file := range runbooks {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			check(t, p, filepath.Base(file), m[1], metrics, labelNames, read)
		}
	}
	for _, f := range future() {
		if !slices.ContainsFunc([]string{"", "_bucket", "_count", "_sum"}, func(s string) bool { return read[f.Name+s] }) {
			t.Errorf("nothing reads %s: take it off the list future", f.Name)
		}
	}
}

// check requires that an expression parses, and that the metrics and labels it names exist.
func check(t *testing.T, p parser.Parser, where, text string, metrics known, labelNames, read map[string]bool) {
	t.Helper()
	expr, err := p.ParseExpr(text)
	if err != nil {
		t.Errorf("%s: %v\n%s", where, err, text)
		return
	}
	grouped := func(names []string) {
		for _, name := range names {
			if !labelNames[name] {
				t.Errorf("%s: no metric has the label %s", where, name)
			}
		}
	}
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		switch n := n.(type) {
		case *parser.AggregateExpr:
			grouped(n.Grouping)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				grouped(n.VectorMatching.MatchingLabels)
				grouped(n.VectorMatching.Include)
			}
		case *parser.VectorSelector:
			name := ""
			for _, m := range n.LabelMatchers {
				if m.Name == labels.MetricName && m.Type == labels.MatchEqual {
					name = m.Value
				}
			}
			read[name] = true
			has, ok := metrics[name]
			if !ok {
				t.Errorf("%s: there is no metric %q", where, name)
				return nil
			}
			for _, m := range n.LabelMatchers {
				if has != nil && m.Name != labels.MetricName && !slices.Contains(append(scraped(), has...), m.Name) {
					t.Errorf("%s: %s has no label %s", where, name, m.Name)
				}
			}
			if strings.HasSuffix(name, "_total") && len(path) > 0 {
				_, ranged := path[len(path)-1].(*parser.MatrixSelector)
				if !ranged && !strings.HasSuffix(where, ".md") { // a runbook may show the count itself
					t.Errorf("%s: the counter %s is read without a rate or an increase", where, name)
				}
			}
		}
		return nil
	})
}
