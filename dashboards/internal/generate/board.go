package main

//lint:file-ignore SA1019 Every Grafana loads classic dashboards; the new kind is for Grafana 13 alone.

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/collector/engine"
)

// The uids of the dashboards, by which links and alerts find them: they never change.
const (
	uidOverview   = "llm-prober-overview"
	uidTarget     = "llm-prober-target"
	uidObjectives = "llm-prober-objectives"
	uidRamps      = "llm-prober-ramps"
	uidGPU        = "llm-prober-gpu"
	uidHealth     = "llm-prober-health"
)

// tag is what the dashboards have in common, and how they find each other.
const tag = "llm_prober"

// board is one dashboard.
type board struct {
	uid, title, about string
	from              string // how far back it looks at first
	variables         []dashboard.VariableModel
	events            scope // of the annotations: which targets they are of
	rows              []row
}

// build makes the dashboard as it is written.
func (b board) build() (dashboard.Dashboard, error) {
	d := dashboard.NewDashboard()
	d.Uid, d.Title, d.Description = &b.uid, new("LLM prober / "+b.title), &b.about
	d.Tags, d.Editable = []string{tag}, new(false)
	d.GraphTooltip = new(dashboard.DashboardCursorSyncCrosshair)
	d.Time = &dashboard.DashboardDashboardTime{From: b.from, To: "now"}
	d.Refresh = new("1m")
	d.Links = links()
	d.Templating.List = append([]dashboard.VariableModel{datasourceVariable()}, append(b.variables, urlVariable())...)
	d.Annotations.List = annotations(b.events)
	var err error
	d.Panels, err = place(b.rows)
	return *d, err
}

// links leads to the other dashboards, and to the prober's own pages.
func links() []dashboard.DashboardLink {
	return []dashboard.DashboardLink{
		{
			Title: "LLM prober", Type: dashboard.DashboardLinkTypeDashboards, Icon: "external link", Tooltip: "The other dashboards of llm_prober",
			Tags: []string{tag}, AsDropdown: true, IncludeVars: true, KeepTime: true,
		},
		{
			Title: "Live status", Type: dashboard.DashboardLinkTypeLink, Icon: "bolt", Tooltip: "The prober's own page, with the token streams of the latest requests",
			Tags: []string{}, Url: new("${prober_url}/"), TargetBlank: true,
		},
	}
}

// toBoard leads from a row or a series to a board, with variables set from it.
func toBoard(uid, title, variables string) dashboard.DashboardLink {
	return dashboard.DashboardLink{
		Title: title, Url: new("/d/" + uid + "?${__url_time_range}&${datasource:queryparam}&${job:queryparam}" + variables), Tags: []string{},
	}
}

func text(s string) dashboard.StringOrArrayOfString {
	return dashboard.StringOrArrayOfString{String: &s}
}

// datasourceVariable says which Prometheus. Dashboards with __inputs find none when they are provisioned from files.
func datasourceVariable() dashboard.VariableModel {
	return dashboard.VariableModel{
		Type: dashboard.VariableTypeDatasource, Name: "datasource", Label: new("Data source"),
		Description: new("The Prometheus that scrapes the prober."),
		Query:       &dashboard.StringOrMap{String: new("prometheus")},
	}
}

// urlVariable says where the prober's own pages are.
func urlVariable() dashboard.VariableModel {
	const first = "http://localhost:9779"
	return dashboard.VariableModel{
		Type: dashboard.VariableTypeTextbox, Name: "prober_url", Label: new("Prober's pages"),
		Description: new("Where the links to the prober's own pages lead: its address as your browser reaches it."),
		Query:       &dashboard.StringOrMap{String: new(first)},
		Current:     &dashboard.VariableOption{Text: text(first), Value: text(first)},
	}
}

// choice is a variable whose values are those of a label.
func choice(name, title, about string, s series, label string) dashboard.VariableModel {
	query := fmt.Sprintf("label_values(%s, %s)", s, label)
	return dashboard.VariableModel{
		Type: dashboard.VariableTypeQuery, Name: name, Label: &title, Description: &about,
		Datasource: new(source()),
		Query:      &dashboard.StringOrMap{Map: map[string]any{"query": query, "refId": "Variable"}},
		Definition: &query,
		Refresh:    new(dashboard.VariableRefreshOnTimeRangeChanged),
		Sort:       new(dashboard.VariableSortNaturalAsc),
	}
}

// choices is a variable of which several values, or all, can be chosen. All of them match series without the label, too.
func choices(name, title, about string, s series, label string) dashboard.VariableModel {
	v := choice(name, title, about, s, label)
	v.Multi, v.IncludeAll, v.AllValue = new(true), new(true), new(".*")
	v.Current = &dashboard.VariableOption{Text: text("All"), Value: text("$__all")}
	return v
}

// Variables that several boards have.
func jobVariable() dashboard.VariableModel {
	return choices("job", "Job", "The scrape job of the prober.", of(collector.NameBuildInfo, anywhere), "job")
}

func targetsVariable() dashboard.VariableModel {
	return choices("target", "Target", "Endpoints that are probed.", of(collector.NameUp, inJob), "target")
}

func modelVariable(in scope) dashboard.VariableModel {
	return choices("model", "Model", "Models of these targets.", of(collector.NameUp, in), "model")
}

func probeVariable(in scope) dashboard.VariableModel {
	return choices("probe", "Probe", "Kinds of requests to these targets.", of(collector.NameUp, in, `model=~"$model"`), "probe")
}

// eventWindow is how long an event is seen. Grafana asks for at most 11,000 moments: at one a minute, a week of them, and an
// event of five minutes is not missed within a month.
const eventWindow = "5m"

// annotations marks what explains a change: ramps, restarts, deploys and alerts that fire.
func annotations(in scope) []dashboard.AnnotationQuery {
	of := func(name string, more ...string) series { return of(name, in, more...) }
	before := func(name string) string { return of(name).String() + " offset " + eventWindow }
	return []dashboard.AnnotationQuery{
		annotation("Ramps", "blue",
			most(of(collector.NameRampRunning), "target", "ramp")+" > 0",
			"Ramp {{ramp}} runs", "{{target}} is under load on purpose: its other probes feel it."),
		annotation("Engine restarts", "orange",
			increase(of(engine.NameRestarts), eventWindow, "target")+" > 0",
			"Engine of {{target}} restarted", "The engine's counters began anew: it restarted, or another process answers."),
		annotation("Deploys: model", "purple",
			fmt.Sprintf("group by (target, model) (%s)\nunless group by (target, model) (%s)\nand on (target) group by (target) (%s)",
				of(collector.NameUp), before(collector.NameUp), before(collector.NameUp)),
			"{{target}} has model {{model}}", "The target is configured with another model than before."),
		annotation("Deploys: engine", "purple",
			fmt.Sprintf("group by (target, kind) (%s)\nunless group by (target, kind) (%s)\nand on (target) group by (target) (%s)",
				of(engine.NameInfo), before(engine.NameInfo), before(engine.NameInfo)),
			"{{target}} is served by {{kind}}", "Another engine than before answers."),
		annotation("Deploys: prober", "purple",
			fmt.Sprintf("group by (version) (%[1]s)\nunless group by (version) (%[1]s offset %[2]s)\nand on () group by () (%[1]s offset %[2]s)",
				series{collector.NameBuildInfo, string(inJob)}, eventWindow),
			"llm_prober {{version}}", "The prober itself became another version: what it measures may differ from what it measured before."),
		annotation("Alerts", "red",
			`group by (alertname, severity, target, probe) (ALERTS{alertname=~"LLM.+", alertstate="firing"`+alertTargets(in)+`})`,
			"{{alertname}}", "{{severity}} {{target}} {{probe}}"),
	}
}

// alertTargets keeps to alerts of the board's targets, and those of no target.
func alertTargets(in scope) string {
	switch in {
	case inFleet:
		return `, target=~"$target|"`
	case inTarget:
		return `, target=~"|$target"`
	}
	return ""
}

// annotation is one kind of event. Grafana up to 11.5 reads the expression at the top, newer ones from target.
func annotation(name, color, expr, title, about string) dashboard.AnnotationQuery {
	target := prometheus.NewDataquery()
	target.Datasource, target.RefId, target.Expr = new(source()), new("Anno"), expr
	target.Interval = new("60s")
	return dashboard.AnnotationQuery{
		Name: name, Datasource: new(source()), Enable: true, IconColor: color,
		Expr: &expr, Step: new("60s"), Target: *target, TitleFormat: &title, TextFormat: &about, TagKeys: new("target"),
	}
}
