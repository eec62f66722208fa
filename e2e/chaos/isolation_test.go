//go:build linux

package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A name server on port 53 that the prober asks, and a disk that is full, need a machine of the test's own. So the test runs
// itself once more in namespaces for users, mounts and networks, in which it is root, has a loopback of its own, and mounts
// what nobody else sees:
//
//	go test ──> the test ──CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET──> the test again ──> all that it starts
//
// No privilege is needed where users may have namespaces. Where they may not, these two faults are left out, loudly.
const (
	inside  = "LLM_PROBER_CHAOS_INSIDE" // set: namespaces are there; its value is the folder of the temporary files
	outside = "LLM_PROBER_CHAOS_OUTSIDE"
	refused = 97 // the exit code that says that they cannot be used
)

// isolated runs the test in namespaces and returns its exit code; or false where this is the process that is to test.
func isolated() (code int, ended bool) {
	if os.Getenv(duration) == "" || os.Getenv(outside) != "" {
		return 0, false
	}
	if os.Getenv(inside) != "" {
		if err := isolate(os.Getenv(inside)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return refused, true
		}
		return 0, false
	}
	err := runInside()
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return 0, true
	case ok && exit.ExitCode() != refused:
		return max(exit.ExitCode(), 1), true // a signal is -1
	case ok:
		err = errors.New("they cannot be used (see above)")
	}
	os.Setenv(outside, err.Error())
	return 0, false
}

// runInside runs this program again in namespaces of its own.
func runInside() error {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	runtime.LockOSThread() // the child dies with the thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	return cmd.Run()
}

// isolate makes the namespaces a machine: with a loopback, and with one name server, at 127.0.0.1.
func isolate(dir string) error {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	resolver := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(resolver, []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		return err
	}
	if err := syscall.Mount(resolver, "/etc/resolv.conf", "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount over /etc/resolv.conf: %w", err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}
