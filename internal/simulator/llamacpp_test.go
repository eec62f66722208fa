package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// llamacppPaths are the ways of asking a llama.cpp, each with a body in which %s stands for further fields.
func llamacppPaths() map[string]string {
	const messages = `"messages":[{"role":"user","content":"Hello there, how are you?"}]`
	return map[string]string{
		"/v1/chat/completions": `{` + messages + `%s}`,
		"/v1/completions":      `{"prompt":"Once upon a time"%s}`,
		"/v1/responses":        `{"input":"Hello there, how are you?"%s}`,
		"/v1/messages":         `{` + messages + `%s}`,
	}
}

// askPath sends a request to a path, with further fields.
func askPath(t *testing.T, client *http.Client, path, id, fields string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://sim"+path, strings.NewReader(fmt.Sprintf(llamacppPaths()[path], fields)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Request-Id", id)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestLlamacppRecorded holds what a simulated llama.cpp says against what a real one said: the same events in the same order,
// with the same members in the same order, of the same kinds. Events that are alike, and elements of a list, count once.
func TestLlamacppRecorded(t *testing.T) {
	const (
		function = `{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}`
		chat     = "/v1/chat/completions"
		usage    = `,"stream":true,"stream_options":{"include_usage":true}`
		progress = `,"return_progress":true,"timings_per_token":true`
	)
	for _, c := range []struct {
		file, path, fields string
		without            string // what the recording has beyond what was asked for here: a part of an event, or of the document
	}{
		{"openai_chat/llamacpp_b11549_recorded.stream", chat, usage, ""},
		{"openai_chat/llamacpp_b11549_progress_recorded.stream", chat, usage + progress, ""},
		{"openai_chat/llamacpp_b11549_reasoning_recorded.stream", chat, usage + `,"reasoning_effort":"low"`, ""},
		{"openai_chat/llamacpp_0c1e570_tools_recorded.stream", chat, usage + `,"tools":[{"type":"function","function":` + function + `}]`, ""},
		{"openai_chat/whole_llamacpp_b11549_recorded.json", chat, ``, ""},
		{"openai_chat/whole_llamacpp_0c1e570_tools_recorded.json", chat, `,"tools":[{"type":"function","function":` + function + `}]`, ""},
		{"openai_completions/llamacpp_b11549_recorded.stream", "/v1/completions", `,"stream":true`, ""},
		{"openai_completions/whole_llamacpp_b11549_recorded.json", "/v1/completions", ``, ""},
		{"openai_responses/llamacpp_b11549_recorded.stream", "/v1/responses", `,"stream":true`, ""},
		{"openai_responses/llamacpp_b11549_progress_recorded.stream", "/v1/responses", `,"stream":true,"return_progress":true`, ""},
		{"openai_responses/llamacpp_0c1e570_tools_recorded.stream", "/v1/responses", `,"stream":true,"tools":[{"type":"function",` + function[1:] + `]`, ""},
		{"openai_responses/whole_llamacpp_b11549_recorded.json", "/v1/responses", ``, ""},
		{"openai_responses/whole_llamacpp_0c1e570_tools_recorded.json", "/v1/responses", `,"tools":[{"type":"function",` + function[1:] + `]`, ""},
		{"anthropic_messages/llamacpp_b11549_recorded.stream", "/v1/messages", `,"stream":true`, ""},
		{"anthropic_messages/llamacpp_b11549_reasoning_recorded.stream", "/v1/messages", `,"stream":true,"thinking":{"type":"enabled","budget_tokens":8}`, ""},
		{"anthropic_messages/llamacpp_0c1e570_tools_recorded.stream", "/v1/messages", `,"stream":true,"tools":[{"name":"get_weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]`, `"text`},
		{"anthropic_messages/whole_llamacpp_b11549_recorded.json", "/v1/messages", ``, ""},
		{"anthropic_messages/whole_llamacpp_0c1e570_tools_recorded.json", "/v1/messages", `,"tools":[{"name":"get_weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]`, `{"type":"text","text":" time(IE then what way"},`},
	} {
		t.Run(c.file, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join("../../prober/wire/testdata", filepath.FromSlash(c.file)))
			if err != nil {
				t.Fatal(err)
			}
			recorded := string(b)
			inBubble(t, Options{Dialect: "llamacpp", MaxModelLen: 2000}, func(t *testing.T, s *Server, client *http.Client) {
				most := `,"max_tokens":120`
				if strings.Contains(c.path, "responses") {
					most = `,"max_output_tokens":120`
				}
				resp := askPath(t, client, c.path, "r", c.fields+most)
				got := readAll(t, resp)
				if stream := strings.HasSuffix(c.file, ".stream"); !stream {
					if d := cmp.Diff(shape(t, strings.Replace(recorded, c.without, "", 1)), shape(t, got)); d != "" {
						t.Errorf("the shape (-recorded +simulated):\n%s", d)
					}
					return
				}
				if d := cmp.Diff(shapes(t, recorded, c.without), shapes(t, got, "")); d != "" {
					t.Errorf("the shapes of events (-recorded +simulated):\n%s", d)
				}
				if got := resp.Header.Get("X-Accel-Buffering"); got != "no" {
					t.Errorf("X-Accel-Buffering is %q; want no", got)
				}
			})
		})
	}
}

// shapes are the shapes of a stream's events, each where it is seen first; those that contain without are left out.
func shapes(t *testing.T, stream, without string) []string {
	t.Helper()
	var all []string
	for event := range strings.SplitSeq(strings.TrimSpace(stream), "\n\n") {
		if without != "" && strings.Contains(event, without) {
			continue
		}
		name, data, named := strings.Cut(event, "data: ")
		if !named {
			t.Fatalf("an event without data: %q", event)
		}
		if data != "[DONE]" {
			data = shape(t, data)
		}
		if s := name + data; !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// shape is a JSON document with its values replaced by what they are, but for words that say what something is.
func shape(t *testing.T, document string) string {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(document))
	dec.UseNumber()
	var value func(key string) string
	value = func(key string) string {
		tok, err := dec.Token()
		if err != nil {
			t.Fatalf("%v in %s", err, document)
		}
		switch tok := tok.(type) {
		case json.Delim:
			var members []string
			for dec.More() {
				var m string
				if tok == '{' {
					name, err := dec.Token()
					if err != nil {
						t.Fatal(err)
					}
					m = name.(string) + ":" + value(name.(string))
				} else {
					m = value("")
				}
				if tok == '{' || !slices.Contains(members, m) {
					members = append(members, m)
				}
			}
			end, err := dec.Token()
			if err != nil {
				t.Fatal(err)
			}
			return tok.String() + strings.Join(members, " ") + end.(json.Delim).String()
		case json.Number:
			if strings.ContainsAny(tok.String(), ".e") {
				return "1.5"
			}
			return "1"
		case string:
			if slices.Contains([]string{"type", "object", "status", "role", "name"}, key) {
				return tok
			}
			prefix, _, found := strings.Cut(tok, "_") // of ids
			if strings.HasSuffix(key, "id") && found {
				return prefix + "_…"
			}
			return "…"
		default:
			return fmt.Sprint(tok)
		}
	}
	return value("")
}

// TestLlamacppPageRecorded compares all of the page but the values.
func TestLlamacppPageRecorded(t *testing.T) {
	recorded, err := os.ReadFile("../../collector/engine/testdata/llamacpp_b11549_recorded.page")
	if err != nil {
		t.Fatal(err)
	}
	lines := func(page string) (all []string) {
		for line := range strings.Lines(strings.TrimSpace(page)) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "#") {
				line, _, _ = strings.Cut(line, " ")
			}
			all = append(all, line)
		}
		return all
	}
	inBubble(t, Options{Dialect: "llamacpp"}, func(t *testing.T, s *Server, client *http.Client) {
		if d := cmp.Diff(lines(string(recorded)), lines(get(t, client, "/metrics"))); d != "" {
			t.Errorf("the page (-recorded +simulated):\n%s", d)
		}
	})
}

// TestLlamacppPageCounts has two prompts read in one batch, whose time counts once, and a third come from the cache.
func TestLlamacppPageCounts(t *testing.T) {
	o := roundEngine()
	o.Dialect, o.PrefixCache = "llamacpp", true
	inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
		ask := func(id, begin string) {
			readAll(t, ask(t, client, id, longHello(begin, 100, `"max_tokens":2,`)))
		}
		blocker := askPath(t, client, "/v1/completions", "blocker", `,"stream":true,"max_tokens":2`) // 4 tokens: 0 to 11.25 ms, and to 22.25
		time.Sleep(ms)
		var wg sync.WaitGroup
		for _, begin := range []string{"one", "two"} { // 110 tokens each, in one batch with the blocker's second token
			wg.Go(func() { ask(begin, begin) })
		}
		wg.Wait()
		readAll(t, blocker)
		if one, two := s.must(t, "one"), s.must(t, "two"); one.Prefill == nil || two.Prefill == nil || *one.Prefill != *two.Prefill {
			t.Fatalf("the prefills took %v and %v; want them in one batch", one.Prefill, two.Prefill)
		}
		page := get(t, client, "/metrics")
		const reading = (11 + 4.0/16) + (10 + 3 + 220.0/16) // ms
		wantMetric(t, page, "llamacpp:prompt_tokens_total", "", 4+2*110)
		wantMetric(t, page, "llamacpp:prompt_tokens_cached_total", "", 0)
		wantMetric(t, page, "llamacpp:prompt_seconds_total", "", reading/1e3)
		wantMetric(t, page, "llamacpp:tokens_predicted_total", "", 6)

		ask("again", "one")
		page = get(t, client, "/metrics")
		wantMetric(t, page, "llamacpp:prompt_tokens_cached_total", "", 96)
		wantMetric(t, page, "llamacpp:prompt_tokens_total", "", 4+2*110+110-96)
		wantMetric(t, page, "llamacpp:prompt_tokens_seconds", "", 1178.95) // since the page before: 14 tokens in 11.875 ms
		if page := get(t, client, "/metrics"); !strings.Contains(page, "\nllamacpp:prompt_tokens_seconds 0\n") {
			t.Errorf("a rate outlives the page that tells it: %s", page)
		}
	})
}

// must is the truth about a request that is known.
func (s *Server) must(t *testing.T, id string) Truth {
	t.Helper()
	tr, ok := s.Truth(id)
	if !ok {
		t.Fatalf("nothing is known of %s", id)
	}
	return tr
}

// TestLlamacppHeaderTellsTheWait holds the time at which the header of a stream comes against the true wait, behind another
// request and behind the loading of the model.
func TestLlamacppHeaderTellsTheWait(t *testing.T) {
	for path := range llamacppPaths() {
		for _, fields := range []string{"", `,"return_progress":true`} {
			o := roundEngine()
			o.Dialect, o.MaxRunning = "llamacpp", 1
			inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
				begin := time.Now()
				first := askPath(t, client, path, "first", `,"stream":true`+fields+caps(path, 2))
				if got := time.Since(begin); got != 0 {
					t.Errorf("%s%s: the first header came after %v; want at once", path, fields, got)
				}
				second := askPath(t, client, path, "second", `,"stream":true`+fields+caps(path, 2))
				got := time.Since(begin)
				if tr := s.must(t, "second"); *tr.QueueWait <= int64(20*ms) || got != time.Duration(*tr.QueueWait) || tr.OutputTokens != 0 {
					t.Errorf("%s%s: the header came after %v; the wait was %v", path, fields, got, time.Duration(*tr.QueueWait))
				}
				readAll(t, first)
				readAll(t, second)
			})
		}
		inBubble(t, Options{Dialect: "llamacpp", FirstToken: 100 * ms, PerToken: ms, Changes: []Change{{Set: "cold_start=5s/10m"}}}, func(t *testing.T, s *Server, client *http.Client) {
			begin := time.Now()
			resp := askPath(t, client, path, "cold", `,"stream":true`+caps(path, 2))
			if got := time.Since(begin); got != 5*time.Second {
				t.Errorf("%s: with fixed times the header of a cold start came after %v; want 5s", path, got)
			}
			readAll(t, resp)
		})
	}
}

// caps is the field that caps the output.
func caps(path string, n int) string {
	if path == "/v1/responses" {
		return fmt.Sprintf(`,"max_output_tokens":%d`, n)
	}
	return fmt.Sprintf(`,"max_tokens":%d`, n)
}

// TestLlamacppHeaderOfLostRequests has requests that wait for a slot end otherwise: by the client, and by the server.
func TestLlamacppHeaderOfLostRequests(t *testing.T) {
	o := roundEngine()
	o.Dialect, o.MaxRunning = "llamacpp", 1
	o.Changes = []Change{{Set: "restart=1s", After: time.Second}}
	inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
		first := askPath(t, client, "/v1/messages", "first", `,"stream":true`+caps("", 1000))
		impatient := &http.Client{Transport: client.Transport, Timeout: 100 * ms}
		for _, c := range []*http.Client{impatient, client} {
			resp, err := c.Post("http://sim/v1/messages", "application/json", strings.NewReader(fmt.Sprintf(llamacppPaths()["/v1/messages"], `,"stream":true`+caps("", 2))))
			if err == nil {
				t.Errorf("a request that got no slot was answered: %s %s", resp.Status, readAll(t, resp))
			}
		}
		first.Body.Close()
		synctest.Wait()
		if got := s.engine.load(); got != (load{}) {
			t.Errorf("afterwards load() = %+v; want nothing", got)
		}
	})
}

func TestLlamacppContext(t *testing.T) {
	for path := range llamacppPaths() {
		inBubble(t, Options{Dialect: "llamacpp", MaxModelLen: 64}, func(t *testing.T, s *Server, client *http.Client) {
			body := readAll(t, askPath(t, client, path, "cut", caps(path, 3000)))
			tr := s.must(t, "cut")
			if tr.OutputTokens != 64-tr.PromptTokens || tr.Finish != "length" || !strings.Contains(body, `"model":"sim-8b"`) {
				t.Errorf("%s: %d tokens after a prompt of %d, %q; want 64 in all", path, tr.OutputTokens, tr.PromptTokens, body)
			}
			long := strings.ReplaceAll(strings.ReplaceAll(llamacppPaths()[path], "Hello there,", strings.Repeat("word ", 100)), "Once upon", strings.Repeat("word ", 100))
			resp, err := client.Post("http://sim"+path, "application/json", strings.NewReader(fmt.Sprintf(long, `,"stream":true`)))
			if err != nil {
				t.Fatal(err)
			}
			body = readAll(t, resp)
			if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, ` tokens) exceeds the available context size (64 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":1`) {
				t.Errorf("%s: too long a prompt: %d %s", path, resp.StatusCode, body)
			}
		})
	}
}

func TestLlamacppTimings(t *testing.T) {
	for _, c := range []struct {
		made int
		took float64
		want string
	}{
		{0, 0, `"predicted_n":0,"predicted_ms":0.0,"predicted_per_token_ms":0.0,"predicted_per_second":0.0}`},
		{1, 0, `"predicted_n":1,"predicted_ms":0.0,"predicted_per_token_ms":0.0,"predicted_per_second":0.0}`},
		{5, 80, `"predicted_n":5,"predicted_ms":80.0,"predicted_per_token_ms":20.0,"predicted_per_second":50.0}`},
	} {
		const prompt = `{"cache_n":3,"prompt_n":8,"prompt_ms":2.5,"prompt_per_token_ms":0.3125,"prompt_per_second":3200.0,`
		if got := string(appendJSON(nil, timings(3, 8, 2.5, c.made, c.took))); got != prompt+c.want {
			t.Errorf("timings(…, %d, %v) = %s; want %s", c.made, c.took, got, prompt+c.want)
		}
	}
}

// TestLlamacppTakesItsOwnWords keeps what llama.cpp hands on of the protocols that it translates, and what it does not.
func TestLlamacppTakesItsOwnWords(t *testing.T) {
	const (
		schema = `{"type":"object","properties":{"ok":{"const":true}},"required":["ok"]}`
		tools  = `,"tools":[{"name":"f","input_schema":{"type":"object"}}]`
	)
	for _, c := range []struct {
		path, fields string
		want, not    string
	}{
		{"/v1/responses", `,"text":{"format":{"type":"json_schema","name":"x","schema":` + schema + `}}` + caps("/v1/responses", 8), `"output_tokens":8`, `{\"ok\": true}`},
		{"/v1/responses", `,"response_format":{"type":"json_schema","json_schema":{"schema":` + schema + `}}` + caps("/v1/responses", 80), `{\"ok\": true}`, ""},
		{"/v1/responses", `,"stream":true,"timings_per_token":true` + caps("/v1/responses", 2), `"delta":"`, `","sequence_number"`},
		{"/v1/responses", `,"stream":true,"timings_per_token":true` + caps("/v1/responses", 2), `"timings":{"cache_n":0,"prompt_n":16,"prompt_ms":40000.0,"prompt_per_token_ms":2500.0,"prompt_per_second":0.4,"predicted_n":1,`, ""},
		{"/v1/responses", `,"stream":true,"sse_ping_interval":9` + caps("/v1/responses", 2), "\n\n:\n\n:\n\n", ""},
		{"/v1/responses", `,"stream":true,"sse_ping_interval":-1` + caps("/v1/responses", 2), "response.completed", "\n\n:\n\n"},
		{"/v1/messages", `,"sse_ping_interval":-1,"stream":true` + caps("", 2), "\n\n:\n\n", `event: ping`},
		{"/v1/messages", `,"timings_per_token":true,"return_progress":true,"stream":true` + caps("", 2), `"type":"message_stop"`, `prompt_`},
		{"/v1/messages", `,"tool_choice":{"type":"none"}` + tools + caps("", 80), `"type":"tool_use"`, ""},
		{"/v1/messages", `,"tool_choice":{"type":"tool","name":"g"}` + tools + caps("", 80), `"name":"f"`, ""},
		{"/v1/messages", `,"output_config":{"effort":"high","format":{"type":"json_schema","schema":` + schema + `}}` + caps("", 8), `"stop_reason":"max_tokens"`, `thinking`},
		{"/v1/messages", ``, `"output_tokens":4096`, ""},
	} {
		t.Run(c.path+c.fields, func(t *testing.T) {
			inBubble(t, Options{Dialect: "llamacpp", FirstToken: 40 * time.Second, PerToken: 40 * time.Second}, func(t *testing.T, s *Server, client *http.Client) {
				body := readAll(t, askPath(t, client, c.path, "r", c.fields))
				if !strings.Contains(body, c.want) || c.not != "" && strings.Contains(body, c.not) {
					t.Errorf("%s; want %s and not %q", body, c.want, c.not)
				}
			})
		})
	}
	inBubble(t, Options{Dialect: "llamacpp"}, func(t *testing.T, s *Server, client *http.Client) {
		for _, c := range []struct {
			body, want string
			status     int
		}{
			{`{"messages":[{"role":"user","content":"Hello there, how are you?"}]}`, `{"input_tokens":16}`, http.StatusOK},
			{`{}`, `{"error":{"code":400,"message":"messages: at least one message is required","type":"invalid_request_error"}}`, http.StatusBadRequest},
		} {
			resp, err := client.Post("http://sim/v1/messages/count_tokens", "application/json", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if body := readAll(t, resp); body != c.want || resp.StatusCode != c.status {
				t.Errorf("count_tokens of %s: %d %s; want %d %s", c.body, resp.StatusCode, body, c.status, c.want)
			}
		}
	})
}
