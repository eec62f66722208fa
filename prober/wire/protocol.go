package wire

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Protocol is one way of asking a server and of reading its answer.
type Protocol struct {
	Name    string
	Framing Framing // how its streams are cut; whole answers have no framing

	// Encode writes call for the server at base, the URL that SDKs of this protocol are given.
	Encode func(base *url.URL, call *Call) (*Encoded, error)

	// NewDecoder makes a decoder for one answer.
	NewDecoder func() Decoder
}

// Encoded is a request ready to be sent; authentication is the transport's business.
type Encoded struct {
	URL    *url.URL
	Header http.Header // what the protocol itself needs, Content-Type and Accept included
	Body   []byte
}

// Decoder reads one answer. It keeps state (cumulative counts), so it serves one answer only.
// What it returns as an error is ErrMalformed; errors that the server reports are in Event.Err.
type Decoder interface {
	// Decode reads one frame of a stream into ev. It does not allocate for frames that carry tokens.
	Decode(f Frame, ev *Event) error
	// DecodeWhole reads the body of a non-streaming answer into ev.
	DecodeWhole(body []byte, ev *Event) error
}

// ErrMalformed is wrapped by every error about bytes that are not what the protocol promises.
var ErrMalformed = errors.New("malformed answer")

// protocols is the table. Its order is the one in which names are listed.
func protocols() []*Protocol {
	return []*Protocol{
		openAIChat(),
		openAICompletions(),
		openAIResponses(),
		azureOpenAI(),
		anthropicMessages(),
		gemini(),
		ollamaChat(),
		tgiGenerate(),
	}
}

// Names lists the protocols, for configuration and help.
func Names() []string {
	var names []string
	for _, p := range protocols() {
		names = append(names, p.Name)
	}
	return names
}

// Lookup finds a protocol by its name.
func Lookup(name string) (*Protocol, error) {
	for _, p := range protocols() {
		if p.Name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("unknown protocol %q: want one of %q", name, Names())
}
