package simulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// responsesMaker is whose /v1/responses it is: vLLM shows what the model thinks, a hosted service at most a summary.
type responsesMaker int

const (
	responsesVLLM responsesMaker = iota
	responsesHosted
)

// responsesProtocol is OpenAI's newer protocol. Its events are named and numbered; what is said in deltas is said again,
// whole, at the end of each part, of each item, and of the response.
func responsesProtocol(by responsesMaker) *protocol {
	p := &protocol{fail: vllmError, kind: utf8EventStream, end: eventEnd, lends: true}
	if by == responsesHosted {
		p.fail = openAIError
	}
	p.read = func(_ *Server, _ *http.Request, body []byte) (*question, func(*answer) voice, error) {
		var r responsesRequest
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, nil, invalidBody(err)
		}
		q, err := r.question()
		return q, func(a *answer) voice { return newResponsesVoice(a, &r, by) }, err
	}
	return p
}

// responsesRequest is the part of a request that matters here.
type responsesRequest struct {
	Model           *string         `json:"model"`
	Input           json.RawMessage `json:"input"` // a text, or a list of items
	Instructions    *string         `json:"instructions"`
	MaxOutputTokens *int            `json:"max_output_tokens"`
	Stream          bool            `json:"stream"`
	StreamOptions   *streamOptions  `json:"stream_options"`
	Seed            *int64          `json:"seed"`
	IgnoreEOS       bool            `json:"ignore_eos"`
	RequestID       string          `json:"request_id"`
	Priority        int             `json:"priority"`
	CacheSalt       string          `json:"cache_salt"`
	Store           *bool           `json:"store"`
	Tools           json.RawMessage `json:"tools"`
	ToolChoice      toolChoice      `json:"tool_choice"`
	Reasoning       struct {
		Effort  string  `json:"effort"`
		Summary *string `json:"summary"`
	} `json:"reasoning"`
	Text struct {
		Format *struct {
			Type   string          `json:"type"`
			Schema json.RawMessage `json:"schema"`
		} `json:"format"`
	} `json:"text"`
	StampEvents bool `json:"stamp_events"` // ours
}

// question is what the request asks.
func (r *responsesRequest) question() (*question, error) {
	if len(r.Input) == 0 {
		return nil, missing("input")
	}
	if r.MaxOutputTokens != nil && *r.MaxOutputTokens < 1 {
		return nil, badRequest("max_output_tokens", "max_output_tokens must be at least 1, got %d.", *r.MaxOutputTokens)
	}
	q := &question{
		id: r.RequestID, model: r.Model, maximum: r.MaxOutputTokens, seed: r.Seed, ignoreEOS: r.IgnoreEOS, stream: r.Stream,
		stamp: r.StampEvents, priority: r.Priority, salt: r.CacheSalt, effort: r.Reasoning.Effort, choice: string(r.ToolChoice),
	}
	if r.Instructions != nil {
		q.prompt.messages = append(q.prompt.messages, chatMessage{"system", messageText(*r.Instructions)})
	}
	var text string
	if json.Unmarshal(r.Input, &text) == nil {
		q.prompt.messages = append(q.prompt.messages, chatMessage{"user", messageText(text)})
	} else {
		var items []struct {
			Type      string      `json:"type"`
			Role      string      `json:"role"`
			Content   messageText `json:"content"`
			Arguments string      `json:"arguments"`
			Output    messageText `json:"output"`
		}
		if err := json.Unmarshal(r.Input, &items); err != nil {
			return nil, invalidBody(err)
		}
		for _, x := range items {
			switch x.Type {
			case "", "message":
				q.prompt.messages = append(q.prompt.messages, chatMessage{x.Role, x.Content})
			case "function_call":
				q.prompt.messages = append(q.prompt.messages, chatMessage{"assistant", messageText(x.Arguments)})
			case "function_call_output":
				q.prompt.messages = append(q.prompt.messages, chatMessage{"tool", x.Output})
			}
		}
	}
	var tools []struct {
		Type       string          `json:"type"`
		Name       string          `json:"name"`
		Parameters json.RawMessage `json:"parameters"`
	}
	if len(r.Tools) > 0 {
		if err := json.Unmarshal(r.Tools, &tools); err != nil {
			return nil, invalidBody(err)
		}
	}
	for _, t := range tools {
		if t.Type == "function" {
			q.tools = append(q.tools, tool{t.Name, t.Parameters})
		}
	}
	if len(q.tools) > 0 {
		q.prompt.tools = r.Tools
	}
	if f := r.Text.Format; f != nil && f.Type != "text" && f.Type != "" {
		q.format = format{json: true, schema: f.Schema}
	}
	return q, q.checkChoice()
}

// responsesVoice says a response: items, which are a reasoning, a message, or the call of a function.
type responsesVoice struct {
	plainVoice
	r  *responsesRequest
	by responsesMaker

	serial int      // of the next event
	output []object // the items that are complete
	within kind     // of the item under way: kindThought, kindText or kindName; kindSilent: there is none
	item   string   // its id
	text   []byte   // its text so far, as it is
	name   string   // of the called function
	close  string
}

func newResponsesVoice(a *answer, r *responsesRequest, by responsesMaker) *responsesVoice {
	a.bulky = a.say.calls || a.say.think
	return &responsesVoice{plainVoice: plainVoice{a}, r: r, by: by, text: make([]byte, 0, min(8*a.seq.output, 1<<16))}
}

// header implements voice.
func (v *responsesVoice) header(h http.Header) {
	if v.by == responsesHosted {
		v.openAIHeader(h)
	}
}

// numbered ends an event with its number, and seals it.
func (v *responsesVoice) numbered() {
	v.put(`,"sequence_number":`)
	v.number(v.serial)
	v.serial++
	v.seal(v.due, time.Now())
}

// event makes an event.
func (v *responsesVoice) event(name string, members object) {
	v.named(name)
	v.members(members)
	v.numbered()
}

// at is where the item under way is.
func (v *responsesVoice) at(members ...pair) object {
	return append(object{{"item_id", v.item}, {"output_index", len(v.output)}}, members...)
}

// opening implements voice.
func (v *responsesVoice) opening() {
	v.event("response.created", object{{"response", v.response("in_progress", nil)}})
	v.event("response.in_progress", object{{"response", v.response("in_progress", nil)}})
}

// response is the response as it is now.
func (v *responsesVoice) response(status string, usage any) object {
	var details, failure any
	switch {
	case status == "incomplete":
		details = object{{"reason", "max_output_tokens"}}
	case status == "failed":
		failure = object{{"code", "server_error"}, {"message", "Internal server error"}}
	}
	output := v.output
	if output == nil {
		output = []object{}
	}
	var tools any = []any{}
	if len(v.q.tools) > 0 {
		tools = v.r.Tools
	}
	choice := string(v.r.ToolChoice)
	if choice == "" {
		choice = "auto"
	}
	var effort any = orNull(v.r.Reasoning.Effort)
	return object{
		{"id", "resp_" + v.answer.id}, {"object", "response"}, {"created_at", v.created}, {"status", status}, {"background", false},
		{"error", failure}, {"incomplete_details", details}, {"instructions", v.r.Instructions}, {"max_output_tokens", v.r.MaxOutputTokens},
		{"model", v.s.opts.Model}, {"output", output}, {"parallel_tool_calls", true}, {"previous_response_id", nil},
		{"reasoning", object{{"effort", effort}, {"summary", v.r.Reasoning.Summary}}}, {"service_tier", "default"},
		{"store", v.r.Store == nil || *v.r.Store}, {"temperature", 1.0}, {"text", object{{"format", object{{"type", "text"}}}}},
		{"tool_choice", choice}, {"tools", tools}, {"top_p", 1.0}, {"truncation", "disabled"}, {"usage", usage}, {"user", nil}, {"metadata", object{}},
	}.with(usage != nil && v.by == responsesVLLM && v.s.opts.PerRequestMetrics, "metrics", v.vllmMetrics())
}

// usage is the usage of the whole response.
func (v *responsesVoice) usage() any {
	if v.plan.noUsage {
		return nil
	}
	return object{
		{"input_tokens", v.seq.prompt}, {"input_tokens_details", object{{"cached_tokens", v.cached()}}},
		{"output_tokens", v.made}, {"output_tokens_details", object{{"reasoning_tokens", v.thoughts}}}, {"total_tokens", v.seq.prompt + v.made},
	}
}

// summarised reports whether a hosted service shows a summary of what it thinks.
func (v *responsesVoice) summarised() bool {
	return v.by == responsesHosted && v.r.Reasoning.Summary != nil && *v.r.Reasoning.Summary != "none"
}

// begin implements voice.
func (v *responsesVoice) begin(k kind) bool {
	switch k {
	case kindThought:
		v.start(k)
		switch {
		case v.by == responsesVLLM:
			v.delta("response.reasoning_text.delta", `"content_index":0,"delta":"`)
		case v.summarised():
			v.delta("response.reasoning_summary_text.delta", `"summary_index":0,"delta":"`)
		default:
			return false
		}
		v.close = `"`
	case kindText:
		v.start(k)
		v.delta("response.output_text.delta", `"content_index":0,"delta":"`)
		v.close = `","logprobs":[]`
	case kindName:
		v.endItem()
		v.within, v.item, v.text = k, "fc_"+v.safeID(), v.text[:0]
		v.named("response.output_item.added")
		v.put(`,"output_index":`)
		v.number(len(v.output))
		v.put(`,"item":{"id":"`)
		v.put(v.item)
		v.put(`","type":"function_call","status":"in_progress","arguments":"","call_id":"`)
		v.put(v.callID("call_"))
		v.put(`","name":"`)
		v.close = `"}`
	case kindArguments:
		v.delta("response.function_call_arguments.delta", `"delta":"`)
		v.close = `"`
	default:
		return false
	}
	return true
}

// delta starts an event that adds to the item under way.
func (v *responsesVoice) delta(name, rest string) {
	v.named(name)
	v.put(`,"item_id":"`)
	v.put(v.item)
	v.put(`","output_index":`)
	v.number(len(v.output))
	v.put(",")
	v.put(rest)
}

// start starts an item of that kind, unless it is under way.
func (v *responsesVoice) start(k kind) {
	if v.within == k {
		return
	}
	v.endItem()
	v.within, v.text = k, v.text[:0]
	added := func(item object) {
		v.event("response.output_item.added", object{{"output_index", len(v.output)}, {"item", item}})
	}
	if k == kindText {
		v.item = "msg_" + v.safeID()
		added(v.messageItem("in_progress", []object{}))
		v.event("response.content_part.added", v.at(pair{"content_index", 0}, pair{"part", textPart("")}))
		return
	}
	v.item = "rs_" + v.safeID()
	added(v.reasoningItem(nil))
	if v.summarised() {
		v.event("response.reasoning_summary_part.added", v.at(pair{"summary_index", 0}, pair{"part", summaryPart("")}))
	}
}

// safeID is the answer's id without what would have to be escaped.
func (v *responsesVoice) safeID() string { return strconv.FormatUint(hashID(v.answer.id), 16) }

func textPart(text string) object {
	return object{{"type", "output_text"}, {"annotations", []any{}}, {"logprobs", []any{}}, {"text", text}}
}

func summaryPart(text string) object { return object{{"type", "summary_text"}, {"text", text}} }

func (v *responsesVoice) messageItem(status string, content []object) object {
	return object{{"id", v.item}, {"type", "message"}, {"status", status}, {"role", "assistant"}, {"content", content}}
}

// reasoningItem is an item of reasoning; nil: its text is still to come.
func (v *responsesVoice) reasoningItem(text *string) object {
	o := object{{"id", v.item}, {"type", "reasoning"}}
	switch {
	case text != nil && v.by == responsesVLLM:
		return append(o, pair{"summary", []any{}}, pair{"content", []object{{{"type", "reasoning_text"}, {"text", *text}}}})
	case text != nil && v.summarised():
		return append(o, pair{"summary", []object{summaryPart(*text)}})
	}
	return append(o, pair{"summary", []any{}})
}

func (v *responsesVoice) callItem(arguments, name string) object {
	return object{{"id", v.item}, {"type", "function_call"}, {"status", "completed"}, {"arguments", arguments}, {"call_id", v.callID("call_")}, {"name", name}}
}

// endItem ends the item under way, if there is one.
func (v *responsesVoice) endItem() {
	text := string(v.text)
	var item object
	switch v.within {
	case kindSilent:
		return
	case kindText:
		v.event("response.output_text.done", v.at(pair{"content_index", 0}, pair{"text", text}, pair{"logprobs", []any{}}))
		v.event("response.content_part.done", v.at(pair{"content_index", 0}, pair{"part", textPart(text)}))
		item = v.messageItem("completed", []object{textPart(text)})
	case kindThought:
		switch {
		case v.by == responsesVLLM:
			v.event("response.reasoning_text.done", v.at(pair{"content_index", 0}, pair{"text", text}))
		case v.summarised():
			v.event("response.reasoning_summary_text.done", v.at(pair{"summary_index", 0}, pair{"text", text}))
			v.event("response.reasoning_summary_part.done", v.at(pair{"summary_index", 0}, pair{"part", summaryPart(text)}))
		}
		item = v.reasoningItem(&text)
	case kindName:
		v.event("response.function_call_arguments.done", v.at(pair{"arguments", text}))
		item = v.callItem(text, v.name)
	}
	v.event("response.output_item.done", object{{"output_index", len(v.output)}, {"item", item}})
	v.output = append(v.output, item)
	v.within = kindSilent
}

// tell implements voice.
func (v *responsesVoice) tell(t token) {
	switch t.kind {
	case kindName:
		v.name = t.text
	case kindThought, kindText, kindArguments:
		v.text = append(v.text, t.text...)
	default:
		return
	}
	if !v.sealed {
		v.put(t.json)
	}
}

// finish implements voice.
func (v *responsesVoice) finish(bool) {
	v.put(v.close)
	v.put(`,"sequence_number":`)
	v.number(v.serial)
	v.serial++
}

// closing implements voice.
func (v *responsesVoice) closing() {
	v.endItem()
	if v.plan.noDone || v.plan.noFinish {
		return
	}
	status := v.status()
	v.event("response."+status, object{{"response", v.response(status, v.usage())}})
}

func (v *responsesVoice) status() string {
	if v.seq.reason == finishLength {
		return "incomplete"
	}
	return "completed"
}

// failure implements voice.
func (v *responsesVoice) failure(e *apiError) {
	v.event("error", object{{"code", "server_error"}, {"message", e.message}, {"param", nil}})
}

// whole implements voice.
func (v *responsesVoice) whole(w *spoken) {
	if w.thought != "" {
		v.item = "rs_" + v.safeID()
		v.output = append(v.output, v.reasoningItem(&w.thought))
	}
	if w.text != "" {
		v.item = "msg_" + v.safeID()
		v.output = append(v.output, v.messageItem("completed", []object{textPart(w.text)}))
	}
	if w.name != "" {
		v.item = "fc_" + v.safeID()
		v.output = append(v.output, v.callItem(w.arguments, w.name))
	}
	status := v.status()
	if v.plan.noFinish {
		status = "in_progress"
	}
	v.value(v.response(status, v.usage()))
}
