package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// route is one way of asking a dialect. Its bodies are completed by fields.
type route struct {
	dialect, name   string
	path, wholePath string // wholePath: where an answer in one piece is asked for, if that is elsewhere
	body            string // with %s for further fields
	stream, whole   string // the fields that ask for the one or the other
	most            string // the field of the cap, with %d
	tool, thought   string // further fields; empty: there is no such thing
	format          string
	wrongModel      string // the path, or a field, that names a model that is not there; empty: there is none
}

func routes() []route {
	const (
		user      = `"messages":[{"role":"user","content":"Hello there, how are you?"}]`
		function  = `{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","maximum":7}},"required":["city"]}}`
		tools     = `"tools":[{"type":"function","function":` + function + `}]`
		schema    = `{"type":"object","properties":{"ok":{"type":"boolean"},"city":{"type":"string"}},"required":["ok","city"]}`
		usage     = `"stream":true,"stream_options":{"include_usage":true}`
		format    = `"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":` + schema + `}}`
		other     = `"model":"other"`
		fixedSeed = `"seed":7,`
	)
	chat := func(dialect string) route {
		return route{
			dialect: dialect, name: "chat", path: "/v1/chat/completions", body: `{` + fixedSeed + user + `%s}`, stream: usage, whole: `"stream":false`,
			most: `"max_tokens":%d`, tool: tools, thought: `"reasoning_effort":"low"`, format: format, wrongModel: other,
		}
	}
	completion := func(dialect string) route {
		return route{
			dialect: dialect, name: "completion", path: "/v1/completions", body: `{` + fixedSeed + `"prompt":"Once upon a time"%s}`, stream: usage, whole: `"stream":false`,
			most: `"max_tokens":%d`, format: format, wrongModel: other,
		}
	}
	responses := func(dialect string) route {
		return route{
			dialect: dialect, name: "responses", path: "/v1/responses", body: `{` + fixedSeed + `"input":"Hello there, how are you?"%s}`, stream: `"stream":true`, whole: `"stream":false`,
			most: `"max_output_tokens":%d`, tool: `"tools":[{"type":"function",` + function[1:] + `]`, thought: `"reasoning":{"effort":"low"}`,
			format: `"text":{"format":{"type":"json_schema","name":"x","schema":` + schema + `}}`, wrongModel: other,
		}
	}
	messages := func(dialect string) route {
		return route{
			dialect: dialect, name: "messages", path: "/v1/messages", body: `{` + user + `%s}`, stream: `"stream":true`, whole: `"stream":false`, most: `"max_tokens":%d`,
			tool: `"tools":[{"name":"get_weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]`, thought: `"thinking":{"type":"enabled","budget_tokens":2}`,
			format: `"output_config":{"format":{"type":"json_schema","schema":` + schema + `}}`, wrongModel: other,
		}
	}
	llamacppResponses, llamacppMessages := responses("llamacpp"), messages("llamacpp")
	llamacppResponses.format, llamacppMessages.format = format, ""
	chatTGI, chatOllama := chat("tgi"), chat("ollama")
	chatTGI.thought = ""
	azure := chat("azure")
	azure.path, azure.wrongModel = "/openai/deployments/sim-8b/chat/completions?api-version=2024-10-21", "/openai/deployments/other/chat/completions?api-version=2024-10-21"
	return []route{
		chat("vllm"), completion("vllm"), responses("vllm"),
		chat("sglang"), completion("sglang"),
		chatTGI, completion("tgi"),
		{
			dialect: "tgi", name: "generate", path: "/generate_stream", wholePath: "/generate", body: `{"inputs":"Once upon a time","parameters":{"details":true,"seed":7%s}}`,
			most: `"max_new_tokens":%d`, format: `"grammar":{"type":"json","value":` + schema + `}`,
		},
		chat("llamacpp"), completion("llamacpp"), llamacppResponses, llamacppMessages,
		chatOllama,
		{
			dialect: "ollama", name: "native", path: "/api/chat", body: `{` + user + `%s}`, whole: `"stream":false`,
			most: `"options":{"seed":7,"num_predict":%d}`, tool: tools, thought: `"think":true`, format: `"format":` + schema, wrongModel: other,
		},
		chat("openai"), completion("openai"), responses("openai"),
		azure,
		messages("anthropic"),
		{
			dialect: "gemini", name: "generate", path: "/v1beta/models/sim-8b:streamGenerateContent?alt=sse", wholePath: "/v1beta/models/sim-8b:generateContent",
			body: `{"contents":[{"role":"user","parts":[{"text":"Hello there, how are you?"}]}]%s}`, most: `"generationConfig":{"seed":7,"maxOutputTokens":%d}`,
			tool: `"tools":[{"functionDeclarations":[` + function + `]}]`, wrongModel: "/v1beta/models/other:streamGenerateContent?alt=sse",
		},
	}
}

// ask sends a request of the route with further fields.
func (r *route) ask(t *testing.T, client *http.Client, stream bool, most int, fields []string, headers ...string) (*http.Response, string) {
	t.Helper()
	path, all := r.path, r.stream
	if !stream {
		all = r.whole
		if r.wholePath != "" {
			path = r.wholePath
		}
	}
	if most > 0 {
		fields = append(fields, fmt.Sprintf(r.most, most))
	}
	if all != "" {
		fields = append(fields, all)
	}
	var body strings.Builder
	for _, f := range fields {
		if strings.HasPrefix(f, "/") {
			path = f
		} else if f != "" {
			body.WriteString("," + f)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://sim"+path, strings.NewReader(fmt.Sprintf(r.body, body.String())))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Request-Id", "r1")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Errorf("reading the body: %v", err)
	}
	return resp, string(b)
}

// TestDialects keeps the wire of each way of asking.
func TestDialects(t *testing.T) {
	for _, r := range routes() {
		t.Run(r.dialect+"/"+r.name, func(t *testing.T) {
			inBubble(t, Options{Dialect: r.dialect, FirstToken: 20 * ms, PerToken: 10 * ms, MaxModelLen: 2000}, func(t *testing.T, s *Server, client *http.Client) {
				var b strings.Builder
				section := func(name string, resp *http.Response, body string) {
					fmt.Fprintf(&b, "### %s\n\n%s\n", name, strings.ReplaceAll(transcript(resp, body), "\r", ""))
				}
				both := func(name string, most int, fields ...string) {
					resp, body := r.ask(t, client, true, most, fields)
					section(name+", streamed", resp, body)
					resp, body = r.ask(t, client, false, most, fields)
					section(name+", whole", resp, body)
				}
				both("text", 3)
				if r.tool != "" {
					both("tool", 500, r.tool)
				}
				if r.thought != "" {
					both("thoughts", 6, r.thought)
				}
				if r.format != "" {
					both("document", 100, r.format)
				}
				if r.wrongModel != "" {
					resp, body := r.ask(t, client, true, 3, []string{r.wrongModel})
					section("another model", resp, body)
				}
				if r.dialect != "ollama" && r.dialect != "gemini" && r.dialect != "llamacpp" { // these cut it short
					resp, body := r.ask(t, client, true, 3000, nil)
					section("too long", resp, body)
				}
				for _, fault := range []string{"error=1", "overloaded", "rate_limited=2", "internal_error"} {
					resp, body := r.ask(t, client, true, 3, nil, faultHeader, fault)
					section(fault+", streamed", resp, body)
				}
				resp, body := r.ask(t, client, false, 3, nil, faultHeader, "overloaded")
				section("overloaded, whole", resp, body)
				golden(t, r.dialect+"_"+r.name+".txt", b.String())
			})
		})
	}
}

// TestDialectsFault has everything go wrong that can in each way of asking: nothing may hang, crash, or hold on to the engine.
func TestDialectsFault(t *testing.T) {
	for _, r := range routes() {
		t.Run(r.dialect+"/"+r.name, func(t *testing.T) {
			inBubble(t, Options{Dialect: r.dialect}, func(t *testing.T, s *Server, client *http.Client) {
				for _, fault := range []string{
					"cut=0", "cut=3", "error=0", "error=3", "slow_headers=1s", "stall=1s", "no_usage", "no_done", "no_finish", "no_usage,no_done,no_finish",
					"empty", "chunk=4", "giant_line=100000", "invalid_utf8=2", "malformed_json=2", "keep_alive=5ms", "slow=2",
				} {
					for _, stream := range []bool{true, false} {
						for _, fields := range []string{"", r.tool, r.thought} {
							resp, body := r.ask(t, client, stream, 40, []string{fields}, faultHeader, fault)
							if resp.StatusCode != http.StatusOK && !strings.HasPrefix(fault, "error") || body == "" && !strings.HasPrefix(fault, "cut=") {
								t.Errorf("%s, stream %v: %d %q", fault, stream, resp.StatusCode, body)
							}
						}
					}
				}
				if got := s.engine.load(); got != (load{}) {
					t.Errorf("afterwards load() = %+v; want nothing", got)
				}
			})
		})
	}
}

// TestDialectsAreJSON reads every event of every route as JSON, numbers and all.
func TestDialectsAreJSON(t *testing.T) {
	for _, r := range routes() {
		t.Run(r.dialect+"/"+r.name, func(t *testing.T) {
			inBubble(t, Options{Dialect: r.dialect, Model: `a "model"`, StampEvents: true, MeanOutputTokens: 20}, func(t *testing.T, s *Server, client *http.Client) {
				if strings.Contains(r.path, "sim-8b") {
					t.Skip("the model is in the path")
				}
				for _, stream := range []bool{true, false} {
					for _, fields := range []string{"", r.tool, r.thought, r.format} {
						for i := range 5 {
							_, body := r.ask(t, client, stream, 30+7*i, []string{fields})
							for line := range strings.Lines(body) {
								line, _ = strings.CutPrefix(strings.TrimSpace(line), "data:")
								if line == "" || strings.HasPrefix(line, "event:") || strings.TrimSpace(line) == "[DONE]" || line == ":" {
									continue
								}
								if !json.Valid([]byte(line)) {
									t.Fatalf("not JSON: %s", line)
								}
								if stream && !strings.Contains(line, "sim_due_unix_nano") && !strings.Contains(line, `"ping"`) {
									t.Fatalf("not stamped: %s", line)
								}
							}
						}
					}
				}
			})
		})
	}
}

func TestDialectPages(t *testing.T) {
	for _, name := range Dialects() {
		inBubble(t, Options{Dialect: name, MaxModelLen: 4096, KVTokens: 65536, MaxRunning: 2}, func(t *testing.T, s *Server, client *http.Client) {
			var b strings.Builder
			var paths []string
			for pattern := range s.dialects[0].pages {
				if path, ok := strings.CutPrefix(pattern, "GET "); ok {
					paths = append(paths, strings.TrimSuffix(path, "{$}"))
				}
			}
			slices.Sort(paths)
			for _, path := range append(paths, "/nothing/here", "/metrics") {
				resp, err := client.Get("http://sim" + path)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "### %s\n\n%s\n", path, transcript(resp, readAll(t, resp)))
			}
			golden(t, "pages_"+name+".txt", b.String())
		})
	}
}

func TestKeys(t *testing.T) {
	for _, r := range routes() {
		inBubble(t, Options{Dialect: r.dialect, APIKey: "secret", FirstToken: ms}, func(t *testing.T, s *Server, client *http.Client) {
			resp, body := r.ask(t, client, true, 3, nil)
			if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "rror") {
				t.Errorf("%s %s without a key: %d %s; want 401 and an error", r.dialect, r.name, resp.StatusCode, body)
			}
			for _, header := range [][2]string{{"Authorization", "Bearer secret"}, {"X-Api-Key", "secret"}, {"Api-Key", "secret"}, {"X-Goog-Api-Key", "secret"}} {
				if resp, body := r.ask(t, client, true, 3, nil, header[0], header[1]); resp.StatusCode != http.StatusOK {
					t.Errorf("%s %s with %s: %d %s; want 200", r.dialect, r.name, header[0], resp.StatusCode, body)
				}
			}
		})
	}
}

func TestSeveralDialects(t *testing.T) {
	inBubble(t, Options{Dialect: "anthropic, vllm,ollama", FirstToken: ms}, func(t *testing.T, s *Server, client *http.Client) {
		all := routes()
		for _, want := range []string{"anthropic/messages", "vllm/chat", "vllm/responses", "ollama/native"} {
			i := slices.IndexFunc(all, func(r route) bool { return r.dialect+"/"+r.name == want })
			if resp, body := all[i].ask(t, client, true, 3, nil); resp.StatusCode != http.StatusOK || body == "" {
				t.Errorf("%s: %d %s", want, resp.StatusCode, body)
			}
		}
		if page := get(t, client, "/v1/models"); !strings.Contains(page, "display_name") {
			t.Errorf("/v1/models = %s; want that of the first dialect", page)
		}
		if page := get(t, client, "/metrics"); !strings.Contains(page, "vllm:request_success_total") {
			t.Errorf("/metrics = %s; want that of the first dialect that has one", page)
		}
	})
	if _, err := New(Options{Dialect: "vllm,klingon"}); err == nil || !strings.Contains(err.Error(), `unknown dialect "klingon"`) {
		t.Errorf("New() = %v; want it to name the dialect that is not known", err)
	}
}

// TestHeaderTimes tells apart the dialects that send their header at once and those that hold it until the first token.
// llama.cpp's comes when it begins with the request, which with fixed times is at once.
func TestHeaderTimes(t *testing.T) {
	late := map[string]bool{"sglang": true, "ollama": true, "openai/chat": true, "openai/completion": true, "gemini": true}
	for _, r := range routes() {
		inBubble(t, Options{Dialect: r.dialect, FirstToken: 100 * ms, PerToken: ms}, func(t *testing.T, s *Server, client *http.Client) {
			for _, test := range []struct {
				fault string
				more  time.Duration
			}{{"", 0}, {"slow_headers=70ms", 70 * ms}} {
				begin := time.Now()
				body := strings.NewReader(fmt.Sprintf(r.body, ","+r.fieldsOfStream()))
				req, err := http.NewRequest(http.MethodPost, "http://sim"+r.path, body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set(faultHeader, test.fault)
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				want := test.more
				if late[r.dialect] || late[r.dialect+"/"+r.name] {
					want += 100 * ms
				}
				if got := time.Since(begin); got != want {
					t.Errorf("%s %s: with %q the header came after %v; want %v", r.dialect, r.name, test.fault, got, want)
				}
				readAll(t, resp)
			}
		})
	}
}

func (r *route) fieldsOfStream() string {
	fields := fmt.Sprintf(r.most, 3)
	if r.stream != "" {
		fields += "," + r.stream
	}
	return fields
}

func TestPings(t *testing.T) {
	for _, test := range []struct {
		dialect, fields, ping string
		want                  int
	}{
		{"llamacpp", "", ":\n\n", 1 + 1}, // of 40 s each
		{"llamacpp", `"sse_ping_interval":9,`, ":\n\n", 4 + 4},
		{"llamacpp", `"sse_ping_interval":-1,`, ":\n\n", 0},
		{"tgi", "", ":\n\n", 2 + 2},
		{"anthropic", "", "event: ping\n", 1 + 2 + 2},
		{"vllm", "", ":\n\n", 0},
	} {
		inBubble(t, Options{Dialect: test.dialect, FirstToken: 40 * time.Second, PerToken: 40 * time.Second}, func(t *testing.T, s *Server, client *http.Client) {
			path := "/v1/chat/completions"
			if test.dialect == "anthropic" {
				path = "/v1/messages"
			}
			resp, err := client.Post("http://sim"+path, "application/json", strings.NewReader(hello(test.fields+`"stream":true,"max_tokens":2,`)))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(readAll(t, resp), test.ping); n != test.want {
				t.Errorf("%s with %q: %d pings; want %d", test.dialect, test.fields, n, test.want)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	o := roundEngine()
	o.Dialect, o.MaxRunning = "llamacpp", 1
	inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
		begin := time.Now()
		first := ask(t, client, "first", hello(`"stream":true,"max_tokens":2,`)) // it takes 12 + 11 ms
		if got := time.Since(begin); got != 0 {
			t.Errorf("the header came after %v; want it at once, for there is a slot", got)
		}
		second := ask(t, client, "second", hello(`"stream":true,"max_tokens":2,"return_progress":true,`))
		if got := time.Since(begin); got != 23*ms {
			t.Errorf("the header came after %v; want 23ms, when the slot became free", got)
		}
		all := readEvents(t, second, begin)
		for i, want := range []struct {
			at   time.Duration
			data string
		}{
			{23 * ms, `"prompt_progress":{"total":16,"cache":0,"processed":0,"time_ms":0}`},
			{35 * ms, `"prompt_progress":{"total":16,"cache":0,"processed":16,"time_ms":12}`},
			{35 * ms, `"role":"assistant"`},
			{35 * ms, `"delta":{"content":"`},
		} {
			if all[i].at != want.at || !strings.Contains(all[i].data, want.data) {
				t.Errorf("event %d came at %v: %s; want at %v %s", i, all[i].at, all[i].data, want.at, want.data)
			}
		}
		readAll(t, first)
	})
}
