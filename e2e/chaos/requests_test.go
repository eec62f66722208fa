//go:build linux

package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// request is what the prober's log says of one request.
type request struct {
	target, probe, outcome, err string
	from, to                    time.Time
}

func (r request) String() string {
	return fmt.Sprintf("%s/%s %s at %s after %s (%s)", r.target, r.probe, r.outcome, r.to.Format("15:04:05.000"), r.to.Sub(r.from).Round(time.Millisecond), r.err)
}

// readRequests reads all requests that the log at path has, and the messages of other lines that must not be there.
func readRequests(path string) (requests []request, bad []string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Msg, Target, Probe, Outcome, Err, Duration string
			Time                                       time.Time
		}
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			bad = append(bad, lines.Text()) // a panic, or the runtime's own words
			continue
		}
		switch l.Msg {
		case "probe", "probe failed", "probe not sent":
			took, err := time.ParseDuration(l.Duration)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", lines.Text(), err)
			}
			requests = append(requests, request{l.Target, l.Probe, l.Outcome, l.Err, l.Time.Add(-took), l.Time})
		default:
			if strings.Contains(l.Msg, "panicked") {
				bad = append(bad, lines.Text())
			}
		}
	}
	return requests, bad, lines.Err()
}
