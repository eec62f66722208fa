package process

import "time"

// Usage is what a process uses up, at one moment.
type Usage struct {
	At      time.Time
	CPU     time.Duration // user and system since its start, without children
	RSS     int64         // resident memory in bytes
	PeakRSS int64         // the most of it so far, in bytes
	Threads int
	Files   int // open descriptors
}

// Usage is what p uses up now.
func (p *Process) Usage() (Usage, error) { return usageOf(p.PID()) }

// ResetPeak makes PeakRSS count from now; where the system refuses, it goes on counting from the start.
func (p *Process) ResetPeak() { resetPeak(p.PID()) }
