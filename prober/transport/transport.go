package transport

import "time"

// Stamp is when bytes arrived.
type Stamp struct {
	At     time.Time     // the kernel's arrival time where Kernel is true, else the time at which they had been read
	Delay  time.Duration // how long after their arrival they were read; 0 where Kernel is false
	Kernel bool          // whether At is the kernel's
}

// Phases is what happened on the way to the response. A zero time means that the step did not happen.
type Phases struct {
	DNSStart, DNSDone         time.Time
	ConnectStart, ConnectDone time.Time
	TLSStart, TLSDone         time.Time
	WriteStart, Wrote         time.Time
	Headers                   Stamp // arrival of the last byte of the response's header

	Reused     bool   // the connection had served before
	RemoteAddr string // host:port of the peer; empty where no connection was made
	HTTP2      bool
}

// Step names the part of an exchange in which an error happened.
type Step string

// The steps, in order.
const (
	StepDNS      Step = "dns"
	StepConnect  Step = "connect"
	StepTLS      Step = "tls"
	StepWrite    Step = "write"    // sending the request
	StepResponse Step = "response" // waiting for the response's header
	StepBody     Step = "body"     // reading the body
)

// Error is a failed exchange.
type Error struct {
	Step    Step
	Timeout bool // a deadline passed; which one is for the caller to know
	Err     error
}

func (e *Error) Error() string { return string(e.Step) + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
