package wire

import (
	"bytes"
	"errors"
	"io"
)

// Framing is how a stream is cut into frames.
type Framing int

// The framings.
const (
	SSE    Framing = iota // server-sent events: "data: ...\n\n" (WHATWG HTML, section 9.2.6)
	NDJSON                // one JSON document a line
)

// ErrFrameTooLarge says that one frame is over the Scanner's limit.
var ErrFrameTooLarge = errors.New("one event is larger than the limit")

// DefaultFrameBytes is the limit of one frame where none is given.
const DefaultFrameBytes = 1 << 20

// Scanner cuts a stream into frames. It reads from its source only when it holds no complete frame, so the
// source's most recent read is always the one that completed the frame which Next returned: whoever wants the
// arrival time of a frame asks the source for the time of its last read.
//
// Server-sent events are read by the standard, with two allowances for servers as they are: an event that the
// end of the stream cuts off before its blank line is delivered and marked, and a field name that is not known
// is skipped. Comments are counted and never delivered.
type Scanner struct {
	src     io.Reader
	framing Framing
	max     int

	buf  []byte
	r, w int   // buf[r:w] has been read and not delivered
	err  error // sticky: of the source, or ours

	scan   int // buf[r:scan] belongs to the frame under way and has been looked at
	seen   int // no line ends in buf[scan:seen]
	skipLF bool
	fresh  bool // no byte has been looked at: a byte order mark may come

	// The SSE event under way. Lines of data are joined in place, from data to dataEnd behind r; a name among them would be
	// overwritten, and is kept apart.
	name          []byte
	data, dataEnd int
	hasData       bool

	comments int
}

// NewScanner returns a Scanner over src. maxFrame bounds one frame in bytes; 0 means DefaultFrameBytes.
func NewScanner(src io.Reader, framing Framing, maxFrame int) *Scanner {
	if maxFrame <= 0 {
		maxFrame = DefaultFrameBytes
	}
	return &Scanner{src: src, framing: framing, max: maxFrame, buf: make([]byte, min(2048, maxFrame+1)), fresh: true}
}

// Comments counts the SSE comments so far: keep-alives, which are no events.
func (s *Scanner) Comments() int { return s.comments }

// Next returns the next frame. Its slices are valid until the following call.
// At the end of the stream the error is io.EOF; a frame over the limit is ErrFrameTooLarge;
// anything else is the source's error, returned as it is. Errors are final.
func (s *Scanner) Next() (Frame, error) {
	for {
		line, ok := s.line()
		if !ok {
			if s.err == nil {
				s.fill()
				continue
			}
			return s.last()
		}
		if s.framing == NDJSON {
			doc := bytes.TrimSpace(s.buf[s.r+line.start : s.r+line.end])
			s.drop()
			if len(doc) == 0 {
				continue
			}
			return Frame{Data: doc}, nil
		}
		if line.start != line.end {
			s.field(line)
			continue
		}
		if f, ok := s.dispatch(); ok {
			return f, nil
		}
	}
}

// span is a line without its end, as offsets from r.
type span struct{ start, end int }

// line finds the next complete line after what has been looked at.
func (s *Scanner) line() (span, bool) {
	rest := s.buf[s.scan:s.w]
	if s.fresh && len(rest) > 0 {
		if mark := []byte("\xef\xbb\xbf"); len(rest) >= len(mark) || !bytes.HasPrefix(mark, rest) {
			s.fresh = false
			if bytes.HasPrefix(rest, mark) {
				s.scan += len(mark)
				return s.line()
			}
		} else if s.err == nil {
			return span{}, false // perhaps the first bytes of a mark
		}
	}
	if s.skipLF && len(rest) > 0 {
		s.skipLF = false
		if rest[0] == '\n' {
			s.scan++
			return s.line()
		}
	}
	start, from := s.scan-s.r, max(s.seen-s.scan, 0)
	end := bytes.IndexByte(rest[from:], '\n')
	if s.framing == SSE {
		within := rest[from:]
		if end >= 0 {
			within = within[:end]
		}
		if cr := bytes.IndexByte(within, '\r'); cr >= 0 {
			end = cr
			s.skipLF = true
		}
	}
	if end < 0 {
		s.seen = s.w
		return span{}, false
	}
	end += from
	s.scan += end + 1
	return span{start, start + end}, true
}

// field takes one line of an SSE event.
func (s *Scanner) field(l span) {
	b := s.buf[s.r+l.start : s.r+l.end]
	colon := bytes.IndexByte(b, ':')
	if colon == 0 {
		s.comments++
		if !s.hasData && len(s.name) == 0 { // nothing is under way: let the bytes go
			s.drop()
		}
		return
	}
	key, from := b, len(b)
	if colon > 0 {
		key, from = b[:colon], colon+1
		if from < len(b) && b[from] == ' ' {
			from++
		}
	}
	switch string(key) {
	case "data":
		if !s.hasData {
			s.hasData = true
			s.data, s.dataEnd = l.start+from, l.end
			return
		}
		// Join in place: the field's name and colon leave room for the line feed.
		s.buf[s.r+s.dataEnd] = '\n'
		s.dataEnd += 1 + copy(s.buf[s.r+s.dataEnd+1:], b[from:])
	case "event":
		s.name = append(s.name[:0], b[from:]...)
	}
}

// dispatch ends the SSE event under way. An event without data is none (its name may have been set).
func (s *Scanner) dispatch() (Frame, bool) {
	var f Frame
	ok := s.hasData
	if ok {
		f.Data = s.buf[s.r+s.data : s.r+s.dataEnd]
		f.Name = s.name
	}
	s.drop()
	return f, ok
}

// drop lets go of what has been looked at. The bytes stay where they are until the next fill.
func (s *Scanner) drop() {
	s.r = s.scan
	s.name, s.data, s.dataEnd, s.hasData = s.name[:0], 0, 0, false
}

// last delivers what the end of the stream has cut off, once.
func (s *Scanner) last() (Frame, error) {
	if s.err != io.EOF {
		return Frame{}, s.err
	}
	if rest := (span{s.scan - s.r, s.w - s.r}); rest.start < rest.end {
		s.scan = s.w
		if s.framing == NDJSON {
			doc := bytes.TrimSpace(s.buf[s.r+rest.start : s.r+rest.end])
			s.drop()
			if len(doc) > 0 {
				return Frame{Data: doc, Unterminated: true}, nil
			}
			return Frame{}, io.EOF
		}
		s.field(rest)
	}
	f, ok := s.dispatch()
	if !ok {
		return Frame{}, io.EOF
	}
	f.Unterminated = true
	return f, nil
}

// fill reads once. It makes room by moving what is held to the front, then by growing up to the limit.
func (s *Scanner) fill() {
	if s.r == s.w && s.scan == s.w {
		s.r, s.w, s.scan, s.seen = 0, 0, 0, 0
	}
	if s.r > 0 && len(s.buf)-s.w <= len(s.buf)/4 {
		copy(s.buf, s.buf[s.r:s.w])
		s.w -= s.r
		s.scan -= s.r
		s.seen = max(s.seen-s.r, 0)
		s.r = 0
	}
	if s.w == len(s.buf) {
		if s.w > s.max {
			s.err = ErrFrameTooLarge
			return
		}
		grown := make([]byte, min(2*len(s.buf), s.max+1))
		copy(grown, s.buf[:s.w])
		s.buf = grown
	}
	n, err := s.src.Read(s.buf[s.w:])
	s.w += n
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	s.err = err
}
