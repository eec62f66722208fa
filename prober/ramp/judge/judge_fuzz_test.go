package judge

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Whatever a record holds: it can be judged and compared again, and each form in which it is told is whole and printable.
func FuzzJudge(f *testing.F) {
	text, err := os.ReadFile("../../../internal/runs/testdata/v1/run.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(strings.ReplaceAll(string(text), `"chat"`, `"\u001b[2J\n\u202e|<b>]]>"`)))
	f.Add([]byte(`{"lanes":[{"open":true,"stages":[{"kind":"hold","planned":-1,"measured_to":"2026-11-22T02:00:00Z","probes":{"p":null}}]}],"objectives":[{"indicator":"ttft","percentile":95}]}`))
	f.Add([]byte(`{"verdict":"aborted","reasons":["\ufffe\u0000"],"diagnosis":{"words":["a\nb"],"objectives":[{"promised":true,"missed":true}]},"comparison":{"indicators":[{"judged":true,"worse":true,"low":1,"high":null}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		run := &record.Run{}
		if json.Unmarshal(data, run) != nil || run.Check() != nil || len(data) > 1<<16 {
			return
		}
		check := func(what string) {
			for form, text := range map[string]string{"Text": Text(run), "Markdown": Markdown(run)} {
				for _, c := range text {
					if c != '\n' && !unicode.IsPrint(c) {
						t.Fatalf("%s: %s has %U: %q", what, form, c, text)
					}
				}
			}
			junit, err := JUnit(run)
			if err != nil {
				t.Fatalf("%s: JUnit = %v", what, err)
			}
			for d := xml.NewDecoder(strings.NewReader(string(junit))); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: JUnit is no XML: %v\n%s", what, err, junit)
				}
			}
		}
		check("as read")
		Judge(run, nil, Options{})
		check("judged")
		comparison := Compare([]*record.Run{run}, []*record.Run{run, run, run, run, run}, nil, Margin{MaxRegression: 0.1})
		if comparison.Verdict != record.Pass && comparison.Verdict != record.NotEnoughRuns {
			t.Errorf("a run is %s than itself: %v", comparison.Verdict, comparison.Words)
		}
		run.Comparison = comparison
		check("compared")
	})
}
