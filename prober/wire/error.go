package wire

import (
	"encoding/json"
	"strconv"
	"strings"
)

// maxErrorText bounds what is kept of a server's message, in bytes. Its class may have a tenth of that.
const maxErrorText = 1 << 10

// report gathers what an object says of an error, in the words that servers have for it.
type report struct {
	message []byte // escapes included
	class   []byte // from "type" and its like; "code" where it is a word and there is nothing better
	code    []byte
	status  int
	inner   *ServerError // from "error"
}

// field takes the value of the key that c has just found, if it belongs to an error.
func (r *report) field(c *cursor) bool {
	switch string(c.name) {
	case "error":
		r.inner = serverError(c)
	case "message", "detail":
		if text := words(c); len(text) > 0 {
			r.message = text
		}
	case "type", "error_type", "status":
		r.take(c, &r.class)
	case "code", "http_status_code", "status_code":
		r.take(c, &r.code)
	default:
		return false
	}
	return true
}

// take reads a value that is a class or a status, the latter as a number or as its digits.
func (r *report) take(c *cursor, word *[]byte) {
	if c.peek() != '"' {
		r.status = max(r.status, c.count())
		return
	}
	text := c.text()
	if len(text) == 0 {
		return
	}
	if text[0] >= '0' && text[0] <= '9' {
		if n, err := strconv.Atoi(string(text)); err == nil {
			r.status = max(r.status, n)
			return
		}
	}
	*word = text
}

// words takes a message: a string, or whatever is in its place, as it is written. null is none.
func words(c *cursor) []byte {
	if c.peek() == '"' {
		return c.text()
	}
	if value := c.raw(); string(value) != "null" {
		return value
	}
	return nil
}

// err is the error that was reported; nil if there was nothing of one.
// What stands beside an error adds to it: {"error":"Bad Request","message":"the prompt is too long"}.
func (r *report) err() *ServerError {
	message, class, status := unquoted(r.message), unquoted(r.class), r.status
	if class == "" {
		class = unquoted(r.code)
	}
	if status == 0 {
		status = statusOf(string(r.code))
	}
	e := r.inner
	if e == nil {
		if message == "" && class == "" {
			return nil
		}
		return newServerError(message, class, status)
	}
	if message == "" || message == e.Message {
		message = e.Message
	} else {
		message = e.Message + ": " + message
	}
	if e.Type != "" {
		class = e.Type
	}
	if e.Code != 0 {
		status = e.Code
	}
	return newServerError(message, class, status)
}

// serverError takes the value of an "error" key. What is empty or false is none, as the SDKs have it:
// null, false, 0, "", [] and {}.
func serverError(c *cursor) *ServerError {
	if c.peek() == '"' {
		if text := c.text(); len(text) > 0 {
			return newServerError(unquoted(text), "", 0)
		}
		return nil
	}
	if c.peek() != '{' {
		switch value := c.raw(); string(value) {
		case "", "null", "false", "0", "[]":
			return nil
		default:
			return newServerError(string(value), "", 0)
		}
	}
	var r report
	start, members := c.i, 0
	for c.enter('{'); c.key(); members++ {
		if !r.field(c) {
			c.skip()
		}
	}
	if c.bad || members == 0 {
		return nil
	}
	if r.message == nil && r.inner == nil {
		r.message = c.b[start:c.i] // none of the known words: all of it is the message
	}
	return r.err()
}

// newServerError bounds the texts and recognises overload, which every server words its own way: by status
// (503; Anthropic's 529), by class ("overloaded_error"), or only in the message (TGI's "Model is overloaded",
// SGLang's "The request queue is full.", Ollama's "server busy, please try again"). Where there is no status, a class
// that stands for too many requests gives one.
func newServerError(message, class string, code int) *ServerError {
	e := &ServerError{Message: bounded(message, maxErrorText), Type: bounded(class, maxErrorText/10), Code: code}
	if e.Code == 0 {
		e.Code = statusOf(e.Type)
	}
	text := strings.ToLower(e.Type + " " + e.Message)
	e.Overloaded = e.Code == 503 || e.Code == 529
	for _, word := range []string{"overloaded", "queue is full", "server busy", "at capacity", "capacity_exceeded"} {
		e.Overloaded = e.Overloaded || strings.Contains(text, word)
	}
	return e
}

// statusOf gives the status that a class stands for; 0 for most.
func statusOf(class string) int {
	switch class {
	case "rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED": // Anthropic, OpenAI, Google
		return 429
	}
	return 0
}

// bounded cuts text to at most limit bytes and leaves valid UTF-8, so that it may go into logs and labels.
func bounded(text string, limit int) string {
	text = strings.ToValidUTF8(strings.TrimSpace(text), "\uFFFD")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "..."
	}
	return text
}

// unquoted is the text that the inside of a JSON string stands for.
func unquoted(raw []byte) string { return string(AppendUnquoted(nil, raw)) }

// ErrorFrom reads the body of an answer whose HTTP status already says that it failed, in whatever shape
// servers give it: {"error":{...}}, {"error":"..."}, {"message":...}, {"detail":...}, an array of one of these
// (Gemini), or plain text. The status counts for more than what the body says of it; 0 leaves it to the body.
func ErrorFrom(status int, body []byte) *ServerError {
	e := errorIn(body)
	if e == nil {
		return newServerError(string(body), "", status)
	}
	if status != 0 {
		e.Code = status
		e.Overloaded = e.Overloaded || status == 503 || status == 529
	}
	return e
}

// errorIn finds the error in a JSON document; nil if there is none, or the body is something else.
func errorIn(body []byte) *ServerError {
	c := cursor{b: body}
	if c.peek() == '[' {
		c.enter('[')
		c.elem()
	}
	if c.peek() != '{' || !json.Valid(body) {
		return nil
	}
	var r report
	for c.enter('{'); c.key(); {
		if !r.field(&c) {
			c.skip()
		}
	}
	if r.inner == nil && r.message == nil {
		return nil
	}
	return r.err()
}
