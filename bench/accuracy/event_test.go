package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// What one token event costs on its whole way through the prober: framing of HTTP, of server-sent events, JSON, the books.
//
//	go test ./bench/accuracy -run '^$' -bench Event
const (
	answerHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	answerEnd  = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
	perAnswer  = 1000 // events; the prober makes room for so many at the start
)

// eventChunk is one token event as vLLM sends it, in a chunk of its own.
func eventChunk() string {
	const event = `data: {"id":"chatcmpl-3d1f0e6f2b5c4a6f9d2e1c0b8a7f6e5d","object":"chat.completion.chunk","created":1760000000,"model":"meta-llama/Llama-3.1-8B-Instruct","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null,"token_ids":null}]}` + "\n\n"
	return fmt.Sprintf("%x\r\n%s\r\n", len(event), event)
}

// ask has a prober ask once, over connections that dial makes.
func ask(b *testing.B, dial func(context.Context, string, string) (net.Conn, error), watch func(*wire.Protocol) *wire.Protocol) func() *prober.Result {
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		b.Fatal(err)
	}
	client, err := transport.New(transport.Options{Dial: dial})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	if watch != nil {
		protocol = watch(protocol)
	}
	p := prober.New(prober.Options{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1", Path: "/v1"}, Protocol: protocol, Client: client})
	return func() *prober.Result {
		return p.Do(b.Context(), &prober.Request{
			ID: prober.NewID(), Call: wire.Call{Model: model, MaxOutputTokens: perAnswer, Stream: true},
			Limits: prober.Limits{Total: time.Hour},
		})
	}
}

// BenchmarkEventInMemory leaves the kernel out: what is ours alone, and the same on a busy machine as on a quiet one.
func BenchmarkEventInMemory(b *testing.B) {
	b.ReportAllocs()
	c := &memoryConn{b: b, event: eventChunk()}
	do := ask(b, func(context.Context, string, string) (net.Conn, error) {
		c.sent = -1
		return c, nil
	}, nil)
	for !c.over {
		if r := do(); r.Outcome != prober.TruncatedStream || len(r.Chunks) != c.sent {
			b.Fatalf("outcome %s after %d events of %d: %v", r.Outcome, len(r.Chunks), c.sent, r.Err)
		}
	}
}

// memoryConn answers with one event a read, and stops the clock between answers.
type memoryConn struct {
	net.Conn // nil: what is not below is not called
	b        *testing.B
	event    string
	sent     int // events of this answer; -1: not even the head
	over     bool
}

// Read implements net.Conn. It is where the benchmark loops, for the prober does not come back between events.
func (c *memoryConn) Read(p []byte) (int, error) {
	if c.sent < 0 {
		c.sent = 0
		return copy(p, answerHead), nil
	}
	if c.sent == perAnswer || c.over {
		c.b.StopTimer()
		return 0, io.EOF
	}
	if c.sent == 0 {
		c.b.StartTimer()
	}
	if !c.b.Loop() {
		c.over = true
		return 0, io.EOF
	}
	c.sent++
	return copy(p, c.event), nil
}

func (c *memoryConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *memoryConn) Close() error                     { return nil }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }
func (c *memoryConn) RemoteAddr() net.Addr             { return nil }

// BenchmarkEventTCP is the way of an event from the server's write, through the kernel, until the prober has filed it,
// beside a loop that only reads. Both include the write and waking the reader.
func BenchmarkEventTCP(b *testing.B) {
	for _, reads := range []struct {
		name string
		read func(b *testing.B, addr string, seen chan<- struct{})
	}{
		{"prober", readProber},
		{"bare", readBare},
	} {
		b.Run(reads.name, func(b *testing.B) {
			b.ReportAllocs()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			event, seen := []byte(eventChunk()), make(chan struct{})
			var reader sync.WaitGroup
			reader.Go(func() { reads.read(b, l.Addr().String(), seen) })
			var answer net.Conn
			for n := 0; b.Loop(); n++ {
				if n%perAnswer == 0 {
					b.StopTimer()
					answer = nextAnswer(b, l, answer)
					b.StartTimer()
				}
				if _, err := answer.Write(event); err != nil {
					b.Fatal(err)
				}
				<-seen
			}
			endAnswer(b, answer)
			l.Close() // what the reader dials next fails, and so it ends
			reader.Wait()
		})
	}
}

// nextAnswer ends one answer and begins another.
func nextAnswer(b *testing.B, l net.Listener, last net.Conn) net.Conn {
	if last != nil {
		endAnswer(b, last)
	}
	c, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		b.Fatal(err)
	}
	if _, err := io.WriteString(c, answerHead); err != nil {
		b.Fatal(err)
	}
	return c
}

func endAnswer(b *testing.B, c net.Conn) {
	if _, err := io.WriteString(c, answerEnd); err != nil {
		b.Fatal(err)
	}
	c.Close()
}

// readProber asks again and again, and tells of each token.
func readProber(b *testing.B, addr string, seen chan<- struct{}) {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	do := ask(b, dial, func(p *wire.Protocol) *wire.Protocol {
		telling := *p
		telling.NewDecoder = func() wire.Decoder { return &tellingDecoder{p.NewDecoder(), seen} }
		return &telling
	})
	for {
		switch r := do(); {
		case r.Outcome == prober.Connect:
			return
		case r.Outcome != prober.OK:
			b.Errorf("%s: %v", r.Outcome, r.Err)
			return
		}
	}
}

type tellingDecoder struct {
	wire.Decoder
	seen chan<- struct{}
}

func (d *tellingDecoder) Decode(f wire.Frame, ev *wire.Event) error {
	err := d.Decoder.Decode(f, ev)
	if ev.Generated() {
		d.seen <- struct{}{}
	}
	return err
}

// readBare reads again and again, and tells when as many bytes have come as make up an event.
func readBare(b *testing.B, addr string, seen chan<- struct{}) {
	request := []byte("POST /v1/chat/completions HTTP/1.1\r\nHost: " + addr + "\r\nContent-Length: 0\r\n\r\n")
	event := len(eventChunk())
	buf := make([]byte, 4096)
	for {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		if _, err := c.Write(request); err != nil {
			b.Error(err)
		}
		got, told := -len(answerHead), 0
		for {
			n, err := c.Read(buf)
			if err != nil {
				break // the end of this answer, or of all
			}
			for got += n; told < perAnswer && got >= (told+1)*event; told++ {
				seen <- struct{}{}
			}
		}
		c.Close()
	}
}
