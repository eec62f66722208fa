package transport

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ErrFraming is the cause of an Error where the server's bytes are not HTTP/1.1: a malformed header or chunk.
var ErrFraming = errors.New("malformed HTTP")

const (
	maxChunkLine = 4095      // a chunk's size line with its extensions and CR, as net/http
	maxExcess    = 16 * 1024 // framing beyond 16 bytes a chunk plus twice its data, as net/http
)

// framing finds the body among the bytes that follow a response's header, and the body's end.
//
// It is pushed whatever a read brought and removes what is not body in place, so it needs no buffer of its own and
// never asks for more than there is: a chunk's bytes are handed on while the line end behind them is still under way.
type framing struct {
	mode  framingMode
	state chunkState
	done  bool   // the framed end was reached
	left  uint64 // bytes of the body, or of the current chunk, that are still to come

	digits  int   // of the current chunk's size
	line    int   // bytes of the current size line, or of the whole trailer
	excess  int64 // framing received beyond what a chunk may need; see maxExcess
	trailer int   // limit of the trailer in bytes
}

type framingMode uint8

const (
	framingLength framingMode = iota // Content-Length; 0: no body
	framingChunked
	framingClose // the connection's end is the body's
)

type chunkState uint8

const (
	chunkSize     chunkState = iota // hex digits of a chunk's size
	chunkSpace                      // blanks after the size
	chunkExt                        // after ';', to be ignored
	chunkSizeLF                     // the LF of a size line
	chunkData                       // left bytes of body
	chunkDataCR                     // the CR behind the data
	chunkDataLF                     // the LF behind the data
	trailerStart                    // first byte of a trailer line, or of the empty line
	trailerLine                     // inside a trailer line, to be ignored
	trailerLineLF                   // the LF of a trailer line
	trailerEndLF                    // the LF of the empty line
)

// framingOf reads the framing from a parsed header. http.ReadResponse has settled the precedence between
// Transfer-Encoding, Content-Length and Connection, and has refused what contradicts itself.
func framingOf(resp *http.Response, trailer int) framing {
	f := framing{trailer: trailer}
	switch {
	case resp.Body == http.NoBody:
		f.done = true
	case len(resp.TransferEncoding) > 0:
		f.mode = framingChunked
	case resp.ContentLength >= 0:
		f.left = uint64(resp.ContentLength)
	default:
		f.mode = framingClose
	}
	return f
}

// want is how many bytes of n may be read without reading past the body's end, as far as that is known.
func (f *framing) want(n int) int {
	if f.mode == framingLength && f.left < uint64(n) {
		return int(f.left)
	}
	return n
}

// decode moves the body bytes among p to its front and returns how many they are, and how many bytes of p it used:
// fewer than all only at the end of the body or with an error.
func (f *framing) decode(p []byte) (body, used int, err error) {
	switch {
	case f.done:
		return 0, 0, nil
	case f.mode == framingClose:
		return len(p), len(p), nil
	case f.mode == framingLength:
		n := f.want(len(p))
		f.left -= uint64(n)
		f.done = f.left == 0
		return n, n, nil
	}
	for used < len(p) && !f.done {
		if f.state == chunkData {
			n := len(p) - used
			if uint64(n) > f.left {
				n = int(f.left)
			}
			copy(p[body:], p[used:used+n])
			body += n
			used += n
			f.left -= uint64(n)
			if f.left == 0 {
				f.state = chunkDataCR
			}
			continue
		}
		if err := f.step(p[used]); err != nil {
			return body, used, err
		}
		used++
	}
	return body, used, nil
}

// step takes one byte that is not body.
func (f *framing) step(b byte) error {
	switch f.state {
	case chunkSize, chunkSpace, chunkExt:
		return f.sizeLine(b)
	case chunkSizeLF:
		if b != '\n' {
			return framingError("CR without LF in the size line of a chunk")
		}
		return f.beginChunk()
	case chunkDataCR:
		if b != '\r' {
			return framingError("%q where a chunk should end", b)
		}
		f.state = chunkDataLF
	case chunkDataLF:
		if b != '\n' {
			return framingError("%q where a chunk should end", b)
		}
		f.state, f.digits, f.line = chunkSize, 0, 0
	case trailerStart, trailerLine:
		switch {
		case b == '\n':
			return framingError("bare LF in the trailer")
		case b == '\r' && f.state == trailerStart:
			f.state = trailerEndLF
		case b == '\r':
			f.state = trailerLineLF
		default:
			f.state = trailerLine
		}
		if f.line++; f.line > f.trailer {
			return framingError("trailer of more than %d bytes", f.trailer)
		}
	case trailerLineLF:
		if b != '\n' {
			return framingError("CR without LF in the trailer")
		}
		f.state = trailerStart
	case trailerEndLF:
		if b != '\n' {
			return framingError("CR without LF in the trailer")
		}
		f.done = true
	}
	return nil
}

// sizeLine takes one byte of "1a2b ;name=value\r".
func (f *framing) sizeLine(b byte) error {
	if f.line++; f.line > maxChunkLine {
		return framingError("size line of a chunk of more than %d bytes", maxChunkLine-1)
	}
	switch {
	case b == '\n':
		return framingError("bare LF in the size line of a chunk")
	case b == '\r':
		f.state = chunkSizeLF
	case f.state == chunkExt:
		return nil
	case b == ';':
		f.state = chunkExt
	case (b == ' ' || b == '\t') && f.digits > 0:
		f.state = chunkSpace
		return nil
	default:
		digit, ok := unhex(b)
		if !ok || f.state == chunkSpace {
			return framingError("%q in the size of a chunk", b)
		}
		if f.digits++; f.digits > 16 {
			return framingError("size of a chunk of more than 16 digits")
		}
		f.left = f.left<<4 | uint64(digit)
		return nil
	}
	if f.digits == 0 {
		return framingError("chunk without a size")
	}
	return nil
}

// beginChunk is called behind a size line.
func (f *framing) beginChunk() error {
	if f.left == 0 {
		f.state, f.line = trailerStart, 0
		return nil
	}
	f.state = chunkData
	f.excess += int64(f.line) + 2
	if f.left >= uint64(f.excess) {
		f.excess = 0
	} else {
		f.excess = max(0, f.excess-16-2*int64(f.left))
	}
	if f.excess > maxExcess {
		return framingError("more chunk framing than data")
	}
	return nil
}

// end is the error for a connection that ended here.
func (f *framing) end() error {
	if f.done || f.mode == framingClose {
		f.done = true
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

func unhex(b byte) (byte, bool) {
	switch {
	case '0' <= b && b <= '9':
		return b - '0', true
	case 'a' <= b && b <= 'f':
		return b - 'a' + 10, true
	case 'A' <= b && b <= 'F':
		return b - 'A' + 10, true
	}
	return 0, false
}

func framingError(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFraming}, args...)...)
}
