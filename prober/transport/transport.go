// Package transport carries one request to a server and its answer back, and says exactly when each part moved.
//
// It guarantees that a Stamp's time is when the last of its bytes arrived, within 0.2 ms even where the wall clock is
// stepped, and never later than the moment at which this process had them:
//
//	server sends     segment arrives               recvmsg returns      the caller has the bytes
//	----|--------------------|------------------------------|---------------------|----------> time
//	                     Stamp.At   <--- Stamp.Delay --->  user's clock
//
// On Linux the arrival is the kernel's (SO_TIMESTAMPING), placed on the monotonic clock by clock.go. Elsewhere,
// through a proxy, over HTTP/2 and in case of doubt it is the moment of the read, and Stamp.Kernel is false. Bytes that
// one read brought share the stamp of the last of them; under TLS a record is the least that can be read.
//
// HTTP/1.1 is spoken here and not by net/http, for three reasons: net/http's chunked reader may wait for the rest of
// the next chunk while it holds a whole earlier event; net/http sends a request again without saying so; and it
// spends three goroutines on a stream where the caller's own is enough. Names, addresses, TLS, header syntax and
// credentials are the standard library's and prometheus/common's.
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
	Headers                   Stamp // arrival of the last byte of the response's header; may be before Wrote, if the server is quick

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
