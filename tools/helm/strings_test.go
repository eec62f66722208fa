package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// hostile are strings that YAML takes for something else unless they are quoted.
var hostile = []string{
	"1", "010", "0x10", "1e3", "-1.5", "-1_5", "2026-01-01", "12:30", "yes", "no", "on", "true", "null", "~", "y",
	"a: b", "a:", "x #y", "#x", "- a", "?", "[a]", "{a: b}", "{{x}}", "{{ .Values.config }}", "&a", "*a", "!a", "%a", "@a", "`a`", "|", ">", "=", ",",
	`"`, `it's "so"`, `'a'`, `a\b`, "a\nb", "\ta", " a", "é ☃", "---", "a\n---\nb",
	"https://h.example:8080/#x", `https://h.example/?a="b"&c='d'`, "https://h.example/a: b", "https://h.example/{{x}}", "https://h.example/ #x",
}

// leaf is a string of the values.
type leaf struct {
	path    []any // the keys and indices that lead to it
	pattern *regexp.Regexp
	min     int // characters
}

func (l leaf) String() string { return strings.Trim(fmt.Sprint(l.path), "[]") }

// accepts says whether the schema lets it be text.
func (l leaf) accepts(text string) bool { return len(text) >= l.min && l.pattern.MatchString(text) }

// set has the values with text at the end of a path; what leads there is made where it is not.
func set(values any, path []any, text string) any {
	if len(path) == 0 {
		return text
	}
	if _, ok := path[0].(int); ok {
		items, _ := values.([]any)
		if len(items) == 0 {
			items = []any{nil}
		}
		items[0] = set(items[0], path[1:], text)
		return items
	}
	object, _ := values.(map[string]any)
	if object == nil {
		object = map[string]any{}
	}
	object[path[0].(string)] = set(object[path[0].(string)], path[1:], text)
	return object
}

// schema is what of a JSON schema says which strings there are.
type schema struct {
	Type                 string
	Pattern              string
	MinLength            int
	Properties           map[string]schema
	AdditionalProperties json.RawMessage // a schema, or false
	Items                *schema
}

// leaves are all strings that a schema has a place for; in an array the first, in a map one by a key of its own.
func (s schema) leaves(t *testing.T, at ...any) []leaf {
	t.Helper()
	var all []leaf
	switch s.Type {
	case "string":
		return []leaf{{at, regexp.MustCompile(s.Pattern), s.MinLength}}
	case "array":
		if s.Items != nil {
			all = s.Items.leaves(t, append(slices.Clone(at), 0)...)
		}
	case "object":
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			all = append(all, s.Properties[name].leaves(t, append(slices.Clone(at), name)...)...)
		}
		if rest := string(s.AdditionalProperties); rest != "" && rest != "false" {
			var of schema
			if err := json.Unmarshal(s.AdditionalProperties, &of); err != nil {
				t.Fatal(err)
			}
			key := "of-" + strings.ReplaceAll(leaf{path: at}.String(), " ", "-")
			all = append(all, of.leaves(t, append(slices.Clone(at), key)...)...)
		}
	}
	return all
}

// everything has the values of ci/all-values.yaml, each time anew.
func everything(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(chartDir + "/ci/all-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	values, err := chartutil.ReadValues(text)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// trees are the manifests as YAML without types, the hash of the configuration left out.
func trees(t *testing.T, c *chart.Chart, values chartutil.Values) []any {
	t.Helper()
	files, err := render(c, values, "r", "ns")
	if err != nil {
		t.Fatal(err)
	}
	var all []any
	for _, f := range files {
		for _, document := range f.documents {
			var tree any
			if err := yaml.Unmarshal([]byte(document), &tree); err != nil {
				t.Fatalf("%s: %v\n%.2000s", f.name, err, document)
			}
			all = append(all, mapped(tree, func(s string) string { return s }))
		}
	}
	decode(t, files)
	return all
}

// mapped is a tree with f of all its strings, keys among them.
func mapped(tree any, f func(string) string) any {
	switch tree := tree.(type) {
	case string:
		return f(tree)
	case []any:
		items := make([]any, len(tree))
		for i := range tree {
			items[i] = mapped(tree[i], f)
		}
		return items
	case map[string]any:
		object := map[string]any{}
		for k, v := range tree {
			if k != "checksum/config" {
				object[f(k)] = mapped(v, f)
			}
		}
		return object
	}
	return tree
}

// TestStringsStayStrings gives every string of the schema what YAML could take for a number, a boolean, a comment or a syntax error,
// and wants it in the manifests as it is: where the chart puts another string, that other string with the hostile one in its place.
// What the schema refuses is no matter.
func TestStringsStayStrings(t *testing.T) {
	c := load(t)
	c.Files = slices.DeleteFunc(c.Files, func(f *chart.File) bool { // one dashboard and some rules stand for all, for they are large
		return f.Name != "files/dashboards/llm-prober-objectives.json" && f.Name != "files/rules/targets.yml"
	})
	var values schema
	if err := json.Unmarshal(c.Schema, &values); err != nil {
		t.Fatal(err)
	}
	all := values.leaves(t)
	if len(all) < 30 {
		t.Fatalf("%d strings in the schema; want 30 or more", len(all))
	}
	marks := make([]string, len(all))
	for i, l := range all {
		n := strconv.Itoa(7000 + i)
		for _, mark := range []string{"z" + n + "z", "https://z" + n + "z.example", n + "Gi", n + "s", "sha256:" + strings.Repeat(n, 16)} {
			if l.accepts(mark) {
				marks[i] = mark
				break
			}
		}
		if marks[i] == "" {
			t.Errorf("%v: no string that the schema lets it be", l)
		}
	}
	tried := make([]int, len(all))
	for _, text := range hostile {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			marked, given := any(everything(t)), any(everything(t))
			var pairs []string
			for i, l := range all {
				if l.accepts(text) {
					marked, given = set(marked, l.path, marks[i]), set(given, l.path, text)
					pairs = append(pairs, marks[i], text)
					tried[i]++
				}
			}
			got, template := trees(t, c, given.(map[string]any)), trees(t, c, marked.(map[string]any))
			if len(got) != len(template) {
				t.Fatalf("%d manifests; want %d", len(got), len(template))
			}
			text := fmt.Sprint(template)
			for i := 0; i < len(pairs); i += 2 {
				if !strings.Contains(text, pairs[i]) {
					t.Errorf("%s is in no manifest", pairs[i])
				}
			}
			replace := strings.NewReplacer(pairs...).Replace
			for i := range got {
				differ(t, fmt.Sprintf("manifest %d", i), got[i], mapped(template[i], replace))
			}
		})
	}
	for i, l := range all { // formats of their own, which nothing hostile has
		closed := []string{"image digest", "storage maxAge", "serviceMonitor interval", "serviceMonitor scrapeTimeout", "shardedRamps 0 startAfter", "shardedRamps 0 deadline"}
		if tried[i] == 0 && !slices.Contains(closed, l.String()) {
			t.Errorf("%v: nothing was tried", l)
		}
	}
}

// differ says where two trees do.
func differ(t *testing.T, at string, got, want any) {
	t.Helper()
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			t.Errorf("%s = %.300v; want %.300v", at, got, want)
			return
		}
		for k := range w {
			differ(t, at+"."+k, g[k], w[k])
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			t.Errorf("%s = %.300v; want %.300v", at, got, want)
			return
		}
		for i := range w {
			differ(t, fmt.Sprintf("%s[%d]", at, i), g[i], w[i])
		}
	default:
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %#v; want %#v", at, got, want)
		}
	}
}

// TestConfigurationIsKept has configurations whose lines begin as the YAML around them might misread.
func TestConfigurationIsKept(t *testing.T) {
	c := load(t)
	for name, text := range map[string]string{
		"comment indented":   "  # my config\nprobes:\n  a: {}\n",
		"everything":         "  probes:\n    a: {}\n  targets: []\n",
		"empty lines first":  "\n\n   \nprobes: {}\n",
		"tab first":          "\t# my config\nprobes: {}\n",
		"document":           "---\nprobes: {}\n",
		"no line's end":      "probes: {}",
		"white space at end": "probes: {}   \n  # b  \n",
		"template":           "url: {{ .Values.config }}\n",
	} {
		t.Run(name, func(t *testing.T) {
			files, err := render(c, chartutil.Values{"config": text}, "r", "ns")
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range decode(t, files) {
				if m, ok := o.Object.(*core.ConfigMap); ok {
					if got, want := m.Data["llm_prober.yml"], strings.TrimRight(text, " \n"); got != want { // Helm trims the ends of files
						t.Errorf("configuration = %q; want %q", got, want)
					}
				}
			}
		})
	}
}

// TestNumbersStayWhole: Helm reads numbers as floats, of which templates make 1e+07.
func TestNumbersStayWhole(t *testing.T) {
	values := everything(t)
	values["storage"] = map[string]any{"maxRuns": 1e7}
	files, err := render(load(t), values, "r", "ns")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range decode(t, files) {
		if pod := o.pod(); pod != nil {
			got = append(got, argument(pod.Spec.Containers[0].Args, "--storage.max-runs="))
		}
	}
	if want := []string{"", "10000000", "50000000"}; !slices.Equal(got, want) { // the agent, the prober, four shards and their sum
		t.Errorf("--storage.max-runs = %q; want %q", got, want)
	}
}

// TestVantageIsNoPattern: Prometheus takes $1 in a replacement for a group of the expression.
func TestVantageIsNoPattern(t *testing.T) {
	values := chartutil.Values{"serviceMonitor": map[string]any{"enabled": true}, "prober": map[string]any{"labelVantage": "a$1"}}
	files, err := render(load(t), values, "r", "ns")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range decode(t, files) {
		m, ok := o.Object.(*monitoring.ServiceMonitor)
		if !ok {
			continue
		}
		if i := slices.IndexFunc(m.Spec.Endpoints[0].RelabelConfigs, func(r monitoring.RelabelConfig) bool { return r.TargetLabel == "vantage" }); i >= 0 {
			if got := *m.Spec.Endpoints[0].RelabelConfigs[i].Replacement; got != "a$$1" {
				t.Errorf("replacement = %q; want a$$1", got)
			}
			return
		}
	}
	t.Error("no relabelling to vantage")
}
