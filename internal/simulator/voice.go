package simulator

import (
	"net/http"
)

// voice says one answer in one protocol: it makes the events of a stream in the answer's buffer, or the body of an answer
// given in one piece. For a stream it is called in this order:
//
//	header, opening, {begin, add..., end}..., closing                  ping and failure may come in between
//
// begin, add and end make one event each time and leave it unsealed; begin may make and seal others before it. They
// allocate nothing while tokens of one kind follow each other.
type voice interface {
	// header sets what the protocol has in the header of a successful answer beside the content's type.
	header(h http.Header)
	// opening makes what comes before the first token, as soon as the request is accepted.
	opening()
	// begin starts the event that a token of kind k is part of. False: it has none, and is sent with the next one's.
	begin(k kind) bool
	// tell adds the text of a token to the event under way, which is of its kind. It is told of tokens without an event too.
	tell(t token)
	// finish ends the event under way; last says that no token follows.
	finish(last bool)
	// closing makes what comes after the last token.
	closing()
	// failure makes what a stream says when it fails.
	failure(e *apiError)
	// ping makes what is sent while there is nothing to send.
	ping()
	// whole makes the body of an answer given in one piece.
	whole(w *spoken)
}

// reader is a voice that tells of the reading of the prompt.
type reader interface {
	// reading makes an event that tells how far the prompt has been read, where that was asked for.
	reading(p progress)
}

// spoken is all that an answer said.
type spoken struct {
	thought, text   string
	name, arguments string // of the call; the name is empty where there is none
	called          bool   // the call is complete
	tokens          []token
}

// tell takes a token.
func (w *spoken) tell(t token) {
	switch t.kind {
	case kindThought:
		w.thought += t.text
	case kindText:
		w.text += t.text
	case kindName:
		w.name = t.text
	case kindArguments:
		w.arguments += t.text
	case kindCalled:
		w.called = true
	}
}

// plainVoice is what most protocols have in common. It is embedded in voices.
type plainVoice struct{ *answer }

func (plainVoice) header(http.Header) {}
func (plainVoice) opening()           {}
func (v plainVoice) ping()            { v.line(":\n\n") }
