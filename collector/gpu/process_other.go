//go:build !linux

package gpu

import "syscall"

// childAttributes is empty where no driver bindings are built in: no worker is started there.
func childAttributes() *syscall.SysProcAttr { return nil }
