package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/llmprober/llm_prober/internal/web/chart"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Report writes the page of a run as one file that needs nothing else: no other file, no network, and no script but for the
// values under the pointer.
// It is drawn from the record alone, and is at most about 600 KiB whatever that holds.
func Report(w io.Writer, run *record.Run) error {
	templates, err := template.ParseFS(templateFiles, "templates/report*.html")
	if err != nil {
		return err
	}
	var css bytes.Buffer
	for _, name := range []string{"static/style.css", "static/runs.css"} {
		data, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		css.Write(data)
		css.WriteByte('\n')
	}
	css.WriteString(chart.CSS())
	var page bytes.Buffer // so that a failure leaves no half page
	sum := sha256.Sum256([]byte(chart.Script()))
	err = templates.ExecuteTemplate(&page, "report.html", struct {
		CSS        template.CSS
		Script     template.JS
		ScriptHash string // the one script that the page allows itself
		Run        *runView
	}{template.CSS(css.String()), template.JS(chart.Script()), "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'", newRunView(run)})
	if err != nil {
		return fmt.Errorf("report of run %s: %w", run.ID, err)
	}
	_, err = page.WriteTo(w)
	return err
}

// What a page shows of a record at most. What is over is left out, and the page says so.
const (
	mostLanes      = 8
	mostStages     = 120 // of a lane
	mostRows       = 160 // of any other table
	mostWords      = 40  // sentences
	mostFindings   = 24
	mostSeries     = 8   // GPUs, probes, victims in one chart
	mostColumns    = 6   // of the table of outcomes
	mostPoints     = 480 // of one quantity, over all lanes
	maxSentence    = 700 // characters
	maxRunConfig   = 24_000
	maxStageName   = 80
	mostBands      = 60
	mostComparedIn = 80 // indicators
)

// runView is what the page of a run shows.
type runView struct {
	ID, Ramp, Target, Model string
	Title                   string
	When                    []string
	Verdict                 verdictView
	Reasons                 []string
	Facts                   []runFact
	Words                   []string
	Findings                []findingView
	Beyond                  []*runTable // what else the diagnosis counted
	Curves                  []template.HTML
	NoCurve                 string // why there is none
	Together                []template.HTML
	Lanes                   []laneView
	MoreLanes               int // left out
	Beside                  []template.HTML
	NoBeside                string
	Notes                   []string // on the charts over time
	Objectives              *runTable
	Outcomes                *runTable
	Losses                  *runTable
	Comparison              *comparisonView
	Rules                   []string
	Environment             []runPair
	Config                  string
}

// laneView is one lane of a run.
type laneView struct {
	Name, Sub string
	Search    string
	Charts    []template.HTML
	Stages    *runTable
}

// runFact is one figure with what stands under it.
type runFact struct {
	Name, Value, Sub, Class string
}

type runPair struct{ Name, Value string }

// findingView is a pattern that a test has shown.
type findingView struct {
	Pattern, Lane, Words, Evidence, Cause string
}

func newRunView(run *record.Run) *runView {
	v := &runView{
		ID: printable(run.ID, maxID), Ramp: printable(run.Ramp, maxName), Target: printable(run.Target, maxName), Model: printable(run.Model, maxName),
		When: whenOf(run), Verdict: verdictOf(run.Verdict), Reasons: sentences(run.Reasons), Facts: factsOf(run),
		Objectives: objectivesTable(run), Outcomes: outcomesTable(run), Losses: lossesTable(run),
		Rules: sentences(run.Rules), Environment: environmentOf(run), Config: configText(run.Config),
	}
	v.Title = v.Ramp + " on " + v.Target
	if run.Stopped != "" {
		v.Reasons = append(v.Reasons, capital(printable(run.Stopped, maxSentence)))
	}
	if d := run.Diagnosis; d != nil {
		v.Words = sentences(slices.DeleteFunc(slices.Clone(d.Words), func(w string) bool { // findings stand for themselves
			return slices.ContainsFunc(d.Findings, func(f record.Finding) bool { return f.Words != "" && strings.HasPrefix(w, f.Words) })
		}))
		for _, f := range d.Findings[:min(len(d.Findings), mostFindings)] {
			v.Findings = append(v.Findings, findingView{
				Pattern: patternWords(f.Pattern), Lane: printable(f.Lane, maxName), Words: printable(f.Words, maxSentence),
				Evidence: printable(f.Evidence, maxSentence), Cause: printable(f.Cause, maxSentence),
			})
		}
		v.Beyond = beyondTables(d)
	}
	if run.Comparison != nil {
		v.Comparison = newComparisonView(run.Comparison)
	}
	v.draw(run)
	return v
}
