//go:build !linux

package process

import "errors"

func usageOf(int) (Usage, error) {
	return Usage{}, errors.New("what a process uses up is read from Linux' /proc, which this system does not have")
}

func resetPeak(int) {}
