package workload

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober/wire"
)

// Files as they go round, shortened.
const (
	oursFile = `{"messages": [{"role": "user", "content": "Hi"}]}

{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}], "max_output_tokens": 64, "weight": 2.5}
`
	batchFile = `{"custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o-mini", "messages": [{"role": "system", "content": "You are a helpful assistant."},{"role": "user", "content": "Hello world!"}],"max_tokens": 1000}}
{"custom_id": "request-2", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "o4-mini", "temperature": 1, "messages": [{"role": "developer", "content": "Be kind."},{"role": "user", "content": [{"type": "text", "text": "Hello "}, {"type": "text", "text": "there"}], "name": "ann"}],"max_completion_tokens": 20, "max_tokens": null}}
{"custom_id": "request-3", "body": {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "tool_calls": null, "refusal": null}, {"role": "user", "content": "c"}]}}
`
	shareGPTFile = `[
  {
    "id": "QWJhYvA_0",
    "conversations": [
      {"from": "human", "value": "Summarise [this], \"please\""},
      {"from": "gpt", "value": "It is short."},
      {"from": "human", "value": "Shorter"},
      {"from": "gpt", "value": "Short."}
    ]
  },
  {"id": "i6IyJda_0", "conversations": []},
  {"id": "i6IyJda_1", "conversations": [{"from": "gpt", "value": "the end of an earlier part"}, {"from": "user", "value": "Go on"}]},
  {"id": "x", "conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "a"}, {"from": "chatgpt", "value": "b"}, {"from": "human", "value": "c"}, {"from": "human", "value": "d"}, {"from": "gpt", "value": "e"}, {"from": "human", "value": "f"}]},
  {"id": "y", "conversations": [{"from": "gpt", "value": "alone"}]},
  {"id": "z", "conversations": [{"from": "human", "value": "g"}, {"from": "bard", "value": ""}, {"from": "human", "value": "h"}]}
]
`
)

func message(role, content string) wire.Message { return wire.Message{Role: role, Content: content} }

func TestReadRecorded(t *testing.T) {
	ours := []recordedRequest{
		{[]wire.Message{message("user", "Hi")}, 0, 1},
		{[]wire.Message{message("system", "Be brief."), message("user", "Why?")}, 64, 2.5},
	}
	batch := []recordedRequest{
		{[]wire.Message{message("system", "You are a helpful assistant."), message("user", "Hello world!")}, 1000, 1},
		{[]wire.Message{message("system", "Be kind."), message("user", "Hello there")}, 20, 1},
		{[]wire.Message{message("user", "a"), message("assistant", "b"), message("user", "c")}, 0, 1},
	}
	shareGPT := []recordedRequest{
		{[]wire.Message{message("user", `Summarise [this], "please"`)}, 0, 1},
		{[]wire.Message{message("user", `Summarise [this], "please"`), message("assistant", "It is short."), message("user", "Shorter")}, 0, 1},
		{[]wire.Message{message("user", "Go on")}, 0, 1},
		{[]wire.Message{message("system", "Be brief."), message("user", "a")}, 0, 1},
		{[]wire.Message{message("system", "Be brief."), message("user", "a"), message("assistant", "b"), message("user", "c")}, 0, 1},
		{[]wire.Message{message("user", "g")}, 0, 1},
	}
	for _, test := range []struct {
		name, file, kind string
		want             []recordedRequest
		idle             int
	}{
		{"ours", oursFile, "requests", ours, 0},
		{"ours, with blanks and a byte order mark", "\xef\xbb\xbf\r\n" + strings.ReplaceAll(oursFile, "\n", " \r\n"), "requests", ours, 0},
		{"ours as a list", "[" + strings.ReplaceAll(strings.TrimSpace(oursFile), "\n\n", ",\n") + "]", "requests", ours, 0},
		{"OpenAI batch", batchFile, "OpenAI batch", batch, 0},
		{"ShareGPT", shareGPTFile, "ShareGPT conversations", shareGPT, 2},
		{"ShareGPT as lines", asLines(t, shareGPTFile), "ShareGPT conversations", shareGPT, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := ReadRecorded("f", strings.NewReader(test.file), RecordedOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, r.requests, cmp.AllowUnexported(recordedRequest{})); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if r.Kind() != test.kind || r.Len() != len(test.want) || r.Idle() != test.idle || r.Bad() != nil {
				t.Errorf("kind %q, %d requests, %d idle, bad %v; want %q, %d, %d and none", r.Kind(), r.Len(), r.Idle(), r.Bad(), test.kind, len(test.want), test.idle)
			}
		})
	}
}

// asLines is a JSON list as one element on each line.
func asLines(t *testing.T, list string) string {
	t.Helper()
	var elements []any
	if err := json.Unmarshal([]byte(list), &elements); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range elements {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	return b.String()
}

func TestBadRecorded(t *testing.T) {
	const (
		leave  = "only text can be asked again: leave this out"
		write  = `write {"messages": [{"role": "user", "content": "..."}]}`
		turns  = `write {"conversations": [{"from": "human", "value": "..."}]}`
		before = `{"messages":[{"role":"user","content":"Hi"}]}` + "\n"
	)
	for _, test := range []struct{ name, file, want string }{
		{"empty", "", `recorded requests f.jsonl: none in it; write lines of {"messages": [{"role": "user", "content": "..."}]}`},
		{"empty list", "[ ]", `recorded requests f.jsonl: none in it; write lines of {"messages": [{"role": "user", "content": "..."}]}`},
		{"nothing asked", `{"conversations":[]}`, `recorded requests f.jsonl: none in it; write lines of {"messages": [{"role": "user", "content": "..."}]}`},
		{"no object", before + "\n" + `["messages"]` + "\n7\nnull", "f.jsonl:3: no JSON object; " + write + "\nf.jsonl:4: no JSON object; " + write + "\nf.jsonl:5: no JSON object; " + write},
		{"no JSON", before + `{"messages":` + "\nHi\n", "f.jsonl:2: no JSON: unexpected end of JSON input; have one whole object on each line, or one list of them\n" +
			"f.jsonl:3: no JSON: invalid character 'H' looking for beginning of value; have one whole object on each line, or one list of them"},
		{"two on a line", `{"messages":[]} {}`, "f.jsonl:1: no JSON: invalid character '{' after top-level value; have one whole object on each line, or one list of them"},
		{"no UTF-8", "{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}", "f.jsonl:1: no UTF-8; convert the file, or leave this out"},
		{"unknown kind", `{"prompt":"Hi"}`, `f.jsonl:1: neither "messages" nor "body" nor "conversations"; ` + write},
		{"two kinds", before + `{"conversations":[]}`, `f.jsonl:2: one of the kind "ShareGPT conversations" in a file of "requests"; let all of a file be of one kind`},
		{"unknown field", `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":5}`, `f.jsonl:1: unknown field "max_tokens"; the fields are "messages", "max_output_tokens" and "weight"`},
		{"no list", `{"messages":"Hi"}`, "f.jsonl:1: messages is no list of messages; " + write},
		{"no messages", `{"messages":[]}`, "f.jsonl:1: messages is no list of messages; " + write},
		{"no content", `{"messages":[{"role":"user"}]}`, "f.jsonl:1: message 1: content is no text; " + write},
		{"null content", `{"messages":[{"role":"user","content":null}]}`, "f.jsonl:1: message 1: content is empty; leave this out"},
		{"empty content", `{"messages":[{"role":"user","content":""}]}`, "f.jsonl:1: message 1: content is empty; leave this out"},
		{"image", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}}]}]}`, `f.jsonl:1: message 1: content has a part of the type "image_url"; ` + leave},
		{"role", `{"messages":[{"role":"tool","content":"4"},{"role":"user","content":"Hi"}]}`, `f.jsonl:1: message 1 is of the role "tool"; only system, user and assistant can be asked again: leave this out`},
		{"tool call", `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}]}`, "f.jsonl:1: message 2 calls tools; " + leave},
		{"no question", `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Ho"}]}`, "f.jsonl:1: the last message is not the user's: it asks nothing; leave out what comes after the user's last message"},
		{"cap", `{"messages":[{"role":"user","content":"Hi"}],"max_output_tokens":0}`, "f.jsonl:1: max_output_tokens is no whole number above 0; mend it, or leave it out"},
		{"weight", `{"messages":[{"role":"user","content":"Hi"}],"weight":0}`, "f.jsonl:1: weight is no number above 0; give one up to 1e+09, or leave it out, which is 1"},
		{"huge weight", `{"messages":[{"role":"user","content":"Hi"}],"weight":1e10}`, "f.jsonl:1: weight is no number above 0; give one up to 1e+09, or leave it out, which is 1"},
		{"first of two faults", `{"weight":-1,"max_output_tokens":-1,"messages":[{"role":"user","content":"Hi"}]}`, "f.jsonl:1: max_output_tokens is no whole number above 0; mend it, or leave it out"},
		{"embeddings", `{"custom_id":"1","url":"/v1/embeddings","body":{"input":"Hi"}}`, "f.jsonl:1: body has no messages; only requests for /v1/chat/completions can be asked again: leave others out"},
		{"no body", `{"custom_id":"1","body":null}`, "f.jsonl:1: body has no messages; only requests for /v1/chat/completions can be asked again: leave others out"},
		{"batch cap", `{"body":{"messages":[{"role":"user","content":"Hi"}],"max_tokens":"9"}}`, "f.jsonl:1: max_tokens is no whole number above 0; mend it, or leave it out"},
		{"no turns", `{"conversations":{"from":"human"}}`, "f.jsonl:1: conversations is no list of turns; " + turns},
		{"speaker", `{"conversations":[{"from":"human","value":"Hi"},{"from":"observation","value":"4"}]}`, `f.jsonl:1: turn 2 is from "observation"; only human, gpt and system can be asked again: leave this out`},
		{"no value", `{"conversations":[{"from":"human","text":"Hi"}]}`, "f.jsonl:1: turn 1 has no value; " + turns},
		{"cut off", "[" + before + ",\n\n{\"mess", "f.jsonl:4: the list has no end; see whether the file was cut off"},
		{"long", before + strings.Repeat(" ", 200) + "\n", "f.jsonl:2: longer than 200 bytes; leave it out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ReadRecorded("f.jsonl", strings.NewReader(test.file), RecordedOptions{MaxLineBytes: 200})
			if err == nil || err.Error() != test.want {
				t.Errorf("ReadRecorded = %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestSkipBad(t *testing.T) {
	file := strings.Repeat("{}\n", 30) + oursFile + "Hi\n"
	if _, err := ReadRecorded("f", strings.NewReader(file), RecordedOptions{}); err == nil {
		t.Error("ReadRecorded without SkipBad = nil; want an error")
	} else if bad, ok := errors.AsType[*BadLines](err); !ok || bad.Count != 31 || len(bad.Lines) != maxBadLines {
		t.Errorf("ReadRecorded without SkipBad = %v; want 31 bad lines, %d of them by number", err, maxBadLines)
	}
	r, err := ReadRecorded("f", strings.NewReader(file), RecordedOptions{SkipBad: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.Len() != 2 || r.Bad() == nil || r.Bad().Count != 31 {
		t.Errorf("%d requests, bad %v; want 2 and 31 bad lines", r.Len(), r.Bad())
	}
	if _, err := ReadRecorded("f", strings.NewReader("Hi\n"), RecordedOptions{SkipBad: true}); err == nil {
		t.Error("ReadRecorded of bad lines alone = nil; want an error")
	}
}

func TestRecordedMemoryIsBounded(t *testing.T) {
	file := strings.Repeat(`{"messages":[{"role":"user","content":"`+strings.Repeat("x", 1000)+`"}]}`+"\n", 10)
	if _, err := ReadRecorded("f", strings.NewReader(file), RecordedOptions{MaxBytes: 10 * (1000 + messageBytes)}); err != nil {
		t.Errorf("ReadRecorded of just as much as is allowed = %v; want nil", err)
	}
	for _, skip := range []bool{false, true} {
		_, err := ReadRecorded("f", strings.NewReader(file), RecordedOptions{MaxBytes: 5000, SkipBad: skip})
		if want := "f:5: the requests up to here take more memory than is allowed; take a part of the file, or allow more"; err == nil || err.Error() != want {
			t.Errorf("ReadRecorded = %v; want %s", err, want)
		}
	}
}

func TestLoadRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prompts.jsonl")
	if err := os.WriteFile(path, []byte(oursFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := LoadRecorded(path, RecordedOptions{}); err != nil || r.Len() != 2 {
		t.Errorf("LoadRecorded = %v, %v; want two requests", r, err)
	}
	if _, err := LoadRecorded(path+"x", RecordedOptions{}); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "recorded requests: ") {
		t.Errorf("LoadRecorded of no file = %v; want an error that says so", err)
	}
	cause := errors.New("disk on fire")
	if _, err := ReadRecorded("f", iotest.ErrReader(cause), RecordedOptions{SkipBad: true}); !errors.Is(err, cause) {
		t.Errorf("ReadRecorded of a broken disk = %v; want %v", err, cause)
	}
}

func TestMaxBytes(t *testing.T) {
	r, err := ReadRecorded("f", strings.NewReader(oursFile), RecordedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.MaxBytes(), len("Be brief.")+len("Why?")+2*messageBytes; got != want {
		t.Errorf("MaxBytes() = %d; want %d", got, want)
	}
}

func TestReplay(t *testing.T) {
	var file strings.Builder
	weights := []float64{1, 5, 0.001, 3, 1}
	for i, w := range weights {
		fmt.Fprintf(&file, `{"messages":[{"role":"user","content":"%d"}],"max_output_tokens":%d,"weight":%v}`+"\n", i, i+1, w)
	}
	r, err := ReadRecorded("f", strings.NewReader(file.String()), RecordedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	picks := func(seed uint64, n int) []int {
		p := r.Replay(seed)
		var list []int
		for range n {
			q := p.Prompt()
			if q.Units != 0 || q.Turn != 0 || fmt.Sprint(q.MaxOutputTokens-1) != q.Messages[0].Content {
				t.Fatalf("Prompt() = %+v; want a recorded one", q)
			}
			list = append(list, q.MaxOutputTokens-1)
		}
		return list
	}
	const n = 20_000
	counts := make([]float64, len(weights))
	for _, i := range picks(1, n) {
		counts[i]++
	}
	for i, w := range weights {
		share := w / 10.001
		if off := 5*math.Sqrt(n*share*(1-share)) + 2; math.Abs(counts[i]-n*share) > off {
			t.Errorf("%v of %d picks are request %d of weight %v; want %.1f ± %.1f", counts[i], n, i, w, n*share, off)
		}
	}
	if !slices.Equal(picks(2, 50), picks(2, 50)) || slices.Equal(picks(2, 50), picks(3, 50)) {
		t.Error("the seed does not decide what is picked")
	}

	t.Run("at once", func(t *testing.T) {
		p := r.Replay(1)
		var mu sync.Mutex
		got := make([]float64, len(weights))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range n / 8 {
					q := p.Prompt()
					mu.Lock()
					got[q.MaxOutputTokens-1]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if diff := cmp.Diff(counts, got); diff != "" {
			t.Errorf("picks (-one after the other +at once):\n%s", diff)
		}
	})
}

func FuzzReadRecorded(f *testing.F) {
	for _, seed := range []string{oursFile, batchFile, shareGPTFile, "[]", "[{}", `{"messages":[{"role":"user","content":[]}]}`, `{"body":{"messages":[null]}}`} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, file []byte, skip bool) {
		read := func() (*Recorded, error) {
			return ReadRecorded("f", strings.NewReader(string(file)), RecordedOptions{SkipBad: skip, MaxBytes: 1 << 20, MaxLineBytes: 1 << 16})
		}
		r, err := read()
		if _, again := read(); (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Fatalf("two readings: %v and %v", err, again)
		}
		if err != nil {
			if !strings.Contains(err.Error(), "; ") {
				t.Fatalf("the error %q has no cure", err)
			}
			return
		}
		if r.Bad() != nil && !skip {
			t.Fatalf("loaded in spite of %v", r.Bad())
		}
		replay := r.Replay(1)
		for range 3 {
			p := replay.Prompt()
			if p.MaxOutputTokens < 0 || len(p.Messages) == 0 || p.Messages[len(p.Messages)-1].Role != "user" {
				t.Fatalf("Prompt() = %+v; want a question", p)
			}
			for _, m := range p.Messages {
				if m.Content == "" || m.Role != "user" && m.Role != "assistant" && m.Role != "system" {
					t.Fatalf("Prompt() = %+v; want texts of the user, the assistant and the system", p)
				}
			}
		}
	})
}
