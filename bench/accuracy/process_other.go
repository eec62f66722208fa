//go:build !linux

package main

import "math"

func memory() (rss, peak int64) { return 0, 0 }

func resetPeak() {}

func offHeap(n int) (numbers []int64, free func(), err error) {
	return make([]int64, n), func() {}, nil
}

func openFiles(int) int { return -1 }

func maxFiles() uint64 { return math.MaxUint64 }

func ports() int { return 16384 } // the range that IANA sets aside

func describeMachine() machine { return newMachine() }
