package queuewait

import (
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
	"github.com/llmprober/llm_prober/prober/wire"
)

const ms = time.Millisecond

// unknown is a server's timing in which nothing is told.
func unknown() wire.ServerTiming {
	return wire.ServerTiming{
		Known: true, QueueSeconds: -1, PrefillSeconds: -1, DecodeSeconds: -1, LoadSeconds: -1, TotalSeconds: -1,
		FirstTokenSeconds: -1, PrefillTokens: -1, GeneratedTokens: -1,
	}
}

// told is a timing as a server tells it.
func told(set func(*wire.ServerTiming)) wire.ServerTiming {
	t := unknown()
	set(&t)
	return t
}

// streamed is a result whose first token came ttft after dispatch: 20 ms of set-up, a handshake of 3 ms in them, and 0.1 ms
// of writing come first.
func streamed(ttft time.Duration, timing wire.ServerTiming) *prober.Result {
	r := probertest.Streamed("t", "p", ttft, 10*ms, 5)
	r.Timing = timing
	return r
}

// wrote is when the request of streamed had been written.
const wrote = 20100 * time.Microsecond

// whole is a result in one piece, ended d after dispatch.
func whole(d time.Duration, timing wire.ServerTiming) *prober.Result {
	r := probertest.Whole("t", "p", d, 5)
	r.Timeline.End = r.Timeline.Dispatched.Add(d)
	r.Timing = timing
	return r
}

// failed is a result with that timing, but without success.
func failed(timing wire.ServerTiming) *prober.Result {
	r := probertest.Failed("t", "p", prober.TruncatedStream, time.Second)
	r.Timing = timing
	return r
}
