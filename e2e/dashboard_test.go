package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// dashboard is what of a dashboard's JSON asks Prometheus for something.
type dashboard struct {
	UID  string `json:"uid"`
	Time struct {
		From string `json:"from"`
	} `json:"time"`
	Panels      []panel `json:"panels"`
	Templating  struct{ List []templateVariable }
	Annotations struct{ List []annotation }
}

type panel struct {
	ID      int      `json:"id"`
	Title   string   `json:"title"`
	Type    string   `json:"type"`
	Panels  []panel  `json:"panels"` // of a row that is folded
	Targets []target `json:"targets"`
}

type target struct {
	RefID    string `json:"refId"`
	Expr     string `json:"expr"`
	Instant  bool   `json:"instant"`
	Exemplar bool   `json:"exemplar"`
	Interval string `json:"interval"`
}

type templateVariable struct {
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	Query      json.RawMessage `json:"query"`
	IncludeAll bool            `json:"includeAll"`
	AllValue   string          `json:"allValue"`
}

type annotation struct {
	Name string `json:"name"`
	Expr string `json:"expr"`
}

// variable is a variable of a dashboard with its value.
type variable struct{ name, value string }

// loadDashboards reads all dashboards of a folder.
func loadDashboards(dir string) ([]dashboard, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no dashboards in %s (%v)", dir, err)
	}
	var all []dashboard
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var d dashboard
		if err := json.Unmarshal(b, &d); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// all lists the panels of a dashboard, those of folded rows included.
func (d dashboard) all() []panel {
	var list []panel
	for _, p := range d.Panels {
		list = append(append(list, p), p.Panels...)
	}
	return list
}

// labelValues is the only kind of query that variables are filled by.
var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// selector is the selector and the label of a variable that is filled by a query.
func (v templateVariable) selector() (selector, label string, err error) {
	var query struct{ Query string }
	if err := json.Unmarshal(v.Query, &query); err != nil {
		return "", "", fmt.Errorf("variable %s: %w", v.Name, err)
	}
	m := labelValues.FindStringSubmatch(query.Query)
	if m == nil {
		return "", "", fmt.Errorf("variable %s: %s is not label_values(SELECTOR, LABEL)", v.Name, query.Query)
	}
	return m[1], m[2], nil
}

// substitute puts values into the variables of an expression, written $NAME or ${NAME}.
func substitute(expr string, values []variable) string {
	values = slices.SortedFunc(slices.Values(values), func(a, b variable) int { return cmp.Compare(len(b.name), len(a.name)) })
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, "${"+v.name+"}", v.value, "$"+v.name, v.value)
	}
	return strings.NewReplacer(pairs...).Replace(expr)
}

// grafanas are the variables that Grafana itself fills, in real time, for a range that is shown on a thousand pixels:
// $__rate_interval is max($__interval + step, 4 * step), of the least step of the query or else of the scrape interval.
func (t target) grafanas(shown time.Duration) ([]variable, error) {
	step := 15 * time.Second
	if t.Interval != "" {
		d, err := model.ParseDuration(t.Interval)
		if err != nil {
			return nil, fmt.Errorf("interval %q: %w", t.Interval, err)
		}
		step = time.Duration(d)
	}
	interval := max(shown/1000, step)
	text := func(d time.Duration) string { return model.Duration(d.Round(time.Second)).String() }
	return []variable{
		{"__interval", text(interval)},
		{"__rate_interval", text(max(interval+step, 4*step))},
		{"__range", text(shown)},
	}, nil
}

// shown is how much time the dashboard shows.
func (d dashboard) shown() (time.Duration, error) {
	v, err := model.ParseDuration(strings.TrimPrefix(d.Time.From, "now-"))
	if err != nil {
		return 0, fmt.Errorf("dashboard %s: from %q: %w", d.UID, d.Time.From, err)
	}
	return time.Duration(v), nil
}
