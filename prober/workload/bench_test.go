package workload

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func BenchmarkPrompt(b *testing.B) {
	for _, tokens := range []int{20, 1000, 30000} {
		b.Run(strconv.Itoa(tokens), func(b *testing.B) {
			c := new(Calibration)
			g := NewGenerator(1, c)
			shape := Shape{PromptTokens: Range{tokens, tokens}, MaxOutputTokens: 64}
			for range 100 { // a full memory, as after a day
				for _, n := range []int{20, 100, 1000, 8000, 30000} {
					p := g.Prompt(Shape{PromptTokens: Range{n, n}})
					c.Observe(p.Units, vocabularyTokens(p.Messages[0].Content))
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				g.Prompt(shape)
			}
		})
	}
}

func BenchmarkConversation(b *testing.B) {
	g := NewGenerator(1, new(Calibration))
	shape := ConversationShape{Turns: Range{10, 10}, FirstTokens: Range{1000, 1000}, TurnTokens: Range{200, 200}, MaxOutputTokens: 200}
	b.ReportAllocs()
	for b.Loop() {
		c := g.Conversation(shape)
		for _, ok := c.Next(); ok; _, ok = c.Next() {
		}
	}
}

func BenchmarkReadRecorded(b *testing.B) {
	text := strings.Repeat("The river is long and the \"hills\" are green.\\n", 40)
	for _, kind := range []struct{ name, element string }{
		{"requests", `{"messages": [{"role": "user", "content": %[1]q}], "max_output_tokens": 64}` + "\n"},
		{"ShareGPT", `{"conversations": [{"from": "human", "value": %[1]q}, {"from": "gpt", "value": %[1]q}, {"from": "human", "value": %[1]q}]},` + "\n"},
	} {
		b.Run(kind.name, func(b *testing.B) {
			file := strings.Repeat(fmt.Sprintf(kind.element, text), 1000)
			if elements, ok := strings.CutSuffix(file, ",\n"); ok {
				file = "[" + elements + "]"
			}
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ReadRecorded("f", strings.NewReader(file), RecordedOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
