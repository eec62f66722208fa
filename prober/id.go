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

// idLength is the number of digits of an id.
const idLength = 32

// SiblingID makes another id of the same group: the first half of its digits is that of id, so that whoever looks for one
// in the logs finds all of them. For an id that NewID did not make it is a new one.
func SiblingID(id string) string {
	of := group(id)
	if of == "" {
		return NewID()
	}
	var b [idLength / 4]byte
	rand.Read(b[:])
	return of + hex.EncodeToString(b[:])
}

// group is the half of an id that its siblings share.
func group(id string) string {
	if traceparent(id) == "" {
		return ""
	}
	return id[:idLength/2]
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
