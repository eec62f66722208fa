package simulator

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// chatStyle is how one server words a chat completion. A chunk of its streams is made of
//
//	data head [choice delta (goOn | last) }] tail [usage] rest ... }
//
// where $id, $created, $model and $print stand for the answer's own, and a delta of
//
//	{ [each | first] (text | thought | call) ... }
type chatStyle struct {
	data, head, tail string
	rest             string // of a chunk, after the usage
	choice, goOn     string
	id               string // what its id begins with; empty: "chatcmpl-"
	plain            bool   // a text completion: a choice has the text itself, without a delta around it
	role             string // the delta of a chunk that comes before the first token's; empty: there is none
	each, first      string // what each delta begins with, and what the first one does
	text             string // a delta up to its text
	thought          string // a delta up to its reasoning; empty: it is hidden
	noArguments      string // how the delta ends that names the tool; empty: the first of the arguments are in it
	wholeCalls       bool   // a call comes in one piece, when it is complete

	last      [2]string // around the reason why the answer ended, in place of goOn, where the last token's chunk has it
	lastUsage bool      // and the usage too, asked for or not
	finish    [2]string // else the same of a choice of its own

	tokenIDs   bool   // chunks have keys for token ids
	soFar      string // how continuous usage ends; empty: there is none
	unused     string // what stands for the usage where it was asked for and comes later
	obfuscates bool   // pads its chunks
	llamacpp   bool   // takes what a llamacppRequest has
	callID     string // what the ids of calls begin with
	print      string // the system's fingerprint; empty: vLLM's

	usage  func(v *chatVoice) object            // of the whole answer
	extras func(v *chatVoice) object            // of the last event, beside its usage; nil: none
	timing func(v *chatVoice) any               // of each event, where it was asked for; nil: none
	whole  func(v *chatVoice, w *spoken) object // the answer in one piece
	error  func(e *apiError) string             // an error in a stream
	over   string                               // what an error in a stream is followed by
	header func(v *chatVoice, h http.Header)    // nil: nothing
}

// doneEvent ends a stream.
const doneEvent = "data: [DONE]\n\n"

// chatVoice says a chat completion.
type chatVoice struct {
	plainVoice
	style *chatStyle
	r     *chatRequest

	before, after string // of a choice, filled in
	rest          string // after the usage, filled in
	begun, ended  bool   // the first delta was made; the reason was told
	close         string // what the delta under way still lacks
	held          spoken // a call that is held back, or its name
	padding       int    // of the next event
}

func newChatVoice(a *answer, style *chatStyle, r *chatRequest) *chatVoice {
	v := &chatVoice{plainVoice: plainVoice{a}, style: style, r: r}
	fill := strings.NewReplacer("$id", string(appendJSON(nil, v.reply())), "$created", strconv.FormatInt(a.created, 10),
		"$model", string(appendJSON(nil, a.s.opts.Model)), "$print", string(appendJSON(nil, v.print())))
	v.before, v.after = style.data+fill.Replace(style.head), fill.Replace(style.tail)
	v.rest = fill.Replace(style.rest)
	if style.llamacpp {
		r.apply(a)
	}
	a.bulky = a.bulky || len(v.before) > 1024 || r.ReturnTokenIDs && a.seq.prompt > 256 || style.wholeCalls && a.say.calls
	return v
}

// reply is the id of the answer.
func (v *chatVoice) reply() string {
	if v.style.id != "" {
		return v.style.id + v.answer.id
	}
	return "chatcmpl-" + v.answer.id
}

// print is the system's fingerprint.
func (v *chatVoice) print() string {
	if v.style.print != "" {
		return v.style.print
	}
	return v.s.fingerprint
}

// header implements voice.
func (v *chatVoice) header(h http.Header) {
	if v.style.header != nil {
		v.style.header(v, h)
	}
}

// begin implements voice.
func (v *chatVoice) begin(k kind) bool {
	st := v.style
	if !v.begun && st.role != "" {
		v.begun = true
		v.first()
	}
	var delta string
	switch {
	case st.plain && (k == kindText || k == kindStop && st.last[0] != ""):
		delta, v.close = st.text, `"`
	case k == kindText, k == kindStop && st.last[0] != "" && (v.calls == 0 || st.each != ""):
		delta, v.close = st.text, `"}`
	case k == kindStop && st.last[0] != "":
		delta, v.close = "", "}"
	case k == kindThought && st.thought != "" && (v.r.IncludeReasoning == nil || *v.r.IncludeReasoning):
		delta, v.close = st.thought, `"}`
	case k == kindName && st.noArguments != "":
		v.choice(`"tool_calls":[{"index":0,"id":"`)
		v.put(v.callID(st.callID))
		v.put(`","type":"function","function":{"name":"`)
		v.close = st.noArguments
		return true
	case k == kindArguments && !st.wholeCalls:
		v.close = `"}}]}`
		if v.held.name == "" {
			delta = `"tool_calls":[{"index":0,"function":{"arguments":"`
			break
		}
		v.choice(`"tool_calls":[{"index":0,"id":"`)
		v.put(v.callID(st.callID))
		v.put(`","type":"function","function":{"name":`)
		v.value(v.held.name)
		v.put(`,"arguments":"`)
		v.held.name = ""
		return true
	case k == kindCalled && st.wholeCalls:
		v.choice(`"content":"","tool_calls":`)
		v.value([]object{v.call(&v.held)})
		v.close = "}"
		return true
	case k != kindStop && st.tokenIDs && v.r.ReturnTokenIDs: // a chunk for the ids alone
		delta, v.close = "", "}"
	default:
		return false
	}
	v.choice(delta)
	return true
}

// first makes the chunk before the first token's.
func (v *chatVoice) first() {
	v.open(v.before)
	v.put(v.style.choice)
	v.put(v.style.role)
	v.put(v.style.goOn)
	v.put("}")
	v.put(v.after)
	v.usageSoFar(0)
	v.put(v.rest)
	if v.style.tokenIDs {
		v.put(`,"prompt_token_ids":`)
		if v.r.ReturnTokenIDs {
			v.buf = appendInts(v.buf, v.q.prompt.ids(v.s.tokens))
		} else {
			v.put("null")
		}
		v.put(`,"prompt_text":null`)
	}
	v.pad()
	v.seal(v.due, time.Now())
}

// choice starts an event with the beginning of a delta.
func (v *chatVoice) choice(delta string) {
	v.open(v.before)
	v.put(v.style.choice)
	if !v.style.plain {
		v.put("{")
	}
	v.put(v.style.each)
	if !v.begun {
		v.begun = true
		v.put(v.style.first)
	}
	v.put(delta)
}

// tell implements voice.
func (v *chatVoice) tell(t token) {
	switch {
	case v.style.wholeCalls && (t.kind == kindName || t.kind == kindArguments), v.style.noArguments == "" && t.kind == kindName:
		v.held.tell(t)
	case t.kind == kindText, t.kind == kindThought && !v.sealed, t.kind == kindName, t.kind == kindArguments:
		v.put(t.json)
	}
}

// finish implements voice.
func (v *chatVoice) finish(last bool) {
	v.put(v.close)
	v.ended = last
	if last && v.style.last[0] != "" && !v.plan.noFinish {
		v.put(v.style.last[0])
		v.put(v.reason())
		v.put(v.style.last[1])
	} else {
		v.put(v.style.goOn)
	}
	if v.style.tokenIDs {
		v.put(`,"token_ids":`)
		if v.r.ReturnTokenIDs {
			v.buf = appendInts(v.buf, v.ids)
		} else {
			v.put("null")
		}
	}
	v.put("}")
	v.put(v.after)
	v.usageNow(last && v.style.last[0] != "")
	v.put(v.rest)
	if v.style.timing != nil {
		if t := v.style.timing(v); t != nil {
			v.put(`,"timings":`)
			v.value(t)
		}
	}
	v.pad()
}

// reason is why the answer ended.
func (v *chatVoice) reason() string {
	if v.calls > 0 && v.seq.reason == finishStop {
		return "tool_calls"
	}
	return string(v.seq.reason)
}

// usageNow puts the usage after the tokens so far, or all of it where the chunk that ends the answer has that.
func (v *chatVoice) usageNow(end bool) {
	if end && v.style.lastUsage && !v.plan.noUsage {
		v.put(`,"usage":`)
		v.value(v.style.usage(v))
		return
	}
	v.usageSoFar(v.made)
}

// usageSoFar puts the usage after so many tokens, or what stands for it.
func (v *chatVoice) usageSoFar(made int) {
	if v.style.soFar == "" || !v.r.StreamOptions.continuous() {
		if v.r.StreamOptions.usage() {
			v.put(v.style.unused)
		}
		return
	}
	v.put(`,"usage":{"prompt_tokens":`)
	v.number(v.seq.prompt)
	v.put(`,"total_tokens":`)
	v.number(v.seq.prompt + made)
	v.put(`,"completion_tokens":`)
	v.number(made)
	v.put(v.style.soFar)
}

// pad puts letters into an event, so that its size does not tell that of its text.
func (v *chatVoice) pad() {
	if v.style.obfuscates && v.r.StreamOptions.obfuscated() {
		const letters = "r4N7vQ2mp9K3xT6wB8sZ"
		v.padding = (v.padding*7 + 5) % len(letters)
		v.put(`,"obfuscation":"`)
		v.put(letters[:v.padding+1])
		v.put(`"`)
	}
}

// closing implements voice.
func (v *chatVoice) closing() {
	st := v.style
	usage := v.r.StreamOptions.usage() && !v.plan.noUsage && !st.lastUsage
	extras := func() {
		if st.extras != nil {
			for _, m := range st.extras(v) {
				v.put(",")
				v.value(m.key)
				v.put(":")
				v.value(m.value)
			}
		}
	}
	if st.finish[0] == "" && !v.ended { // the last token had no chunk
		v.choice("")
		v.close = "}"
		if st.plain {
			v.put(st.text)
			v.close = `"`
		}
		v.finish(true)
		v.seal(v.due, time.Now())
	}
	if st.finish[0] != "" {
		v.open(v.before)
		if v.plan.noFinish {
			v.put(st.choice)
			if st.plain {
				v.put(st.text)
				v.put(`"`)
			} else {
				v.put("{}")
			}
			v.put(st.goOn)
			v.put("}")
		} else {
			v.put(st.finish[0])
			v.put(v.reason())
			v.put(st.finish[1])
		}
		v.put(v.after)
		v.usageNow(true)
		v.put(v.rest)
		if !usage {
			extras()
		}
		v.pad()
		v.seal(v.due, time.Now())
	}
	if usage {
		v.open(v.before)
		v.put(v.after)
		v.put(`,"usage":`)
		v.value(st.usage(v))
		v.put(v.rest)
		extras()
		v.pad()
		v.seal(v.due, time.Now())
	}
	if !v.plan.noDone {
		v.done()
	}
}

// done ends the stream.
func (v *chatVoice) done() {
	v.line(v.style.data)
	v.line("[DONE]\n\n")
}

// failure implements voice.
func (v *chatVoice) failure(e *apiError) {
	v.line(v.style.data)
	v.line(v.style.error(e))
	v.line("\n\n")
	v.line(v.style.over)
}

// whole implements voice.
func (v *chatVoice) whole(w *spoken) { v.value(v.style.whole(v, w)) }

// completion is what most servers say of a whole answer; a message has what they have beside the text of it.
func (v *chatVoice) completion(kind string, choice object) object {
	return object{
		{"id", v.reply()}, {"object", kind}, {"created", v.created}, {"model", v.s.opts.Model}, {"choices", []object{choice}},
	}.with(!v.plan.noUsage, "usage", v.style.usage(v))
}

// message is the message of a whole answer.
func (v *chatVoice) message(w *spoken) object {
	m := object{{"role", "assistant"}, {"content", w.text}}
	if w.name != "" && w.text == "" {
		m[1].value = nil
	}
	return m
}

// call is a complete call.
func (v *chatVoice) call(w *spoken) object {
	return object{{"id", v.callID(v.style.callID)}, {"type", "function"},
		{"function", object{{"name", w.name}, {"arguments", w.arguments}}}}
}

// why is the reason of a whole answer.
func (v *chatVoice) why() any {
	if v.plan.noFinish {
		return nil
	}
	return v.reason()
}

// callID is the id of the answer's call: the same each time it is asked for.
func (a *answer) callID(prefix string) string { return fmt.Sprintf("%s%016x", prefix, hashID(a.id)) }

// hashID makes a number of an id.
func hashID(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id)) //nolint:errcheck // it cannot fail
	return h.Sum64()
}
