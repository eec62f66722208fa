package main

import (
	"strings"
	"testing"
)

func TestSameShape(t *testing.T) {
	const table = `5 requests: 5 ok; times by the kernel's clock
                               n       mean        p50
time to first token, ms        5     100.67     100.57
`
	tests := []struct {
		name, output, shown string
		want                string // part of the error; empty: none
	}{
		{"itself", table, table, ""},
		{"other numbers, other units", "ttft 101.08 ms  duration 1.081 s\n", "ttft 1.2 s  duration 960ms", ""},
		{"other space", "a  b\n\nc\n", "a b\nc", ""},
		{"a word is missing", "time to first, ms 5\n", "time to first token, ms 5", "time to first token, ms"},
		{"a word too many", "time to the first token\n", "time to first token", "time to first token"},
		{"a number is missing", "mean\n", "mean 5", "mean 5"},
		{"a line is missing", "a\nc\n", "a\nb\nc", `"b"`},
		{"a line too many", "a\nb\nc\n", "a\nc", `"c"`},
		{"lines at the end", "a\nb\n", "a", "more than the page shows"},
		{"left out in the middle", "a\nb\nc\nd\n", "a\n...\nd", ""},
		{"left out at the end", "a\nb\nc\n", "a\n...", ""},
		{"nothing is left out", "a\nd\n", "a\n...\nd", ""},
		{"the same line comes again", "a\nd\nb\nd\n", "a\n...\nd", ""},
		{"left out, and not found", "a\nb\nc\n", "a\n...\nd", `"d"`},
		{"in another order", "b\na\n", "a\nb", `"a"`},
		{"the rest of a line", "id and so on\n", "id ...", ""},
		{"an identifier", "id 0f1a77c0211\n", "id 3cccc97...", ""},
		{"a rule", "───── title ─────\n", "--- title", ""},
		{"no output", "", "a", `"a"`},
		{"no output, as it should be", "", "", ""},
		{"output, and none is shown", "a\n", "", "more than the page shows"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := sameShape(tt.output, strings.Split(tt.shown, "\n"))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("sameShape(%q, %q) = %v; want %q", tt.output, tt.shown, err, tt.want)
			}
		})
	}
}

func TestShape(t *testing.T) {
	tests := []struct{ line, want string }{
		{"   1  ok                ttft 101.08 ms  duration 1.081 s  id 3cccc97...", "# ok ttft # duration # id #"},
		{"bin/llm_prober --url=http://localhost:8000/v1", "bin llm_prober --url http localhost #"},
		{"verdict: pass.", "verdict pass"},
		{"┌──────┐ ▁▂▃", ""},
		{"91.9 tokens/s  degraded (dispatch 201.2 µs, receive 15.86 ms late)  id 9125ef", "# tokens s id #"},
		{"  degraded: probe interactive: the prober itself was late in 3 of 3 requests; its figures are not to be trusted (prober_late)", ""},
		{"cost 0.001 USD a day", "cost # USD a day"},
		{"share 12 %, of 3 GiB", "share # of #"},
	}
	for _, tt := range tests {
		if got := strings.Join(shape(tt.line), " "); got != tt.want {
			t.Errorf("shape(%q) = %q; want %q", tt.line, got, tt.want)
		}
	}
}
