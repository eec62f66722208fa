package judge

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// number has three significant digits, and all of those before the point.
func number(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	text := strconv.FormatFloat(v, 'f', max(digits, 0), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// seconds writes a time: 812 ms, 1.24 s, 3 min 20 s.
func seconds(s float64) string {
	switch {
	case math.IsInf(s, 1):
		return "no answer"
	case s == 0:
		return "0 s"
	case math.Abs(s) < 1e-3:
		return number(s*1e6) + " µs"
	case math.Abs(s) < 1:
		return number(s*1e3) + " ms"
	case math.Abs(s) < 120:
		return number(s) + " s"
	}
	m := int(s+.5) / 60
	return fmt.Sprintf("%d min %d s", m, int(s+.5)%60)
}

// percent writes a share: 12 %.
func percent(share float64) string { return number(100*share) + " %" }

// change writes a relative change: +12 %.
func change(ratio float64) string {
	if ratio > 0 {
		return "+" + percent(ratio)
	}
	return percent(ratio)
}

// rateWords writes requests per second.
func rateWords(perSecond float64) string { return number(perSecond) + " requests/s" }

// loadWords writes a load.
func loadWords(open bool, load float64) string {
	if open {
		return number(load) + "/s"
	}
	return number(load) + " at once"
}

// rangeWords writes loads from one to another.
func rangeWords(open bool, from, to float64) string {
	if open {
		return "from " + loadWords(open, from) + " to " + loadWords(open, to)
	}
	return "from " + number(from) + " to " + loadWords(open, to)
}

// count writes how many of a thing.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// amount writes how much there is of a thing, which need not be whole: 1 request, 12.5 requests.
func amount(v float64, thing string) string {
	if text := number(v); text != "1" {
		return text + " " + thing + "s"
	}
	return "1 " + thing
}

// chanceOf writes a p-value.
func chanceOf(p float64) string {
	if p < 1e-4 {
		return "p < 0.0001"
	}
	return "p = " + strconv.FormatFloat(p, 'f', 4, 64)
}

// sure writes a confidence, rounded down: 99.9 % is as sure as words get.
func sure(confidence float64) string {
	return percent(math.Floor(min(confidence, .999)*1000) / 1000)
}

// indicatorWords is what people call an indicator.
func indicatorWords(name string) string {
	switch name {
	case record.TTFT:
		return "TTFT"
	case record.TPOT:
		return "TPOT"
	case "itl":
		return "ITL"
	case record.OutputRate:
		return "output tokens/s"
	case record.QueueWait:
		return "queue wait"
	}
	return name
}

// valueWords writes a value of an indicator.
func valueWords(indicator string, v float64) string {
	switch indicator {
	case record.OutputRate:
		return number(v) + " tokens/s"
	case record.Availability:
		return percent(v)
	}
	return seconds(v)
}

// percentileWords is a percentile's name: p95.
func percentileWords(p float64) string { return "p" + strconv.FormatFloat(p, 'g', 6, 64) }

// objectiveWords is an objective: "p95 TTFT of interactive <= 800 ms".
func objectiveWords(o record.Objective, probe string) string {
	return promiseWords(o.Indicator, o.Percentile, o.Threshold, probe)
}

func promiseWords(indicator string, percentile, threshold float64, probe string) string {
	if probe != "" {
		probe = " of " + probe
	}
	switch indicator {
	case record.Availability:
		return "availability" + probe + " >= " + percent(threshold)
	case record.OutputRate:
		return percent(percentile/100) + " of answers" + probe + " >= " + number(threshold) + " tokens/s"
	}
	return percentileWords(percentile) + " " + indicatorWords(indicator) + probe + " <= " + seconds(threshold)
}

// judgedWords says how an objective fared in a stage.
func judgedWords(run *record.Run, j *record.Judged) string {
	value := "no answer"
	if j.Value != nil {
		value = valueWords(j.Indicator, *j.Value)
	}
	what := percentileWords(j.Percentile) + " " + indicatorWords(j.Indicator)
	switch j.Indicator {
	case record.Availability:
		what = "availability"
	case record.OutputRate:
		what = indicatorWords(j.Indicator)
	}
	what += " of " + j.Probe
	during, changes := duringWords(run, j)
	fared := what + " was not decided " + during
	switch {
	case j.Held:
		fared = what + " held " + during
	case j.Missed:
		fared = what + " missed " + during
	case changes:
		// On the way from one load to another there seldom are enough: no news of the server.
		fared = capital(during) + " there were too few requests to decide " + what
	}
	return fmt.Sprintf("%s: %s, promised %s (%d of %s good; confidence %s).",
		fared, value, valueWords(j.Indicator, j.Threshold), j.Good, count(j.Total, "request"), sure(j.Confidence))
}

// duringWords says under which load an objective was judged, "at 6/s" or "while the load rose from 1/s to 6/s", and whether that
// changed.
func duringWords(run *record.Run, j *record.Judged) (words string, changes bool) {
	open, begin, end := true, j.Load, j.Load
	for i := range run.Lanes {
		l := &run.Lanes[i]
		if l.Name != j.Lane {
			continue
		}
		open = l.Open
		for k := range l.Stages {
			if s := &l.Stages[k]; s.Index == j.Stage {
				begin, end = s.Begin, s.End
			}
		}
	}
	switch {
	case begin < end:
		return "while the load rose " + rangeWords(open, begin, end), true
	case begin > end:
		return "while the load fell " + rangeWords(open, begin, end), true
	}
	return "at " + loadWords(open, j.Load), false
}

// list joins words: "a, b and c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// capital makes the first letter a capital, unless the word is a name such as p95 or is not lower case anyway.
func capital(s string) string {
	if s == "" || len(s) > 1 && s[0] == 'p' && s[1] >= '0' && s[1] <= '9' {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// figureWords is what people call a number of a run: "p95 TTFT of interactive in lane main".
func figureWords(in *record.Indicator) string {
	name := in.Name
	switch name {
	case "failed":
		name = "share of failed requests"
	case "recovery":
		name = "recovery time"
	default:
		if i := strings.LastIndex(name, "_p"); i > 0 {
			name = "p" + name[i+2:] + " " + indicatorWords(name[:i])
		}
	}
	if in.Probe != "" {
		name += " of " + in.Probe
	}
	if in.Lane != "" {
		name += " in " + in.Lane
	}
	return name
}

// figureValue writes a value in the indicator's unit.
func figureValue(in *record.Indicator, v float64) string {
	switch in.Unit {
	case "ratio":
		return percent(v)
	case "requests_per_second":
		return rateWords(v)
	case "tokens_per_second":
		return number(v) + " tokens/s"
	}
	return seconds(v)
}

// changeWords writes a change: in points where the indicator is a share itself.
func changeWords(in *record.Indicator, v float64) string {
	if in.Unit != "ratio" {
		return change(v)
	}
	text := number(100*v) + " points"
	if v > 0 {
		text = "+" + text
	}
	return text
}
