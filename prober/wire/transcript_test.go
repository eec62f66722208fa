package wire

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Transcripts are testdata/PROTOCOL/NAME.stream (a streamed answer, as on the wire) and NAME.json (a whole one).
// Beside each lies NAME.stream.golden: one line for each event, or the error that ended it.
// Those named SOFTWARE_VERSION..._recorded are what a running server of that version sent, with long ids made short and some of
// many like events left out; the others are after its source or its documentation.
func transcripts(t testing.TB) []string {
	t.Helper()
	var files []string
	for _, name := range Names() {
		for _, kind := range []string{"*.stream", "*.json"} {
			found, err := filepath.Glob(filepath.Join("testdata", name, kind))
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 {
				t.Fatalf("no transcripts in testdata/%s/%s", name, kind)
			}
			files = append(files, found...)
		}
	}
	return files
}

func protocolOf(t testing.TB, file string) *Protocol {
	t.Helper()
	p, err := Lookup(filepath.Base(filepath.Dir(file)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// describe decodes a streamed answer and words each event.
func describe(p *Protocol, src io.Reader) string {
	var out strings.Builder
	s, d := NewScanner(src, p.Framing, 0), p.NewDecoder()
	var ev Event
	for {
		f, err := s.Next()
		if err != nil {
			fmt.Fprintf(&out, "%v; %d comments\n", err, s.Comments())
			return out.String()
		}
		if err := d.Decode(f, &ev); err != nil {
			fmt.Fprintf(&out, "%v\n", err)
			return out.String()
		}
		if f.Unterminated {
			out.WriteString("unterminated ")
		}
		out.WriteString(eventText(&ev))
	}
}

func describeWhole(p *Protocol, body []byte) string {
	var ev Event
	if err := p.NewDecoder().DecodeWhole(body, &ev); err != nil {
		return err.Error() + "\n"
	}
	return eventText(&ev)
}

func eventText(ev *Event) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if len(ev.Reasoning) > 0 {
		add("reasoning %q", AppendUnquoted(nil, ev.Reasoning))
	}
	if len(ev.Content) > 0 {
		add("content %q", AppendUnquoted(nil, ev.Content))
	}
	if ev.ToolCall {
		add("tool call %q", ev.ToolName)
	}
	if ev.Tokens >= 0 {
		add("tokens %d", ev.Tokens)
	}
	if ev.Usage.Known {
		add("usage prompt %d cached %d output %d reasoning %d",
			ev.Usage.PromptTokens, ev.Usage.CachedTokens, ev.Usage.OutputTokens, ev.Usage.ReasoningTokens)
	}
	if t := ev.Timing; t.Known {
		add("timing queue %g prefill %g decode %g load %g total %g first token %g prompt %d generated %d",
			t.QueueSeconds, t.PrefillSeconds, t.DecodeSeconds, t.LoadSeconds, t.TotalSeconds, t.FirstTokenSeconds,
			t.PrefillTokens, t.GeneratedTokens)
	}
	if p := ev.Timing.Progress; p.Known {
		add("progress %g processed %d total %d cached %d", p.Seconds, p.Processed, p.Total, p.Cached)
	}
	if len(ev.FinishReason) > 0 {
		add("finish %q", ev.FinishReason)
	}
	if ev.Err != nil {
		add("error %q type %q code %d overloaded %v", ev.Err.Message, ev.Err.Type, ev.Err.Code, ev.Err.Overloaded)
	}
	if ev.Done {
		add("done")
	}
	if parts == nil {
		add("nothing")
	}
	return strings.Join(parts, ", ") + "\n"
}

func TestTranscripts(t *testing.T) {
	for _, file := range transcripts(t) {
		t.Run(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), func(t *testing.T) {
			p := protocolOf(t, file)
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if strings.HasSuffix(file, ".stream") {
				got = describe(p, bytes.NewReader(body))
			} else {
				got = describeWhole(p, body)
			}
			golden := file + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("events differ (-want +got):\n%s", diff)
			}
		})
	}
}

// cutReader gives the parts one read at a time.
type cutReader struct{ parts [][]byte }

func (r *cutReader) Read(p []byte) (int, error) {
	for len(r.parts) > 0 && len(r.parts[0]) == 0 {
		r.parts = r.parts[1:]
	}
	if len(r.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.parts[0])
	r.parts[0] = r.parts[0][n:]
	return n, nil
}

// TestAnySplitGivesTheSameEvents cuts each transcript at every byte, into single bytes, and anyhow.
func TestAnySplitGivesTheSameEvents(t *testing.T) {
	for _, file := range transcripts(t) {
		if !strings.HasSuffix(file, ".stream") {
			continue
		}
		t.Run(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), func(t *testing.T) {
			p := protocolOf(t, file)
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := describe(p, bytes.NewReader(body))
			for at := range body {
				if got := describe(p, &cutReader{[][]byte{body[:at], body[at:]}}); got != want {
					t.Fatalf("cut at byte %d:\n%s", at, cmp.Diff(want, got))
				}
			}
			if got := describe(p, iotest.OneByteReader(bytes.NewReader(body))); got != want {
				t.Fatalf("byte by byte:\n%s", cmp.Diff(want, got))
			}
			rapid.Check(t, func(t *rapid.T) {
				var parts [][]byte
				for rest := body; len(rest) > 0; {
					n := rapid.IntRange(1, len(rest)).Draw(t, "part")
					parts, rest = append(parts, rest[:n]), rest[n:]
				}
				if got := describe(p, &cutReader{parts}); got != want {
					t.Fatalf("cut in %d parts:\n%s", len(parts), cmp.Diff(want, got))
				}
			})
		})
	}
}

// TestErrorsAreMalformed keeps what Decoder promises of its errors.
func TestErrorsAreMalformed(t *testing.T) {
	for _, p := range protocols() {
		for _, data := range []string{"", "{", `{"a":}`, "[]", "nonsense", "{\"a\":\"\xff\"}", `{} {}`} {
			var ev Event
			if err := p.NewDecoder().Decode(Frame{Data: []byte(data)}, &ev); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: Decode(%q) = %v; want ErrMalformed", p.Name, data, err)
			}
			if err := p.NewDecoder().DecodeWhole([]byte(data), &ev); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: DecodeWhole(%q) = %v; want ErrMalformed", p.Name, data, err)
			}
		}
	}
}
