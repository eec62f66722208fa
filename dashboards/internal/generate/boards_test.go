package main

//lint:file-ignore SA1019 Every Grafana loads classic dashboards; the new kind is for Grafana 13 alone.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/llmprober/llm_prober/dashboards"
)

// written is the dashboards as their files have them, strictly read, by uid.
func written(t *testing.T) map[string]dashboard.Dashboard {
	t.Helper()
	plugins.RegisterDefaultPlugins()
	all := map[string]dashboard.Dashboard{}
	for _, b := range boards() {
		text, err := fs.ReadFile(dashboards.Files(), b.uid+".json")
		if err != nil {
			t.Fatal(err)
		}
		if err := strictly(text); err != nil {
			t.Fatalf("%s: %v", b.uid, err)
		}
		var d dashboard.Dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", b.uid, err)
		}
		all[b.uid] = d
	}
	return all
}

// strictly says what in a dashboard the SDK's types do not know. Its strict decoding returns an empty list, as an error that
// is not nil, where there is nothing to say (v0.0.18), and what it has decoded by then is not whole: its word alone is taken.
func strictly(text []byte) error {
	var d dashboard.Dashboard
	if err := d.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		return err
	}
	return nil
}

// TestStrictly shows how deep it looks.
func TestStrictly(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	text, err := fs.ReadFile(dashboards.Files(), uidOverview+".json")
	if err != nil {
		t.Fatal(err)
	}
	for _, before := range []string{
		`"uid": "llm-prober-overview"`, // the dashboard
		`"gridPos": {`, `"fieldConfig": {`, `"refId": "A"`, `"iconColor": "blue"`, `"keepTime": true`,
		`"colorMode": "value"`, `"stacking": {`, `"collapsed": false`, `"allValue": ".*"`,
	} {
		t.Run(before, func(t *testing.T) {
			bad := bytes.Replace(text, []byte(before), []byte(`"surely_unknown": 1, `+before), 1)
			if bytes.Equal(bad, text) {
				t.Fatal("the dashboard has no such place")
			}
			if err := strictly(bad); err == nil || !strings.Contains(err.Error(), "surely_unknown") {
				t.Errorf("strictly = %v; want it to find surely_unknown", err)
			}
		})
	}
}

// panelsOf is a dashboard's panels, those of collapsed rows included.
func panelsOf(d dashboard.Dashboard) []dashboard.Panel {
	var all []dashboard.Panel
	for _, p := range d.Panels {
		if p.Panel != nil {
			all = append(all, *p.Panel)
		} else {
			all = append(all, p.RowPanel.Panels...)
		}
	}
	return all
}

// asked is one expression of a dashboard, and where it stands.
type asked struct {
	where, expr string
	query       prometheus.Dataquery
	says        []string // texts with {{label}}
}

func expressions(d dashboard.Dashboard) []asked {
	var all []asked
	for _, p := range panelsOf(d) {
		for _, target := range p.Targets {
			q := target.(*prometheus.Dataquery)
			all = append(all, asked{fmt.Sprintf("panel %q %s", *p.Title, *q.RefId), q.Expr, *q, []string{*q.LegendFormat}})
		}
	}
	for _, a := range d.Annotations.List {
		q := a.Target.(*prometheus.Dataquery)
		all = append(all, asked{fmt.Sprintf("annotation %q", a.Name), q.Expr, *q, []string{*a.TitleFormat, *a.TextFormat}})
	}
	return all
}

func TestCurrent(t *testing.T) {
	for _, b := range boards() {
		t.Run(b.uid, func(t *testing.T) {
			d, err := b.build()
			if err != nil {
				t.Fatal(err)
			}
			want, err := marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			got, err := fs.ReadFile(dashboards.Files(), b.uid+".json")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
				t.Errorf("the file is not what is generated now; cure: go generate ./dashboards\n%.4000s", diff)
			}
		})
	}
}

func TestExpressions(t *testing.T) {
	c := known(t)
	legend := regexp.MustCompile(`{{\s*(\w+)\s*}}`)
	variable := regexp.MustCompile(`\$\{?(\w+)`)
	for uid, d := range written(t) {
		for _, a := range expressions(d) {
			e, err := parse(a.expr)
			if err != nil {
				t.Errorf("%s: %s: %v\n%s", uid, a.where, err, a.expr)
				continue
			}
			look := &inference{catalogue: c}
			have := look.labels(e)
			for _, name := range look.unknown {
				t.Errorf("%s: %s: no metric %q\n%s", uid, a.where, name, a.expr)
			}
			for _, w := range look.wrong {
				t.Errorf("%s: %s: %s", uid, a.where, w)
			}
			for _, text := range a.says {
				for _, l := range legend.FindAllStringSubmatch(text, -1) {
					if !have[l[1]] {
						t.Errorf("%s: %s: %q, and the result has only %s", uid, a.where, text, have)
					}
				}
			}
			for _, v := range variable.FindAllStringSubmatch(a.expr, -1) {
				name := v[1]
				if strings.HasPrefix(name, "__") || name == "1" { // Grafana's own, and label_replace's
					continue
				}
				if !hasVariable(d, name) {
					t.Errorf("%s: %s: no variable %s", uid, a.where, name)
				}
			}
		}
	}
}

func hasVariable(d dashboard.Dashboard, name string) bool {
	return slices.ContainsFunc(d.Templating.List, func(v dashboard.VariableModel) bool { return v.Name == name })
}

// TestWindows: quantiles of probes look over 20 minutes at least.
func TestWindows(t *testing.T) {
	for uid, d := range written(t) {
		for _, a := range expressions(d) {
			if !strings.Contains(a.expr, "quantile(") || !strings.Contains(a.expr, "llm_probe_") || !strings.Contains(a.expr, window) {
				continue
			}
			var step model.Duration
			if a.query.Interval != nil {
				var err error
				if step, err = model.ParseDuration(*a.query.Interval); err != nil {
					t.Fatal(err)
				}
			}
			if 4*time.Duration(step) < 20*time.Minute {
				t.Errorf("%s: %s: min step %v: its window may be shorter than 20 minutes", uid, a.where, step)
			}
		}
	}
}

// TestIngest: what is computed from a histogram has a half for the native side and one for the classic.
func TestIngest(t *testing.T) {
	c := known(t)
	for uid, d := range written(t) {
		for _, a := range expressions(d) {
			e, err := parse(a.expr)
			if err != nil {
				continue // TestExpressions says so
			}
			native, classic := map[string]bool{}, map[string]bool{}
			parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
				s, ok := n.(*parser.VectorSelector)
				if !ok {
					return nil
				}
				if c[s.Name].native {
					native[s.Name] = true
				}
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if base := strings.TrimSuffix(s.Name, suffix); base != s.Name && c[base].native {
						classic[base] = true
					}
				}
				return nil
			})
			if diff := cmp.Diff(native, classic); diff != "" {
				t.Errorf("%s: %s: native and classic side differ: %s", uid, a.where, diff)
			}
		}
	}
}

func TestPanels(t *testing.T) {
	isSource := func(d *common.DataSourceRef) bool {
		return d != nil && d.Type != nil && *d.Type == "prometheus" && d.Uid != nil && *d.Uid == "${datasource}"
	}
	for uid, d := range written(t) {
		ids := map[uint32]bool{}
		once := func(id uint32, what string) {
			if id == 0 || ids[id] {
				t.Errorf("%s: %s: id %d is 0 or taken", uid, what, id)
			}
			ids[id] = true
		}
		for _, p := range d.Panels {
			if p.RowPanel != nil {
				once(p.RowPanel.Id, "row "+*p.RowPanel.Title)
			}
		}
		titles := map[string]int{}
		for _, p := range panelsOf(d) {
			what := "panel " + *p.Title
			if p.Id == nil {
				t.Errorf("%s: %s: no id", uid, what)
				continue
			}
			once(*p.Id, what)
			titles[*p.Title]++
			if p.Description == nil || len(*p.Description) < 12 || !strings.HasSuffix(*p.Description, ".") {
				t.Errorf("%s: %s: no description, or no sentence", uid, what)
			}
			if p.FieldConfig == nil || p.FieldConfig.Defaults.Unit == nil || *p.FieldConfig.Defaults.Unit == "" {
				t.Errorf("%s: %s: no unit", uid, what)
			}
			if p.FieldConfig == nil || p.FieldConfig.Defaults.Thresholds == nil {
				t.Errorf("%s: %s: no thresholds: Grafana's own are red at 80, of whatever", uid, what)
			}
			if !isSource(p.Datasource) {
				t.Errorf("%s: %s: datasource is not the variable", uid, what)
			}
			if len(p.Targets) == 0 {
				t.Errorf("%s: %s: no queries", uid, what)
			}
			refs := map[string]bool{}
			for _, target := range p.Targets {
				q := target.(*prometheus.Dataquery)
				if q.RefId == nil || *q.RefId == "" || refs[*q.RefId] {
					t.Errorf("%s: %s: a refId is missing or taken", uid, what)
					continue
				}
				refs[*q.RefId] = true
				if !isSource(q.Datasource) {
					t.Errorf("%s: %s: %s: datasource is not the variable", uid, what, *q.RefId)
				}
				if q.Exemplar == nil {
					t.Errorf("%s: %s: %s: exemplars are not said to be on or off", uid, what, *q.RefId)
				}
			}
		}
		for title, n := range titles {
			if n > 1 && uid != uidGPU { // MIG devices have the titles of GPUs
				t.Errorf("%s: %d panels are called %q", uid, n, title)
			}
		}
		for _, v := range d.Templating.List {
			if v.Description == nil || *v.Description == "" || v.Label == nil {
				t.Errorf("%s: variable %s: no label or description", uid, v.Name)
			}
			if v.Type == dashboard.VariableTypeQuery && (!isSource(v.Datasource) || *v.Refresh != dashboard.VariableRefreshOnTimeRangeChanged) {
				t.Errorf("%s: variable %s: datasource is not the variable, or it is not asked anew", uid, v.Name)
			}
		}
		for _, a := range d.Annotations.List {
			q := a.Target.(*prometheus.Dataquery)
			if !isSource(a.Datasource) || !isSource(q.Datasource) {
				t.Errorf("%s: annotation %s: datasource is not the variable", uid, a.Name)
			}
			if a.Expr == nil || *a.Expr != q.Expr {
				t.Errorf("%s: annotation %s: its two expressions differ", uid, a.Name)
			}
		}
		if d.Templating.List[0].Name != "datasource" || d.Templating.List[0].Type != dashboard.VariableTypeDatasource {
			t.Errorf("%s: the first variable is not datasource", uid)
		}
		if !hasVariable(d, "job") {
			t.Errorf("%s: no variable job", uid)
		}
	}
}

// TestVariables: what variables are filled from exists.
func TestVariables(t *testing.T) {
	c := known(t)
	values := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for uid, d := range written(t) {
		for _, v := range d.Templating.List {
			if v.Type != dashboard.VariableTypeQuery {
				continue
			}
			m := values.FindStringSubmatch(v.Query.Map["query"].(string))
			if m == nil {
				t.Errorf("%s: variable %s: query %v", uid, v.Name, v.Query.Map)
				continue
			}
			e, err := parse(m[1])
			if err != nil {
				t.Errorf("%s: variable %s: %v", uid, v.Name, err)
				continue
			}
			s, ok := e.(*parser.VectorSelector)
			if !ok {
				t.Errorf("%s: variable %s: %s is no selector", uid, v.Name, e)
				continue
			}
			names := []string{s.Name}
			if s.Name == "" { // __name__=~"a|b"
				for _, match := range s.LabelMatchers {
					if match.Name == "__name__" {
						names = strings.Split(match.Value, "|")
					}
				}
			}
			for _, name := range names {
				if !c[name].labels[m[2]] {
					t.Errorf("%s: variable %s: %s has no label %s", uid, v.Name, name, m[2])
				}
			}
		}
	}
}

// TestGrid: no panel lies over another, or beyond the edge.
func TestGrid(t *testing.T) {
	for uid, d := range written(t) {
		t.Run(uid, func(t *testing.T) {
			taken := map[[2]uint32]string{}
			put := func(what string, at *dashboard.GridPos) {
				if at == nil || at.W == 0 || at.H == 0 || at.X+at.W > gridWidth {
					t.Errorf("%s: at %+v", what, at)
					return
				}
				for x := at.X; x < at.X+at.W; x++ {
					for y := at.Y; y < at.Y+at.H; y++ {
						if other, ok := taken[[2]uint32{x, y}]; ok {
							t.Fatalf("%s lies over %s", what, other)
						}
						taken[[2]uint32{x, y}] = what
					}
				}
			}
			for _, p := range d.Panels {
				if p.Panel != nil {
					put(*p.Panel.Title, p.Panel.GridPos)
					continue
				}
				put(*p.RowPanel.Title, p.RowPanel.GridPos)
				if p.RowPanel.Collapsed != (len(p.RowPanel.Panels) > 0) {
					t.Errorf("row %s: collapsed rows hold their panels, others do not", *p.RowPanel.Title)
				}
			}
			t.Logf("\n%s", drawn(d))
		})
	}
}

// drawn is a dashboard's grid in letters, a panel a box: for the eye, with -v.
func drawn(d dashboard.Dashboard) string {
	const cell = 5 // letters for each of the 24 columns
	var grid [][]rune
	draw := func(title string, at dashboard.GridPos) {
		for len(grid) < int(at.Y+at.H) {
			grid = append(grid, []rune(strings.Repeat(" ", gridWidth*cell)))
		}
		left, right := int(at.X)*cell, int(at.X+at.W)*cell-1
		for y := at.Y; y < at.Y+at.H; y++ {
			grid[y][left], grid[y][right] = '|', '|'
			if y == at.Y+at.H-1 {
				for x := left + 1; x < right; x++ {
					grid[y][x] = '_'
				}
			}
		}
		for i, r := range []rune(title) {
			if left+2+i < right-1 {
				grid[at.Y][left+2+i] = r
			}
		}
	}
	for _, p := range d.Panels {
		if p.Panel != nil {
			draw(fmt.Sprintf("%s [%s]", *p.Panel.Title, *p.Panel.FieldConfig.Defaults.Unit), *p.Panel.GridPos)
		} else {
			draw("# "+*p.RowPanel.Title, *p.RowPanel.GridPos)
		}
	}
	var b strings.Builder
	for _, line := range grid {
		fmt.Fprintln(&b, strings.TrimRight(string(line), " "))
	}
	return b.String()
}

// TestLinks: what leads to a dashboard arrives there, with variables that it has. That goes for the alerts', too.
func TestLinks(t *testing.T) {
	all := written(t)
	to := regexp.MustCompile(`/d/([\w-]+)([^\s"]*)`)
	variable := regexp.MustCompile(`[?&](?:var-(\w+)=|\$\{(\w+):queryparam\})`)
	field := regexp.MustCompile(`\$\{__data\.fields\.(\w+)\}`)
	check := func(where, text string) (found int) {
		for _, m := range to.FindAllStringSubmatch(text, -1) {
			found++
			d, ok := all[m[1]]
			if !ok {
				t.Errorf("%s: no dashboard %s", where, m[1])
				continue
			}
			for _, v := range variable.FindAllStringSubmatch(m[2], -1) {
				if name := v[1] + v[2]; !hasVariable(d, name) {
					t.Errorf("%s: dashboard %s has no variable %s", where, m[1], name)
				}
			}
		}
		return found
	}
	for uid, d := range all {
		for _, p := range panelsOf(d) {
			for _, o := range p.FieldConfig.Overrides {
				for _, set := range o.Properties {
					if set.Id != "links" {
						continue
					}
					text := fmt.Sprint(set.Value)
					where := fmt.Sprintf("%s: panel %q", uid, *p.Title)
					if check(where, text) == 0 {
						t.Errorf("%s: a link leads to no dashboard: %s", where, text)
					}
					columns := fmt.Sprint(p.Transformations[1].Options)
					for _, f := range field.FindAllStringSubmatch(text, -1) {
						if !strings.Contains(columns, f[1]+":") {
							t.Errorf("%s: no column %s", where, f[1])
						}
					}
				}
			}
		}
		var tags, pages bool
		for _, l := range d.Links {
			tags = tags || l.Type == dashboard.DashboardLinkTypeDashboards && slices.Equal(l.Tags, d.Tags)
			pages = pages || l.Url != nil && strings.HasPrefix(*l.Url, "${prober_url}/") && hasVariable(d, "prober_url")
		}
		if !tags || !pages {
			t.Errorf("%s: no link to the other dashboards, or none to the prober's pages", uid)
		}
	}
	paths, err := filepath.Glob("../../../alerts/rules/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found += check(filepath.Base(path), string(text))
	}
	if found == 0 {
		t.Error("no alert leads to a dashboard")
	}
}

// TestColumns: the columns of a table share their labels, or the rows do not become one.
func TestColumns(t *testing.T) {
	c := known(t)
	for uid, d := range written(t) {
		for _, p := range panelsOf(d) {
			if p.Type != "table" {
				continue
			}
			keys := p.Transformations[1].Options.(map[string]any)["indexByName"].(map[string]any)
			whole := false
			for _, target := range p.Targets {
				q := target.(*prometheus.Dataquery)
				e, err := parse(q.Expr)
				if err != nil {
					continue // TestExpressions says so
				}
				look := &inference{catalogue: c}
				have := look.labels(e)
				for l := range have {
					if _, ok := keys[l]; !ok {
						t.Errorf("%s: table %q: %s brings a label %s that is no column", uid, *p.Title, *q.RefId, l)
					}
				}
				whole = whole || len(have)+len(p.Targets) == len(keys)
			}
			if !whole {
				t.Errorf("%s: table %q: no query has all of its labels %v", uid, *p.Title, keys)
			}
		}
	}
}
