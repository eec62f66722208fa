package simulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// llamacppResponsesRequest is the part of a request of llama.cpp's /v1/responses that matters here. The format of an answer is
// taken as a chat has it; text.format is ignored.
type llamacppResponsesRequest struct {
	responsesRequest
	llamacppRequest
	ResponseFormat *responseFormat `json:"response_format"`
}

func readLlamacppResponses(_ *Server, _ *http.Request, body []byte) (*question, func(*answer) voice, error) {
	var r llamacppResponsesRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, nil, invalidBody(err)
	}
	r.Text.Format = nil
	q, err := r.question()
	if err != nil {
		return nil, nil, err
	}
	if q.format, err = r.ResponseFormat.format(); err != nil {
		return nil, nil, err
	}
	r.salted(q)
	return q, func(a *answer) voice { return newLlamacppResponsesVoice(a, &r) }, nil
}

// llamacppResponsesVoice says a response as llama.cpp does: an item begins with its first delta, and all of them end at the
// end, in the order of reasoning, text and call. No event has a number, and a response that was cut off is complete, too.
// Timings and progress stand beside the response.
type llamacppResponsesVoice struct {
	plainVoice
	r    *llamacppResponsesRequest
	call string // id of the call, and the part of other ids that is the answer's own

	begun               bool // the first event was made
	thought, text, args []byte
	name                string // of the called function
	close               string
}

func newLlamacppResponsesVoice(a *answer, r *llamacppResponsesRequest) *llamacppResponsesVoice {
	r.apply(a)
	return &llamacppResponsesVoice{plainVoice: plainVoice{a}, r: r, call: a.callID(""), text: make([]byte, 0, min(8*a.seq.output, 1<<16))}
}

// header implements voice.
func (v *llamacppResponsesVoice) header(h http.Header) { v.llamacppHeader(h) }

// event makes an event.
func (v *llamacppResponsesVoice) event(name string, members object) {
	v.named(name)
	v.members(members)
	v.seal(v.due, time.Now())
}

// underWay is the response while it is made.
func (v *llamacppResponsesVoice) underWay() object {
	return object{{"response", object{{"id", "resp_" + v.id}, {"object", "response"}, {"status", "in_progress"}}}}
}

// start makes the event that comes first, once.
func (v *llamacppResponsesVoice) start() (first bool) {
	if v.begun {
		return false
	}
	v.begun = true
	v.event("response.created", v.underWay())
	return true
}

// reading implements reader.
func (v *llamacppResponsesVoice) reading(p progress) {
	if v.r.ReturnProgress {
		v.due = p.at
		v.start()
		v.event("response.in_progress", append(v.underWay(), v.llamacppProgress(p, v.r.TimingsPerToken)...))
	}
}

// begin implements voice. The name of a function is told with the first of the arguments.
func (v *llamacppResponsesVoice) begin(k kind) bool {
	if k != kindThought && k != kindText && k != kindArguments {
		return false
	}
	if v.start() {
		v.event("response.in_progress", v.underWay())
	}
	switch k {
	case kindThought:
		if len(v.thought) == 0 {
			v.event("response.output_item.added", object{{"item", object{
				{"id", "rs_" + v.call}, {"summary", []any{}}, {"type", "reasoning"}, {"content", []any{}}, {"encrypted_content", ""}, {"status", "in_progress"},
			}}})
		}
		v.named("response.reasoning_text.delta")
		v.put(`,"delta":"`)
		v.close = `","item_id":"rs_`
	case kindText:
		if len(v.text) == 0 {
			v.event("response.output_item.added", object{{"item", object{
				{"content", []any{}}, {"id", "msg_" + v.call}, {"role", "assistant"}, {"status", "in_progress"}, {"type", "message"},
			}}})
			v.event("response.content_part.added", object{{"item_id", "msg_" + v.call}, {"part", object{{"type", "output_text"}, {"text", ""}}}})
		}
		v.named("response.output_text.delta")
		v.put(`,"item_id":"msg_`)
		v.put(v.call)
		v.put(`","delta":"`)
		v.close = ""
	case kindArguments:
		if len(v.args) == 0 {
			v.event("response.output_item.added", object{{"item", object{
				{"id", "fc_" + v.call}, {"arguments", ""}, {"call_id", "call_" + v.call}, {"name", v.name}, {"type", "function_call"}, {"status", "in_progress"},
			}}})
		}
		v.named("response.function_call_arguments.delta")
		v.put(`,"delta":"`)
		v.close = `","item_id":"fc_`
	}
	return true
}

// tell implements voice.
func (v *llamacppResponsesVoice) tell(t token) {
	switch t.kind {
	case kindName:
		v.name = t.text
		return
	case kindThought:
		v.thought = append(v.thought, t.text...)
	case kindText:
		v.text = append(v.text, t.text...)
	case kindArguments:
		v.args = append(v.args, t.text...)
	default:
		return
	}
	v.put(t.json)
}

// finish implements voice.
func (v *llamacppResponsesVoice) finish(bool) {
	if v.close != "" {
		v.put(v.close)
		v.put(v.call)
	}
	v.put(`"`)
	if v.r.TimingsPerToken {
		v.members(object{{"timings", v.llamacppTimings()}})
	}
}

// closing implements voice.
func (v *llamacppResponsesVoice) closing() {
	var output []object
	done := func(item object) {
		v.event("response.output_item.done", object{{"item", item}})
		output = append(output, item)
	}
	if len(v.thought) > 0 {
		done(v.reasoningItem(string(v.thought)))
	}
	if text := string(v.text); text != "" {
		part := llamacppPart(text)
		v.event("response.output_text.done", object{{"item_id", "msg_" + v.call}, {"text", text}})
		v.event("response.content_part.done", object{{"item_id", "msg_" + v.call}, {"part", part}})
		done(object{{"type", "message"}, {"status", "completed"}, {"id", "msg_" + v.call}, {"content", []object{part}}, {"role", "assistant"}})
	}
	if len(v.args) > 0 {
		done(v.callItem(v.name, string(v.args)))
	}
	if v.plan.noDone || v.plan.noFinish {
		return
	}
	if output == nil {
		output = []object{}
	}
	v.event("response.completed", object{
		{"response", object{
			{"id", "resp_" + v.id}, {"object", "response"}, {"created_at", v.created}, {"status", "completed"}, {"model", v.s.opts.Model}, {"output", output},
		}.with(!v.plan.noUsage, "usage", v.usage())},
		{"timings", v.llamacppTimings()},
	})
}

func llamacppPart(text string) object {
	return object{{"type", "output_text"}, {"annotations", []any{}}, {"logprobs", []any{}}, {"text", text}}
}

func (v *llamacppResponsesVoice) reasoningItem(text string) object {
	return object{
		{"id", "rs_" + v.call}, {"summary", []any{}}, {"type", "reasoning"},
		{"content", []object{{{"text", text}, {"type", "reasoning_text"}}}}, {"encrypted_content", ""},
	}
}

func (v *llamacppResponsesVoice) callItem(name, arguments string) object {
	return object{
		{"id", "fc_" + v.call}, {"type", "function_call"}, {"status", "completed"}, {"arguments", arguments}, {"call_id", "call_" + v.call}, {"name", name},
	}
}

func (v *llamacppResponsesVoice) usage() object {
	return object{
		{"input_tokens", v.seq.prompt}, {"output_tokens", v.made}, {"total_tokens", v.seq.prompt + v.made},
		{"input_tokens_details", object{{"cached_tokens", v.cached()}}},
	}
}

// failure implements voice.
func (v *llamacppResponsesVoice) failure(e *apiError) {
	v.line("data: ")
	v.line(llamacppErrorEvent(e))
	v.line(eventEnd)
}

// whole implements voice. An answer in one piece has no timings.
func (v *llamacppResponsesVoice) whole(w *spoken) {
	output := []object{}
	if w.thought != "" {
		output = append(output, v.reasoningItem(w.thought).with(true, "status", "completed"))
	}
	if w.text != "" {
		output = append(output, object{
			{"content", []object{llamacppPart(w.text)}}, {"id", "msg_" + v.call}, {"role", "assistant"}, {"status", "completed"}, {"type", "message"},
		})
	}
	if w.arguments != "" {
		output = append(output, v.callItem(w.name, w.arguments))
	}
	v.value(object{
		{"completed_at", v.created}, {"created_at", v.created}, {"id", "resp_" + v.id}, {"model", v.s.opts.Model}, {"object", "response"}, {"output", output},
	}.with(!v.plan.noFinish, "status", "completed").with(!v.plan.noUsage, "usage", v.usage()))
}
