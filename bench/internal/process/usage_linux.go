package process

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// usageOf reads the kernel's books on a process. /proc/PID/stat has its CPU time in hundredths of a second, which is too coarse
// for what is nearly idle; its CPU clock has nanoseconds.
func usageOf(pid int) (u Usage, err error) {
	var t unix.Timespec
	if err := unix.ClockGettime(cpuClock(pid), &t); err != nil {
		return u, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	u.At, u.CPU = time.Now(), time.Duration(t.Nano())
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	if err := statusOf(&u, string(status)); err != nil {
		return u, fmt.Errorf("/proc/%d/status: %w", pid, err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	u.Files = len(files)
	return u, err
}

// cpuClock is the clock that clock_getcpuclockid(3) gives for a process.
func cpuClock(pid int) int32 {
	const cpuclockSched = 2
	return ^int32(pid)<<3 | cpuclockSched
}

func resetPeak(pid int) {
	const peak = "5" // proc_pid_clear_refs(5)
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte(peak), 0)
}
