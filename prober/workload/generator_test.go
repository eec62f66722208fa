package workload

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober/wire"
)

func content(t interface {
	Helper()
	Fatalf(string, ...any)
}, p Prompt) string {
	t.Helper()
	if len(p.Messages) != 1 || p.Messages[0].Role != "user" {
		t.Fatalf("Messages = %+v; want one by the user", p.Messages)
	}
	return p.Messages[0].Content
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func TestPromptsHaveTheShapeAsked(t *testing.T) {
	c := new(Calibration)
	rapid.Check(t, func(t *rapid.T) {
		g := NewGenerator(rapid.Uint64().Draw(t, "seed"), c)
		lo := rapid.IntRange(1, 3_000).Draw(t, "min")
		shape := Shape{
			PromptTokens:       Range{lo, lo + rapid.IntRange(-10, 500).Draw(t, "span")},
			SharedPrefixTokens: rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 4_000)).Draw(t, "prefix"),
			MaxOutputTokens:    rapid.IntRange(0, 2_000).Draw(t, "cap"),
		}
		var shared string
		for i := range 3 {
			p := g.Prompt(shape)
			text := content(t, p)
			if p.Tokens < lo || p.Tokens > max(shape.PromptTokens.Max, lo) {
				t.Fatalf("Tokens = %d; want %v", p.Tokens, shape.PromptTokens)
			}
			want := c.Units(p.Tokens)
			if off := p.Units - want; !p.Least && (off > minWord || off < -minWord) {
				t.Fatalf("Units = %d; want %d for %d tokens", p.Units, want, p.Tokens)
			}
			if p.Units != len(text) && p.Units != len(text)-sentenceCost {
				t.Fatalf("Units = %d for %d bytes", p.Units, len(text))
			}
			if strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,\n") != "" {
				t.Fatalf("prompt %q is not plain text", text)
			}
			if shape.SharedPrefixTokens == 0 {
				if words := strings.Fields(firstLine(text)); len(words) < 3 {
					t.Fatalf("first line %q; want three words", firstLine(text))
				}
				continue
			}
			at := strings.LastIndex(text[:min(len(text), 8*shape.SharedPrefixTokens)], ".")
			if i == 0 {
				shared = text[:at]
			} else if !p.Least && shape.PromptTokens.Min > shape.SharedPrefixTokens {
				n := int(float64(shape.SharedPrefixTokens) / c.Fit(shape.SharedPrefixTokens).PerUnit)
				if n = min(n, len(shared), len(text)); shared[:n] != text[:n] {
					t.Fatalf("the first %d bytes differ:\n%q\n%q", n, shared[:n], text[:n])
				}
			}
		}
	})
}

func TestFirstLinesAreUnique(t *testing.T) {
	g := NewGenerator(42, new(Calibration))
	seen := map[string]bool{}
	words := map[string]int{}
	const n = 20_000
	for i := range n {
		shape := Shape{PromptTokens: Range{30, 30}}
		if i%2 == 1 { // several probes of one target
			shape.PromptTokens = Range{90, 90}
		}
		text := content(t, g.Prompt(shape))
		line := strings.Join(strings.Fields(text)[:3], " ")
		if seen[line] {
			t.Fatalf("prompt %d begins with %q, as an earlier one did", i, line)
		}
		seen[line] = true
		words[strings.Fields(line)[0]]++
	}
	// The very first word differs from prompt to prompt, too.
	if len(words) != len(lineWords) {
		t.Errorf("%d prompts begin with %d different words; want %d", n, len(words), len(lineWords))
	}
	for word, k := range words {
		if k > 2*n/len(lineWords) {
			t.Errorf("%d of %d prompts begin with %q", k, n, word)
		}
	}
}

func TestSharedPrefix(t *testing.T) {
	tok := tokenizers()[0]
	c := new(Calibration)
	shape := Shape{PromptTokens: Range{2_000, 2_000}, SharedPrefixTokens: 1_500, Prefix: "rag", MaxOutputTokens: 64}
	g := NewGenerator(1, c)
	var texts []string
	for i := range 12 {
		p := g.Prompt(shape)
		got := tok.messages(p.Messages)
		c.Observe(p.Units, got)
		if i >= 3 {
			texts = append(texts, content(t, p))
			if got != 2_000 {
				t.Errorf("request %d has %d tokens; want 2000", i, got)
			}
		}
	}
	shared := texts[0]
	for i, text := range texts[1:] {
		n := commonPrefix(texts[i], text)
		if got := vocabularyTokens(text[:n]); math.Abs(float64(got-1_500)) > 0.02*1_500 {
			t.Errorf("two prompts in a row share %d tokens; want 1500", got)
		}
		shared = shared[:commonPrefix(shared, text)]
	}
	if got := vocabularyTokens(shared); math.Abs(float64(got-1_500)) > 0.02*1_500 {
		t.Errorf("all prompts share %d tokens; want 1500", got)
	}

	t.Run("another process", func(t *testing.T) {
		other := content(t, NewGenerator(2, c).Prompt(shape))
		if n := commonPrefix(other, texts[0]); n < len(shared)*95/100 {
			t.Errorf("a generator of another seed shares %d bytes; want nearly %d", n, len(shared))
		}
	})
	t.Run("another probe", func(t *testing.T) {
		shape := shape
		shape.Prefix = "chat"
		other := content(t, g.Prompt(shape))
		if n := commonPrefix(other, texts[0]); n > 30 {
			t.Errorf("a probe of another name shares %d bytes: %q", n, other[:n])
		}
	})
}

func commonPrefix(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func TestSeedDecidesTheText(t *testing.T) {
	prompts := func(seed uint64) []string {
		g := NewGenerator(seed, new(Calibration))
		var texts []string
		for _, n := range []int{20, 60, 500} {
			texts = append(texts, content(t, g.Prompt(Shape{PromptTokens: Range{n, 2 * n}})))
		}
		return texts
	}
	if diff := cmp.Diff(prompts(5), prompts(5)); diff != "" {
		t.Errorf("the same seed gives other prompts (-first +second):\n%s", diff)
	}
	if cmp.Equal(prompts(5), prompts(6)) {
		t.Error("another seed gives the same prompts")
	}
}

func TestPromptsAskToGoOn(t *testing.T) {
	for _, test := range []struct {
		shape Shape
		want  string
	}{
		{Shape{PromptTokens: Range{20, 20}, MaxOutputTokens: 64}, "\nGo on at length."},
		{Shape{PromptTokens: Range{400, 400}}, "\nContinue this text in the same style."},
		{Shape{PromptTokens: Range{60, 60}, Instruction: "Reply with OK."}, "\nReply with OK."},
		{Shape{PromptTokens: Range{400, 400}, MaxOutputTokens: 256, Purpose: JSON, Instruction: "Reply with OK."}, "\nReply with OK."},
		{Shape{PromptTokens: Range{5, 5}, Instruction: "Reply with OK."}, "\nReply with OK."},
		{
			Shape{PromptTokens: Range{400, 400}, MaxOutputTokens: 256},
			"\nContinue this text in the same style. Write at least 256 words and do not stop before that.",
		},
	} {
		if text := content(t, NewGenerator(1, new(Calibration)).Prompt(test.shape)); !strings.HasSuffix(text, test.want) {
			t.Errorf("prompt of %+v ends %q; want %q", test.shape, text[max(0, len(text)-len(test.want)):], test.want)
		}
	}
}

func TestLeastPrompt(t *testing.T) {
	tok := tokenizer{overhead: 36, count: vocabularyTokens} // a template with a system prompt of its own
	c := new(Calibration)
	g := NewGenerator(1, c)
	for i := range 5 {
		p := g.Prompt(Shape{PromptTokens: Range{20, 20}})
		c.Observe(p.Units, tok.messages(p.Messages))
		if want := i > 0; p.Least != want {
			t.Errorf("request %d: Least = %v; want %v", i, p.Least, want)
		}
		if i > 0 && len(content(t, p)) > 40 {
			t.Errorf("request %d: %q; want the shortest prompt", i, content(t, p))
		}
	}
	if p := g.Prompt(Shape{PromptTokens: Range{100, 100}}); p.Least {
		t.Error("a prompt of 100 tokens is the shortest one")
	}
}

func TestCalibrate(t *testing.T) {
	for _, tok := range tokenizers() {
		t.Run(tok.name, func(t *testing.T) {
			c := new(Calibration)
			g := NewGenerator(1, c)
			err := g.Calibrate(t.Context(), func(_ context.Context, ms []wire.Message) (int, error) {
				return tok.messages(ms), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, asked := range []int{100, 1_000, 30_000} {
				p := g.Prompt(Shape{PromptTokens: Range{asked, asked}})
				if got := tok.messages(p.Messages); math.Abs(float64(got-asked)) > 0.05*float64(asked) {
					t.Errorf("first prompt of %d tokens has %d", asked, got)
				}
			}
		})
	}
	t.Run("error", func(t *testing.T) {
		cause := errors.New("no such path")
		err := NewGenerator(1, new(Calibration)).Calibrate(t.Context(), func(context.Context, []wire.Message) (int, error) {
			return 0, cause
		})
		if !errors.Is(err, cause) {
			t.Errorf("Calibrate = %v; want %v", err, cause)
		}
	})
	t.Run("zero", func(t *testing.T) {
		err := NewGenerator(1, new(Calibration)).Calibrate(t.Context(), func(context.Context, []wire.Message) (int, error) {
			return 0, nil
		})
		if err == nil {
			t.Error("Calibrate by a count of 0 tokens = nil; want an error")
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	tok := tokenizers()[0]
	c := new(Calibration)
	g := NewGenerator(1, c)
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				p := g.Prompt(Shape{PromptTokens: Range{50, 200}, SharedPrefixTokens: i % 2 * 40})
				c.Observe(p.Units, tok.messages(p.Messages))
				mu.Lock()
				if text := content(t, p); seen[text] {
					t.Errorf("prompt %q twice", text)
				} else {
					seen[text] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got := c.Fit(100).Observations; got != 400 {
		t.Errorf("Observations = %d; want 400", got)
	}
}
