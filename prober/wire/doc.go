// Package wire knows what LLM servers say: how a question is written for each protocol, how a streamed answer is
// cut into frames, and what a frame means. It guarantees that decoding a token allocates nothing, that a stream
// split at any byte gives the same events, and that bytes which are not what the protocol promises are an error,
// never a guess.
//
//	Call --Encode--> bytes out ...... bytes in --Scanner--> Frame --Decoder--> Event
//
// A protocol is one file and one row of the table in protocol.go.
package wire
