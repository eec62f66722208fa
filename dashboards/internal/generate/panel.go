package main

//lint:file-ignore SA1019 Every Grafana loads classic dashboards; the new kind is for Grafana 13 alone.

import (
	"fmt"
	"strconv"

	"github.com/grafana/grafana-foundation-sdk/go/barchart"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
	"github.com/grafana/grafana-foundation-sdk/go/xychart"
)

// Units that the SDK does not name.
const (
	unitTokens       = "suffix: tok"
	unitTokensPerSec = "suffix: tok/s"
	unitTimes        = "suffix:x"
)

// query is one query of a panel.
type query struct {
	expr, legend string
	dashed       bool   // a bound, not a measurement
	exemplars    bool   // ask for the requests behind it
	right        string // the unit of an axis of its own, on the right; empty: the panel's
}

// q is a query.
func q(expr, legend string) query { return query{expr: expr, legend: legend} }

// sampled is a query of a histogram, with its exemplars.
func sampled(expr, legend string) query { return query{expr: expr, legend: legend, exemplars: true} }

// bound is a query that is drawn as a dashed line.
func bound(expr, legend string) query { return query{expr: expr, legend: legend, dashed: true} }

// panel is one panel, not yet placed.
type panel struct {
	title, about string
	unit         string
	width        uint32 // of 24
	height       uint32 // of about 30 pixels each
	step         string // the min step; empty: Grafana's
	instant      bool   // only the newest value, as a table
	asHeat       bool
	queries      []query
	draw         func() (dashboard.Panel, error)
}

// wide, tall and every change a panel's width, height and min step.
func (p panel) wide(w uint32) panel     { p.width = w; return p }
func (p panel) tall(h uint32) panel     { p.height = h; return p }
func (p panel) every(step string) panel { p.step = step; return p }

// source is the variable that says which Prometheus.
func source() common.DataSourceRef {
	return common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}

// build makes the panel as it is written, at a place and with an id.
func (p panel) build(id uint32, at dashboard.GridPos) (dashboard.Panel, error) {
	built, err := p.draw()
	if err != nil {
		return built, fmt.Errorf("panel %q: %w", p.title, err)
	}
	built.Id, built.GridPos = &id, &at
	built.Title, built.Description = &p.title, &p.about
	built.Datasource = new(source())
	built.Transparent, built.RepeatDirection = nil, nil // as Grafana takes them
	if built.FieldConfig.Defaults.Unit == nil {
		built.FieldConfig.Defaults.Unit = &p.unit
	}
	for i, q := range p.queries {
		built.Targets = append(built.Targets, p.target(q, refID(i)))
		built.FieldConfig.Overrides = append(built.FieldConfig.Overrides, q.overrides(refID(i))...)
	}
	return built, nil
}

// refID names the queries A, B, C.
func refID(i int) string { return string(rune('A' + i)) }

// target is a query as it is written.
func (p panel) target(q query, ref string) variants.Dataquery {
	t := prometheus.NewDataquery()
	t.Datasource, t.RefId, t.Expr = new(source()), &ref, q.expr
	t.EditorMode = new(prometheus.QueryEditorModeCode)
	t.LegendFormat, t.Exemplar = &q.legend, &q.exemplars
	t.Range, t.Instant = new(!p.instant), new(p.instant)
	if p.step != "" {
		t.Interval = &p.step // the query's, not the panel's: $__rate_interval looks at this one alone
	}
	switch {
	case p.asHeat:
		t.Format = new(prometheus.PromQueryFormatHeatmap)
	case p.instant:
		t.Format = new(prometheus.PromQueryFormatTable)
	default:
		t.Format = new(prometheus.PromQueryFormatTimeSeries)
	}
	return *t
}

// overrides is how a query's series differ from the panel's others.
func (q query) overrides(ref string) []dashboard.DashboardFieldConfigSourceOverrides {
	var set []dashboard.DynamicConfigValue
	if q.dashed {
		set = append(set,
			dashboard.DynamicConfigValue{Id: "custom.lineStyle", Value: map[string]any{"fill": "dash", "dash": []int{10, 10}}},
			dashboard.DynamicConfigValue{Id: "custom.fillOpacity", Value: 0},
			dashboard.DynamicConfigValue{Id: "custom.lineWidth", Value: 2},
			dashboard.DynamicConfigValue{Id: "custom.spanNulls", Value: true},
		)
	}
	if q.right != "" {
		set = append(set,
			dashboard.DynamicConfigValue{Id: "unit", Value: q.right},
			dashboard.DynamicConfigValue{Id: "custom.axisPlacement", Value: "right"},
			dashboard.DynamicConfigValue{Id: "custom.fillOpacity", Value: 0},
		)
	}
	if set == nil {
		return nil
	}
	return []dashboard.DashboardFieldConfigSourceOverrides{{
		Matcher:    dashboard.MatcherConfig{Id: "byFrameRefID", Options: ref},
		Properties: set,
	}}
}

// step is a colour from a value on; the first has none.
func step(from float64, color string) dashboard.Threshold {
	return dashboard.Threshold{Value: &from, Color: color}
}

// scale is colours from a first one on. Without one Grafana colours all that is above 80 red.
func scale(first string, more ...dashboard.Threshold) cog.Builder[dashboard.ThresholdsConfig] {
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).
		Steps(append([]dashboard.Threshold{{Color: first}}, more...))
}

func colored(mode dashboard.FieldColorModeId) cog.Builder[dashboard.FieldColor] {
	return dashboard.NewFieldColorBuilder().Mode(mode)
}

func legend() cog.Builder[common.VizLegendOptions] {
	return common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).
		Placement(common.LegendPlacementBottom).Calcs([]string{})
}

func tooltip() cog.Builder[common.VizTooltipOptions] {
	return common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)
}

// graph is what all panels over time have in common.
func graph() *timeseries.PanelBuilder {
	return timeseries.NewPanelBuilder().Legend(legend()).Tooltip(tooltip()).
		ColorScheme(colored(dashboard.FieldColorModeIdPaletteClassic)).Thresholds(scale("green")).
		LineWidth(1).FillOpacity(10).ShowPoints(common.VisibilityModeNever).AxisSoftMin(0)
}

// lines draws values over time.
func lines(title, about, unit string, queries ...query) panel {
	return panel{
		title: title, about: about, unit: unit, width: 12, height: 8, step: slowStep, queries: queries,
		draw: func() (dashboard.Panel, error) { return graph().Build() },
	}
}

// steps draws values that stay until they change, with points where they do.
func steps(title, about, unit string, queries ...query) panel {
	p := lines(title, about, unit, queries...)
	p.step = ""
	p.draw = func() (dashboard.Panel, error) {
		return graph().LineInterpolation(common.LineInterpolationStepAfter).FillOpacity(0).LineWidth(2).Build()
	}
	return p
}

// against draws values over time with a dashed line at a fixed bound.
func against(at float64, title, about, unit string, queries ...query) panel {
	p := lines(title, about, unit, queries...)
	p.draw = func() (dashboard.Panel, error) {
		return graph().Thresholds(scale("green", step(at, "red"))).
			ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed)).Build()
	}
	return p
}

// stacked draws parts of a whole over time.
func stacked(title, about, unit string, queries ...query) panel {
	p := lines(title, about, unit, queries...)
	p.draw = func() (dashboard.Panel, error) {
		return graph().FillOpacity(80).LineWidth(0).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A")).Build()
	}
	return p
}

// bars draws counts over time, one upon the other.
func bars(title, about, unit string, queries ...query) panel {
	p := lines(title, about, unit, queries...)
	p.draw = func() (dashboard.Panel, error) {
		return graph().DrawStyle(common.GraphDrawStyleBars).FillOpacity(80).LineWidth(0).
			Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A")).Build()
	}
	return p
}

// smoke draws a histogram over time as a heat map.
func smoke(title, about, unit string, s series) panel {
	return panel{
		title: title, about: about, unit: unit, width: 9, height: 9, step: slowStep, asHeat: true,
		queries: []query{sampled(heat(s), "{{le}}")},
		draw: func() (dashboard.Panel, error) {
			return heatmap.NewPanelBuilder().Calculate(false).Thresholds(scale("green")).
				Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme("Oranges").
					Scale(heatmap.HeatmapColorScaleExponential).Exponent(0.5).Steps(64)).
				FilterValues(heatmap.NewFilterValueRangeBuilder().Le(1e-9)).
				YAxis(heatmap.NewYAxisConfigBuilder().Unit(unit).AxisPlacement(common.AxisPlacementLeft)).
				Tooltip(heatmap.NewHeatmapTooltipBuilder().Mode(common.TooltipDisplayModeSingle).YHistogram(true).ShowColorScale(true)).
				ExemplarsColor("rgba(31, 120, 193, 0.9)").CellGap(1).ShowLegend().Build()
		},
	}
}

// number shows the newest value of each series, coloured.
func number(title, about, unit string, colors cog.Builder[dashboard.ThresholdsConfig], queries ...query) panel {
	return panel{
		title: title, about: about, unit: unit, width: 3, height: 4, queries: queries,
		draw: func() (dashboard.Panel, error) {
			return stat.NewPanelBuilder().GraphMode(common.BigValueGraphModeArea).ColorMode(common.BigValueColorModeValue).
				ColorScheme(colored(dashboard.FieldColorModeIdThresholds)).Thresholds(colors).
				ReduceOptions(common.NewReduceDataOptionsBuilder().Values(false).Calcs([]string{"lastNotNull"}).Fields("")).Build()
		},
	}
}

// plain is the colours of a number that is neither good nor bad.
func plain() cog.Builder[dashboard.ThresholdsConfig] { return scale("text") }

// state is a value of a state timeline, and how it is shown.
type state struct{ text, color string }

// states shows what was the case when. Values are 1 for the first state, 2 for the second and so on.
func states(title, about string, named []state, queries ...query) panel {
	return panel{
		title: title, about: about, unit: units.Short, width: 24, height: 6, queries: queries,
		draw: func() (dashboard.Panel, error) {
			return statetimeline.NewPanelBuilder().MergeValues(true).ShowValue(common.VisibilityModeAuto).RowHeight(0.8).
				FillOpacity(70).LineWidth(0).Legend(legend()).Tooltip(tooltip()).Thresholds(scale("text")).
				ColorScheme(colored(dashboard.FieldColorModeIdThresholds)).Mappings(mapped(named)).Build()
		},
	}
}

// mapped says how values are shown: 1 as the first state and so on.
func mapped(named []state) []dashboard.ValueMapping {
	m := dashboard.NewValueMap()
	for i, s := range named {
		m.Options[strconv.Itoa(i+1)] = dashboard.ValueMappingResult{Text: &s.text, Color: &s.color, Index: new(int32(i))}
	}
	return []dashboard.ValueMapping{{ValueMap: m}}
}

// column is one query of a table, and how its values are shown.
type column struct {
	title, unit string
	expr        string
	colors      []dashboard.Threshold // of the background; empty: none
	mapping     []dashboard.ValueMapping
}

// keyed is a table with a row for each combination of labels, and a link from each row.
// All columns have the same labels, or fewer rows.
func keyed(title, about string, labels []string, link dashboard.DashboardLink, columns ...column) panel {
	p := panel{title: title, about: about, unit: units.Short, width: 24, height: 9, instant: true}
	order, renamed := map[string]any{}, map[string]any{}
	for i, l := range labels {
		order[l], renamed[l] = i, label(l)
	}
	b := table.NewPanelBuilder().ShowHeader(true).Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{})).CellHeight(common.TableCellHeightSm).Filterable(true).
		ColorScheme(colored(dashboard.FieldColorModeIdThresholds)).Thresholds(scale("text"))
	for i, c := range columns {
		field := "Value #" + refID(i)
		if len(columns) == 1 {
			field = "Value"
		}
		order[field], renamed[field] = len(labels)+i, c.title
		p.queries = append(p.queries, q(c.expr, ""))
		set := []dashboard.DynamicConfigValue{{Id: "unit", Value: c.unit}}
		if c.colors != nil {
			set = append(set,
				dashboard.DynamicConfigValue{Id: "thresholds", Value: map[string]any{"mode": "absolute", "steps": c.colors}},
				dashboard.DynamicConfigValue{Id: "custom.cellOptions", Value: map[string]any{"type": "color-background", "mode": "basic"}},
			)
		}
		if c.mapping != nil {
			set = append(set,
				dashboard.DynamicConfigValue{Id: "mappings", Value: c.mapping},
				dashboard.DynamicConfigValue{Id: "custom.cellOptions", Value: map[string]any{"type": "color-background", "mode": "basic"}},
			)
		}
		b.OverrideByName(c.title, set)
	}
	b.OverrideByName(label(labels[0]), []dashboard.DynamicConfigValue{{Id: "links", Value: []dashboard.DashboardLink{link}}})
	b.WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}})
	b.WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
		"excludeByName": map[string]any{"Time": true}, "indexByName": order, "renameByName": renamed,
	}})
	p.draw = func() (dashboard.Panel, error) { return b.Build() }
	return p
}

// label is a label as the head of a column.
func label(l string) string { return string(l[0]-'a'+'A') + l[1:] }

// scatter draws the second query's values against the first's, moment by moment.
func scatter(title, about, xUnit, yUnit string, x query, ys ...query) panel {
	return panel{
		title: title, about: about, unit: yUnit, width: 12, height: 9, step: fastStep, queries: append([]query{x}, ys...),
		draw: func() (dashboard.Panel, error) {
			return xychart.NewPanelBuilder().Mapping(xychart.SeriesMappingAuto).Series([]cog.Builder[xychart.XYSeriesConfig]{}).
				Show(xychart.XYShowModePoints).Legend(legend()).Tooltip(tooltip()).
				ColorScheme(colored(dashboard.FieldColorModeIdPaletteClassic)).Thresholds(scale("green")).
				OverrideByName(x.legend, []dashboard.DynamicConfigValue{{Id: "unit", Value: xUnit}, {Id: "custom.axisLabel", Value: x.legend}}).
				WithTransformation(dashboard.DataTransformerConfig{Id: "joinByField", Options: map[string]any{"byField": "Time", "mode": "inner"}}).
				WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
					"excludeByName": map[string]any{"Time": true}, "indexByName": map[string]any{}, "renameByName": map[string]any{},
				}}).Build()
		},
	}
}

// grouped draws the newest values as bars side by side, one group for each value of a label.
func grouped(title, about, unit, label string, columns ...column) panel {
	p := panel{title: title, about: about, unit: unit, width: 12, height: 9, instant: true}
	renamed := map[string]any{}
	for i, c := range columns {
		renamed["Value #"+refID(i)] = c.title
		p.queries = append(p.queries, q(c.expr, ""))
	}
	p.draw = func() (dashboard.Panel, error) {
		return barchart.NewPanelBuilder().XField(label).Orientation(common.VizOrientationAuto).ShowValue(common.VisibilityModeNever).
			Legend(legend()).Tooltip(tooltip()).Thresholds(scale("green")).
			ColorScheme(colored(dashboard.FieldColorModeIdPaletteClassic)).
			WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
			WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
				"excludeByName": map[string]any{"Time": true}, "indexByName": map[string]any{}, "renameByName": renamed,
			}}).Build()
	}
	return p
}

// colorsOf is a scale of given steps.
func colorsOf(steps []dashboard.Threshold) cog.Builder[dashboard.ThresholdsConfig] {
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}
