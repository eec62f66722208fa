package chart

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"html"
	"html/template"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// begin is when the charts of the tests begin.
var begin = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

// gallery is one of each chart.
func gallery() []template.HTML {
	var p50, p95, slow, rate []Point
	var at []float64
	for i := range 60 {
		x := At(begin.Add(time.Duration(i) * time.Minute))
		at = append(at, x)
		v := 0.2 + 0.05*math.Sin(float64(i)/6)
		if i == 30 || i == 31 {
			v = math.NaN()
		}
		p50 = append(p50, Point{x, v})
		p95 = append(p95, Point{x, v * (1.5 + float64(i%7)/10)})
		slow = append(slow, Point{x, v * math.Pow(1.08, float64(i))})
		rate = append(rate, Point{x, float64(i % 20)})
	}
	times := Axis{Scale: Time}
	frame := Frame{Title: "Time to first token", Summary: "It grows after 02:40", Group: "g", X: times, Y: Axis{Label: "Seconds", Format: Seconds},
		Bands: []Band{{From: at[0], To: at[20], Label: "ramp"}, {From: at[20], To: at[45], Label: "hold"}},
		Rules: []Rule{{At: 0.45, Across: true, Label: "objective 450 ms", Class: "goal"}, {At: at[45], Label: "recovery"}}}
	logs := frame
	logs.Title, logs.Y.Scale, logs.Bands = "The same on a log axis", Log, nil
	plots := []template.HTML{
		(&Plot{Frame: frame, Series: []Series{{Name: "p50", Kind: Area, Points: p50}, {Name: "p95", Points: p95, Dashed: true}}}).Figure(),
		(&Plot{Frame: logs, Series: []Series{{Name: "p50", Points: p50}, {Name: "p99", Points: slow}}}).Figure(),
		(&Plot{Frame: Frame{Title: "Planned rate", X: times, Group: "g"}, Series: []Series{{Name: "requests/s", Kind: Step, Points: rate}}}).Figure(),
		(&Plot{Frame: Frame{Title: "Between p50 and p95", X: times, Y: Axis{Format: Seconds}}, Series: []Series{{Name: "p50 to p95", Kind: Area, Points: p50, Upper: p95, Class: "c3"}}}).Figure(),
	}
	var measured, fitted []Point
	for i := 1; i <= 9; i++ {
		x := float64(i)
		measured = append(measured, Point{x, 0.1 / (1 - x/10)})
		fitted = append(fitted, Point{x, 0.105 / (1 - x/10.2)})
	}
	plots = append(plots, (&Plot{Frame: Frame{Title: "Latency by throughput", X: Axis{Label: "Requests per second"}, Y: Axis{Scale: Log, Format: Seconds},
		Rules: []Rule{{At: 0.5, Across: true, Label: "objective", Class: "goal"}, {At: 8, Label: "knee"}}},
		Series: []Series{{Name: "measured", Kind: Scatter, Points: measured}, {Name: "fitted", Points: fitted, Dashed: true, Class: "c7"}}}).Figure())

	network, queue, prefill := make([]float64, 60), make([]float64, 60), make([]float64, 60)
	for i := range 60 {
		network[i], queue[i], prefill[i] = 0.02, 0.002*float64(i), 0.15
	}
	layers := []Layer{{"network", "network", network}, {"queue", "queue", queue}, {"prefill", "prefill", prefill}}
	plots = append(plots,
		(&Stack{Frame: Frame{Title: "Where the time went", X: times, Y: Axis{Format: Seconds}, Group: "g"}, At: at, Layers: layers}).Figure(),
		(&Stack{Frame: Frame{Title: "Outcomes", X: times}, Bars: true, At: at[:20], Layers: []Layer{{"ok", "good", []float64{5, 5, 4, 5, 5, 0, 5}}, {"timeout_total", "bad", []float64{0, 0, 1, 0, 0, 5, 0}}}}).Figure(),
	)
	heat := &Heat{Frame: Frame{Title: "Time to first token, all results", X: times, Y: Axis{Scale: Log, Format: Seconds}}, Span: 60, Bounds: []float64{0.1, 0.2, 0.4, 0.8, 1.6, 3.2}}
	for i := range 60 {
		heat.Columns = append(heat.Columns, Column{At: at[i], Counts: []int{i % 3, 8 - i/10, i / 6, i / 20, 0}, Note: "p50 250 ms", Bad: i % 17 / 16})
	}
	plots = append(plots, heat.Figure())
	var ticks []float64
	for i := range 30 {
		ticks = append(ticks, 0.31+float64(i)*0.02+float64(i/15)*0.3)
	}
	plots = append(plots,
		(&Waterfall{Title: "One request", Rows: []WaterfallRow{
			{"connection", []Stretch{{"DNS", "c7", 0, 0.01, "10 ms"}, {"TCP", "c3", 0.01, 0.03, "20 ms"}}},
			{"queue", []Stretch{{"queue", "queue", 0.03, 0.2, "170 ms"}}},
			{"prefill", []Stretch{{"prefill", "prefill", 0.2, 0.3, "100 ms"}}},
			{"tokens", []Stretch{{"tokens", "first_decode", 0.31, 1.19, "30 tokens"}}},
		}, Ticks: ticks, Stalls: []Stretch{{"no token for", "stall", 0.59, 0.91, "320 ms"}}, End: 1.25}).Figure(),
		(&Spark{Label: "10 results", Values: []float64{0.2, 0.3, 0.25, math.NaN(), 0.4, 0.3, 0.2, 0.25, 0.5, 0.2}, Goal: 0.45}).SVG(),
	)
	return plots
}

func page(body string) string {
	return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\"><title>Charts</title>\n<style>\nbody { background: var(--chart-paper); color: var(--chart-ink); font: 15px system-ui; max-width: 60rem; margin: 1rem auto; padding: 0 1rem }\n" +
		CSS() + "</style></head><body>\n" + body + "</body></html>\n"
}

func TestGallery(t *testing.T) {
	var b strings.Builder
	for _, c := range gallery() {
		b.WriteString(string(c))
		b.WriteByte('\n')
	}
	got := page(b.String())
	const path = "testdata/gallery.html"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what is drawn now (-want +got; rewrite it with -update):\n%s", path, diff)
	}
}

// wellFormed parses a drawing as XML, and returns its elements.
func wellFormed(t interface {
	Helper()
	Fatalf(string, ...any)
}, drawing template.HTML) []xml.StartElement {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(drawing)))
	var elements []xml.StartElement
	for {
		token, err := d.Token()
		if err == io.EOF {
			return elements
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, drawing)
		}
		if e, ok := token.(xml.StartElement); ok {
			elements = append(elements, e.Copy())
		}
	}
}

func TestDrawingsKeepThePolicy(t *testing.T) {
	for i, c := range gallery() {
		for _, e := range wellFormed(t, c) {
			if e.Name.Local == "script" || e.Name.Local == "style" {
				t.Errorf("chart %d has an element %s", i, e.Name.Local)
			}
			for _, a := range e.Attr {
				if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("chart %d has an attribute %s", i, a.Name.Local)
				}
			}
		}
		if strings.Contains(string(c), "NaN") || strings.Contains(string(c), "Inf") {
			t.Errorf("chart %d has a coordinate that is no number", i)
		}
	}
	for _, bad := range []string{"url(", "@import", "http"} {
		if strings.Contains(CSS(), bad) {
			t.Errorf("the style sheet has %q", bad)
		}
	}
}

// Whatever names hold, the drawing has the same elements, and they are read back as text.
func TestHostileNames(t *testing.T) {
	draw := func(name string) []template.HTML {
		f := Frame{Title: name, Summary: name, Group: name, X: Axis{Label: name}, Y: Axis{Format: func(float64) string { return name }},
			Bands: []Band{{0, 1, name, name}}, Rules: []Rule{{1, true, name, name}, {1, false, name, name}}}
		points := []Point{{0, 1}, {1, 2}, {2, 3}}
		return []template.HTML{
			(&Plot{Frame: f, Series: []Series{{Name: name, Class: name, Points: points}}}).Figure(),
			(&Stack{Frame: f, At: []float64{0, 1}, Layers: []Layer{{name, name, []float64{1, 2}}}}).Figure(),
			(&Heat{Frame: f, Span: 1, Bounds: []float64{1, 2}, Columns: []Column{{0, []int{3}, name, 1}}}).Figure(),
			(&Waterfall{Title: name, Rows: []WaterfallRow{{name, []Stretch{{name, name, 0, 1, name}}}}}).SVG(),
			(&Spark{Label: name, Values: []float64{1, 2}}).SVG(),
		}
	}
	names := func(elements []xml.StartElement) (all []string) {
		for _, e := range elements {
			all = append(all, e.Name.Local)
		}
		return all
	}
	want := draw("harmless")
	for i, got := range draw("<script>alert(1)</script>\"'><img src=x onerror=alert(2)> \x80 ]]>") {
		if diff := cmp.Diff(names(wellFormed(t, want[i])), names(wellFormed(t, got))); diff != "" {
			t.Errorf("chart %d: elements (-harmless +hostile):\n%s", i, diff)
		}
	}
}

// Any values give a drawing that is well-formed, within bounds, and without what is no number.
func TestAnyValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-5, 5), rapid.Just(math.NaN()), rapid.Just(math.Inf(1)), rapid.Just(0.0))
		point := rapid.Custom(func(t *rapid.T) Point { return Point{value.Draw(t, "x"), value.Draw(t, "y")} })
		points := rapid.SliceOfN(point, 0, 30).Draw(t, "points")
		f := Frame{Title: "t", X: Axis{Scale: Scale(rapid.IntRange(0, 3).Draw(t, "x"))}, Y: Axis{Scale: Scale(rapid.IntRange(0, 1).Draw(t, "y")), Format: Seconds}}
		for kind := Line; kind <= Step; kind++ {
			c := (&Plot{Frame: f, Series: []Series{{Name: "s", Kind: kind, Points: points}}}).Figure()
			wellFormed(t, c)
			if shapes := regexp.MustCompile(` (d|x|y|width)="[^"]*(NaN|Inf|e\+)`).FindString(string(c)); shapes != "" {
				t.Fatalf("a coordinate that is no number: %s", shapes)
			}
		}
	})
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		name string
		axis Axis
		n    int
		want []string
	}{
		{"linear", Axis{Min: 0, Max: 1}, 5, []string{"0", "0.2", "0.4", "0.6", "0.8", "1"}},
		{"seconds", Axis{Min: 0, Max: 0.53, Format: Seconds}, 5, []string{"0", "200 ms", "400 ms"}},
		{"log", Axis{Scale: Log, Min: 0.05, Max: 20, Format: Seconds}, 5, []string{"100 ms", "300 ms", "1 s", "3 s", "10 s"}},
		{"log of one decade", Axis{Scale: Log, Min: 1, Max: 9}, 9, []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}},
		{"an hour", Axis{Scale: Time, Min: At(begin), Max: At(begin.Add(time.Hour))}, 6, []string{"02:00", "02:10", "02:20", "02:30", "02:40", "02:50", "03:00"}},
		{"a minute", Axis{Scale: Time, Min: At(begin), Max: At(begin.Add(time.Minute))}, 4, []string{"02:00:00", "02:00:15", "02:00:30", "02:00:45", "02:01:00"}},
		{"a week", Axis{Scale: Time, Min: At(begin.Add(-2 * time.Hour)), Max: At(begin.Add(94 * time.Hour))}, 4, []string{"Nov 22", "Nov 23", "Nov 24", "Nov 25", "Nov 26"}},
		{"elapsed", Axis{Scale: Elapsed, Min: 0, Max: 3600}, 6, []string{"0 s", "10 min", "20 min", "30 min", "40 min", "50 min", "1 h"}},
		{"nothing", Axis{}, 5, []string{"0", "0.2", "0.4", "0.6", "0.8", "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := c.axis.settle(nil, false)
			var got []string
			for _, tick := range p.ticks(c.n) {
				got = append(got, strings.ReplaceAll(tick.text, nbsp, " "))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("ticks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		f    func(float64) string
		in   float64
		want string
	}{
		{Seconds, 0, "0"}, {Seconds, 0.00085, "850 µs"}, {Seconds, 0.312, "312 ms"}, {Seconds, 0.0095, "9.5 ms"}, {Seconds, 0.9996, "1 s"}, {Seconds, 1.237, "1.24 s"}, {Seconds, 72, "72 s"},
		{Number, 0, "0"}, {Number, 1234, "1234"}, {Number, 12345, "12.3 k"}, {Number, 2.5e6, "2.5 M"}, {Number, 0.12345, "0.123"}, {Number, math.NaN(), "–"}, {Number, -4, "-4"},
		{Percent, 0.254, "25.4 %"}, {Percent, 1, "100 %"},
		{Span, 40, "40 s"}, {Span, 300, "5 min"}, {Span, 5400, "1 h 30 min"}, {Span, 172800, "2 d"},
	} {
		if got := strings.ReplaceAll(c.f(c.in), nbsp, " "); got != c.want {
			t.Errorf("format(%v) = %q; want %q", c.in, got, c.want)
		}
	}
}

// A gap in the data is a gap in the line; a lone point can be seen.
func TestGaps(t *testing.T) {
	nan := math.NaN()
	d := (&Plot{Frame: Frame{Height: 100, X: Axis{Min: 0, Max: 10}, Y: Axis{Min: 0, Max: 1}},
		Series: []Series{{Points: []Point{{0, 0}, {1, 1}, {2, nan}, {3, 0.5}, {4, nan}, {5, 0}, {6, 1}}}}}).draw()
	want := `<path class="line c1" d="M0 100L100 0M300 50h0M500 100L600 0"/>`
	if got := d.body.String(); got != want {
		t.Errorf("line = %s; want %s", got, want)
	}
}

// However many points there are, the drawing stays small, and keeps what stands out.
func TestManyPoints(t *testing.T) {
	var points []Point
	for i := range 200_000 {
		points = append(points, Point{float64(i), 1 + float64(i%10)/100})
	}
	points[77_777].Y = 9
	p := &Plot{Frame: Frame{Title: "many", Y: Axis{Min: 0, Max: 10}}, Series: []Series{{Name: "s", Points: points}}}
	c := string(p.Figure())
	if len(c) > 150<<10 {
		t.Errorf("%d bytes; want at most 150 KiB", len(c))
	}
	if !strings.Contains(c, "388.9 20L") {
		t.Error("the one point that stands out was left out")
	}
}

func TestHover(t *testing.T) {
	p := &Plot{Frame: Frame{Title: "t", X: Axis{Min: 0, Max: 4}}, Series: []Series{
		{Name: "a", Points: []Point{{1, 10}, {2, 20}}}, {Name: "b", Points: []Point{{2, 5}, {3, math.NaN()}, {4, 7}}},
	}}
	data := regexp.MustCompile(`data-hover="([^"]*)"`).FindStringSubmatch(string(p.SVG()))
	if data == nil {
		t.Fatal("the chart has no data for the script")
	}
	var got hover
	if err := json.Unmarshal([]byte(html.UnescapeString(data[1])), &got); err != nil {
		t.Fatal(err)
	}
	want := hover{
		X: []float64{1, 2, 4}, At: []float64{0.25, 0.5, 1}, Labels: []string{"1", "2", "4"},
		Series: []hoverSeries{{"a", "c1", []string{"10", "20", ""}}, {"b", "c2", []string{"", "5", "7"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hover (-want +got):\n%s", diff)
	}
}

// Every class that a drawing may carry has its colour.
func TestColoursAreThere(t *testing.T) {
	classes := []string{"bad", "warn", "good", "network", "queue", "load", "prefill", "first_decode", "unknown"}
	for i := range 8 {
		classes = append(classes, fmt.Sprintf("c%d", i+1))
	}
	for _, c := range classes {
		for _, rule := range []string{".fill." + c, ".k." + c + "::before"} {
			if !strings.Contains(CSS(), rule) {
				t.Errorf("the style sheet has no %s", rule)
			}
		}
	}
	used := regexp.MustCompile(`var\((--[a-z0-9-]+)\)`).FindAllStringSubmatch(CSS(), -1)
	defined := regexp.MustCompile(`(--[a-z0-9-]+):`).FindAllStringSubmatch(CSS(), -1)
	var names []string
	for _, d := range defined {
		names = append(names, d[1])
	}
	for _, u := range used {
		if !slices.Contains(names, u[1]) {
			t.Errorf("%s is used and not defined", u[1])
		}
	}
}

func BenchmarkPlot(b *testing.B) {
	var points []Point
	for i := range 300 {
		points = append(points, Point{float64(i), float64(i % 17)})
	}
	p := &Plot{Frame: Frame{Title: "t"}, Series: []Series{{Name: "a", Points: points}, {Name: "b", Points: points}}}
	b.ReportAllocs()
	for b.Loop() {
		p.Figure()
	}
}

func BenchmarkSpark(b *testing.B) {
	s := &Spark{Label: "l", Values: make([]float64, 60)}
	b.ReportAllocs()
	for b.Loop() {
		s.SVG()
	}
}
