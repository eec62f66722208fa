package printable

import (
	"fmt"
	"io"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// Writer writes to another one what may be shown, and the rest as Escape has it. It is safe for concurrent use: what one call
// writes is not mixed with that of another. A character whose bytes come in several calls is written with its last one; one
// that is never completed is not written.
type Writer struct {
	to io.Writer

	mu   sync.Mutex // protects what follows
	rest []byte     // the beginning of a character
	out  []byte
}

// NewWriter writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Write implements io.Writer. After an error it is not known how much of p was written: 0 is returned.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	in := p
	if len(w.rest) > 0 {
		in = append(w.rest, p...)
	}
	out, rest := appendEscaped(w.out[:0], in)
	w.rest = append([]byte(nil), rest...)
	if w.out = out; cap(out) > maxKept {
		w.out = nil
	}
	if len(out) == 0 {
		return len(p), nil
	}
	n, err := w.to.Write(out)
	if err == nil && n < len(out) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// maxKept is how large a buffer may be that is kept for the next line.
const maxKept = 64 << 10

// appendEscaped appends what may be shown of in and the escapes of the rest. It leaves at most three bytes: the beginning of
// a character that may go on.
func appendEscaped(to, in []byte) (out, rest []byte) {
	for len(in) > 0 {
		if c := in[0]; c < utf8.RuneSelf {
			if c >= ' ' && c < 0x7f || c == '\n' || c == '\t' {
				to = append(to, c)
			} else {
				to = fmt.Appendf(to, `\u%04x`, c)
			}
			in = in[1:]
			continue
		}
		if !utf8.FullRune(in) {
			return to, in
		}
		c, size := utf8.DecodeRune(in)
		switch {
		case shown(c):
			to = utf8.AppendRune(to, c)
		case c > 0xffff:
			high, low := utf16.EncodeRune(c)
			to = fmt.Appendf(to, `\u%04x\u%04x`, high, low)
		default:
			to = fmt.Appendf(to, `\u%04x`, c)
		}
		in = in[size:]
	}
	return to, nil
}
