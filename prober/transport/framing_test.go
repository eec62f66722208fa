package transport

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http/httputil"
	"strings"
	"testing"
)

// deframe pushes the pieces one after the other.
func deframe(f framing, pieces ...string) (body string, used int, f2 framing, err error) {
	var b strings.Builder
	for _, p := range pieces {
		buf := []byte(p)
		n, u, err := f.decode(buf)
		b.Write(buf[:n])
		used += u
		if err != nil {
			return b.String(), used, f, err
		}
	}
	return b.String(), used, f, nil
}

func chunked() framing { return framing{mode: framingChunked, trailer: 64 << 10} }

func TestChunked(t *testing.T) {
	long := strings.Repeat("x", 5000)
	tests := []struct {
		name, in, want string
		surplus        int  // bytes behind the end
		open           bool // the end is still to come
		malformed      bool
	}{
		{name: "one", in: "5\r\nhello\r\n0\r\n\r\n", want: "hello"},
		{name: "none", in: "0\r\n\r\n", want: ""},
		{name: "three", in: "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", want: "abcdef"},
		{name: "hex", in: "00A\r\n0123456789\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", want: "0123456789abcdefghijklmnopqrstuvwxyz"},
		{name: "line ends in the data", in: "6\r\n\r\n\r\n0\r\r\n0\r\n\r\n", want: "\r\n\r\n0\r"},
		{name: "extension", in: "5;a=b;c=\"d e\"\r\nhello\r\n0;last\r\n\r\n", want: "hello"},
		{name: "blanks", in: "5 \t\r\nhello\r\n5 ;x\r\nworld\r\n0 \r\n\r\n", want: "helloworld"},
		{name: "trailers", in: "2\r\nhi\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n", want: "hi"},
		{name: "surplus", in: "2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", want: "hi", surplus: 17},

		{name: "open in the data", in: "5\r\nhel", want: "hel", open: true},
		{name: "open behind the data", in: "5\r\nhello", want: "hello", open: true},
		{name: "open before the next size", in: "5\r\nhello\r\n", want: "hello", open: true},
		{name: "open in the end", in: "5\r\nhello\r\n0\r\n", want: "hello", open: true},
		{name: "open in the trailer", in: "5\r\nhello\r\n0\r\nX-A: 1", want: "hello", open: true},
		{name: "huge", in: "FFFFFFFFFFFFFFFF\r\nhello", want: "hello", open: true},
		{name: "huge signed", in: "7fffffffffffffff\r\nhello", want: "hello", open: true},

		{name: "too huge", in: "10000000000000000\r\nhello", malformed: true},
		{name: "no size", in: "\r\nhello", malformed: true},
		{name: "only an extension", in: ";a=b\r\n", malformed: true},
		{name: "no hex", in: "5g\r\nhello", malformed: true},
		{name: "minus", in: "-1\r\nhello", malformed: true},
		{name: "0x", in: "0x5\r\nhello", malformed: true},
		{name: "blank before", in: " 5\r\nhello", malformed: true},
		{name: "blank within", in: "5 5\r\nhello", malformed: true},
		{name: "bare LF", in: "5\nhello\r\n", malformed: true},
		{name: "bare CR", in: "5\rhello\r\n", malformed: true},
		{name: "CR in an extension", in: "5;a\rb\r\nhello", malformed: true},
		{name: "LF in an extension", in: "5;a\nhello", malformed: true},
		{name: "longer than said", in: "5\r\nhello!\r\n0\r\n\r\n", want: "hello", malformed: true},
		{name: "shorter than said", in: "5\r\nhell\r\n0\r\n\r\n", want: "hell\r", malformed: true},
		{name: "CR without LF behind the data", in: "5\r\nhello\r0\r\n", want: "hello", malformed: true},
		{name: "bare LF behind the end", in: "0\r\n\n", malformed: true},
		{name: "bare LF in the trailer", in: "0\r\nX-A: 1\n\r\n", malformed: true},
		{name: "bare CR in the trailer", in: "0\r\nX-A: 1\rX", malformed: true},
		{name: "CR without LF at the end", in: "0\r\n\rX", malformed: true},
		{name: "long extension", in: "5;" + long + "\r\nhello", malformed: true},
		{name: "long trailer", in: "0\r\nX: " + strings.Repeat(long, 14) + "\r\n\r\n", malformed: true},
		{name: "much framing, little data", in: strings.Repeat("1;"+long[:3000]+"\r\nx\r\n", 20), want: "xxxxx", malformed: true},
		{name: "a byte a chunk", in: strings.Repeat("1\r\nx\r\n", 20000) + "0\r\n\r\n", want: strings.Repeat("x", 20000)},
		{name: "a event stream", in: "data: {}\n\n", malformed: true},
	}
	for _, tt := range tests {
		check := func(t *testing.T, pieces ...string) {
			t.Helper()
			body, used, f, err := deframe(chunked(), pieces...)
			if body != tt.want || errors.Is(err, ErrFraming) != tt.malformed || (err != nil) != tt.malformed {
				t.Fatalf("decode(%.80q) = %.80q, %v; want %.80q, malformed %t", pieces, body, err, tt.want, tt.malformed)
			}
			if err == nil && (f.done == tt.open || len(tt.in)-used != tt.surplus) {
				t.Fatalf("decode(%.80q): done = %t, surplus = %d; want %t, %d", pieces, f.done, len(tt.in)-used, !tt.open, tt.surplus)
			}
			if err == nil {
				want := io.EOF
				if tt.open {
					want = io.ErrUnexpectedEOF
				}
				if got := f.end(); got != want {
					t.Fatalf("end() after %.80q = %v; want %v", pieces, got, want)
				}
			}
		}
		t.Run(tt.name, func(t *testing.T) {
			check(t, tt.in)
			if len(tt.in) > 1000 {
				return
			}
			for i := range tt.in {
				check(t, tt.in[:i], tt.in[i:])
			}
			check(t, strings.Split(tt.in, "")...)
		})
	}
}

func TestLengthAndClose(t *testing.T) {
	body, used, f, err := deframe(framing{left: 5}, "he", "llo, more")
	if body != "hello" || used != 5 || !f.done || err != nil {
		t.Errorf("decode(5 of 11 bytes) = %q, %d used, done %t, %v; want %q, 5, true, nil", body, used, f.done, err, "hello")
	}
	f = framing{left: 5}
	if got := f.want(3); got != 3 {
		t.Errorf("want(3) = %d; want 3", got)
	}
	if got := f.want(4096); got != 5 {
		t.Errorf("want(4096) = %d; want 5", got)
	}
	if _, _, f, _ := deframe(framing{left: 5}, "hell"); f.end() != io.ErrUnexpectedEOF {
		t.Errorf("end() after 4 of 5 bytes = %v; want %v", f.end(), io.ErrUnexpectedEOF)
	}
	f = framing{left: math.MaxInt64}
	if got := f.want(4096); got != 4096 {
		t.Errorf("want(4096) of much = %d; want 4096", got)
	}
	body, _, f, _ = deframe(framing{mode: framingClose}, "he", "llo")
	if err := f.end(); body != "hello" || f.mode != framingClose || err != io.EOF {
		t.Errorf("decode(until close) = %q, end() = %v; want %q, EOF", body, err, "hello")
	}
}

func TestHeaderEnd(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int
	}{
		{"", 0},
		{"HTTP/1.1 200 OK\r\n", 0},
		{"HTTP/1.1 200 OK\r\n\r", 0},
		{"HTTP/1.1 200 OK\r\n\r\n", 19},
		{"HTTP/1.1 200 OK\r\n\r\nbody\r\n\r\n", 19},
		{"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", 25},
		{"HTTP/1.1 200 OK\nA: b\n\nbody", 22},
		{"HTTP/1.1 200 OK\r\n\n", 18},
	} {
		if got := headerEnd([]byte(tt.in), 0); got != tt.want {
			t.Errorf("headerEnd(%q) = %d; want %d", tt.in, got, tt.want)
		}
		// Whatever came before, looking on from there finds the same.
		for i := range tt.in {
			seen := max(0, i-3)
			if headerEnd([]byte(tt.in[:i]), 0) == 0 {
				if got := headerEnd([]byte(tt.in), seen); got != tt.want {
					t.Errorf("headerEnd(%q, %d) = %d; want %d", tt.in, seen, got, tt.want)
				}
			}
		}
	}
}

// Whatever is not malformed to net/http's reader has the same body here, in whatever pieces it comes.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint8(3))
	f.Add([]byte("5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"), uint8(1))
	f.Add([]byte("FFFFFFFFFFFFFFFF\r\nhello"), uint8(7))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		var pieces []string
		for rest := in; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			pieces = append(pieces, string(rest[:n]))
			rest = rest[n:]
		}
		body, used, fr, err := deframe(chunked(), pieces...)
		if used > len(in) || len(body) > used {
			t.Fatalf("decode(%q) = %d bytes of %d used of %d", in, len(body), used, len(in))
		}
		want, wantErr := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		switch {
		case wantErr == nil: // it does not look at the trailer
			if body != string(want) || fr.state < trailerStart {
				t.Errorf("decode(%q) = %q, %v, in state %d; want %q and the trailer", in, body, err, fr.state, want)
			}
		case errors.Is(wantErr, io.ErrUnexpectedEOF):
			// We may notice sooner that a line is wrong, and take a blank before an extension.
			if fr.done && !bytes.Contains(in, []byte(";")) {
				t.Errorf("decode(%q) = %q, done; want %q, %v", in, body, want, wantErr)
			}
		case err == nil && !bytes.ContainsAny(in, " \t") && fr.state >= trailerStart:
			t.Errorf("decode(%q) = %q, no error; want %v", in, body, wantErr)
		}
	})
}
