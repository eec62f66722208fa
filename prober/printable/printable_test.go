package printable

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""}, {"plain", "plain"}, {" a  b\t\r\n c ", "a b c"},
		{"red \x1b[31malert\x1b[0m", "red [31malert [0m"},
		{"\x1b]0;title\x07x", "]0;title x"},
		{"\u009b2Jx", "2Jx"},
		{"\xff\x9b", "\uFFFD\uFFFD"},
		{"a\u202egnp.exe", "a gnp.exe"}, {"a\u2066b\u2069", "a b"},
		{"a\u2028b\u2029c\u0085d\ve\ff", "a b c d e f"},
		{"a\u200bb\ufeffc\u00add", "a b c d"}, {"\x7fdel\x00", "del"},
		{"<b>", "<b>"}, // the template's business
		{"a\u00a0b", "a b"}, {"🙂é東", "🙂é東"}, {"\U000e0041", ""},
		{strings.Repeat("ab ", 100), strings.Repeat("ab ", 6) + "ab…"},
		{strings.Repeat("🙂", 1000), strings.Repeat("🙂", 20) + "…"},
		{strings.Repeat("\x1b", 1000) + "a", ""},
	} {
		if got := Line(test.in, 20); got != test.want {
			t.Errorf("Line(%q, 20) = %q; want %q", test.in, got, test.want)
		}
	}
}

func TestLines(t *testing.T) {
	for _, test := range []struct {
		in    string
		limit int
		want  string
	}{
		{"a\r\n\tb\n", 20, "a\n\tb\n"},
		{"a\rb\x1b[2Jc\u202ed\xff", 20, "a b [2Jc d\uFFFD"},
		{"aé", 2, "a\n… (cut off here)"},
		{"aé", 3, "aé"},
	} {
		if got := Lines(test.in, test.limit); got != test.want {
			t.Errorf("Lines(%q, %d) = %q; want %q", test.in, test.limit, got, test.want)
		}
	}
}

func TestEscape(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""}, {"{\"a\":\t\"é\"}\n", "{\"a\":\t\"é\"}\n"},
		{"\x1b[2J\r\x00\x7f", `\u001b[2J\u000d\u0000\u007f`},
		{"\u009b\u0085\u202e\u2028\ufeff\u00a0", `\u009b\u0085\u202e\u2028\ufeff\u00a0`},
		{"\U000e0041", `\udb40\udc41`},
		{"\x9b\xe2\x80", "\uFFFD\uFFFD\uFFFD"},
	} {
		if got := Escape(test.in); got != test.want {
			t.Errorf("Escape(%q) = %q; want %q", test.in, got, test.want)
		}
	}
}

// What is written reaches the other writer whole, with one call each, whoever writes beside.
func TestWriter(t *testing.T) {
	t.Run("at once", func(t *testing.T) {
		calls := new(lines)
		w := NewWriter(calls)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					if n, err := io.WriteString(w, "one \x1b line\n"); n != len("one \x1b line\n") || err != nil {
						t.Errorf("Write = %d, %v", n, err)
					}
				}
			})
		}
		wg.Wait()
		if calls.n != 400 || calls.bad > 0 {
			t.Errorf("%d calls, %d of them not a line; want 400 lines", calls.n, calls.bad)
		}
	})
	t.Run("errors", func(t *testing.T) {
		broken := errors.New("broken")
		if _, err := io.WriteString(NewWriter(iotest.TruncateWriter(failing{broken}, 10)), "a"); !errors.Is(err, broken) {
			t.Errorf("Write = %v; want %v", err, broken)
		}
		if _, err := io.WriteString(NewWriter(short{}), "ab"); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("Write = %v; want %v", err, io.ErrShortWrite)
		}
	})
	t.Run("a character that never ends", func(t *testing.T) {
		var b bytes.Buffer
		w := NewWriter(&b)
		io.WriteString(w, "a\xe2\x80")
		io.WriteString(w, "b")
		if got, want := b.String(), "a\uFFFD\uFFFDb"; got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	})
}

// lines counts the calls that write one whole line.
type lines struct{ n, bad int }

func (l *lines) Write(p []byte) (int, error) {
	l.n++
	if string(p) != "one \\u001b line\n" {
		l.bad++
	}
	return len(p), nil
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

type short struct{}

func (short) Write(p []byte) (int, error) { return len(p) - 1, nil }

// Whatever the bytes: nothing but what may be shown comes out, within the limit, and once more through changes nothing.
// However the bytes are cut into writes the same comes out, and JSON stays the same document.
func FuzzPrintable(f *testing.F) {
	f.Add([]byte("<script>alert(1)</script>\x1b[31m\u202e\u0000"), uint8(50), uint8(1))
	f.Add([]byte("\xff\u202e\n\xe2\x80"), uint8(3), uint8(2))
	f.Add([]byte("{\"a\":\"\x7f\u009b2J\U000e0041\u2028\"}"), uint8(9), uint8(5))
	f.Fuzz(func(t *testing.T, in []byte, limit, size uint8) {
		s := string(in)
		line := Line(s, int(limit))
		if n := utf8.RuneCountInString(line); n > int(limit)+2 {
			t.Errorf("Line(%q, %d) has %d characters", s, limit, n)
		}
		if strings.ContainsAny(line, "\n\t") || strings.TrimSpace(line) != line {
			t.Errorf("Line(%q, %d) = %q; want one line without white space around it", s, limit, line)
		}
		if again := Line(line, int(limit)+2); again != line {
			t.Errorf("Line(%q) = %q; want what it was", line, again)
		}
		block := Lines(s, int(limit))
		if len(block) > 3*int(limit)+len("\n… (cut off here)") { // U+FFFD of a byte has three
			t.Errorf("Lines(%q, %d) has %d bytes", s, limit, len(block))
		}
		escaped := Escape(s)
		if again := Escape(escaped); again != escaped {
			t.Errorf("Escape(%q) = %q; want what it was", escaped, again)
		}
		for name, text := range map[string]string{"Line": line, "Lines": block, "Escape": escaped} {
			for _, c := range text {
				if !unicode.IsPrint(c) && c != '\n' && c != '\t' {
					t.Errorf("%s(%q) = %q, with %U", name, s, text, c)
				}
			}
			if !utf8.ValidString(text) {
				t.Errorf("%s(%q) = %q, which is no UTF-8", name, s, text)
			}
		}
		if !json.Valid(in) {
			// Of what is no JSON nothing more is promised than the above.
		} else if was, is := decoded(t, s), decoded(t, escaped); was != is && !strings.Contains(s, "\r") {
			t.Errorf("Escape(%q) = %q; it meant %s, and means %s", s, escaped, was, is)
		}

		var b bytes.Buffer
		w := NewWriter(&b)
		for rest := in; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			if wrote, err := w.Write(rest[:n]); wrote != n || err != nil {
				t.Fatalf("Write(%q) = %d, %v", rest[:n], wrote, err)
			}
			rest = rest[n:]
		}
		// What is left without its end is not written.
		if got := b.String(); !strings.HasPrefix(escaped, got) || strings.Trim(escaped[len(got):], "\uFFFD") != "" || len(escaped)-len(got) > 9 {
			t.Errorf("in writes of %d: %q; want %q", size, got, escaped)
		}
	})
}

// decoded is what a JSON text means.
func decoded(t *testing.T, text string) string {
	var v any
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return err.Error()
	}
	again, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(again)
}
