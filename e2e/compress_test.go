package e2e

import (
	"strings"
	"testing"
	"time"
)

// compression is what the chain runs with: a day takes four minutes, an hour ten seconds, and no window is less than four scrapes.
var compression = Compression{Factor: 360, Pace: 60, Window: 4 * time.Second, Age: 10 * time.Second, Interval: time.Second}

func TestExpr(t *testing.T) {
	for _, tt := range []struct{ name, expr, want string }{
		{"window", `rate(a_total[1h])`, `rate(a_total[10s])`},
		{"short window", `rate(a_total[5m])`, `rate(a_total[4s])`},
		{"offset", `max_over_time(a[2h] offset 23h)`, `max_over_time(a[20s] offset 3m50s)`},
		{"offset back", `a offset -6m`, `a offset -1s`},
		{"subquery", `max_over_time(rate(a_total[1h])[1d:6m] offset 1h)`, `max_over_time(rate(a_total[10s])[4m:1s] offset 10s)`},
		{"age", `time() - a > 3600`, `time() - a > 10`},
		{"age of intervals", `time() - a > 4 * b + 60`, `time() - a > 4 * b + 10`},
		{"age in days", `time() - a < 2 * 86400`, `time() - a < 2 * 240`},
		{"age in parentheses", `(time() - (a > 0)) > 900`, `(time() - (a > 0)) > 10`},
		{"time on the other side", `a > time() - 7200`, `a > time() - 20`},
		{"no age beside an age", `time() - a > 3600 and b > 100`, `time() - a > 10 and b > 100`},
		{"no age", `1e6 * a / (3600 * b)`, `1000000 * a / (3600 * b)`},
		{"quantile", `histogram_quantile(0.95, sum without (instance, pod) (rate(a_bucket[1h])))`, `histogram_quantile(0.95, sum without (instance, pod) (rate(a_bucket[10s])))`},
		{"join", `a * on (target) group_left (model) b`, `a * on (target) group_left (model) b`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := compression.Expr(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("Expr(%s) = %s; want %s", tt.expr, got, tt.want)
			}
			if _, err := promql.ParseExpr(got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRules(t *testing.T) {
	got, err := compression.Rules([]byte(`
groups:
  - name: g
    interval: 4m
    rules:
      - {record: "a:b:c", expr: 'rate(x_total[6h])'}
      - {alert: A, expr: 'x > 90', for: 1h, labels: {severity: info}, annotations: {summary: "Of {{ $labels.target }}."}}
      - {alert: B, expr: 'x > 90', for: 10m}
      - {alert: C, expr: 'x > 90'}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"interval: 4s", "rate(x_total[1m])", "expr: x > 90", "for: 10s", "for: 4s", "severity: info", "Of {{ $labels.target }}."} {
		if !strings.Contains(string(got), want) {
			t.Errorf("Rules() has no %q:\n%s", want, got)
		}
	}
	if n := strings.Count(string(got), "for: "); n != 2 {
		t.Errorf("Rules() has %d times a for; want 2:\n%s", n, got)
	}
	if _, err := compression.Rules([]byte("groups: [{name: g, rules: [{record: a, expr: 'rate(x)'}]}]")); err == nil {
		t.Error("Rules() of what Prometheus refuses: no error")
	}
}

func TestRoutes(t *testing.T) {
	got, err := compression.Routes([]byte(`
route:
  receiver: a
  group_wait: 30s
  routes: [{receiver: b, repeat_interval: 1d}]
receivers: [{name: a}, {name: b}]
inhibit_rules: [{source_matchers: [x = y], equal: [target]}]
`), "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"group_wait: 1s", "repeat_interval: 4m", "url: http://127.0.0.1:1/b", "send_resolved: true", "- target"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("Routes() has no %q:\n%s", want, got)
		}
	}
}
