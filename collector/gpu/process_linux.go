package gpu

import "syscall"

// childAttributes gives the worker a process group of its own, so that Ctrl-C reaches the prober alone, and has the
// kernel send it SIGTERM when the thread that started it ends: with the prober, however that dies.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
