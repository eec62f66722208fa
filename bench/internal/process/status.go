package process

import (
	"fmt"
	"strconv"
	"strings"
)

// statusOf reads the text of /proc/PID/status into u.
func statusOf(u *Usage, text string) error {
	wanted := map[string]func(int64){
		"VmRSS":   func(n int64) { u.RSS = n << 10 },
		"VmHWM":   func(n int64) { u.PeakRSS = n << 10 },
		"Threads": func(n int64) { u.Threads = int(n) },
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		set := wanted[name]
		if set == nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		set(n)
		delete(wanted, name)
	}
	for name := range wanted {
		return fmt.Errorf("%s is missing: has the process ended?", name)
	}
	return nil
}
