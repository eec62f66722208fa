package main

import (
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chartutil"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
)

// TestSchemes: the port has one scheme, by which kubelet's probes ask; Prometheus asks by it too, or by what a mesh makes of it.
func TestSchemes(t *testing.T) {
	c := load(t)
	const hint = "set webScheme: https"
	for _, test := range []struct {
		name                    string
		secret, scheme, monitor string // values
		probes, scrapes         string
		hint                    bool
		fails                   string
	}{
		{name: "plain", probes: "http", scrapes: "http"},
		{name: "passwords alone", secret: "web", probes: "http", scrapes: "http", hint: true},
		{name: "TLS", secret: "web", scheme: "https", probes: "https", scrapes: "https"},
		{name: "TLS by the monitor's scheme", secret: "web", monitor: "https", probes: "https", scrapes: "https"},
		{name: "both", secret: "web", scheme: "https", monitor: "https", probes: "https", scrapes: "https"},
		{name: "a mesh's TLS", monitor: "https", probes: "http", scrapes: "https"},
		{name: "passwords behind a mesh's TLS", secret: "web", scheme: "http", monitor: "https", probes: "http", scrapes: "https"},
		{name: "said to be plain", scheme: "http", probes: "http", scrapes: "http"},
		{name: "no web configuration", scheme: "https", fails: "cure: webConfigSecret"},
		{name: "contradiction", secret: "web", scheme: "https", monitor: "http", fails: "cure: leave serviceMonitor.scheme out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			values := chartutil.Values{
				"webConfigSecret": test.secret, "webScheme": test.scheme,
				"serviceMonitor": map[string]any{"enabled": true, "scheme": test.monitor},
			}
			files, err := render(c, values, "r", "ns")
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("render = %v; want an error with %q", err, test.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, o := range decode(t, files) {
				switch o := o.Object.(type) {
				case *apps.StatefulSet:
					for _, p := range []*core.Probe{o.Spec.Template.Spec.Containers[0].StartupProbe, o.Spec.Template.Spec.Containers[0].LivenessProbe} {
						found++
						if got := argument(p.Exec.Command, "--url="); got != test.probes+"://127.0.0.1:9779" {
							t.Errorf("kubelet asks %s; want %s", got, test.probes)
						}
					}
				case *monitoring.ServiceMonitor:
					found++
					if got := o.Spec.Endpoints[0].Scheme; got != test.scrapes {
						t.Errorf("Prometheus asks by %s; want %s", got, test.scrapes)
					}
				}
			}
			if found != 3 {
				t.Errorf("%d of two probes and a ServiceMonitor", found)
			}
			all, err := texts(c, values, "r", "ns")
			if err != nil {
				t.Fatal(err)
			}
			notes := all["llm-prober/templates/NOTES.txt"]
			if !strings.Contains(notes, test.probes+"://127.0.0.1:9779") || strings.Contains(notes, hint) != test.hint {
				t.Errorf("notes = %q; want %s, and that it may have to be https: %t", notes, test.probes, test.hint)
			}
		})
	}
}
