package wire

// joiner puts the pieces of one event's text together. A single piece is handed on where it lies; more are copied
// into a buffer that is used again, so that it costs an allocation only until it is large enough.
type joiner struct{ buf []byte }

// add returns have and piece as one. have is nil or what add returned for the same event.
func (j *joiner) add(have, piece []byte) []byte {
	switch {
	case len(piece) == 0:
		return have
	case len(have) == 0:
		return piece
	case len(j.buf) != len(have) || &j.buf[0] != &have[0]:
		j.buf = append(j.buf[:0], have...)
	}
	j.buf = append(j.buf, piece...)
	return j.buf
}
