package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// judgedAlerts are the alerts that the study is about: pages first.
func judgedAlerts() []string {
	return []string{
		"LLMObjectiveBurnFast", "LLMObjectiveBurnHigh", "LLMObjectiveBurnMedium", "LLMObjectiveBurnSlow",
		"LLMTTFTRegression", "LLMTTFTAbovePinnedBaseline", "LLMThroughputRegression", "LLMDecodeSlow", "LLMTTFTRisingBeforeDuration",
	}
}

// study is one run of the whole.
type study struct {
	rules    []rule
	seeds    int
	only     string // a part of it; empty for all
	probing  string // what the name of a setting must contain
	judged   time.Duration
	progress io.Writer
}

type namedSetting struct {
	name string
	setting
}

// settings are how endpoints are probed, by name.
func settings() []namedSetting {
	return []namedSetting{
		{"30 s, classic", setting{30 * time.Second, false}},

		{"1 min, classic", setting{time.Minute, false}},
		{"15 min, classic", setting{15 * time.Minute, false}},
		{"30 s, native", setting{30 * time.Second, true}},
	}
}

func (s study) run(ctx context.Context, out io.Writer) error {
	if s.only != "delays" {
		if err := s.falseAlarms(ctx, out); err != nil {
			return err
		}
	}
	if s.only == "false-alarms" {
		return nil
	}
	return s.delays(ctx, out)
}

// falseAlarms prints how often each alert fired on endpoints that nothing was done to, per series and 30 days.
func (s study) falseAlarms(ctx context.Context, out io.Writer) error {
	alerts := judgedAlerts()
	order, err := needed(s.rules, alerts)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "False alarms per series and 30 days, %d months each\n\n| alert |", s.seeds)
	chosen := slices.DeleteFunc(settings(), func(c namedSetting) bool { return !strings.Contains(c.name, s.probing) })
	columns := make([]map[string]float64, len(chosen))
	for i, c := range chosen {
		fmt.Fprintf(out, " %s |", c.name)
		columns[i] = make(map[string]float64)
		for seed := range s.seeds {
			began := time.Now()
			length := warmUp + s.judged
			world := probed(newEndpoint(uint64(seed), length, injection{}), c.setting, length)
			firings, err := replay(ctx, newEngine(), world, order, length)
			if err != nil {
				return err
			}
			for _, f := range firings {
				if f.from >= warmUp {
					columns[i][f.alert] += float64(30*day) / float64(s.judged) / float64(s.seeds)
				}
			}
			fmt.Fprintf(s.progress, "month %s seed %d: %.1f s\n", c.name, seed, time.Since(began).Seconds())
		}
	}
	fmt.Fprint(out, "\n|---|")
	for range columns {
		fmt.Fprint(out, "--:|")
	}
	fmt.Fprintln(out)
	for _, a := range alerts {
		fmt.Fprintf(out, "| %s |", a)
		for _, c := range columns {
			fmt.Fprintf(out, " %.2f |", c[a])
		}
		fmt.Fprintln(out)
	}
	return nil
}

// delays prints how long after an injection each alert fired: the median, the ninth decile, and in how many of the runs.
func (s study) delays(ctx context.Context, out io.Writer) error {
	alerts := []string{"LLMObjectiveBurnFast", "LLMObjectiveBurnHigh", "LLMObjectiveBurnMedium", "LLMObjectiveBurnSlow", "LLMTTFTRegression", "LLMTTFTAbovePinnedBaseline"}
	order, err := needed(s.rules, alerts)
	if err != nil {
		return err
	}
	const follow = 4 * day
	fmt.Fprintf(out, "\nMinutes from the injection to the alert: median / 9th decile (detected of %d within 4 days)\n\n| time to first token |", s.seeds)
	for _, a := range alerts {
		fmt.Fprintf(out, " %s |", a)
	}
	fmt.Fprint(out, "\n|---|")
	for range alerts {
		fmt.Fprint(out, "--:|")
	}
	fmt.Fprintln(out)
	for _, over := range []time.Duration{0, 2 * day} {
		for _, factor := range []float64{1.25, 1.5, 2} {
			delays := make(map[string][]time.Duration)
			began := time.Now()
			for seed := range s.seeds {
				at := warmUp + time.Duration(rand.New(rand.NewPCG(uint64(seed), 2)).Float64()*float64(day))
				length := at + follow
				world := probed(newEndpoint(uint64(1000+seed), length, injection{factor, at, over}), setting{interval: 30 * time.Second}, length)
				firings, err := replay(ctx, newEngine(), world, order, length)
				if err != nil {
					return err
				}
				for _, a := range alerts {
					i := slices.IndexFunc(firings, func(f firing) bool { return f.alert == a && f.from >= at })
					if i >= 0 {
						delays[a] = append(delays[a], firings[i].from-at)
					}
				}
			}
			fmt.Fprintf(s.progress, "injection x%g over %s: %.0f s\n", factor, over, time.Since(began).Seconds())
			shape := "at once"
			if over > 0 {
				shape = fmt.Sprintf("over %.0f days", over.Hours()/24)
			}
			fmt.Fprintf(out, "| × %g %s |", factor, shape)
			for _, a := range alerts {
				d := delays[a]
				slices.Sort(d)
				if len(d) == 0 {
					fmt.Fprint(out, " – |")
					continue
				}
				fmt.Fprintf(out, " %.0f / %.0f (%d) |", d[len(d)/2].Minutes(), d[len(d)*9/10].Minutes(), len(d))
			}
			fmt.Fprintln(out)
		}
	}
	return nil
}
