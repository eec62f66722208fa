package simulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// llamacppMostTokens is the cap of a message that asks for none.
const llamacppMostTokens = 4096

func readLlamacppMessages(_ *Server, _ *http.Request, body []byte) (*question, func(*answer) voice, error) {
	var r anthropicRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, nil, invalidBody(err)
	}
	q, err := r.llamacppQuestion()
	return q, func(a *answer) voice { return newLlamacppMessagesVoice(a) }, err
}

// llamacppQuestion is what the request asks of llama.cpp, which hands on little of it: not the shape of the answer, nor the
// effort, nor which tool is called.
func (r *anthropicRequest) llamacppQuestion() (*question, error) {
	if r.MaxTokens == nil {
		r.MaxTokens = new(llamacppMostTokens)
	}
	if *r.MaxTokens < 1 {
		return nil, badRequest("max_tokens", "max_tokens must be at least 1, got %d.", *r.MaxTokens)
	}
	r.OutputConfig.Effort, r.OutputConfig.Format = "", nil
	switch r.ToolChoice.Type {
	case "tool":
		r.ToolChoice.Type = "any"
	case "none":
		r.ToolChoice.Type = "auto"
	}
	return r.question()
}

// llamacppMessagesVoice says a message as llama.cpp does. Nothing comes before the first token; a block begins with its first
// delta, and all of them end at the end. There is nothing of what took how long.
type llamacppMessagesVoice struct {
	plainVoice
	begun               bool // the first event was made
	thought, text, args bool // of which blocks have begun
	called              string
}

func newLlamacppMessagesVoice(a *answer) *llamacppMessagesVoice {
	return &llamacppMessagesVoice{plainVoice: plainVoice{a}}
}

// header implements voice.
func (v *llamacppMessagesVoice) header(h http.Header) { v.llamacppHeader(h) }

// event makes an event.
func (v *llamacppMessagesVoice) event(name string, members object) {
	v.named(name)
	v.members(members)
	v.seal(v.due, time.Now())
}

// index is that of the block of a kind: thoughts are before the text, and that is before the call.
func (v *llamacppMessagesVoice) index(k kind) int {
	i := 0
	if v.thought && k != kindThought {
		i++
	}
	if v.text && k == kindArguments {
		i++
	}
	return i
}

// block begins the block of a kind.
func (v *llamacppMessagesVoice) block(k kind, content object) {
	v.event("content_block_start", object{{"index", v.index(k)}, {"content_block", content}})
}

// begin implements voice. The name of a tool is told with the first of its input.
func (v *llamacppMessagesVoice) begin(k kind) bool {
	if k != kindThought && k != kindText && k != kindArguments {
		return false
	}
	if !v.begun {
		v.begun = true
		v.event("message_start", object{{"message", v.message([]object{}, nil, 0)}})
	}
	var delta string
	switch k {
	case kindThought:
		if !v.thought {
			v.thought = true
			v.block(k, object{{"type", "thinking"}, {"thinking", ""}})
		}
		delta = `,"delta":{"type":"thinking_delta","thinking":"`
	case kindText:
		if !v.text {
			v.text = true
			v.block(k, object{{"type", "text"}, {"text", ""}})
		}
		delta = `,"delta":{"type":"text_delta","text":"`
	case kindArguments:
		if !v.args {
			v.args = true
			v.block(k, object{{"type", "tool_use"}, {"id", v.callID("")}, {"name", v.called}})
		}
		delta = `,"delta":{"type":"input_json_delta","partial_json":"`
	}
	v.named("content_block_delta")
	v.put(`,"index":`)
	v.number(v.index(k))
	v.put(delta)
	return true
}

// tell implements voice.
func (v *llamacppMessagesVoice) tell(t token) {
	switch t.kind {
	case kindName:
		v.called = t.text
	case kindThought, kindText, kindArguments:
		v.put(t.json)
	}
}

// finish implements voice.
func (v *llamacppMessagesVoice) finish(bool) { v.put(`"}`) }

// closing implements voice.
func (v *llamacppMessagesVoice) closing() {
	stop := func(k kind) { v.event("content_block_stop", object{{"index", v.index(k)}}) }
	if v.thought {
		v.event("content_block_delta", object{{"index", 0}, {"delta", object{{"type", "signature_delta"}, {"signature", ""}}}})
		stop(kindThought)
	}
	if v.text {
		stop(kindText)
	}
	if v.args {
		stop(kindArguments)
	}
	if !v.plan.noFinish || !v.plan.noUsage {
		v.event("message_delta", object{{"delta", object{}.with(!v.plan.noFinish, "stop_reason", v.reason()).with(true, "stop_sequence", nil)}}.
			with(!v.plan.noUsage, "usage", object{{"output_tokens", v.made}}))
	}
	if !v.plan.noDone {
		v.event("message_stop", nil)
	}
}

// message is the message: its content, why it ended, and how many tokens it has.
func (v *llamacppMessagesVoice) message(content []object, why any, made int) object {
	return object{
		{"id", "chatcmpl-" + v.id}, {"type", "message"}, {"role", "assistant"}, {"content", content}, {"model", v.s.opts.Model},
		{"stop_reason", why}, {"stop_sequence", nil},
	}.with(!v.plan.noUsage, "usage", object{{"cache_read_input_tokens", v.cached()}, {"input_tokens", v.seq.prompt - v.cached()}, {"output_tokens", made}})
}

// reason is why it ended, in Anthropic's words.
func (v *llamacppMessagesVoice) reason() string {
	switch {
	case v.seq.reason == finishLength:
		return "max_tokens"
	case v.calls > 0:
		return "tool_use"
	}
	return "end_turn"
}

// failure implements voice. The error stands there by itself, not as Anthropic has it.
func (v *llamacppMessagesVoice) failure(e *apiError) {
	v.line("event: error\ndata: ")
	v.line(string(appendJSON(nil, llamacppErrorOf(e))))
	v.line(eventEnd)
}

// whole implements voice.
func (v *llamacppMessagesVoice) whole(w *spoken) {
	content := v.blocks(w, "", "")
	var why any = v.reason()
	if v.plan.noFinish {
		why = nil
	}
	v.value(v.message(content, why, v.made))
}
