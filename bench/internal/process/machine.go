package process

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine is where a figure was taken.
type Machine struct {
	CPU         string `json:"cpu,omitempty"`
	CPUs        int    `json:"cpus"`
	OS          string `json:"os"`
	Go          string `json:"go"`
	LoadAverage string `json:"load_average,omitempty"` // of the last minute, when it was asked
}

// DescribeMachine describes this one, as far as it tells.
func DescribeMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.LoadAverage, _, _ = strings.Cut(string(b), " ")
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

// String is for people.
func (m Machine) String() string {
	return fmt.Sprintf("%d x %s, %s, %s, load average %s", m.CPUs, m.CPU, m.OS, m.Go, m.LoadAverage)
}
