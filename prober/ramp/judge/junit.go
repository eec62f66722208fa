package judge

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// The elements of JUnit's XML that CI servers agree on.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Time      string      `xml:"time,attr,omitempty"`
		Timestamp string      `xml:"timestamp,attr,omitempty"`
		Cases     []junitCase `xml:"testcase"`
		Out       *junitText  `xml:"system-out,omitempty"`
	}
	junitCase struct {
		Class   string      `xml:"classname,attr"`
		Name    string      `xml:"name,attr"`
		Failure *junitWhy   `xml:"failure,omitempty"`
		Error   *junitWhy   `xml:"error,omitempty"`
		Skipped *junitSkips `xml:"skipped,omitempty"`
	}
	junitWhy struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkips struct {
		Message string `xml:"message,attr"`
	}
	junitText struct {
		Text string `xml:",cdata"`
	}
)

// JUnit is a run for CI servers: a case for each promised objective, each judged indicator of the comparison, and the
// verdict. What could not be decided is skipped, a run that says nothing of the server is an error.
func JUnit(run *record.Run) ([]byte, error) {
	s := junitSuite{
		Name: run.Ramp, Time: fmt.Sprintf("%.3f", run.Ended.Sub(run.Started).Seconds()), Timestamp: run.Started.UTC().Format(time.RFC3339),
		Out: &junitText{xmlSafe(Text(run))},
	}
	verdict := junitCase{Class: run.Ramp, Name: "verdict"}
	why := &junitWhy{Type: string(run.Verdict), Message: strings.Join(run.Reasons, " ")}
	switch run.Verdict {
	case record.Pass:
	case record.NotEnoughRuns:
		verdict.Skipped = &junitSkips{why.Message}
	case record.Fail, record.Regressed:
		verdict.Failure = why
	default:
		verdict.Error = why
	}
	s.Cases = append(s.Cases, verdict)
	if d := run.Diagnosis; d != nil {
		for i := range d.Objectives {
			j := &d.Objectives[i]
			if !j.Promised {
				continue
			}
			c := junitCase{Class: run.Ramp + "." + j.Lane, Name: fmt.Sprintf("stage %d, %s: %s", j.Stage+1, j.Name, promiseWords(j.Indicator, j.Percentile, j.Threshold, j.Probe))}
			switch words := judgedWords(run, j); {
			case j.Missed:
				c.Failure = &junitWhy{Type: "objective", Message: words}
			case !j.Held:
				c.Skipped = &junitSkips{words}
			}
			s.Cases = append(s.Cases, c)
		}
	}
	if run.Comparison != nil {
		s.Cases = append(s.Cases, comparisonCases(run.Ramp, run.Comparison)...)
	}
	return junit(s)
}

// ComparisonJUnit is a comparison for CI servers: a case for each judged indicator, and the verdict.
func ComparisonJUnit(c *record.Comparison) ([]byte, error) {
	verdict := junitCase{Class: "compare", Name: "verdict"}
	message := strings.Join(c.Words, " ")
	switch c.Verdict {
	case record.Regressed:
		verdict.Failure = &junitWhy{Type: string(c.Verdict), Message: message}
	case record.NotEnoughRuns:
		verdict.Skipped = &junitSkips{message}
	}
	return junit(junitSuite{
		Name:  fmt.Sprintf("%s against %s", runsWords(c.News), runsWords(c.Runs)),
		Cases: append([]junitCase{verdict}, comparisonCases("compare", c)...),
		Out:   &junitText{xmlSafe(ComparisonText(c))},
	})
}

func comparisonCases(class string, c *record.Comparison) (cases []junitCase) {
	for i := range c.Indicators {
		in := &c.Indicators[i]
		if !in.Judged {
			continue
		}
		one := junitCase{Class: class, Name: "regression: " + figureWords(in)}
		if in.Worse {
			one.Failure = &junitWhy{Type: "regression", Message: indicatorLine(in)}
		}
		cases = append(cases, one)
	}
	return cases
}

func junit(s junitSuite) ([]byte, error) {
	for _, c := range s.Cases {
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	all := junitSuites{Name: "llm_prober", Tests: s.Tests, Failures: s.Failures, Errors: s.Errors, Suites: []junitSuite{s}}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("junit: %w", err)
	}
	return append([]byte(xml.Header), append(text, '\n')...), nil
}

// xmlSafe leaves out what XML cannot hold.
func xmlSafe(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == '\uFFFE' || r == '\uFFFF' {
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "]]>", "]] >"))
}
