package engine

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	docsPath  = "../../docs/engines.md"
	docsBegin = "<!-- The text from here to the end marker is written from collector/engine: go test ./collector/engine -run TestDocs -update -->\n"
	docsEnd   = "<!-- end of the text from collector/engine -->\n"
)

// docs/engines.md must say what the rules and the table of families say.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), docsBegin)
	_, after, ok2 := strings.Cut(rest, docsEnd)
	if !ok || !ok2 {
		t.Fatalf("%s: no markers %q and %q", docsPath, docsBegin, docsEnd)
	}
	golden(t, docsPath, before+docsBegin+matrix()+sources()+reference()+docsEnd+after)
}

// documentedKinds are the engines in the order of the documentation.
func documentedKinds() []Kind {
	return []Kind{KindVLLM, KindSGLang, KindTGI, KindLlamaCPP, KindTRTLLM, KindTriton, KindLMDeploy, KindDynamo, KindNIM, KindRay}
}

func ruleFor(k Kind, family string) *rule {
	rules := rulesOf(k)
	if i := slices.IndexFunc(rules, func(r rule) bool { return r.family == family }); i >= 0 {
		return &rules[i]
	}
	return nil
}

// matrix says which engine gives what.
func matrix() string {
	var b strings.Builder
	b.WriteString("\n## Which engine gives what\n\n● yes · ○ where the page also shows the metrics of the engine inside · Σ sum and count, without buckets · empty: the engine does not tell\n\n| `" + prefix + "…` |")
	for _, k := range documentedKinds() {
		fmt.Fprintf(&b, " %s |", k)
	}
	b.WriteString("\n|---|" + strings.Repeat(":-:|", len(documentedKinds())) + "\n")
	for _, f := range Families() {
		if f.Origin != OfEngine || f.Name == NameInfo || f.Name == NameInstances {
			continue
		}
		fmt.Fprintf(&b, "| `%s` |", strings.TrimPrefix(f.Name, prefix))
		for _, k := range documentedKinds() {
			mark := ""
			if r := ruleFor(k, f.Name); r != nil {
				switch {
				case r.any[0][0].count != "":
					mark = "Σ"
				case !slices.ContainsFunc(r.any, func(a alternative) bool { return own(k, a[0].metric) }):
					mark = "○"
				default:
					mark = "●"
				}
			}
			fmt.Fprintf(&b, " %s |", mark)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// own reports whether a metric is that of a kind itself, not of an engine that it speaks for.
func own(k Kind, metric string) bool {
	switch k {
	case KindDynamo:
		return strings.HasPrefix(metric, "dynamo_") || strings.HasPrefix(metric, "process_")
	case KindNIM:
		return !strings.Contains(metric, ":")
	}
	return true
}

// sources says, for each engine, from what.
func sources() string {
	var b strings.Builder
	b.WriteString("\n## From what it is read\n\nWhere several names stand in a row, the first that the page has is read: the others are of other versions. Names joined by + are added up.\n" +
		"A counter's `_total` may be missing on the page.\n")
	for _, k := range documentedKinds() {
		fmt.Fprintf(&b, "\n### %s\n\n| `%s…` | on the page |\n|---|---|\n", k, prefix)
		for _, r := range rulesOf(k) {
			var any []string
			for _, a := range r.any {
				var sum []string
				for _, s := range a {
					sum = append(sum, s.markdown())
				}
				any = append(any, strings.Join(sum, " + "))
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", strings.TrimPrefix(r.family, prefix), strings.Join(any, ", "))
		}
	}
	return b.String()
}

func (s selector) markdown() string {
	text := s.metric
	for name, value := range s.match {
		text += fmt.Sprintf("{%s=%q}", name, value)
	}
	text = "`" + text + "`"
	if len(s.by) > 0 {
		text += " by `" + strings.Join(s.by, "`, `") + "`"
	}
	if s.as != "" {
		text += " as `" + s.as + "`"
	}
	if s.scale != 0 {
		text += " × " + strconv.FormatFloat(s.scale, 'g', -1, 64)
	}
	if s.count != "" {
		text += ", counted by `" + s.count + "`"
	}
	return text
}

// reference describes the families.
func reference() string {
	var b strings.Builder
	for _, part := range []struct {
		title  string
		origin Origin
	}{
		{"How the fetching goes", OfFetching},
		{"What the engine says", OfEngine},
	} {
		fmt.Fprintf(&b, "\n## %s\n", part.title)
		for _, f := range Families() {
			if f.Origin != part.origin {
				continue
			}
			fmt.Fprintf(&b, "\n### `%s`\n\n%s", f.Name, f.Type)
			if f.Label != "" {
				fmt.Fprintf(&b, " by `%s` (`%s`)", f.Label, strings.Join(f.Values, "`, `"))
			}
			fmt.Fprintf(&b, ". %s\n", f.Help)
			if f.Note != "" {
				fmt.Fprintf(&b, "\n%s\n", f.Note)
			}
		}
	}
	b.WriteString("\n")
	return b.String()
}
