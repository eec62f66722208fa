package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestScannerSSE(t *testing.T) {
	type frame struct {
		Name, Data   string
		Unterminated bool
	}
	tests := []struct {
		name     string
		in       string
		want     []frame
		comments int
	}{
		{name: "empty", in: ""},
		{name: "one event", in: "data: a\n\n", want: []frame{{Data: "a"}}},
		{name: "no space after the colon", in: "data:a\n\n", want: []frame{{Data: "a"}}},
		{name: "only one space is taken", in: "data:  a\n\n", want: []frame{{Data: " a"}}},
		{name: "field without colon", in: "data\n\n", want: []frame{{Data: ""}}},
		{name: "carriage return and line feed", in: "data: a\r\n\r\ndata: b\r\n\r\n", want: []frame{{Data: "a"}, {Data: "b"}}},
		{name: "carriage returns alone", in: "data: a\r\rdata: b\r\r", want: []frame{{Data: "a"}, {Data: "b"}}},
		{name: "mixed ends", in: "data: a\r\n\ndata: b\r\r\ndata: c\n\r\n", want: []frame{{Data: "a"}, {Data: "b"}, {Data: "c"}}},
		{name: "lines of data are joined", in: "data: a\ndata: b\ndata:c\n\n", want: []frame{{Data: "a\nb\nc"}}},
		{name: "empty line of data", in: "data: a\ndata\ndata: c\n\n", want: []frame{{Data: "a\n\nc"}}},
		{name: "event name", in: "event: error\ndata: a\n\ndata: b\n\n", want: []frame{{Name: "error", Data: "a"}, {Data: "b"}}},
		{name: "event name after the data", in: "data: a\nevent: x\n\n", want: []frame{{Name: "x", Data: "a"}}},
		{name: "event without data is none", in: "event: x\n\ndata: b\n\n", want: []frame{{Data: "b"}}},
		{name: "other fields are skipped", in: "id: 1\nretry: 5\nfoo: bar\ndata: a\n\n", want: []frame{{Data: "a"}}},
		{name: "comments are no events", in: ": ping\n\n:\n\ndata: a\n\n", want: []frame{{Data: "a"}}, comments: 2},
		{name: "comment inside an event", in: "data: a\n: ping\ndata: b\n\n", want: []frame{{Data: "a\nb"}}, comments: 1},
		{name: "byte order mark", in: "\xef\xbb\xbfdata: a\n\n", want: []frame{{Data: "a"}}},
		{name: "half a mark is no mark", in: "\xef\xbb: x\n\ndata: a\n\n", want: []frame{{Data: "a"}}},
		{name: "a mark later is no mark", in: "data: a\n\n\xef\xbb\xbfdata: b\n\n", want: []frame{{Data: "a"}}},
		{name: "cut before the blank line", in: "data: a\n\ndata: b\n", want: []frame{{Data: "a"}, {Data: "b", Unterminated: true}}},
		{name: "cut inside the line", in: "data: a\n\ndata: [DO", want: []frame{{Data: "a"}, {Data: "[DO", Unterminated: true}}},
		{name: "blank lines between", in: "\n\n\ndata: a\n\n\n\n", want: []frame{{Data: "a"}}},
	}
	for _, tt := range tests {
		for how, reader := range map[string]io.Reader{
			"at once":      strings.NewReader(tt.in),
			"byte by byte": iotest.OneByteReader(strings.NewReader(tt.in)),
			"data and EOF": iotest.DataErrReader(strings.NewReader(tt.in)),
		} {
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				s := NewScanner(reader, SSE, 0)
				var got []frame
				for {
					f, err := s.Next()
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, frame{string(f.Name), string(f.Data), f.Unterminated})
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("frames of %q (-want +got):\n%s", tt.in, diff)
				}
				if s.Comments() != tt.comments {
					t.Errorf("Comments() = %d; want %d", s.Comments(), tt.comments)
				}
				if _, err := s.Next(); err != io.EOF {
					t.Errorf("Next() after the end = %v; want io.EOF", err)
				}
			})
		}
	}
}

func TestScannerNDJSON(t *testing.T) {
	in := "{\"a\":1}\r\n\n  {\"b\":2}\n{\"c\":3}"
	for how, reader := range map[string]io.Reader{
		"at once":      strings.NewReader(in),
		"byte by byte": iotest.OneByteReader(strings.NewReader(in)),
	} {
		t.Run(how, func(t *testing.T) {
			s := NewScanner(reader, NDJSON, 0)
			var got []string
			for {
				f, err := s.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(f.Data))
			}
			if diff := cmp.Diff([]string{`{"a":1}`, `{"b":2}`, `{"c":3}`}, got); diff != "" {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
		})
	}
}

// endless gives the same byte for ever and counts what was taken.
type endless struct{ taken int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.taken += len(p)
	return len(p), nil
}

func TestScannerLimitsAFrame(t *testing.T) {
	for _, framing := range []Framing{SSE, NDJSON} {
		for _, limit := range []int{1, 100, 4096, 1 << 20} {
			src := new(endless)
			s := NewScanner(src, framing, limit)
			if _, err := s.Next(); err != ErrFrameTooLarge {
				t.Errorf("framing %v, limit %d: Next() = %v; want ErrFrameTooLarge", framing, limit, err)
			}
			if src.taken > limit+1 {
				t.Errorf("framing %v, limit %d: read %d bytes before giving up", framing, limit, src.taken)
			}
		}
	}
	// An event of many short lines is one frame too.
	s := NewScanner(strings.NewReader(strings.Repeat("data: x\n", 1000)), SSE, 500)
	if _, err := s.Next(); err != ErrFrameTooLarge {
		t.Errorf("many lines: Next() = %v; want ErrFrameTooLarge", err)
	}
	// Comments for ever are not one frame.
	s = NewScanner(strings.NewReader(strings.Repeat(": ping\n\n", 1000)), SSE, 500)
	if _, err := s.Next(); err != io.EOF || s.Comments() != 1000 {
		t.Errorf("many comments: Next() = %v, %d comments; want io.EOF, 1000", err, s.Comments())
	}
}

func TestScannerPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	src := io.MultiReader(strings.NewReader("data: a\n\ndata: b\n"), iotest.ErrReader(broken))
	s := NewScanner(src, SSE, 0)
	if f, err := s.Next(); err != nil || string(f.Data) != "a" {
		t.Fatalf("Next() = %q, %v; want a", f.Data, err)
	}
	for range 2 {
		if _, err := s.Next(); !errors.Is(err, broken) {
			t.Fatalf("Next() = %v; want the source's error", err)
		}
	}
}

// TestScannerReadsOnlyWhenItMust keeps the promise on which arrival times rest.
func TestScannerReadsOnlyWhenItMust(t *testing.T) {
	parts := []string{"data: 1\n\ndata: 2\n\nda", "ta: 3\n", "\n", "data: 4\n\n: x\n", "\ndata: 5\n\n"}
	reads := 0
	src := readerFunc(func(p []byte) (int, error) {
		if reads == len(parts) {
			return 0, io.EOF
		}
		reads++
		return copy(p, parts[reads-1]), nil
	})
	s := NewScanner(src, SSE, 0)
	var got []int
	for {
		if _, err := s.Next(); err != nil {
			break
		}
		got = append(got, reads)
	}
	if diff := cmp.Diff([]int{1, 1, 3, 4, 5}, got); diff != "" {
		t.Errorf("read that completed each frame (-want +got):\n%s", diff)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
