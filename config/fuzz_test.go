package config

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever the bytes: an answer, no panic; faults have places; what loads is complete, keeps the rules and reads as it is shown.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yml", "testdata/warn/*.yml", "testdata/bad/*.yml"} {
		for _, path := range filesOf(f, pattern) {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data, Options{LookupEnv: environment})
		if err != nil {
			list, ok := errors.AsType[ErrorList](err)
			if !ok || len(list) == 0 || c != nil {
				t.Fatalf("Parse = %v, %T %v; want nil and an ErrorList", c, err, err)
			}
			checkPlaces(t, list, "f", data)
			for _, e := range list {
				// These are the library's words for what shape.go should have said.
				for _, words := range []string{"cannot construct", "not found in type", "already set in type", "yaml:"} {
					if strings.Contains(e.Message, words) {
						t.Errorf("%v: shape.go lets through what does not decode", e)
					}
				}
			}
			return
		}
		for name, p := range c.Probes {
			if (p.Burst == nil) == (p.Interval < minInterval) || p.RequestsPerSecond() <= 0 || p.Timeout <= 0 || p.Timeout > maxTimeout || p.ConnectTimeout <= 0 || p.ConnectTimeout > p.Timeout ||
				p.FirstTokenTimeout <= 0 || p.FirstTokenTimeout > p.Timeout || p.IdleTimeout <= 0 || p.IdleTimeout > p.Timeout ||
				p.Jitter < 0 || p.Burst == nil && 2*p.Jitter >= p.Interval || p.Stream == nil || p.MaxOutputTokens < 1 ||
				(p.Prompts == nil) == (p.PromptTokens.Min < 1) || p.PromptTokens.Max < p.PromptTokens.Min || p.SharedPrefixTokens < 0 || p.SharedPrefixTokens > p.PromptTokens.Min {
				t.Errorf("probe %q is loaded as %+v", name, *p)
			}
			o := p.RequestOptions(&Target{})
			if _, err := json.Marshal(o); err != nil || p.MinOutputTokens > p.MaxOutputTokens {
				t.Errorf("probe %q has the options %+v, %v", name, o, err)
			}
			p.Expect.Regexp.Compile()
			for i, point := range p.Abandonment {
				if point.Share < 0 || point.Share > 1 || point.TTFT <= 0 || i > 0 && point.TTFT <= p.Abandonment[i-1].TTFT {
					t.Errorf("probe %q has the curve %+v", name, p.Abandonment)
				}
			}
		}
		for _, target := range c.Targets {
			for _, name := range target.Probes {
				if c.Probes[name] == nil {
					t.Errorf("target %q has the probe %q, which is not defined", target.Name, name)
				}
			}
			if target.Protocol == "" || target.MaxInFlight < 1 || target.URL == "" || target.Model == "" {
				t.Errorf("target is loaded as %v", target)
			}
		}
		for _, o := range c.Objectives {
			if (o.Threshold.Value() > 0) == (o.Indicator == IndicatorAvailability) || o.Goal <= 0 || o.Goal >= 1 || c.Probes[o.Probe] == nil || o.Target != EveryTarget && c.Target(o.Target) == nil {
				t.Errorf("objective is loaded as %+v", *o)
			}
		}
		for _, r := range c.Ramps {
			if c.Target(r.Target) == nil || len(r.Lanes) == 0 || r.PlannedDuration() < 0 || r.Drain <= 0 || r.Repeat < 1 || r.Abort.ErrorShare <= 0 || r.Abort.Over <= 0 {
				t.Errorf("ramp is loaded as %v", r)
			}
			for _, l := range r.Lanes {
				if l.Name == "" || c.Target(l.Target) == nil || len(l.Mix) == 0 || l.MaxInFlight < 1 {
					t.Errorf("lane is loaded as %v", l)
				}
				for name := range l.Mix {
					if c.Probes[name] == nil {
						t.Errorf("lane %q asks the probe %q, which is not defined", l.Name, name)
					}
				}
			}
		}
		again, err := Parse("again", []byte(c.String()), Options{})
		if err != nil {
			t.Fatalf("what is shown does not load: %v\n%s", err, c)
		}
		if diff := cmp.Diff(c.String(), again.String()); diff != "" {
			t.Errorf("what is shown is another configuration (-shown +read again):\n%s", diff)
		}
	})
}
