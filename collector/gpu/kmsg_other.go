//go:build !linux

package gpu

import (
	"errors"
	"fmt"
)

func openKernelLog() (kernelLog, error) {
	return nil, fmt.Errorf("open kernel log: %w: /dev/kmsg is a Linux file", errors.ErrUnsupported)
}
