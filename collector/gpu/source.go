package gpu

import (
	"errors"
	"fmt"
	"time"
)

// Source reads the GPUs of this machine. Its calls end when the driver lets them, which may be never: a Source is for
// a process that can be spared. Open, Sample and Close are called by one goroutine; WaitXIDs by one other, between Open
// and Close; InFlight by any.
type Source interface {
	// Open loads the driver's library and finds the GPUs.
	Open() error

	// Sample reads every GPU once. Its error, as Open's, is a *GoneError when only a new process can help.
	Sample() (*Snapshot, error)

	// WaitXIDs returns the XIDs that were reported within d, at once when there is one, else after d or later.
	WaitXIDs(d time.Duration) []XID

	// InFlight returns the oldest call under way, if there is one.
	InFlight() (InFlight, bool)

	// Close gives the driver back. It is for sources that were opened only.
	Close() error
}

// ErrNotInBuild says that this binary was built without the driver's bindings (which need cgo and Linux).
var ErrNotInBuild = errors.New("GPU collection is not in this build: it needs one for Linux with cgo (CGO_ENABLED=1)")

// GoneError says that the driver, as this process has loaded it, will not answer any more: it is missing, it was
// unloaded, or it was upgraded.
type GoneError struct {
	Call string // the call that said so
	Code string // as "lib_rm_version_mismatch"
	Cure string // what a user can do; may be empty
}

func (e *GoneError) Error() string {
	if e.Cure == "" {
		return fmt.Sprintf("%s: %s", e.Call, e.Code)
	}
	return fmt.Sprintf("%s: %s: %s", e.Call, e.Code, e.Cure)
}
