package wire

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// fuzzProtocol feeds a decoder foreign bytes. Whatever they are: no panic, every error is one of the promised ones,
// content is valid UTF-8, counts are not negative, and the way in which the bytes arrive changes nothing.
func fuzzProtocol(f *testing.F, name string) {
	p, err := Lookup(name)
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range transcripts(f) {
		if filepath.Base(filepath.Dir(file)) == name {
			body, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, d := NewScanner(bytes.NewReader(body), p.Framing, 1<<16), p.NewDecoder()
		var ev Event
		for {
			frame, err := s.Next()
			if err != nil {
				if err != io.EOF && err != ErrFrameTooLarge {
					t.Fatalf("Next() = %v", err)
				}
				break
			}
			if err := d.Decode(frame, &ev); err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("Decode(%q) = %v; want ErrMalformed", frame.Data, err)
				}
				break
			}
			checkEvent(t, &ev)
		}
		if p.NewDecoder().DecodeWhole(body, &ev) == nil {
			checkEvent(t, &ev)
		}
		if e := ErrorFrom(500, body); !utf8.ValidString(e.Message) || len(e.Message) > maxErrorText+3 || e.Code != 500 {
			t.Fatalf("ErrorFrom(500, %q) = %+v", body, e)
		}
		if len(body) < 1<<12 {
			if once, bits := describe(p, bytes.NewReader(body)), describe(p, iotest.OneByteReader(bytes.NewReader(body))); once != bits {
				t.Fatalf("at once:\n%s\nbyte by byte:\n%s", once, bits)
			}
		}
	})
}

func checkEvent(t *testing.T, ev *Event) {
	t.Helper()
	for _, text := range [][]byte{ev.Content, ev.Reasoning, ev.FinishReason, ev.ToolName} {
		if !utf8.Valid(text) || !utf8.Valid(AppendUnquoted(nil, text)) {
			t.Fatalf("invalid UTF-8 in %q", text)
		}
	}
	u := ev.Usage
	if u.PromptTokens < 0 || u.CachedTokens < 0 || u.OutputTokens < 0 || u.ReasoningTokens < 0 {
		t.Fatalf("negative usage %+v", u)
	}
	if u.Known != (u.PromptTokens > 0 || u.OutputTokens > 0) {
		t.Fatalf("usage %+v: a usage is known if it counts something", u)
	}
	if ev.Tokens != -1 && (ev.Tokens < 1 || !ev.Generated()) {
		t.Fatalf("Tokens = %d, content %v; want -1, or 1 and more with content", ev.Tokens, ev.Generated())
	}
	if s := ev.Timing; s.Known {
		for _, v := range []float64{s.QueueSeconds, s.PrefillSeconds, s.DecodeSeconds, s.LoadSeconds, s.TotalSeconds, s.FirstTokenSeconds,
			float64(s.PrefillTokens), float64(s.GeneratedTokens), s.Progress.Seconds} {
			if v < 0 && v != -1 || math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("timing %+v has %v; want -1 or a number of 0 or more", s, v)
			}
		}
	} else if s != (ServerTiming{}) {
		t.Fatalf("timing %+v is not known, but not empty", s)
	}
	if e := ev.Err; e != nil && (!utf8.ValidString(e.Message) || !utf8.ValidString(e.Type) || len(e.Message) > maxErrorText+3 || e.Code < 0) {
		t.Fatalf("error %+v", e)
	}
}

func FuzzOpenAIChat(f *testing.F)        { fuzzProtocol(f, "openai_chat") }
func FuzzOpenAICompletions(f *testing.F) { fuzzProtocol(f, "openai_completions") }
func FuzzOpenAIResponses(f *testing.F)   { fuzzProtocol(f, "openai_responses") }
func FuzzAzureOpenAI(f *testing.F)       { fuzzProtocol(f, "azure_openai") }
func FuzzAnthropicMessages(f *testing.F) { fuzzProtocol(f, "anthropic_messages") }
func FuzzGemini(f *testing.F)            { fuzzProtocol(f, "gemini") }
func FuzzOllamaChat(f *testing.F)        { fuzzProtocol(f, "ollama_chat") }
func FuzzTGIGenerate(f *testing.F)       { fuzzProtocol(f, "tgi_generate") }
