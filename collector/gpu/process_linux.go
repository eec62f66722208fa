package gpu

import "syscall"

// childAttributes gives the worker a process group of its own, so that Ctrl-C reaches the prober alone, and has the
// kernel kill it when the thread that started it ends: with the prober, however that dies. A milder signal needs the worker's
// own code to act on it, which may be stopped, or wait for a thread that the dynamic linker lets nobody start while it loads a library.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
