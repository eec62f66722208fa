package ask_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ask"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

// canned answers every request on a connection with the same stream of one token, and costs as little as can be.
func canned(b *testing.B) string {
	const body = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n" +
		"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n" +
		"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":60,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				for in := bufio.NewReader(c); ; {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					answer := &http.Response{
						StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body)),
						Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(&reader{body}),
					}
					if answer.Write(c) != nil {
						return
					}
				}
			})
		}
	})
	b.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String() + "/v1"
}

type reader struct{ rest string }

func (r *reader) Read(p []byte) (int, error) {
	n := copy(p, r.rest)
	if r.rest = r.rest[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

type nowhere struct{}

func (nowhere) Observe(*prober.Result) {}

// BenchmarkAsk is what an asking costs beyond the request itself, which is the row Do: both ask the same server with prompts of
// the same length, but Do's is written beforehand.
func BenchmarkAsk(b *testing.B) {
	base := canned(b)
	shape := workload.Shape{PromptTokens: workload.Range{Min: 60, Max: 60}, MaxOutputTokens: 16}
	call := wire.Call{Model: "sim-8b", MaxOutputTokens: 16, Stream: true}
	b.Run("Do", func(b *testing.B) {
		client, err := transport.New(transport.Options{Reuse: true})
		if err != nil {
			b.Fatal(err)
		}
		defer client.Close()
		protocol, err := wire.Lookup("openai_chat")
		if err != nil {
			b.Fatal(err)
		}
		u, err := url.Parse(base)
		if err != nil {
			b.Fatal(err)
		}
		p := prober.New(prober.Options{URL: u, Protocol: protocol, Client: client})
		call := call
		call.Messages = workload.NewGenerator(1, new(workload.Calibration)).Prompt(shape).Messages
		b.ReportAllocs()
		for b.Loop() {
			if r := p.Do(b.Context(), &prober.Request{ID: prober.NewID(), Call: call}); r.Outcome != prober.OK {
				b.Fatal(r.Err)
			}
		}
	})
	retry := ask.Retry{Attempts: 3, On: failures(b, "429", "503", "connect")}
	for _, row := range []struct {
		name string
		spec ask.Spec
	}{{"Ask", ask.Spec{}}, {"Ask_retry", ask.Spec{Retry: retry}}, {"Ask_turns_3", ask.Spec{Turns: 3}}, {"Ask_burst_8", ask.Spec{Burst: ask.Burst{Size: 8}}}} {
		b.Run(row.name, func(b *testing.B) {
			target := target(b, ask.Options{URL: base})
			spec := row.spec
			spec.Name, spec.Shape, spec.Call, spec.Reuse, spec.Sink = "p", shape, call, true, nowhere{}
			p, err := target.Probe(spec)
			if err != nil {
				b.Fatal(err)
			}
			for range 20 {
				p.Ask(b.Context(), time.Time{}) // what is learnt is there
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Ask(b.Context(), time.Time{})
			}
		})
	}
}

// BenchmarkAskAtOnce is a thousand goroutines that ask by one probe, as a ramp does: nobody waits for anybody's lock.
func BenchmarkAskAtOnce(b *testing.B) {
	target := target(b, ask.Options{URL: canned(b), Transport: transport.Options{MaxIdle: 1000}})
	p, err := target.Probe(ask.Spec{
		Name: "p", Shape: workload.Shape{PromptTokens: workload.Range{Min: 60, Max: 60}}, Reuse: true, Sink: nowhere{},
		Call: wire.Call{MaxOutputTokens: 16, Stream: true},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(1000 / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p.Ask(b.Context(), time.Time{})
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
