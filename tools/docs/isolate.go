package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"unsafe"
)

// Set in the processes that this program starts of itself, one for each page.
const (
	alone   = "LLM_PROBER_DOCS_PAGE"  // the page's path
	cloneOf = "LLM_PROBER_DOCS_CLONE" // where commands for the repository are run
)

// cannotIsolate is the exit code of a process that found no way to be alone.
const cannotIsolate = 97

// again runs this program once more, with these arguments, for one page, which then sees no processes but its own and, unless it needs the network,
// has a loopback of its own: each page has the ports that it names, whoever else runs on this machine.
func again(ctx context.Context, o options, page string, network bool, w io.Writer) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", o.args...)
	cmd.Env = append(os.Environ(), alone+"="+page, cloneOf+"="+o.clone)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	namespaces := syscall.CLONE_NEWNS | syscall.CLONE_NEWPID
	if !network {
		namespaces |= syscall.CLONE_NEWNET
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: uintptr(namespaces), Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err := cmd.Run()
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil, ended && exit.ExitCode() == 1: // it has said why
		if _, writeErr := w.Write(said.Bytes()); writeErr != nil {
			return writeErr
		}
		if err != nil {
			return errSaid
		}
		return nil
	case ended && exit.ExitCode() != cannotIsolate:
		return fmt.Errorf("%s: %w: %s", page, err, said.Bytes())
	}
	return fmt.Errorf("%w: %w %s", errShared, err, said.Bytes())
}

var (
	errSaid   = errors.New("failed")                        // and has said why
	errShared = errors.New("no namespaces can be had here") // the page was not run
)

// isolate makes what namespaces this process has its own.
func isolate() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// The loopback interface is down in a new namespace, and up already in the machine's.
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	request := struct { // struct ifreq
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{name: [syscall.IFNAMSIZ]byte{'l', 'o'}}
	ioctl := func(what uintptr) error {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), what, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return fmt.Errorf("interface lo: %w", errno)
		}
		return nil
	}
	if err := ioctl(syscall.SIOCGIFFLAGS); err != nil || request.flags&syscall.IFF_UP != 0 {
		return err
	}
	request.flags |= syscall.IFF_UP
	return ioctl(syscall.SIOCSIFFLAGS)
}
