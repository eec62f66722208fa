package prober

import (
	"crypto/rand"
	"encoding/hex"
)

// NewID makes a correlation id: 16 random bytes in hexadecimal, so that it is a valid W3C trace id as well.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program rather than return an error
	return hex.EncodeToString(b[:])
}

// traceparent is the W3C Trace Context header that makes the request's id a server's trace id.
// It gives "" for an id that is no trace id. See https://www.w3.org/TR/trace-context/#traceparent-header.
func traceparent(id string) string {
	var b [16]byte
	if n, err := hex.Decode(b[:], []byte(id)); err != nil || n != len(b) || b == [16]byte{} {
		return ""
	}
	// The span's id is the second half: one request is one span, so nothing else is needed.
	span := id[16:]
	if span == "0000000000000000" {
		return ""
	}
	return "00-" + id + "-" + span + "-01"
}
