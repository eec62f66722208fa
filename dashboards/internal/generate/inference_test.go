package main

import (
	"strings"
	"testing"
)

// TestInference shows that the checks below would find what they look for.
func TestInference(t *testing.T) {
	c := known(t)
	tests := []struct {
		expr, labels string
		fault        string // part of what is found; empty: nothing
	}{
		{"sum by (target) (rate(llm_probe_requests_total[5m]))", "{target}", ""},
		{`llm_gpu_up{gpu="0"}`, "{gpu, instance, job, uuid}", ""},
		{"histogram_quantile(0.5, sum by (target, le) (rate(llm_probe_duration_seconds_bucket[5m])))", "{target}", ""},
		{"max by (target, ramp) (llm_ramp_running) * on (target) group_left (kind) max by (target, kind) (llm_engine_info)", "{kind, ramp, target}", ""},
		{`label_replace(max by (uuid) (llm_gpu_up), "mig_uuid", "$1", "uuid", "(.+)")`, "{mig_uuid, uuid}", ""},
		{"count(llm_probe_up == 1) or vector(0)", "{}", ""},
		{"max without (instance) (target_objective:llm_objective_burn:rate1h)", "", "label instance"},

		{"histogram_quantile(0.5, sum by (target) (rate(llm_probe_duration_seconds_bucket[5m])))", "", "label le"},
		{"sum by (reason) (rate(llm_probe_requests_total[5m]))", "", "label reason"},
		{`llm_probe_up{stage="1"}`, "", "label stage"},
		{"llm_probe_requests_total", "", "grows for ever"},
		{"rate(llm_probe_up[5m])", "", "which is a gauge"},
		{"sum by (target) (llm_probe_up) / sum by (target, probe) (llm_probe_up)", "", "never match"},
		{"sum(llm_probe_up) and llm_probe_up", "", "never match"},
		{"llm_probe_sup", "", "llm_probe_sup"},
	}
	for _, test := range tests {
		t.Run(test.expr, func(t *testing.T) {
			e, err := parse(test.expr)
			if err != nil {
				t.Fatal(err)
			}
			look := &inference{catalogue: c}
			got := look.labels(e).String()
			found := strings.Join(append(look.unknown, look.wrong...), "; ")
			if test.fault == "" && (found != "" || got != test.labels) {
				t.Errorf("labels = %s, found %q; want %s and nothing", got, found, test.labels)
			}
			if test.fault != "" && !strings.Contains(found, test.fault) {
				t.Errorf("found %q; want %q", found, test.fault)
			}
		})
	}
}
