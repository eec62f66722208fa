package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// parse reads an expression as Grafana sends it: with its own variables replaced. Those of the board stand in strings.
func parse(expr string) (parser.Expr, error) {
	r := strings.NewReplacer("$__rate_interval", "20m", "$__range", "6h", "$__interval", "1m")
	return parser.NewParser(parser.Options{}).ParseExpr(r.Replace(expr))
}

// inference finds the labels of an expression's result from those of its metrics, and what is wrong on the way.
// Labels that a configuration gives to its targets are not known to it.
type inference struct {
	catalogue
	unknown []string // metrics that do not exist
	wrong   []string // labels that do not exist, halves that never match, counters without a rate
	ranged  bool     // inside a range selector
	buckets bool     // classic buckets were met
}

func (i *inference) fault(format string, args ...any) {
	i.wrong = append(i.wrong, fmt.Sprintf(format, args...))
}

// needs says that labels are used which the expression does not have.
func (i *inference) needs(e parser.Expr, have labels, names ...string) {
	for _, n := range names {
		if !have[n] {
			i.fault("label %s: %s has only %s", n, e, have)
		}
	}
}

func (i *inference) labels(e parser.Expr) labels {
	switch e := e.(type) {
	case *parser.VectorSelector:
		return i.selector(e)
	case *parser.MatrixSelector:
		defer func(was bool) { i.ranged = was }(i.ranged)
		i.ranged = true
		return i.labels(e.VectorSelector)
	case *parser.SubqueryExpr:
		return i.labels(e.Expr)
	case *parser.ParenExpr:
		return i.labels(e.Expr)
	case *parser.UnaryExpr:
		return i.labels(e.Expr)
	case *parser.StepInvariantExpr:
		return i.labels(e.Expr)
	case *parser.AggregateExpr:
		in := i.labels(e.Expr)
		i.needs(e.Expr, in, e.Grouping...)
		if e.Without {
			return in.without(e.Grouping...)
		}
		return setOf(e.Grouping...)
	case *parser.Call:
		return i.call(e)
	case *parser.BinaryExpr:
		return i.binary(e)
	}
	return labels{} // numbers and strings
}

func (i *inference) selector(e *parser.VectorSelector) labels {
	m, ok := i.catalogue[e.Name]
	if !ok {
		i.unknown = append(i.unknown, e.Name)
		return labels{}
	}
	for _, match := range e.LabelMatchers {
		if match.Name != "__name__" {
			i.needs(e, m.labels, match.Name)
		}
	}
	if m.counter && !i.ranged && !m.stays {
		i.fault("%s grows for ever: a rate or an increase of it is wanted", e)
	}
	i.buckets = i.buckets || m.labels["le"]
	return m.labels
}

func (i *inference) call(e *parser.Call) labels {
	found := labels{}
	for _, a := range e.Args {
		if t := a.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			before := i.buckets
			i.buckets = false
			found = i.labels(a)
			if e.Func.Name == "histogram_quantile" && i.buckets {
				i.needs(a, found, "le")
			}
			i.buckets = before || i.buckets
		}
	}
	text := func(at int) string { return e.Args[at].(*parser.StringLiteral).Val }
	switch e.Func.Name {
	case "histogram_quantile":
		return found.without("le")
	case "label_replace":
		i.needs(e.Args[0], found, text(3))
		return found.with(text(1))
	case "rate", "increase", "irate", "resets":
		m, ok := e.Args[0].(*parser.MatrixSelector)
		if !ok {
			break
		}
		if name := m.VectorSelector.(*parser.VectorSelector).Name; i.catalogue[name].labels != nil && !i.catalogue[name].counter {
			i.fault("%s of %s, which is a gauge", e.Func.Name, name)
		}
	}
	return found
}

func (i *inference) binary(e *parser.BinaryExpr) labels {
	left, right := i.labels(e.LHS), i.labels(e.RHS)
	m := e.VectorMatching
	switch {
	case e.LHS.Type() != parser.ValueTypeVector:
		return right
	case e.RHS.Type() != parser.ValueTypeVector:
		return left
	case m.On:
		i.needs(e.LHS, left, m.MatchingLabels...)
		i.needs(e.RHS, right, m.MatchingLabels...)
	case e.Op == parser.LOR && len(right) == 0: // or vector(0)
	default:
		if l, r := left.without(m.MatchingLabels...), right.without(m.MatchingLabels...); !maps.Equal(l, r) {
			i.fault("%s and %s never match: %s", l, r, e)
		}
	}
	switch {
	case e.Op == parser.LOR:
		return left.with(slices.Collect(maps.Keys(right))...)
	case e.Op.IsSetOperator():
		return left
	case m.Card == parser.CardOneToMany:
		return right.with(m.Include...)
	case m.Card == parser.CardManyToOne:
		return left.with(m.Include...)
	case m.On:
		return setOf(m.MatchingLabels...)
	}
	return left.without(m.MatchingLabels...)
}
