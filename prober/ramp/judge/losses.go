package judge

import (
	"fmt"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// lossesOf counts what came to nothing in measured parts; nil where nothing was lost.
func lossesOf(run *record.Run) *record.Losses {
	l := &record.Losses{Outcomes: map[string]int{}}
	for i := range run.Lanes {
		for j := range run.Lanes[i].Stages {
			s := &run.Lanes[i].Stages[j]
			l.Requests += s.Planned
			l.Shed += s.Shed
			for _, stats := range s.Probes {
				lose(l, stats)
			}
		}
	}
	if l.Shed == 0 && len(l.Outcomes) == 0 {
		return nil
	}
	return l
}

// lose counts the failures of one probe, each once.
func lose(l *record.Losses, s *record.Stats) {
	failed := 0
	for outcome, n := range s.Outcomes {
		if outcome == "ok" || n == 0 {
			continue
		}
		l.Outcomes[outcome] += n
		failed += n
	}
	kinds := map[string]int{}
	for outcome, n := range s.Outcomes {
		switch outcome {
		case "canceled":
			kinds["unended"] += n
		case "rate_limited", "overloaded":
			kinds["refused"] += n
		case "connect":
			kinds["reset"] += n
		case "timeout_connect", "timeout_first_token", "timeout_idle", "timeout_total":
			kinds["client"] += n
		}
	}
	l.Unended += kinds["unended"]
	l.Refused += kinds["refused"]
	l.Client += kinds["client"]
	l.Timeouts += s.TimedOutByServer
	// A reset that came before the response is an outcome connect as well.
	reset := max(s.Reset, kinds["reset"])
	l.Reset += reset
	l.Other += max(failed-kinds["unended"]-kinds["refused"]-kinds["client"]-s.TimedOutByServer-reset, 0)
}

func lossesWords(l *record.Losses) string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{l.Shed, "kept back by the prober itself"},
		{l.Refused, "refused by the server (429, 503, 529)"},
		{l.Client, "given up by the prober (timeouts)"},
		{l.Timeouts, "given up by the server or a proxy (408, 504, 524)"},
		{l.Reset, "reset or without a connection"},
		{l.Unended, "not over when the drain was"},
		{l.Other, "failed otherwise"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	lost := l.Shed + l.Refused + l.Client + l.Timeouts + l.Reset + l.Unended + l.Other
	return fmt.Sprintf("%s of %s came to nothing: %s.", percent(float64(lost)/float64(max(l.Requests, 1))), count(l.Requests, "request"), list(parts))
}
