//go:build !linux

package simulator

import "time"

func claimThread() bool { return false }

func nanosleep(time.Duration) {}

func machineMonotonic() (int64, bool) { return 0, false }
