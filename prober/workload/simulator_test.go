package workload_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

// server is a simulated one with the given tokenizer, and returns its own count of tokens as POST /tokenize tells it.
func server(t *testing.T, tokenizer string) func(messages []wire.Message, tools string) int {
	t.Helper()
	sim, err := simulator.New(simulator.Options{Tokenizer: tokenizer})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(sim.Handler())
	t.Cleanup(s.Close)
	return func(messages []wire.Message, tools string) int {
		t.Helper()
		request := map[string]any{"messages": messages}
		if tools != "" {
			request["tools"] = json.RawMessage(tools)
		}
		body, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Post(s.URL+"/tokenize", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct{ Count int }
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("POST /tokenize: %s, %v", resp.Status, err)
		}
		return answer.Count
	}
}

// judge holds counts against what was asked: after three requests each within 5 %, and within 1 % in the mean.
func judge(t *testing.T, asked int, counts []int) {
	t.Helper()
	sum := 0.0
	for i, got := range counts[3:] {
		off := float64(got-asked) / float64(asked)
		if math.Abs(off) > 0.05 {
			t.Errorf("request %d has %d tokens; want %d within 5 %%", i+4, got, asked)
		}
		sum += off
	}
	if mean := sum / float64(len(counts)-3); math.Abs(mean) > 0.01 {
		t.Errorf("asked for %d tokens, the mean is off by %.2f %%; want 1 %%", asked, 100*mean)
	}
}

func TestLengthsAsTheSimulatorCountsThem(t *testing.T) {
	for _, tokenizer := range []string{"a", "b"} {
		count := server(t, tokenizer)
		for _, asked := range []int{20, 100, 1_000, 8_000, 30_000} {
			t.Run(fmt.Sprintf("%s/%d", tokenizer, asked), func(t *testing.T) {
				calibration := new(workload.Calibration)
				prompts := workload.NewGenerator(uint64(asked), calibration)
				var counts []int
				for range 23 {
					p := prompts.Prompt(workload.Shape{PromptTokens: workload.Range{Min: asked, Max: asked}, MaxOutputTokens: 64})
					n := count(p.Messages, "")
					calibration.Observe(p.Units, n)
					counts = append(counts, n)
				}
				judge(t, asked, counts)
			})
		}
	}
}

// Tools are counted by the server as a part of the prompt, and are learnt as such by a calibration of their own.
func TestToolPromptsAsTheSimulatorCountsThem(t *testing.T) {
	const tools = `[{"type":"function","function":{"name":"get_weather","description":"Get the current weather at a place.",` +
		`"parameters":{"type":"object","properties":{"place":{"type":"string","description":"City and country"},` +
		`"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["place"]}}}]`
	for _, tokenizer := range []string{"a", "b"} {
		t.Run(tokenizer, func(t *testing.T) {
			count := server(t, tokenizer)
			calibration := new(workload.Calibration)
			prompts := workload.NewGenerator(1, calibration)
			var counts []int
			for range 23 {
				p := prompts.Prompt(workload.Shape{
					PromptTokens: workload.Range{Min: 400, Max: 400}, MaxOutputTokens: 64, Purpose: workload.ToolCall, Tool: "get_weather",
				})
				n := count(p.Messages, tools)
				calibration.Observe(p.Units, n)
				counts = append(counts, n)
			}
			judge(t, 400, counts)
		})
	}
}

// What a turn adds to the prompt is its own text, the answer before it and the template of two messages.
func TestConversationAsTheSimulatorCountsIt(t *testing.T) {
	const answer = "The river is long and the hills are green."
	for _, test := range []struct {
		tokenizer string
		template  int // of two messages
	}{{"a", 10}, {"b", 6}} {
		t.Run(test.tokenizer, func(t *testing.T) {
			count := server(t, test.tokenizer)
			calibration := new(workload.Calibration)
			prompts := workload.NewGenerator(1, calibration)
			err := prompts.Calibrate(t.Context(), func(_ context.Context, messages []wire.Message) (int, error) {
				return count(messages, ""), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			empty := count([]wire.Message{{Role: "assistant", Content: ""}}, "")
			answered := count([]wire.Message{{Role: "assistant", Content: answer}}, "") - empty
			conversation := prompts.Conversation(workload.ConversationShape{
				Turns: workload.Range{Min: 5, Max: 5}, FirstTokens: workload.Range{Min: 1_000, Max: 1_000},
				TurnTokens: workload.Range{Min: 120, Max: 120}, MaxOutputTokens: 64,
			})
			before := 0
			for p, ok := conversation.Next(); ok; p, ok = conversation.Next() {
				n := count(p.Messages, "")
				want := before + answered + test.template + 120
				if p.Turn == 1 {
					want = 1_000
					calibration.Observe(p.Units, n)
				}
				if off := math.Abs(float64(n - want)); off > 0.05*120 {
					t.Errorf("turn %d has %d tokens; want %d", p.Turn, n, want)
				}
				before = n
				conversation.Answered(answer)
			}
		})
	}
}
