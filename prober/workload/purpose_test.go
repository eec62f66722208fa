package workload

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestPurposesAsk(t *testing.T) {
	for _, test := range []struct {
		name  string
		shape Shape
		want  string
	}{
		{"json", Shape{Purpose: JSON}, "\nReply in JSON alone, one object with the fields title, mood and place."},
		{"json of one field", Shape{Purpose: JSON, Fields: []string{"city"}}, "\nReply in JSON alone, one object with the fields city."},
		{"json of two fields", Shape{Purpose: JSON, Fields: []string{"city", "river"}}, "\nReply in JSON alone, one object with the fields city and river."},
		{"tool", Shape{Purpose: ToolCall, Tool: "get_weather"}, "\nCall the tool get_weather with what this text says, and say nothing else."},
		{"any tool", Shape{Purpose: ToolCall}, "\nCall the tool that fits this text, and say nothing else."},
		{"long answer", Shape{Purpose: LongAnswer, MaxOutputTokens: 600}, "\nWrite a list of 51 sentences that go on with this text, number each one and leave none out."},
		{"long answer without a cap", Shape{Purpose: LongAnswer}, "\nWrite a list of 200 sentences that go on with this text, number each one and leave none out."},
		{"unknown", Shape{Purpose: "poem"}, "\nContinue this text in the same style."},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.shape.PromptTokens = Range{200, 200}
			p := NewGenerator(1, new(Calibration)).Prompt(test.shape)
			if text := content(t, p); !strings.HasSuffix(text, test.want) || p.Answer != "" || p.MaxOutputTokens != test.shape.MaxOutputTokens {
				t.Errorf("prompt ends %q, answer %q, cap %d; want %q and none", text[max(0, len(text)-len(test.want)):], p.Answer, p.MaxOutputTokens, test.want)
			}
		})
	}
}

// The puzzles are solved here in another way than the generator makes them.
func TestPuzzlesHaveTheAnswerThatTheySay(t *testing.T) {
	number := regexp.MustCompile(`\nA hall has (\d\d) rows of (\d) seats, and (\d\d) seats are taken\. How many are free\? Think it through and end with the number\.$`)
	order := regexp.MustCompile(`\n(.+)\. Who is the (oldest|second oldest|second youngest|youngest)\? Think it through and end with the name\.$`)
	g := NewGenerator(1, new(Calibration))
	answers := map[string]int{}
	kinds := map[string]int{}
	const n = 2_000
	for range n {
		p := g.Prompt(Shape{PromptTokens: Range{150, 150}, Purpose: Reasoning})
		text := content(t, p)
		answers[p.Answer]++
		if m := number.FindStringSubmatch(text); m != nil {
			kinds["number"]++
			rows, seats, taken := atoi(t, m[1]), atoi(t, m[2]), atoi(t, m[3])
			free := 0
			for row := range rows {
				free += seats
				if row == 0 {
					free -= taken
				}
			}
			if atoi(t, p.Answer) != free || len(p.Answer) != 3 || strings.Contains(text, p.Answer) {
				t.Fatalf("%q: answer %s; want %d, of three digits, and not in the question", m[0], p.Answer, free)
			}
			continue
		}
		m := order.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no puzzle in %q", text)
		}
		kinds[m[2]]++
		younger := map[string]string{}
		for piece := range strings.SplitSeq(m[1], ". ") {
			a, b, ok := strings.Cut(piece, " is older than ")
			if !ok {
				t.Fatalf("no order in %q", m[0])
			}
			younger[a] = b
		}
		after := func(name string) int { // how many are younger
			k := 0
			for younger[name] != "" && k < 10 {
				name = younger[name]
				k++
			}
			return k
		}
		if want := map[string]int{"oldest": 3, "second oldest": 2, "second youngest": 1, "youngest": 0}[m[2]]; len(younger) != 3 || after(p.Answer) != want {
			t.Fatalf("%q: answer %s, who has %d younger ones; want %d", m[0], p.Answer, after(p.Answer), want)
		}
	}
	if kinds["number"] < n*45/100 || len(kinds) != 5 {
		t.Errorf("kinds of puzzles: %v; want half of numbers, and four of order", kinds)
	}
	if len(answers) < 300 {
		t.Errorf("only %d different answers in %d puzzles", len(answers), n)
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Probes of all purposes at one target share its calibration.
func TestPurposesHaveTheLengthAsked(t *testing.T) {
	purposes := []Purpose{Plain, JSON, ToolCall, Reasoning, LongAnswer}
	for _, tok := range tokenizers() {
		t.Run(tok.name, func(t *testing.T) {
			c := new(Calibration)
			g := NewGenerator(1, c)
			for _, asked := range []int{100, 400, 8_000} {
				results := make([]tally, len(purposes))
				for range 23 {
					for i, purpose := range purposes {
						results[i].asked = asked
						p := g.Prompt(Shape{PromptTokens: Range{asked, asked}, MaxOutputTokens: 64, Purpose: purpose, Tool: "get_current_weather"})
						got := tok.messages(p.Messages)
						c.Observe(p.Units, got)
						results[i].add(t, got)
						if p.Least {
							t.Errorf("%q of %d tokens is the shortest there is", purpose, asked)
						}
					}
				}
				for i, r := range results {
					if mean := r.sum / float64(r.n-3); math.Abs(mean) > 0.03 {
						t.Errorf("%q of %d tokens is off by %.2f %% in the mean; want 3 %%", purposes[i], asked, 100*mean)
					}
				}
			}
		})
	}
}
