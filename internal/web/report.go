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
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Report writes the page of a run as one file that needs nothing else: no other file, no network, and no script but for the
// values under the pointer.
// It is drawn from the record alone.
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
	sum := sha256.Sum256([]byte(chart.Script()))
	page, err := fitted(run, func(w io.Writer, v *runView) error {
		return templates.ExecuteTemplate(w, "report.html", struct {
			CSS        template.CSS
			Script     template.JS
			ScriptHash string // the one script that the page allows itself
			Run        *runView
		}{template.CSS(css.String()), template.JS(chart.Script()), "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'", v})
	})
	if err != nil {
		return err
	}
	_, err = w.Write(page)
	return err
}

// maxPage is what the page of a run takes at most, as far as it can be had by leaving things out.
const maxPage = 600 << 10

// room is how much of a record a page shows. What is over is left out, and the page says so.
type room struct {
	lanes   int
	points  int  // of one quantity, over all lanes
	samples int  // of the engine and the GPUs
	series  int  // probes, GPUs and victims in one chart
	bands   int  // stages that are shaded
	stages  int  // rows of the tables of stages, over all lanes
	rows    int  // of any other table
	words   int  // sentences of one list
	numbers bool // the charts' numbers are there as tables
}

// rooms are from all that people look at down to what of the largest record a page can take.
func rooms() []room {
	return []room{
		{lanes: 8, points: 480, samples: 240, series: 8, bands: 60, stages: 240, rows: 160, words: 40, numbers: true},
		{lanes: 8, points: 320, samples: 120, series: 6, bands: 24, stages: 120, rows: 80, words: 40},
		{lanes: 6, points: 200, samples: 80, series: 4, bands: 16, stages: 72, rows: 40, words: 24},
		{lanes: 4, points: 96, samples: 48, series: 3, bands: 8, stages: 40, rows: 20, words: 12},
	}
}

// What a text on the page takes at most, in characters.
const (
	maxSentence  = 700
	maxRunConfig = 24_000
	maxStageName = 80
	maxCell      = 80 // a name in a table
	maxKey       = 40 // a name in a chart
)

const (
	mostFindings = 24
	mostColumns  = 6 // of the table of outcomes
)

// fitted draws the page of a run with as much of it as there is room for.
func fitted(run *record.Run, draw func(w io.Writer, v *runView) error) ([]byte, error) {
	var page bytes.Buffer
	sums := sums{}
	for i, room := range rooms() {
		page.Reset()
		v := newRunView(run, sums, room)
		if i > 0 {
			v.Notes = append(v.Notes, "This record holds more than a page has room for: lanes, points and rows are left out here. The record itself has them all.")
		}
		if err := draw(&page, v); err != nil {
			return nil, fmt.Errorf("page of run %s: %w", printable.Line(run.ID, maxID), err)
		}
		if page.Len() <= maxPage {
			break
		}
	}
	return page.Bytes(), nil
}

// runView is what the page of a run shows.
type runView struct {
	room room

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

func newRunView(run *record.Run, sums sums, room room) *runView {
	v := &runView{
		room: room,
		ID:   printable.Line(run.ID, maxID), Ramp: printable.Line(run.Ramp, maxName), Target: printable.Line(run.Target, maxName), Model: printable.Line(run.Model, maxName),
		When: whenOf(run), Verdict: verdictOf(run.Verdict), Reasons: sentences(run.Reasons, room.words), Facts: factsOf(run),
		Objectives: objectivesTable(run, room.rows), Outcomes: outcomesTable(run, room.rows), Losses: lossesTable(run),
		Rules: sentences(run.Rules, room.words), Environment: environmentOf(run), Config: configText(run.Config),
	}
	v.Title = v.Ramp + " on " + v.Target
	if run.Stopped != "" {
		v.Reasons = append(v.Reasons, capital(printable.Line(run.Stopped, maxSentence)))
	}
	if d := run.Diagnosis; d != nil {
		v.Words = sentences(slices.DeleteFunc(slices.Clone(d.Words), func(w string) bool { // findings stand for themselves
			return slices.ContainsFunc(d.Findings, func(f record.Finding) bool { return f.Words != "" && strings.HasPrefix(w, f.Words) })
		}), room.words)
		for _, f := range d.Findings[:min(len(d.Findings), mostFindings, room.words)] {
			v.Findings = append(v.Findings, findingView{
				Pattern: patternWords(f.Pattern), Lane: printable.Line(f.Lane, maxName), Words: printable.Line(f.Words, maxSentence),
				Evidence: printable.Line(f.Evidence, maxSentence), Cause: printable.Line(f.Cause, maxSentence),
			})
		}
		v.Beyond = beyondTables(d, room.rows)
	}
	if run.Comparison != nil {
		v.Comparison = newComparisonView(run.Comparison, room)
	}
	v.draw(run, sums)
	return v
}
