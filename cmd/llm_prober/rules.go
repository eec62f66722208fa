package main

import (
	"context"

	"github.com/alecthomas/kingpin/v2"

	"github.com/llmprober/llm_prober/alerts"
)

// rulesCommand prints the alerts that come with the prober.
type rulesCommand struct {
	format  string
	options alerts.Options
}

func addRulesCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	c := &rulesCommand{options: alerts.Options{Labels: map[string]string{}}}
	cmd := app.Command("rules", "Print the alerting and recording rules for Prometheus.")
	cmd.HelpLong("They need no editing: objectives, thresholds and intervals are series of the prober's own.\n\n" +
		"  llm_prober rules --dashboard-url=https://grafana.internal > /etc/prometheus/llm_prober.rules.yml\n" +
		"  llm_prober rules --format=operator --namespace=monitoring | kubectl apply -f -")
	cmd.Flag("format", "prometheus: a file for rule_files; operator: a PrometheusRule.").Default("prometheus").EnumVar(&c.format, "prometheus", "operator")
	cmd.Flag("job", "The job of the prober in Prometheus' scrape configuration.").Default(alerts.DefaultJob).StringVar(&c.options.Job)
	cmd.Flag("runbook-url", "Where the runbooks are.").Default(alerts.DefaultRunbookURL).StringVar(&c.options.RunbookURL)
	cmd.Flag("dashboard-url", "Where Grafana is, without /d/.").Default(alerts.DefaultDashboardURL).StringVar(&c.options.DashboardURL)
	cmd.Flag("name", "Name of the resource, for operator.").Default("llm-prober").StringVar(&c.options.Name)
	cmd.Flag("namespace", "Namespace of the resource, for operator.").StringVar(&c.options.Namespace)
	cmd.Flag("label", "Label of the resource, for operator. Repeatable.").PlaceHolder("NAME=VALUE").StringMapVar(&c.options.Labels)
	return cmd, c
}

func (c *rulesCommand) run(_ context.Context, e env) error {
	write := alerts.Prometheus
	if c.format == "operator" {
		write = alerts.Operator
	}
	text, err := write(c.options)
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(text)
	return err
}
