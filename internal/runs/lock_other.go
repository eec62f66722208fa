//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package runs

import "os"

// tryLock does nothing: here one process at a time may use a directory.
func tryLock(*os.File) (bool, error) { return true, nil }

// locksTell is whether a lock that can be had is a sign that its process is gone.
const locksTell = false
