//go:build !linux || !cgo

package gpu

import (
	"log/slog"
	"time"
)

// built says that this binary cannot talk to the driver.
const built = false

func newSource(configMessage, *slog.Logger) Source { return noSource{} }

// noSource is the Source of builds without the driver's bindings. Managers never start a worker in them; a user who
// starts one by hand is told why.
type noSource struct{}

func (noSource) Open() error                        { return ErrNotInBuild }
func (noSource) Sample() (*Snapshot, error)         { return nil, ErrNotInBuild }
func (noSource) WaitXIDs(time.Duration) []XID       { return nil }
func (noSource) InFlight() (call InFlight, ok bool) { return InFlight{}, false }
func (noSource) Close() error                       { return nil }
