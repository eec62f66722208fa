package web

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// verdictView is a verdict for the eye: never by its colour alone.
type verdictView struct {
	Word, Sign, Class string
}

func verdictOf(v record.Verdict) verdictView {
	switch v {
	case record.Pass:
		return verdictView{"pass", "✓", "good"}
	case record.Fail:
		return verdictView{"fail", "✕", "bad"}
	case record.Regressed:
		return verdictView{"regressed", "↓", "bad"}
	case record.Aborted:
		return verdictView{"aborted", "■", "bad"}
	case record.Invalid:
		return verdictView{"invalid", "?", "warn"}
	case record.NotEnoughRuns:
		return verdictView{"not enough runs", "…", "idle"}
	case record.CutShort:
		return verdictView{"cut short", "–", "idle"}
	case "":
		return verdictView{"not judged", "·", "idle"}
	}
	return verdictView{printable.Line(string(v), 40), "·", "idle"}
}

func patternWords(p record.Pattern) string {
	switch p {
	case record.Saturated:
		return "Saturated"
	case record.Queueing:
		return "Queueing"
	case record.DecodeNearCapacity:
		return "Decode near capacity"
	case record.ErrorsInSpikes:
		return "Errors in spikes"
	case record.Drift:
		return "Drift"
	case record.NoisyNeighbour:
		return "Noisy neighbour"
	case record.SlowRecovery:
		return "Slow recovery"
	}
	return printable.Line(string(p), 60)
}

func indicatorName(name string) string {
	switch name {
	case record.TTFT:
		return "TTFT"
	case record.TPOT:
		return "TPOT"
	case "itl":
		return "ITL"
	case record.OutputRate:
		return "output tokens/s"
	case record.QueueWait:
		return "queue wait"
	}
	return printable.Line(name, maxName)
}

// figureName is what people call a number of a run: p95 TTFT.
func figureName(name string) string {
	switch name {
	case "failed":
		return "failed requests"
	case "recovery":
		return "recovery time"
	}
	if i := strings.LastIndex(name, "_p"); i > 0 && i+2 < len(name) && name[i+2] >= '0' && name[i+2] <= '9' {
		return "p" + printable.Line(name[i+2:], 8) + " " + indicatorName(name[:i])
	}
	return indicatorName(name)
}

// indicatorValue writes a value of an objective's indicator.
func indicatorValue(indicator string, v float64) string {
	switch indicator {
	case record.OutputRate:
		return chart.Number(v) + nbsp + "tokens/s"
	case record.Availability:
		return sharePercent(v)
	}
	return chart.Seconds(v)
}

// unitValue writes a value of a compared figure.
func unitValue(unit string, v float64) string {
	switch unit {
	case "ratio":
		return sharePercent(v)
	case "requests_per_second":
		return chart.Number(v) + "/s"
	case "tokens_per_second":
		return chart.Number(v) + nbsp + "tokens/s"
	}
	return chart.Seconds(v)
}

// sharePercent writes a share so that neither all but one nor one in thousands is rounded to all or nothing.
func sharePercent(share float64) string {
	switch p := 100 * share; {
	case math.IsNaN(p) || math.IsInf(p, 0):
		return "–"
	case p == 0 || p == 100:
		return strconv.FormatFloat(p, 'f', 0, 64) + nbsp + "%"
	case p > 0 && p < 0.01:
		return "<" + nbsp + "0.01" + nbsp + "%"
	case p > 99.99 && p < 100:
		return ">" + nbsp + "99.99" + nbsp + "%"
	case p > 99 || p < 1:
		return strconv.FormatFloat(p, 'f', 2, 64) + nbsp + "%"
	default:
		return strconv.FormatFloat(p, 'f', 1, 64) + nbsp + "%"
	}
}

// sure writes a confidence, rounded down: 99.9 % is as sure as words get.
func sure(confidence float64) string {
	c := math.Floor(min(max(confidence, 0), 0.999)*1000) / 10
	return strconv.FormatFloat(c, 'f', -1, 64) + nbsp + "%"
}

// loadText writes a load: requests per second, or requests under way.
func loadText(open bool, load float64) string {
	if open {
		return chart.Number(load) + "/s"
	}
	return chart.Number(load) + nbsp + "at once"
}

// changeText writes a change: in points where the figure is a share itself.
func changeText(unit string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	text := strconv.FormatFloat(100*v, 'f', 1, 64)
	if math.Abs(v) >= 0.1 {
		text = strconv.FormatFloat(100*v, 'f', 0, 64)
	}
	if v > 0 {
		text = "+" + text
	}
	if strings.Trim(text, "+-0.") == "" {
		text = "0"
	}
	text = strings.Replace(text, "-", "−", 1)
	if unit == "ratio" {
		return text + nbsp + "points"
	}
	return text + nbsp + "%"
}

func chanceText(p float64) string {
	if p < 1e-4 {
		return "<" + nbsp + "0.0001"
	}
	return strconv.FormatFloat(p, 'f', 4, 64)
}

// grouped writes a count with its thousands apart.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteString("\u202f")
		}
		b.WriteRune(c)
	}
	return b.String()
}

func plain(n int, one, many string) string {
	if n == 1 {
		return grouped(n) + nbsp + one
	}
	return grouped(n) + nbsp + many
}

// capital makes the first letter a capital, unless the word is a name such as p95.
func capital(s string) string {
	if len(s) > 1 && s[0] == 'p' && s[1] >= '0' && s[1] <= '9' {
		return s
	}
	c, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(c)) + s[n:]
}

// sentences makes lines of text, as many as a page has room for.
func sentences(all []string, most int) []string {
	var lines []string
	for _, s := range all[:min(len(all), most)] {
		if s = printable.Line(s, maxSentence); s != "" {
			lines = append(lines, capital(s))
		}
	}
	if more := len(all) - most; more > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more; the record has them.", more))
	}
	return lines
}

// moment writes a time for people.
func moment(t time.Time) string { return t.UTC().Format("Mon, 2 Jan 2006 15:04") + nbsp + "UTC" }

func triggerWords(t record.Trigger) string {
	switch t {
	case record.BySchedule:
		return "started by its schedule"
	case record.ByHand:
		return "started by hand"
	case record.ByAPI:
		return "started through the API"
	}
	return "started by " + printable.Line(string(t), 40)
}

// whenOf says what run this is.
func whenOf(run *record.Run) []string {
	var parts []string
	if run.Model != "" {
		parts = append(parts, "model "+printable.Line(run.Model, maxName))
	}
	parts = append(parts, moment(run.Started))
	if took := run.Ended.Sub(run.Started); took > 0 {
		parts = append(parts, "took "+span(took))
	}
	if run.Shape != "" {
		parts = append(parts, "shape "+printable.Line(run.Shape, 60))
	}
	if run.Trigger != "" {
		parts = append(parts, triggerWords(run.Trigger))
	}
	if run.Sets > 0 {
		parts = append(parts, fmt.Sprintf("set %d of %d", run.Set, run.Sets))
	}
	if run.Shards > 0 {
		if len(run.Merged) > 0 {
			parts = append(parts, fmt.Sprintf("%d of %d shards added up", len(run.Merged), run.Shards))
		} else {
			parts = append(parts, fmt.Sprintf("shard %d/%d", run.Shard, run.Shards))
		}
	}
	return parts
}

// environmentOf is where the run was made.
func environmentOf(run *record.Run) []runPair {
	e := &run.Environment
	var all []runPair
	add := func(name, value string) {
		if value != "" {
			all = append(all, runPair{name, printable.Line(value, 400)})
		}
	}
	add("llm_prober", e.Version)
	add("Host", e.Host)
	add("System", e.OS)
	if e.CPUs > 0 {
		add("CPUs of the prober", strconv.Itoa(e.CPUs))
	}
	add("Engine", e.Engine)
	add("GPUs", strings.Join(e.GPUs, ", "))
	var labels []string
	for name, value := range e.Labels {
		labels = append(labels, name+"="+value)
	}
	slices.Sort(labels)
	add("Labels", strings.Join(labels, ", "))
	add("Seed", strconv.FormatUint(run.Seed, 10))
	if !run.Nominal.IsZero() {
		add("Due at", moment(run.Nominal))
	}
	return all
}

// configText is the configuration as people write it.
func configText(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	text := string(raw)
	if len(raw) <= 4*maxRunConfig { // beyond that it is no configuration of ours
		var node yaml.Node
		if err := yaml.Unmarshal(raw, &node); err == nil { // JSON is YAML, and keeps its order
			plainStyle(&node)
			if out, err := yaml.Marshal(&node); err == nil {
				text = string(out)
			}
		}
	}
	return printable.Lines(text, maxRunConfig)
}

// plainStyle takes the flow style and the quotes of JSON away.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plainStyle(c)
	}
}
