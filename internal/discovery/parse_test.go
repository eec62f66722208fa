package discovery

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	const place = "f"
	none := []string{}
	for _, c := range []struct {
		name, text string
		json, yaml string // the error; "-" is none
		want       []string
	}{
		{"nothing", "", "f: there is nothing in it; write [] for no targets", "f: there is nothing in it; write [] for no targets", nil},
		{"spaces", " \n", "f: there is nothing in it; write [] for no targets", "f: there is nothing in it; write [] for no targets", nil},
		{"null", "null", "f: there is nothing in it; write [] for no targets", "f: there is nothing in it; write [] for no targets", nil},
		{"no groups", "[]", "-", "-", none},
		{"a group without targets", `[{"labels": {"a": "b"}}]`, "-", "-", none},
		{"two groups", `[{"targets": ["a:1", "http://b/v1"], "labels": {"x": "y"}}, {"targets": ["c:1"]}]`, "-", "-",
			[]string{`f: [0].targets[0] a:1 x=y`, `f: [0].targets[1] http://b/v1 x=y`, `f: [1].targets[0] c:1`}},
		{"a byte order mark", "\uFEFF" + `[{"targets": ["a:1"]}]`, "-", "-", []string{`f: [0].targets[0] a:1`}},
		{"half a list", `[{"targets": ["a:1"]},`, "f: the JSON ends too early", "f: line 2: did not find expected node content", nil},
		{"half a text", "[{\"targets\": [\"a:1\"]},\n{\"targets\": [\"b", "f: the JSON ends too early", "f: line 2: found unexpected end of stream", nil},
		{"something behind it", "[]\n[]", "f: line 2: something stands behind the list", "", nil},
		{"not UTF-8", "[{\"targets\": [\"\xff\"]}]", "f: not UTF-8", "f: not UTF-8", nil},
		{"an unknown key", "[\n{\"targets\": [\"a:1\"],\n\"lables\": {}}]", "f: before line 4: unknown field \"lables\"", "f: line 3: field lables not found", nil},
		{"no list", `{"targets": ["a:1"]}`, "f: line 1: the list cannot be of type object",
			"f: line 1: the kind of value is wrong; a list of mappings is expected, with a list of texts as targets and a mapping of texts as labels", nil},
		{"a group that is null", `[{"targets": ["a:1"]}, null]`, "f: [1] is null; a group is a mapping with targets and labels", "f: [1] is null; a group is a mapping with targets and labels", nil},
		{"a target that is null", `[{"targets": ["a:1", null]}]`, "f: [0].targets[1] is empty; write a base URL, or host:port", "f: [0].targets[1] is empty; write a base URL, or host:port", nil},
		{"an empty target", `[{"targets": [""]}]`, "f: [0].targets[0] is empty; write a base URL, or host:port", "f: [0].targets[0] is empty; write a base URL, or host:port", nil},
		{"a target that is a list", `[{"targets": [["a:1"]]}]`, "f: line 1: targets cannot be of type array", "f: line 1: a text is expected here", nil},
		{"labels that are a list", `[{"labels": ["a"]}]`, "f: line 1: labels cannot be of type array",
			"f: line 1: the kind of value is wrong; a list of mappings is expected, with a list of texts as targets and a mapping of texts as labels", nil},
		{"a label that is a number", `[{"targets": ["a:1"], "labels": {"x": 8}}]`, "f: line 1: labels cannot be of type number; write a text, in quotes", "-", []string{`f: [0].targets[0] a:1 x=8`}},
	} {
		for _, format := range []string{"JSON", "YAML"} {
			t.Run(c.name+" as "+format, func(t *testing.T) {
				want := c.json
				if format == "YAML" {
					want = c.yaml
				}
				list, err := parse(document{place: place, data: []byte(c.text), yaml: format == "YAML"})
				if want != "-" {
					if err == nil || !strings.HasPrefix(err.Error(), want) {
						t.Errorf("parse(%q) = %v, %v; want the error %q", c.text, list, err, want)
					}
					return
				}
				got := []string{}
				for _, f := range list {
					words := []string{f.place, f.address}
					for name, value := range f.labels {
						words = append(words, name+"="+value)
					}
					got = append(got, strings.Join(words, " "))
				}
				if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
					t.Errorf("parse(%q): %v (-want +got):\n%s", c.text, err, diff)
				}
			})
		}
	}
}

func TestParseYAML(t *testing.T) {
	const text = `
- targets: [10.0.0.1:8000, host]
  labels: &shared {rack: 08, since: 2025-01-01, spot: true, zone: ~}
- targets:
    - http://h:1/v1
  labels: {<<: *shared, rack: b}
`
	list, err := parse(document{place: "f.yml", data: []byte(text), yaml: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []entry{
		{"f.yml: [0].targets[0]", "10.0.0.1:8000", map[string]string{"rack": "08", "since": "2025-01-01", "spot": "true", "zone": ""}},
		{"f.yml: [0].targets[1]", "host", map[string]string{"rack": "08", "since": "2025-01-01", "spot": "true", "zone": ""}},
		{"f.yml: [1].targets[0]", "http://h:1/v1", map[string]string{"rack": "b", "since": "2025-01-01", "spot": "true", "zone": ""}},
	}
	if diff := cmp.Diff(want, list, cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	t.Run("aliases without end", func(t *testing.T) {
		text := "- &x {targets: [" + strings.Repeat("aaaaaaaaaa,", 10_000) + "]}\n" + strings.Repeat("- *x\n", 10_000)
		if list, err := parse(document{place: "f", data: []byte(text), yaml: true}); err == nil {
			t.Errorf("gives %d targets; want an error", len(list))
		}
	})
}

// FuzzParse holds that no bytes make the parser, or what makes targets of what it found, fall over, and that what is a list
// in JSON has an address in each place, in order.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`[{"targets": ["a:1", "http://b/v1"], "labels": {"__model": "m", "__probes": "chat", "x": "y"}}]`,
		`[{"targets": ["[::1]:8000"], "labels": {"__name": "n", "__metrics_url": "/metrics", "__engine": "vllm"}}, null]`,
		"- targets: [a]\n  labels: {<<: {q: r}}\n", "[]", "null", "\uFEFF[]", `[{"targets": ["\u0000\ud800"]}]`,
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	m := newTestMapping(f, aTemplate)
	f.Fuzz(func(t *testing.T, data []byte, yaml bool) {
		list, err := parse(document{place: "f", data: data, yaml: yaml})
		if err != nil {
			if list != nil || !strings.HasPrefix(err.Error(), "f: ") {
				t.Errorf("gives %v and the error %q", list, err)
			}
			return
		}
		for _, found := range list {
			if found.address == "" {
				t.Errorf("%s has no address", found.place)
			}
		}
		targets, err := m.targets(list)
		if err != nil {
			return
		}
		if len(targets) != len(list) {
			t.Fatalf("%d targets of %d that were found", len(targets), len(list))
		}
		for i, target := range targets {
			if target.Name == "" || target.URL == "" || target.Model == "" {
				t.Errorf("%s gives %s", list[i].place, target)
			}
		}
	})
}
