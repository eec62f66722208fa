package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is the process' resident memory and the most of it so far, in bytes; 0: unknown.
func memory() (rss, peak int64) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			rss = kb << 10
		case "VmHWM":
			peak = kb << 10
		}
	}
	return rss, peak
}

// resetPeak makes the peak count from now; where the kernel refuses, it goes on counting from the start.
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// offHeap returns n numbers in memory that the process has already, but that Go's collector does not know.
func offHeap(n int) (numbers []int64, free func(), err error) {
	const size = 8
	b, err := unix.Mmap(-1, 0, n*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		return nil, nil, fmt.Errorf("mmap: %w", err)
	}
	return unsafe.Slice((*int64)(unsafe.Pointer(&b[0])), n), func() { _ = unix.Munmap(b) }, nil
}

// openFiles counts the descriptors of a process; -1: unknown.
func openFiles(pid int) int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return -1
	}
	if pid == os.Getpid() {
		return len(entries) - 1 // the one that ReadDir had open
	}
	return len(entries)
}

// maxFiles is how many descriptors the process may have.
func maxFiles() uint64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 1 << 20
	}
	return l.Max // Go raises the soft limit to it
}

// ports is how many connections one address can open to one other.
func ports() int {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 16384 // the range that IANA sets aside
	}
	f := bytes.Fields(b)
	if len(f) != 2 {
		return 16384
	}
	low, _ := strconv.Atoi(string(f[0]))
	high, _ := strconv.Atoi(string(f[1]))
	return high - low + 1
}

// machine describes where a figure was taken.
func describeMachine() machine {
	m := newMachine()
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
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
