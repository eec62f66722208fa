package workload

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober/wire"
)

// play plays a conversation to its end, with the answers that say gives.
func play(c *Conversation, say func(turn int) string) []Prompt {
	var prompts []Prompt
	for p, ok := c.Next(); ok; p, ok = c.Next() {
		prompts = append(prompts, p)
		c.Answered(say(p.Turn))
	}
	return prompts
}

func TestConversationCarriesTheHistory(t *testing.T) {
	shape := ConversationShape{Turns: Range{4, 4}, FirstTokens: Range{200, 200}, TurnTokens: Range{20, 60}, MaxOutputTokens: 32}
	prompts := play(NewGenerator(1, new(Calibration)).Conversation(shape), func(turn int) string { return fmt.Sprintf("Answer %d. ", turn) })
	if len(prompts) != 4 {
		t.Fatalf("%d turns; want 4", len(prompts))
	}
	for i, p := range prompts {
		if p.Turn != i+1 || p.MaxOutputTokens != 32 || len(p.Messages) != 2*i+1 {
			t.Fatalf("turn %d: turn %d, cap %d, %d messages; want the cap 32 and %d messages", i+1, p.Turn, p.MaxOutputTokens, len(p.Messages), 2*i+1)
		}
		if first := i == 0; (p.Units > 0) != first {
			t.Errorf("turn %d: Units = %d; want to learn from the first turn alone", i+1, p.Units)
		}
		for j, m := range p.Messages {
			if want := []string{"user", "assistant"}[j%2]; m.Role != want {
				t.Errorf("turn %d: message %d is the %s's; want the %s's", i+1, j, m.Role, want)
			}
			if want := fmt.Sprintf("Answer %d. ", (j+1)/2); m.Role == "assistant" && m.Content != want {
				t.Errorf("turn %d: message %d = %q; want %q, to the letter", i+1, j, m.Content, want)
			}
		}
		if i > 0 && !slices.Equal(p.Messages[:2*i-1], prompts[i-1].Messages) {
			t.Errorf("turn %d does not begin with all of turn %d: a prefix cache could not answer it", i+1, i)
		}
	}
}

// What a shape says of one prompt, a conversation's says of the first one, or of each.
func TestConversationShape(t *testing.T) {
	shape := ConversationShape{
		Turns: Range{3, 3}, FirstTokens: Range{400, 400}, TurnTokens: Range{60, 60},
		SharedPrefixTokens: 200, Prefix: "rag", Purpose: ToolCall, Tool: "look_up",
	}
	g := NewGenerator(1, new(Calibration))
	say := func(int) string { return "Well." }
	a, b := play(g.Conversation(shape), say), play(g.Conversation(shape), say)
	x, y := a[0].Messages[0].Content, b[0].Messages[0].Content
	if shared := vocabularyTokens(x[:commonPrefix(x, y)]); math.Abs(float64(shared-200)) > 10 {
		t.Errorf("two conversations share %d tokens; want 200", shared)
	}
	for _, test := range []struct{ instruction, want string }{
		{"", "\nCall the tool look_up with what this text says, and say nothing else."},
		{"Say a number.", "\nSay a number."},
	} {
		shape.Instruction = test.instruction
		for _, p := range play(g.Conversation(shape), say) {
			if text := p.Messages[len(p.Messages)-1].Content; !strings.HasSuffix(text, test.want) {
				t.Errorf("question %d is %q; want it to end with %q", p.Turn, text, test.want)
			}
		}
	}
}

func TestConversationWithoutAnswers(t *testing.T) {
	tok := tokenizers()[0]
	for _, test := range []struct{ limit, want int }{{150, 150}, {0, fallbackTokens}} {
		shape := ConversationShape{Turns: Range{3, 3}, FirstTokens: Range{50, 50}, TurnTokens: Range{30, 30}, MaxOutputTokens: test.limit}
		silent := play(NewGenerator(1, new(Calibration)).Conversation(shape), func(int) string { return "" })
		for _, m := range silent[2].Messages {
			if m.Role != "assistant" {
				continue
			}
			if got := tok.count(m.Content); math.Abs(float64(got-test.want)) > 0.05*float64(test.want) {
				t.Errorf("cap %d: the made-up answer has %d tokens; want %d", test.limit, got, test.want)
			}
		}
		if a, b := silent[2].Messages[1].Content, silent[2].Messages[3].Content; a == b {
			t.Errorf("two made-up answers are the same: %q", a)
		}
		// The user's words do not depend on whether there were answers.
		spoken := play(NewGenerator(1, new(Calibration)).Conversation(shape), func(int) string { return "Well." })
		for i := 0; i < 5; i += 2 {
			if a, b := silent[2].Messages[i].Content, spoken[2].Messages[i].Content; a != b {
				t.Errorf("question %d is %q without answers and %q with them", i/2+1, a, b)
			}
		}
	}
}

func TestAnswerBeforeTheFirstQuestion(t *testing.T) {
	c := NewGenerator(1, new(Calibration)).Conversation(ConversationShape{Turns: Range{2, 2}, FirstTokens: Range{50, 50}, TurnTokens: Range{30, 30}})
	c.Answered("too early")
	c.Next()
	if p, _ := c.Next(); len(p.Messages) != 3 || p.Messages[1].Content == "too early" {
		t.Errorf("turn 2 = %+v; want a made-up answer in it", p)
	}
}

func TestConversationTurnsHaveTheLengthAsked(t *testing.T) {
	for _, tok := range tokenizers() {
		t.Run(tok.name, func(t *testing.T) {
			c := new(Calibration)
			g := NewGenerator(1, c)
			// What a first turn teaches: the whole prompt's length, and from two lengths the tokens of text alone.
			for _, n := range []int{300, 1500, 300} {
				p := g.Prompt(Shape{PromptTokens: Range{n, n}})
				c.Observe(p.Units, tok.messages(p.Messages))
			}
			for _, asked := range []int{25, 60, 200, 1000} {
				shape := ConversationShape{Turns: Range{6, 6}, FirstTokens: Range{300, 300}, TurnTokens: Range{asked, asked}, MaxOutputTokens: 50}
				for range 5 {
					for _, p := range play(g.Conversation(shape), func(int) string { return "Fine." }) {
						if p.Turn == 1 {
							got := tok.messages(p.Messages)
							c.Observe(p.Units, got)
							if math.Abs(float64(got-300)) > 0.05*300 {
								t.Errorf("the first turn has %d tokens; want 300", got)
							}
							continue
						}
						got := tok.count(p.Messages[len(p.Messages)-1].Content)
						if off := math.Abs(float64(got - asked)); off > max(5, 0.03*float64(asked)) || p.Tokens != asked {
							t.Errorf("turn %d has %d tokens, Tokens = %d; want %d", p.Turn, got, p.Tokens, asked)
						}
					}
				}
			}
		})
	}
}

func TestConversationsShareNothing(t *testing.T) {
	g := NewGenerator(1, new(Calibration))
	shape := ConversationShape{Turns: Range{2, 2}, FirstTokens: Range{100, 100}, TurnTokens: Range{30, 30}}
	seen := map[string]bool{}
	for i := range 200 {
		text := content(t, g.Prompt(Shape{PromptTokens: Range{100, 100}}))
		if i%2 == 0 {
			p, _ := g.Conversation(shape).Next()
			text = content(t, p)
		}
		if line := firstLine(text); seen[line] {
			t.Fatalf("the first line %q comes again", line)
		} else {
			seen[line] = true
		}
	}
}

func TestAnyConversation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, lo, hi int) Range {
			from := rapid.IntRange(lo, hi).Draw(t, name)
			return Range{from, from + rapid.IntRange(-5, 50).Draw(t, name+" span")}
		}
		shape := ConversationShape{
			Turns: draw("turns", -1, 5), FirstTokens: draw("first", -5, 300), TurnTokens: draw("turn", -5, 300),
			MaxOutputTokens: rapid.IntRange(0, 200).Draw(t, "cap"),
		}
		seed := rapid.Uint64().Draw(t, "seed")
		answers := rapid.SliceOfN(rapid.String(), 60, 60).Draw(t, "answers")
		say := func(turn int) string { return answers[turn] }
		prompts := play(NewGenerator(seed, new(Calibration)).Conversation(shape), say)
		if n := len(prompts); n < max(shape.Turns.Min, 1) || n > max(shape.Turns.Max, shape.Turns.Min, 1) {
			t.Fatalf("%d turns; want %v", n, shape.Turns)
		}
		again := play(NewGenerator(seed, new(Calibration)).Conversation(shape), say)
		for i, p := range prompts {
			if !slices.Equal(p.Messages, again[i].Messages) {
				t.Fatalf("turn %d of the same seed:\n%v\n%v", i+1, p.Messages, again[i].Messages)
			}
			if slices.ContainsFunc(p.Messages, func(m wire.Message) bool {
				return strings.TrimSpace(m.Content) == "" && m.Role == "user" || m.Content == ""
			}) {
				t.Fatalf("turn %d has an empty message: %v", i+1, p.Messages)
			}
		}
	})
}
