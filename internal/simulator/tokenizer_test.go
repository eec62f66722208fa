package simulator

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func pieces(t tokenizer, text string) []string {
	var all []string
	t.each(text, func(p string) { all = append(all, p) })
	return all
}

func TestTokenizer(t *testing.T) {
	a, errA := newTokenizer("a")
	b, errB := newTokenizer("b")
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	for _, test := range []struct {
		text   string
		ofA, b []string
	}{
		{"", nil, nil},
		{"Hello there", []string{"Hello", " there"}, []string{"Hell", "o", " the", "re"}},
		{"don't stop!", []string{"don", "'", "t", " stop", "!"}, []string{"don", "'", "t", " sto", "p", "!"}},
		{"a  b\n\n c", []string{"a", " ", " b", "\n", "\n", " c"}, []string{"a", " ", " b", "\n", "\n", " c"}},
		{"東京東京東京", []string{"東京", "東京", "東京"}, []string{"東", "京", "東", "京", "東", "京"}},
		{"end  ", []string{"end", "  "}, []string{"end", "  "}},
		{strings.Repeat(" ", 40), []string{strings.Repeat(" ", 16), strings.Repeat(" ", 16), strings.Repeat(" ", 8)}, []string{strings.Repeat(" ", 16), strings.Repeat(" ", 16), strings.Repeat(" ", 8)}},
	} {
		if d := cmp.Diff(test.ofA, pieces(a, test.text)); d != "" {
			t.Errorf("a cuts %q (-want +got):\n%s", test.text, d)
		}
		if d := cmp.Diff(test.b, pieces(b, test.text)); d != "" {
			t.Errorf("b cuts %q (-want +got):\n%s", test.text, d)
		}
	}

	// The two must differ as tokenizers do, on ordinary text.
	const prose = `Continuous batching admits a waiting request as soon as a running one has ended, so the graphics processor is
kept busy; the price is that every request in the batch becomes a little slower while the new prompt is being computed.`
	words := float64(len(strings.Fields(prose)))
	if ratio := float64(a.count(prose)) / words; ratio < 1.15 || ratio > 1.6 {
		t.Errorf("a makes %.2f tokens of a word; want about 1.3", ratio)
	}
	if ratio := float64(b.count(prose)) / words; ratio < 1.7 || ratio > 2.3 {
		t.Errorf("b makes %.2f tokens of a word; want about 1.8", ratio)
	}
}

func TestPromptTokens(t *testing.T) {
	a, err := newTokenizer("a")
	if err != nil {
		t.Fatal(err)
	}
	messages := []chatMessage{{"system", "Be brief."}, {"user", "Hello there"}}
	for _, tools := range []string{"", "null", `[{"type":"function"}]`} {
		n := a.promptTokens(messages, json.RawMessage(tools))
		if ids := a.promptIDs(messages, json.RawMessage(tools)); len(ids) != n {
			t.Errorf("with tools %s there are %d ids of %d prompt tokens", tools, len(ids), n)
		}
		want := 4 + 2*5 + 3 + 2
		if strings.HasPrefix(tools, "[") {
			want += a.count(tools)
		}
		if n != want {
			t.Errorf("with tools %q promptTokens() = %d; want %d", tools, n, want)
		}
	}
}

func FuzzTokenizer(f *testing.F) {
	f.Add("Hello there,  wonderful\n world 東京 \xff\xfe")
	a, errA := newTokenizer("a")
	b, errB := newTokenizer("b")
	if errA != nil || errB != nil {
		f.Fatal(errA, errB)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, tok := range []tokenizer{a, b} {
			all := pieces(tok, text)
			if got := strings.Join(all, ""); got != text {
				t.Fatalf("the pieces of %q are %q", text, all)
			}
			if slices.Contains(all, "") {
				t.Fatalf("%q has an empty piece: %q", text, all)
			}
			if tok.count(text) != len(all) || len(tok.ids(nil, text)) != len(all) {
				t.Fatalf("count and ids of %q differ from its %d pieces", text, len(all))
			}
		}
	})
}

func TestText(t *testing.T) {
	tok, err := newTokenizer("a")
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter(newVocabulary(tok), 1)
	var text, escaped strings.Builder
	foreign := 0
	for range 20000 {
		p := w.next()
		if p.text == "" || p.id < 0 || p.id >= tok.vocabulary {
			t.Fatalf("the token %+v has no text or no id", *p)
		}
		if len(p.text) > utf8.RuneCountInString(p.text) {
			foreign++
		}
		text.WriteString(p.text)
		escaped.WriteString(p.json)
	}
	var back string
	if err := json.Unmarshal([]byte(`"`+escaped.String()+`"`), &back); err != nil || back != text.String() {
		t.Errorf("the escaped text does not read back as the text: %v", err)
	}
	if !utf8.ValidString(back) || foreign < 400 || foreign > 2000 {
		t.Errorf("valid UTF-8: %v, %d of 20000 tokens of more bytes than characters; want about 1000", utf8.ValidString(back), foreign)
	}
	for _, bad := range []string{",,", ", .", "..", ",."} {
		if strings.Contains(back, bad) {
			t.Errorf("the text contains %q", bad)
		}
	}
}
