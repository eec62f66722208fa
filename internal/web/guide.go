package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/prober/printable"
)

// guideView is the guide to the metrics.
type guideView struct{ Groups []guideGroup }

type guideGroup struct {
	ID, Name string
	Metrics  []guideMetric
}

// guideMetric is a metric with its texts in pieces, for they have names in backquotes.
type guideMetric struct {
	Metric
	Help, Note []guidePiece
}

type guidePiece struct {
	Text string
	Code bool
}

// pieces parts a text at its backquotes. One without its fellow is no name's.
func pieces(text string) []guidePiece {
	var all []guidePiece
	parts := strings.Split(text, "`")
	for i, part := range parts {
		code := i%2 == 1 && i < len(parts)-1
		if i%2 == 1 && !code {
			part = "`" + part
		}
		if part != "" {
			all = append(all, guidePiece{Text: part, Code: code})
		}
	}
	return all
}

// guide plans the page that says what each metric means.
func (p *pages) guide(*http.Request) plan {
	return plan{key: "guide", template: "guide.html", data: func(time.Time) (any, bool) {
		page := p.newPage("Metrics guide", "", "Metrics guide")
		page.Data = newGuide(p.Metrics)
		return page, true
	}}
}

// maxHelp bounds the texts of one metric, in characters.
const maxHelp = 2000

// newGuide puts metrics of the same group together, wherever they stand in the list.
func newGuide(metrics []Metric) guideView {
	var g guideView
	for _, m := range metrics {
		if m.Query == "" {
			m.Query = query(&m)
		}
		m.Name, m.Type, m.Group = printable.Line(m.Name, maxName), printable.Line(m.Type, maxName), printable.Line(m.Group, maxName)
		m.Help, m.Note, m.Query = printable.Line(m.Help, maxHelp), printable.Line(m.Note, maxHelp), printable.Line(m.Query, maxHelp)
		var labels []string
		for _, l := range m.Labels {
			labels = append(labels, printable.Line(l, maxName))
		}
		m.Labels = labels
		i := slices.IndexFunc(g.Groups, func(group guideGroup) bool { return group.Name == m.Group })
		if i < 0 {
			i = len(g.Groups)
			g.Groups = append(g.Groups, guideGroup{ID: fmt.Sprintf("g%d", i+1), Name: m.Group})
		}
		g.Groups[i].Metrics = append(g.Groups[i].Metrics, guideMetric{Metric: m, Help: pieces(m.Help), Note: pieces(m.Note)})
	}
	return g
}

// query is what one would ask Prometheus of a metric first: the rate of a counter, the 95th percentile of a histogram, a
// gauge as it is.
func query(m *Metric) string {
	by := []string{"target", "probe"}
	if strings.HasPrefix(m.Name, "llm_prober_") {
		by = nil
	}
	if strings.HasPrefix(m.Name, "llm_engine_") || strings.HasPrefix(m.Name, "llm_gpu_") {
		by = []string{"target"}
	}
	for _, l := range m.Labels {
		if !slices.Contains(by, l) {
			by = append(by, l)
		}
	}
	switch m.Type {
	case "counter":
		if len(by) == 0 {
			return fmt.Sprintf("rate(%s[5m])", m.Name)
		}
		return fmt.Sprintf("sum by (%s) (rate(%s[5m]))", strings.Join(by, ", "), m.Name)
	case "histogram":
		return fmt.Sprintf("histogram_quantile(0.95, sum by (%s) (rate(%s_bucket[5m])))", strings.Join(append(by, "le"), ", "), m.Name)
	default:
		return m.Name
	}
}
