package e2e

import (
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// Compression makes the time in rules, dashboards and routes shorter, so that a day takes some minutes.
//
//	windows, subqueries        divided by Factor, and no shorter than Window: a rate needs scrapes
//	offsets, keep firing       divided by Factor
//	for                        divided by Factor, and no shorter than Window: one scrape that fails is to be no alert
//	ages                       numbers of at least 60 beside time(), which are seconds: divided by Factor, and no shorter than Age
//	intervals of rule groups   divided by Pace, and no shorter than Interval: evaluations cost processor time
//
// Nothing else changes: thresholds, numbers of requests, labels and joins are those that are shipped. Requests take as
// long as they take, and probes come at the shortest interval that the prober knows, so that an hour has fewer of them than
// a real one, and no window has more.
type Compression struct {
	Factor   float64
	Pace     float64
	Window   time.Duration
	Age      time.Duration
	Interval time.Duration
}

// leastAge is the least number beside time() that is taken for seconds: smaller ones multiply intervals.
const leastAge = 60

// promql reads expressions as Prometheus does without experimental features.
var promql = parser.NewParser(parser.Options{})

// Expr returns the expression in compressed time.
func (c Compression) Expr(text string) (string, error) {
	expr, err := promql.ParseExpr(text)
	if err != nil {
		return "", fmt.Errorf("expression %q: %w", text, err)
	}
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		switch n := node.(type) {
		case *parser.MatrixSelector:
			n.Range = c.window(n.Range)
		case *parser.SubqueryExpr:
			n.Range, n.OriginalOffset = c.window(n.Range), c.shorter(n.OriginalOffset)
			if n.Step != 0 {
				n.Step = max(c.shorter(n.Step), c.Interval)
			}
		case *parser.VectorSelector:
			n.OriginalOffset = c.shorter(n.OriginalOffset)
		case *parser.NumberLiteral:
			if n.Val >= leastAge && besideTime(path) {
				n.Val = max(n.Val/c.Factor, c.Age.Seconds())
			}
		}
		return nil
	})
	return expr.String(), nil
}

// besideTime reports whether the node at the end of path is compared or reckoned with time().
func besideTime(path []parser.Node) bool {
	for i := len(path) - 1; i >= 0; i-- {
		b, ok := path[i].(*parser.BinaryExpr)
		if !ok {
			if _, nested := path[i].(*parser.ParenExpr); nested {
				continue
			}
			return false
		}
		if b.Op.IsSetOperator() {
			return false
		}
		if saysTime(b) {
			return true
		}
	}
	return false
}

// saysTime reports whether time() is called within the expression.
func saysTime(e parser.Expr) bool {
	found := false
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		if call, ok := node.(*parser.Call); ok && call.Func.Name == "time" {
			found = true
		}
		return nil
	})
	return found
}

// Rules returns a file of rules in compressed time.
func (c Compression) Rules(file []byte) ([]byte, error) {
	groups, errs := rulefmt.Parse(file, false, model.UTF8Validation, promql, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, fmt.Errorf("rules: %v", errs)
	}
	for i := range groups.Groups {
		g := &groups.Groups[i]
		g.Interval = model.Duration(max(c.pace(time.Duration(g.Interval)), c.Interval))
		for j := range g.Rules {
			r := &g.Rules[j]
			var err error
			if r.Expr, err = c.Expr(r.Expr); err != nil {
				return nil, err
			}
			if r.For != 0 {
				r.For = model.Duration(c.window(time.Duration(r.For)))
			}
			r.KeepFiringFor = model.Duration(c.shorter(time.Duration(r.KeepFiringFor)))
		}
	}
	return yaml.Marshal(groups)
}

// Routes returns an Alertmanager's configuration in compressed time, in which each receiver posts to base/NAME.
func (c Compression) Routes(file []byte, base string) ([]byte, error) {
	var root map[string]any
	if err := yaml.Unmarshal(file, &root); err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	route, ok := root["route"].(map[string]any)
	receivers, named := root["receivers"].([]any)
	if !ok || !named {
		return nil, fmt.Errorf("routes: there is no route or no receiver")
	}
	if err := c.route(route); err != nil {
		return nil, err
	}
	for _, r := range receivers {
		r := r.(map[string]any)
		r["webhook_configs"] = []any{map[string]any{"url": fmt.Sprintf("%s/%v", base, r["name"]), "send_resolved": true}}
	}
	return yaml.Marshal(root)
}

// route compresses the times of a route and of those below it.
func (c Compression) route(route map[string]any) error {
	for _, key := range []string{"group_wait", "group_interval", "repeat_interval"} {
		text, ok := route[key].(string)
		if !ok {
			continue
		}
		d, err := model.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("routes: %s: %w", key, err)
		}
		route[key] = model.Duration(max(c.shorter(time.Duration(d)), c.Interval)).String()
	}
	children, _ := route["routes"].([]any)
	for _, child := range children {
		if err := c.route(child.(map[string]any)); err != nil {
			return err
		}
	}
	return nil
}

func (c Compression) shorter(d time.Duration) time.Duration { return divide(d, c.Factor) }

func (c Compression) pace(d time.Duration) time.Duration { return divide(d, c.Pace) }

func (c Compression) window(d time.Duration) time.Duration { return max(c.shorter(d), c.Window) }

// divide divides to a whole number of milliseconds, which is what Prometheus reckons with; what is not nothing stays so.
func divide(d time.Duration, by float64) time.Duration {
	if d == 0 {
		return 0
	}
	ms := math.Round(float64(d) / by / float64(time.Millisecond))
	return time.Duration(math.Copysign(max(math.Abs(ms), 1), float64(d))) * time.Millisecond
}
