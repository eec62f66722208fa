package simulator

import (
	"encoding/json"
	"net/http"
	"strings"
)

// completionRequest is the part of a text completion request that matters here.
type completionRequest struct {
	chatRequest
	Prompt completionPrompt `json:"prompt"`
}

// completionPrompt is one prompt: a text or token ids, alone or in a list of one.
type completionPrompt struct {
	prompt
}

func (p *completionPrompt) UnmarshalJSON(b []byte) error {
	p.plain = true
	if json.Unmarshal(b, &p.text) == nil || json.Unmarshal(b, &p.given) == nil {
		return nil
	}
	var texts []string
	if json.Unmarshal(b, &texts) == nil && len(texts) == 1 {
		p.text = texts[0]
		return nil
	}
	var given [][]int
	if json.Unmarshal(b, &given) == nil && len(given) == 1 {
		p.given = given[0]
		return nil
	}
	return badRequest("prompt", "prompt must be one text or one list of token ids")
}

// completionProtocol is a text completion in the style of one server: the prompt is continued, without a template.
func completionProtocol(style chatStyle) func(*Server, *http.Request, []byte) (*question, func(*answer) voice, error) {
	style.plain = true
	if style.id == "" {
		style.id = "cmpl-"
	}
	return func(_ *Server, _ *http.Request, body []byte) (*question, func(*answer) voice, error) {
		var r completionRequest
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, nil, invalidBody(err)
		}
		if !r.Prompt.plain {
			return nil, nil, missing("prompt")
		}
		if err := checkCommon(r.N, r.StreamOptions, r.Stream, r.cap(), r.MinTokens); err != nil {
			return nil, nil, err
		}
		r.Tools, r.ToolChoice, r.ReasoningEffort = nil, "", "none"
		q, err := r.question()
		if err != nil {
			return nil, nil, err
		}
		q.prompt = r.Prompt.prompt
		if q.maximum == nil {
			q.maximum = new(16) // OpenAI's default, which all have kept
		}
		return q, func(a *answer) voice { return newChatVoice(a, &style, &r.chatRequest) }, nil
	}
}

// completionStyle makes the style of a text completion out of a server's chat.
func completionStyle(chat chatStyle) chatStyle {
	st := chat
	st.head = strings.Replace(chat.head, "chat.completion.chunk", "text_completion", 1)
	st.tail = strings.Replace(chat.tail, "chat.completion.chunk", "text_completion", 1)
	st.choice = `{"index":0,`
	st.role, st.each, st.first, st.thought = "", "", "", ""
	st.text = `"text":"`
	st.whole = func(v *chatVoice, w *spoken) object {
		return v.completion("text_completion", object{{"index", 0}, {"text", w.text}, {"logprobs", nil}, {"finish_reason", v.why()}})
	}
	return st
}
