package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// framesOf are the frames of a stream that is there whole, by the book (WHATWG HTML, section 9.2.6) and without any thought of
// speed.
func framesOf(stream string, framing Framing) (frames []Frame) {
	stream = strings.TrimPrefix(stream, "\ufeff")
	if framing == NDJSON {
		lines := strings.Split(stream, "\n")
		for i, line := range lines {
			if doc := bytes.TrimSpace([]byte(line)); len(doc) > 0 {
				frames = append(frames, Frame{Data: doc, Unterminated: i == len(lines)-1})
			}
		}
		return frames
	}
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	var name, data string
	var hasData bool
	for line := range strings.SplitSeq(stream, "\n") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if hasData {
				frames = append(frames, Frame{Name: []byte(name), Data: []byte(data)})
			}
			name, data, hasData = "", "", false
		case field == "data":
			if hasData {
				data += "\n"
			}
			data += value
			hasData = true
		case field == "event":
			name = value
		}
	}
	return frames
}

// Whatever a stream is, and however it is cut into reads: the frames are those that the standard has, none is over the limit,
// and no more is held than one frame.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		"data: a\n\n", "\xef\xbb\xbfevent: x\ndata: {\"a\":1}\ndata: b\n\n", ": ping\n\ndata:a\r\rdata\r\n\r\n", "data: cut", "data: a\nevent: late\ndata: bbbbbbbbbbbb\n\n",
		"event:\n\nid: 1\nretry: 2\n", "{\"a\":1}\n\n {\"b\":2} \r\n{\"c\"", "\xef\xbb", "\r\n\r\n", "data\n\n",
	} {
		for _, ndjson := range []bool{false, true} {
			f.Add([]byte(seed), ndjson, uint16(1000))
			f.Add([]byte(seed), ndjson, uint16(8))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, ndjson bool, limit uint16) {
		framing := SSE
		if ndjson {
			framing = NDJSON
		}
		limit = max(limit, 1)
		read := func(r io.Reader) (frames []Frame, err error) {
			s := NewScanner(r, framing, int(limit))
			for {
				frame, err := s.Next()
				if cap(s.buf) > int(limit)+1 {
					t.Fatalf("%d bytes are held, with a limit of %d", cap(s.buf), limit)
				}
				if err != nil {
					if _, again := s.Next(); again != err {
						t.Fatalf("Next() = %v, and then %v", err, again)
					}
					return frames, err
				}
				frame.Data, frame.Name = bytes.Clone(frame.Data), bytes.Clone(frame.Name)
				frames = append(frames, frame)
			}
		}
		once, err := read(bytes.NewReader(stream))
		bits, bitsErr := read(iotest.OneByteReader(bytes.NewReader(stream)))
		if !sameFrames(once, bits) || err != bitsErr {
			t.Fatalf("%q at once: %s, %v; byte by byte: %s, %v", stream, spelt(once), err, spelt(bits), bitsErr)
		}
		want := framesOf(string(stream), framing)
		switch {
		case errors.Is(err, ErrFrameTooLarge):
			if len(stream) <= int(limit) || len(once) > len(want) || !sameFrames(once, want[:len(once)]) {
				t.Fatalf("%q within %d bytes: %s; want the first of %s", stream, limit, spelt(once), spelt(want))
			}
		case err != io.EOF:
			t.Fatalf("Next() = %v", err)
		default:
			// The end of the stream delivers what lacks its blank line, which the standard throws away.
			if len(once) > 0 && framing == SSE && once[len(once)-1].Unterminated {
				want = append(want, framesOf(string(stream)+"\n\n", framing)[len(want):]...)
			}
			if !sameFrames(once, want) {
				t.Fatalf("%q: %s; want %s", stream, spelt(once), spelt(want))
			}
		}
	})
}

// sameFrames tells whether the frames are the same ones. Where the last one was cut off does not matter.
func sameFrames(a, b []Frame) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i].Data, b[i].Data) || !bytes.Equal(a[i].Name, b[i].Name) {
			return false
		}
	}
	return true
}

func spelt(frames []Frame) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "[%q %q]", f.Name, f.Data)
	}
	return b.String()
}
