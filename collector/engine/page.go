package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// page is what one answer said, as far as somebody asked for it.
type page struct {
	families map[string]*family // those that were asked for
	samples  int                // how many samples there were, those that nobody asked for included
}

// family is what a page says under one name.
type family struct {
	series []series
	said   bool // that there is a sample, if only one that is no number
}

// announced reports whether the page names the family and has nothing to say yet, as before the first observation.
func (f *family) announced() bool { return !f.said }

// series is one series of a family.
type series struct {
	labels    labels
	key       string     // tells the labels from those of the family's other series
	value     float64    // where histogram is nil
	histogram *histogram // of a histogram or summary
}

// labels are sorted by name.
type labels []label

type label struct{ name, value string }

// get is the value of a label, and whether there is one.
func (l labels) get(name string) (string, bool) {
	for _, p := range l {
		if p.name == name {
			return p.value, true
		}
	}
	return "", false
}

// key tells these labels from others, with the named ones left aside.
func (l labels) key(without ...string) string {
	var b []byte
	for _, p := range l {
		if !slices.Contains(without, p.name) {
			b = strconv.AppendQuote(strconv.AppendQuote(b, p.name), p.value)
		}
	}
	return string(b)
}

// parse reads the text format, and OpenMetrics as far as that is the same. Only families that are wanted are read closely:
// what a page says beside them, right or wrong, costs nothing.
func parse(data []byte, wanted map[string]bool) (*page, error) {
	p := &page{families: make(map[string]*family)}
	text, err := p.extract(data, wanted)
	if err != nil {
		return nil, err
	}
	read, err := readText(text)
	if err != nil {
		return nil, fail(reasonMalformed, "%w", err)
	}
	for name, mf := range read {
		f := p.family(name)
		f.said = true
		for _, m := range mf.GetMetric() {
			if s, ok := readSeries(m); ok {
				f.series = append(f.series, s)
			}
		}
		// The order of series decides nothing but that of the errors of rounding. It is to be the same each time.
		slices.SortFunc(f.series, func(a, b series) int { return strings.Compare(a.key, b.key) })
	}
	return p, nil
}

func (p *page) family(name string) *family {
	f := p.families[name]
	if f == nil {
		f = new(family)
		p.families[name] = f
	}
	return f
}

// readText turns a panic into an error: whatever a page makes a parser do, the prober goes on.
func readText(text io.Reader) (read map[string]*dto.MetricFamily, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parser: %v", r)
		}
	}()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(text)
}

func readSeries(m *dto.Metric) (series, bool) {
	var s series
	ok := true
	switch {
	case m.Histogram != nil:
		s.histogram, ok = readHistogram(m.Histogram)
	case m.Summary != nil:
		s.histogram, ok = readSummary(m.Summary)
	case m.Counter != nil:
		s.value = m.Counter.GetValue()
	case m.Gauge != nil:
		s.value = m.Gauge.GetValue()
	default:
		s.value = m.GetUntyped().GetValue()
	}
	if !ok || s.histogram == nil && (math.IsNaN(s.value) || math.IsInf(s.value, 0)) {
		return s, false
	}
	for _, l := range m.GetLabel() {
		s.labels = append(s.labels, label{l.GetName(), l.GetValue()})
	}
	slices.SortFunc(s.labels, func(a, b label) int { return cmp.Compare(a.name, b.name) })
	s.key = s.labels.key()
	return s, true
}

// extract writes the samples of the wanted families anew, each family behind exactly one line that says its type. That takes
// away what the parser would refuse a whole page for: OpenMetrics' types, exemplars and times in fractions of seconds, families
// announced twice (a page that is several pages in a row), and a NaN with a sign as C++ prints it.
func (p *page) extract(data []byte, wanted map[string]bool) (*bytes.Buffer, error) {
	var text bytes.Buffer
	text.Grow(len(data) / 2)
	types := make(map[string]string)   // as the page says
	written := make(map[string]string) // as we said
	for len(data) > 0 {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		data = rest
		line = bytes.TrimLeft(bytes.TrimSuffix(line, []byte("\r")), " \t")
		if len(line) == 0 {
			continue
		}
		if line[0] == '#' {
			fields := bytes.Fields(line)
			switch {
			case len(fields) == 2 && string(fields[1]) == "EOF":
				return &text, nil
			case len(fields) == 4 && string(fields[1]) == "TYPE":
				name, typ := string(fields[2]), string(fields[3])
				for _, name := range []string{name, name + "_total"} { // OpenMetrics names the family of x_total x
					if _, ok := types[name]; !ok && wanted[name] && (name == string(fields[2]) || typ == "counter") {
						types[name] = typ
						p.family(name)
					}
				}
			}
			continue
		}
		p.samples++
		name := line[:nameLength(line)]
		family := familyOf(name, wanted, types)
		if family == "" {
			continue
		}
		if !complete {
			return nil, fail(reasonCut, "the page ends within the line of %s", name)
		}
		sample, err := trimSample(line)
		if err != nil {
			return nil, fail(reasonMalformed, "%s: %w", name, err)
		}
		if _, ok := written[family]; !ok {
			typ := typeOf(types[family], name, family)
			written[family] = typ
			fmt.Fprintf(&text, "# TYPE %s %s\n", family, typ)
		}
		text.Write(sample)
		text.WriteByte('\n')
	}
	return &text, nil
}

// nameLength is how long the metric name is that a sample begins with.
func nameLength(line []byte) int {
	if i := bytes.IndexAny(line, "{ \t"); i >= 0 {
		return i
	}
	return len(line)
}

// familyOf is the wanted family that a sample belongs to; "" for none.
func familyOf(name []byte, wanted map[string]bool, types map[string]string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		base, ok := bytes.CutSuffix(name, []byte(suffix))
		if !ok || !wanted[string(base)] {
			continue
		}
		// Without a type line, buckets tell a histogram. They come before its sum and count.
		if t := types[string(base)]; t == "histogram" || t == "summary" && suffix != "_bucket" || t == "" && suffix == "_bucket" {
			if t == "" {
				types[string(base)] = "histogram"
			}
			return string(base)
		}
	}
	if wanted[string(name)] {
		return string(name)
	}
	return ""
}

// typeOf is the type to be written for a family, of which the page says that it is of type said.
func typeOf(said string, sample []byte, family string) string {
	switch {
	case said == "histogram" && string(sample) == family:
		return "untyped" // announced as a histogram, and no histogram
	case slices.Contains([]string{"counter", "gauge", "histogram", "summary"}, said):
		return said
	}
	return "untyped"
}

// trimSample is a sample without its time and exemplar.
func trimSample(line []byte) ([]byte, error) {
	i := nameLength(line)
	if i < len(line) && line[i] == '{' {
		quoted, escaped, closed := false, false, false
		for i++; i < len(line) && !closed; i++ {
			switch c := line[i]; {
			case escaped:
				escaped = false
			case quoted && c == '\\':
				escaped = true
			case c == '"':
				quoted = !quoted
			case !quoted && c == '}':
				closed = true
			}
		}
		if !closed {
			return nil, errors.New("labels without an end")
		}
	}
	head, tail := line[:i], bytes.TrimLeft(line[i:], " \t")
	value, _, _ := bytes.Cut(tail, []byte(" "))
	value, _, _ = bytes.Cut(value, []byte("\t"))
	switch strings.ToLower(string(value)) {
	case "":
		return nil, errors.New("no value")
	case "-nan", "+nan", "null":
		value = []byte("NaN")
	}
	return slices.Concat(head, []byte(" "), value), nil
}
