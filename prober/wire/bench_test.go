package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

// tokenEvents are n events that carry a token each, as a server of the protocol sends them: the hot path.
func tokenEvents(t testing.TB, protocol string, n int) []string {
	t.Helper()
	format, ok := map[string]string{
		"openai_chat": `data: {"id":"chatcmpl-3d1f0e6f2b5c4a6f9d2e1c0b8a7f6e5d","object":"chat.completion.chunk","created":1760000000,"model":"meta-llama/Llama-3.1-8B-Instruct",` +
			`"choices":[{"index":0,"delta":{"content":" token%d"},"logprobs":null,"finish_reason":null}]}` + "\n\n",
		"openai_completions": `data: {"id":"cmpl-3d1f0e6f2b5c4a6f9d2e1c0b8a7f6e5d","object":"text_completion","created":1760000000,"model":"meta-llama/Llama-3.1-8B-Instruct",` +
			`"choices":[{"index":0,"text":" token%d","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":{"prompt_tokens":20,"completion_tokens":%[1]d,"total_tokens":%[1]d}}` + "\n\n",
		"openai_responses": "event: response.output_text.delta\n" +
			`data: {"type":"response.output_text.delta","item_id":"msg_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b","output_index":0,"content_index":0,"delta":" token%d","logprobs":[],"sequence_number":%[1]d}` + "\n\n",
		"azure_openai": `data: {"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"}},"delta":{"content":" token%d"},` +
			`"finish_reason":null,"index":0,"logprobs":null}],"created":1760000000,"id":"chatcmpl-7","model":"gpt-4o-2024-08-06","object":"chat.completion.chunk","system_fingerprint":"fp_1","usage":null}` + "\n\n",
		"anthropic_messages": "event: content_block_delta\n" +
			`data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" token%d"}        }` + "\n\n",
		"gemini": `data: {"candidates": [{"content": {"parts": [{"text": "hm","thought": true},{"text": " token%d"},{"text": " more"}],"role": "model"},"index": 0}],` +
			`"usageMetadata": {"promptTokenCount": 11,"candidatesTokenCount": %[1]d,"totalTokenCount": %[1]d,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 11}]},"modelVersion": "gemini-2.5-flash","responseId": "-fYmau3DCcjhvdIP77P7kAo"}` + "\r\n\r\n",
		"ollama_chat":  `{"model":"llama3.2:latest","created_at":"2026-01-01T00:00:00.123456789Z","message":{"role":"assistant","content":" token%d"},"done":false}` + "\n",
		"tgi_generate": `data:{"index":%[1]d,"token":{"id":1234,"text":" token%[1]d","logprob":-0.3408203,"special":false},"generated_text":null,"details":null}` + "\n\n",
	}[protocol]
	if !ok {
		t.Fatalf("no token events for %s", protocol)
	}
	events := make([]string, n)
	for i := range events {
		events[i] = fmt.Sprintf(format, i+1)
	}
	return events
}

// loop gives the same stream over and over, one event a read.
type loop struct {
	events []string
	next   int
}

func (l *loop) Read(p []byte) (int, error) {
	n := copy(p, l.events[l.next%len(l.events)])
	l.next++
	return n, nil
}

// BenchmarkEvent is the whole way of one token event: framing and decoding.
func BenchmarkEvent(b *testing.B) {
	for _, p := range protocols() {
		b.Run(p.Name, func(b *testing.B) {
			src := &loop{events: tokenEvents(b, p.Name, 512)}
			s, d := NewScanner(src, p.Framing, 0), p.NewDecoder()
			var ev Event
			b.ReportAllocs()
			b.SetBytes(int64(len(src.events[0])))
			for b.Loop() {
				f, err := s.Next()
				if err != nil {
					b.Fatal(err)
				}
				if err := d.Decode(f, &ev); err != nil || len(ev.Content) == 0 {
					b.Fatal(err, ev)
				}
			}
		})
	}
}

// BenchmarkEncodingJSON is the yardstick: the standard library on the documents of openai_chat.
func BenchmarkEncodingJSON(b *testing.B) {
	s := NewScanner(&loop{events: tokenEvents(b, "openai_chat", 1)}, SSE, 0)
	f, err := s.Next()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content   string `json:"content"`
					Reasoning string `json:"reasoning"`
				} `json:"delta"`
				FinishReason *string `json:"finish_reason"`
			} `json:"choices"`
			Usage *struct {
				PromptTokens     int `json:"prompt_tokens"`
				CompletionTokens int `json:"completion_tokens"`
			} `json:"usage"`
		}
		if err := json.Unmarshal(f.Data, &chunk); err != nil {
			b.Fatal(err)
		}
	}
}

// TestEventsDoNotAllocate holds the hot path to its promise: no allocation for an event that carries tokens.
func TestEventsDoNotAllocate(t *testing.T) {
	for _, p := range protocols() {
		t.Run(p.Name, func(t *testing.T) {
			stream := strings.Join(tokenEvents(t, p.Name, 200), "")
			s, d := NewScanner(strings.NewReader(stream), p.Framing, 0), p.NewDecoder()
			var ev Event
			step := func() {
				f, err := s.Next()
				if err != nil && err != io.EOF {
					t.Fatal(err)
				}
				if err := d.Decode(f, &ev); err != nil || len(ev.Content) == 0 {
					t.Fatalf("Decode(%q) = %v, %+v; want content", f.Data, err, ev)
				}
			}
			step() // the buffers grow to the size of an event
			if allocs := testing.AllocsPerRun(150, step); allocs != 0 {
				t.Errorf("%v allocations for each event; want 0", allocs)
			}
		})
	}
}
