package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// rule is one shipped rule with the interval of its group.
type rule struct {
	rulefmt.Rule
	every time.Duration
	reads []string // the metrics of its selectors
}

// name is that of the alert or of the recorded series.
func (r rule) name() string { return r.Record + r.Alert }

// loadRules reads the rule files of a folder.
func loadRules(folder string) ([]rule, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no rule files", folder)
	}
	p := parser.NewParser(parser.Options{})
	var rules []rule
	for _, file := range files {
		groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
		if len(errs) > 0 {
			return nil, errs[0]
		}
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				expr, err := p.ParseExpr(r.Expr)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", file, err)
				}
				added := rule{Rule: r, every: time.Duration(g.Interval)}
				for _, matchers := range parser.ExtractSelectors(expr) {
					for _, m := range matchers {
						if m.Name == labels.MetricName {
							added.reads = append(added.reads, m.Value)
						}
					}
				}
				rules = append(rules, added)
			}
		}
	}
	return rules, nil
}

// needed is what the alerts need, themselves included, in an order in which each rule comes after those that it reads.
func needed(rules []rule, alerts []string) ([]rule, error) {
	var ordered []rule
	done := make(map[string]bool)
	var visit func(name string)
	visit = func(name string) {
		if done[name] {
			return
		}
		done[name] = true
		for _, r := range rules {
			if r.name() != name {
				continue
			}
			for _, read := range r.reads {
				visit(read)
			}
			ordered = append(ordered, r)
		}
	}
	for _, a := range alerts {
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.Alert == a }) {
			return nil, fmt.Errorf("no alert %s among the rules", a)
		}
		visit(a)
	}
	return ordered, nil
}
