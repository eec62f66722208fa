package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// mistaken returns files with n mistakes, by their kind, and one with none that has n of everything.
func mistaken(n int) map[string]string {
	const (
		probe   = "probes: {p: {prompt_tokens: 1, max_output_tokens: 1, interval: 1s}}\n"
		targets = "targets:\n- {name: t, url: 'http://127.0.0.1/v1', model: m, probes: [p]}\n"
	)
	each := func(format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	return map[string]string{
		"none": "probes:\n" + each("  p%d: {prompt_tokens: 1, max_output_tokens: 1, interval: 1s}\n") +
			"targets:\n" + each("- {name: t%[1]d, url: 'http://127.0.0.1/v1', model: m, probes: [p%[1]d]}\n") +
			"- {name: all, url: 'http://127.0.0.1/v1', model: m, probes: [" + each("p%d, ") + "]}\n" +
			"objectives:\n" + each("- {name: o%[1]d, target: t%[1]d, probe: p%[1]d, indicator: ttft, threshold: 1s, goal: 0.5}\n"),
		"unknown keys":      probe + targets + each("key%d: 1\n"),
		"keys set twice":    probe + targets + "global:\n  labels:\n" + each("    a: x%d\n"),
		"wrong values":      "probes:\n" + each("  p%d: {prompt_tokens: 1, max_output_tokens: 1, interval: 1}\n") + targets,
		"broken rules":      "probes:\n" + each("  p%d: {prompt_tokens: 1, max_output_tokens: 0, interval: 1s}\n") + "targets: []\n",
		"names of probes":   "probes:\n" + each("  p%d: {prompt_tokens: 1, max_output_tokens: 1, interval: 1s}\n") + "targets:\n" + each("- {name: t%[1]d, url: 'http://127.0.0.1/v1', model: m, probes: [q%[1]d]}\n"),
		"names of targets":  probe + "targets:\n" + each("- {name: t%d, url: 'http://127.0.0.1/v1', model: m, probes: [p]}\n") + "objectives:\n" + each("- {name: o%[1]d, target: u%[1]d, probe: p, indicator: availability, goal: 0.5}\n"),
		"all in one line":   "probes: {" + each("p%d: {prompt_tokens: 1, max_output_tokens: 1, interval: 1}, ") + "}\n" + targets,
		"words for numbers": probe + targets + "global: {labels: {" + each("l%d: [1], ") + "}}\n",
	}
}

// Of many mistakes those that are shown say all, and the others are counted.
func TestManyMistakes(t *testing.T) {
	const n = 1000
	for kind, text := range mistaken(n) {
		t.Run(kind, func(t *testing.T) {
			_, err := Parse("f", []byte(text), Options{})
			if kind == "none" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			list, _ := errors.AsType[ErrorList](err)
			checkPlaces(t, list, "f", []byte(text))
			if len(list) < n-1 || len(list) > n+2 {
				t.Errorf("%d mistakes are found; want about %d", len(list), n)
			}
			if end := fmt.Sprintf("\nand %d more", len(list)-maxShown); !strings.HasSuffix(err.Error(), end) {
				t.Errorf("the message ends with %q; want %q", err.Error()[len(err.Error())-40:], end)
			}
			if !strings.HasPrefix(kind, "names of ") {
				return
			}
			for i, e := range list {
				if suggests := strings.Contains(e.Message, "; known: ") || strings.Contains(e.Message, "; did you mean "); suggests != (i < maxShown) {
					t.Fatalf("mistake %d: %v; want a suggestion for the first %d alone", i, e, maxShown)
				}
			}
		})
	}
}

// A file that is no configuration may have a mistake in each of its lines: each takes the same time, however many there are.
func BenchmarkMistakes(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		for kind, text := range mistaken(n) {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Parse("f", []byte(text), Options{}); (err == nil) != (kind == "none") {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/mistake")
			})
		}
	}
}
