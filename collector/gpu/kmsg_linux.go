package gpu

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// openKernelLog opens /dev/kmsg at its end: what happened before this process is not counted, because it would be
// counted again by the next one.
func openKernelLog() (kernelLog, error) {
	f, err := os.OpenFile("/dev/kmsg", os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open kernel log: %w (it needs CAP_SYSLOG and, in a container, the device /dev/kmsg)", err)
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("seek to the end of the kernel log: %w", err)
	}
	return f, nil
}
