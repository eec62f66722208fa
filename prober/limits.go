package prober

import "time"

// The limits where a request gives none.
const (
	DefaultConnectTimeout = 10 * time.Second
	DefaultTimeout        = 60 * time.Second
	DefaultBodyBytes      = 64 << 20
	DefaultDegradedAfter  = 10 * time.Millisecond
)

// withDefaults fills in what is not given.
func (l Limits) withDefaults() Limits {
	if l.Total <= 0 {
		l.Total = DefaultTimeout
	}
	if l.Connect <= 0 {
		l.Connect = DefaultConnectTimeout
	}
	if l.FirstToken <= 0 {
		l.FirstToken = l.Total
	}
	if l.Idle <= 0 {
		l.Idle = l.Total
	}
	if l.BodyBytes <= 0 {
		l.BodyBytes = DefaultBodyBytes
	}
	return l // EventBytes: wire.NewScanner has its own default
}
