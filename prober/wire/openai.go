package wire

import (
	"bytes"
	"unicode/utf8"
)

// openAIDecoder reads the answers of the OpenAI family, whole and in chunks, chat ("delta", "message") and plain
// completion ("text") alike, with the deviations of the servers that speak it:
//
//   - the first event may carry no token: a role, an empty content, a null one, or no choices at all (Azure);
//   - reasoning is "reasoning" (vLLM, Ollama, OpenRouter), "reasoning_content" (SGLang, llama.cpp, DeepSeek), or a part
//     of a content that is an array (Mistral);
//   - keys may be absent or null; finish_reason may be "" on the way (TGI);
//   - usage may come on a chunk without choices, on the last one with, or on every one;
//   - an error may come as a data event on a 200: {"error":{...}}, {"error":"..."}, or {"object":"error",...},
//     as a finish reason ("error", "abort"), or as Groq's "x_groq":{"error":"..."};
//   - server timing comes as vLLM's "metrics", llama.cpp's "timings", Groq's "x_groq" and usage, Cerebras' "time_info",
//     Fireworks' "perf_metrics".
type openAIDecoder struct {
	count     tokenCount // by the server's continuous usage
	ids       tokenCount // by its token ids
	idsSeen   int
	timing    ServerTiming // all that was said of it so far
	content   joiner
	reasoning joiner
}

// Decode implements Decoder.
func (d *openAIDecoder) Decode(f Frame, ev *Event) error {
	ev.Reset()
	if isDone(f.Data) {
		ev.Done = true
		return nil
	}
	return d.document(f.Data, ev)
}

// isDone recognises the word that ends a stream of the OpenAI family.
func isDone(data []byte) bool {
	return string(data) == "[DONE]" || string(bytes.TrimSpace(data)) == "[DONE]"
}

// DecodeWhole implements Decoder.
func (d *openAIDecoder) DecodeWhole(body []byte, ev *Event) error {
	ev.Reset()
	if err := d.document(body, ev); err != nil {
		return err
	}
	ev.Done = true
	return nil
}

func (d *openAIDecoder) document(doc []byte, ev *Event) error {
	c := cursor{b: doc}
	if c.peek() != '{' || !utf8.Valid(doc) {
		return malformed(doc)
	}
	ids, cached := -1, 0
	isError := false
	var said report // what the document itself says of an error
	for c.enter('{'); c.key(); {
		switch string(c.name) {
		case "choices":
			for n, in := 0, c.enter('['); in && c.elem(); n++ {
				if n == 0 {
					ids = d.choice(&c, ev)
				} else {
					c.skip()
				}
			}
		case "usage":
			openAIUsage(&c, ev)
		case "object":
			isError = string(c.str()) == "error"
		case "metrics":
			vllmMetrics(&c, &ev.Timing)
		case "timings":
			cached = llamaTimings(&c, &ev.Timing)
		case "prompt_progress":
			promptProgress(&c, &ev.Timing)
		case "x_groq":
			groq(&c, ev)
		case "time_info":
			for in := c.enter('{'); in && c.key(); {
				if !groqTime(&c, &ev.Timing) {
					c.skip()
				}
			}
		case "perf_metrics":
			fireworksMetrics(&c, &ev.Timing)
		default:
			if !said.field(&c) {
				c.skip()
			}
		}
	}
	if !c.end() {
		return malformed(doc)
	}
	if isError || said.inner != nil {
		if ev.Err = said.err(); ev.Err == nil {
			ev.Err = newServerError("an error without a message", "error", 0)
		}
	}
	switch string(ev.FinishReason) {
	case "error", "abort":
		if ev.Err == nil {
			ev.Err = newServerError("finish_reason is \""+string(ev.FinishReason)+"\"", string(ev.FinishReason), 0)
		}
	}
	if ev.Usage.Known && ev.Usage.CachedTokens == 0 {
		ev.Usage.CachedTokens = cached
	}
	if ev.Timing.Known {
		d.timing.update(&ev.Timing)
		ev.Timing = d.timing
	}
	d.tokens(ev, ids)
	return nil
}

// tokens settles how many tokens ev carries: its own token ids, or the step of the cumulative usage.
func (d *openAIDecoder) tokens(ev *Event, ids int) {
	ev.Tokens = d.count.upTo(ev.Usage.OutputTokens, ev)
	d.idsSeen += max(ids, 0)
	if n := d.ids.upTo(d.idsSeen, ev); n >= 0 {
		ev.Tokens = n
	}
}

// choice reads one element of choices and returns its number of token ids; -1 if it has none.
func (d *openAIDecoder) choice(c *cursor, ev *Event) (ids int) {
	ids = -1
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "delta", "message":
			d.delta(c, ev)
		case "text":
			ev.Content = c.str()
		case "finish_reason":
			ev.FinishReason = c.str()
		case "token_ids":
			if c.peek() != '[' {
				c.skip()
				continue
			}
			ids = 0
			for c.enter('['); c.elem(); ids++ {
				c.skip()
			}
		case "meta_info":
			sglangMetaInfo(c, &ev.Timing)
		default:
			c.skip()
		}
	}
	return ids
}

func (d *openAIDecoder) delta(c *cursor, ev *Event) {
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "content", "refusal":
			if c.peek() == '[' {
				d.parts(c, ev)
			} else if s := c.str(); len(s) > 0 {
				ev.Content = s
			}
		case "reasoning", "reasoning_content":
			if s := c.str(); len(s) > 0 {
				ev.Reasoning = s
			}
		case "tool_calls":
			for in := c.enter('['); in && c.elem(); {
				for in := c.enter('{'); in && c.key(); {
					if string(c.name) == "function" {
						openAIFunction(c, ev)
					} else {
						c.skip()
					}
				}
			}
		default:
			c.skip()
		}
	}
}

// parts reads a content in parts, as Mistral's reasoning models have it:
// [{"type":"thinking","thinking":[{"type":"text","text":"..."}]},{"type":"text","text":"..."}].
func (d *openAIDecoder) parts(c *cursor, ev *Event) {
	for c.enter('['); c.elem(); {
		for in := c.enter('{'); in && c.key(); {
			switch string(c.name) {
			case "text":
				ev.Content = d.content.add(ev.Content, c.str())
			case "thinking":
				for in := c.enter('['); in && c.elem(); {
					for in := c.enter('{'); in && c.key(); {
						if string(c.name) == "text" {
							ev.Reasoning = d.reasoning.add(ev.Reasoning, c.str())
						} else {
							c.skip()
						}
					}
				}
			default:
				c.skip()
			}
		}
	}
}

// openAIFunction reads a called function: {"name":"...","arguments":"..."}, where each may be missing from a chunk.
// Ollama's own protocol has the arguments as an object.
func openAIFunction(c *cursor, ev *Event) {
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "name":
			if s := c.str(); len(s) > 0 {
				ev.ToolCall, ev.ToolName = true, s
			}
		case "arguments":
			if s := c.raw(); len(s) > 0 && string(s) != `""` && string(s) != "null" && string(s) != "{}" {
				ev.ToolCall = true
			}
		default:
			c.skip()
		}
	}
}

// openAIUsage reads a usage object, or null.
func openAIUsage(c *cursor, ev *Event) {
	u := &ev.Usage
	for in := c.enter('{'); in && c.key(); {
		switch string(c.name) {
		case "prompt_tokens":
			c.atLeast(&u.PromptTokens)
		case "completion_tokens":
			c.atLeast(&u.OutputTokens)
		case "reasoning_tokens": // SGLang
			c.atLeast(&u.ReasoningTokens)
		case "prompt_cache_hit_tokens": // DeepSeek
			c.atLeast(&u.CachedTokens)
		case "prompt_tokens_details":
			details(c, "cached_tokens", &u.CachedTokens)
		case "completion_tokens_details":
			details(c, "reasoning_tokens", &u.ReasoningTokens)
		default:
			if !groqTime(c, &ev.Timing) {
				c.skip()
			}
		}
	}
	u.settle()
}

// details takes one count from an object.
func details(c *cursor, key string, n *int) {
	for in := c.enter('{'); in && c.key(); {
		if string(c.name) == key {
			c.atLeast(n)
		} else {
			c.skip()
		}
	}
}
