package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// accuracy runs the command with a server process of its own and returns what it prints.
func accuracy(t *testing.T, args ...string) *bytes.Buffer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); err != nil {
		t.Fatalf("accuracy %s: %v\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return &stdout
}

// TestMatrix holds a small run against what must be so on any machine, however busy: counts, and figures that include
// one another.
func TestMatrix(t *testing.T) {
	out := accuracy(t, "--streams=1,3", "--tokens=20", "--duration=300ms", "--rounds=1", "--output=json")
	decoder := json.NewDecoder(out)
	for _, streams := range []int{1, 3} {
		var r row
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Streams != streams || r.Events != int64(20*r.Requests) || r.Requests < streams || r.EventsLost != 0 || r.RequestsFailed != 0 || r.EventsUnmatched != 0 {
			t.Errorf("%d streams, %d requests, %d events, %d lost, %d failed, %d unmatched; want %d, 1 for each stream at least, 20 for each, 0, 0, 0",
				r.Streams, r.Requests, r.Events, r.EventsLost, r.RequestsFailed, r.EventsUnmatched, streams)
		}
		if r.TruthChecked == 0 {
			t.Error("nothing was checked against the ground truth")
		}
		if r.Lateness.Min < 0 {
			t.Errorf("the server sent %v s before an event was due", -r.Lateness.Min)
		}
		if over, error := r.OverConfig.User.Mean, r.TTFTError.User.Mean; over < error {
			t.Errorf("TTFT over the configured one = %v; want at least its error, %v, for the server is never early", over, error)
		}
		if k := r.ReceiveError.Kernel; k != nil && k.Mean > r.ReceiveError.User.Mean {
			t.Errorf("error by the kernel's clock = %v; want at most the user's, %v", k.Mean, r.ReceiveError.User.Mean)
		}
		if r.RatioGo == nil || *r.RatioGo <= 0 || r.CPUPerEvent <= 0 || r.AllocsPerRequest <= 0 || hasEpoll != (r.RatioEpoll != nil) {
			t.Errorf("ratios %v, %v, CPU %v, allocations %v; want all of them", r.RatioGo, r.RatioEpoll, r.CPUPerEvent, r.AllocsPerRequest)
		}
		for _, reader := range r.Steady {
			if reader.Events < 1 {
				t.Errorf("%s read %v events in its window", reader.Reader, reader.Events)
			}
		}
	}
}

func TestText(t *testing.T) {
	out := accuracy(t, "--streams=1", "--tokens=5", "--duration=50ms", "--rounds=0", "--fresh").String()
	if lines := strings.Count(out, "\n"); lines != 6 || !strings.Contains(out, "connections: fresh") {
		t.Errorf("the text has %d lines; want a heading of 5 and one row:\n%s", lines, out)
	}
}

func TestScale(t *testing.T) {
	var r scaleReport
	if err := json.NewDecoder(accuracy(t, "--scale=3", "--per-token=200ms", "--duration=500ms", "--output=json")).Decode(&r); err != nil {
		t.Fatal(err)
	}
	if r.Events != int64(3*r.Tokens) || r.EventsLost != 0 || !r.Closed {
		t.Errorf("%d events, %d lost, closed: %t; want %d, 0, true: %+v", r.Events, r.EventsLost, r.Closed, 3*r.Tokens, r)
	}
	if r.Open.Goroutines < r.After.Goroutines+3 {
		t.Errorf("%d goroutines with 3 streams open, %d after", r.Open.Goroutines, r.After.Goroutines)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"--streams=0", "--streams=1,x", "--tokens=1", "--duration=0s", "--output=xml", "--scale=1000000000", "--nonsense"} {
		t.Run(args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if err := run(t.Context(), []string{args}, strings.NewReader(""), &stdout, &stderr); err == nil {
				t.Errorf("accuracy %s ran:\n%s", args, &stdout)
			}
		})
	}
}
