package prober_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/probertest"
)

const ms = time.Millisecond

func chunk(at time.Duration, tokens int32) prober.Chunk { return prober.Chunk{At: at, Tokens: tokens} }

func with(r *prober.Result, change func(*prober.Result)) *prober.Result {
	change(r)
	return r
}

func TestInterTokenLatencies(t *testing.T) {
	type sample struct {
		Latency time.Duration
		Tokens  int
	}
	for _, test := range []struct {
		name string
		in   *prober.Result
		want []sample
	}{
		{"one token each, counted", probertest.Chunked(3, chunk(100*ms, 1), chunk(120*ms, 1), chunk(150*ms, 1)), []sample{{20 * ms, 1}, {30 * ms, 1}}},
		{"several tokens in a chunk share its gap", probertest.Chunked(6, chunk(100*ms, 1), chunk(120*ms, 4), chunk(150*ms, 1)), []sample{{5 * ms, 4}, {30 * ms, 1}}},
		{"the tokens of the first chunk do not matter", probertest.Chunked(9, chunk(100*ms, -1), chunk(120*ms, 2)), []sample{{10 * ms, 2}}},
		{"counted chunks need no usage", probertest.Chunked(0, chunk(100*ms, 1), chunk(120*ms, 2)), []sample{{10 * ms, 2}}},
		{"usage equals the chunks", probertest.Chunked(3, chunk(100*ms, -1), chunk(120*ms, -1), chunk(150*ms, -1)), []sample{{20 * ms, 1}, {30 * ms, 1}}},
		{"usage counts an end-of-sequence token too", probertest.Chunked(4, chunk(100*ms, -1), chunk(120*ms, -1), chunk(150*ms, -1)), []sample{{20 * ms, 1}, {30 * ms, 1}}},
		{"usage says that some chunks hold more", probertest.Chunked(5, chunk(100*ms, -1), chunk(120*ms, -1), chunk(150*ms, -1)), nil},
		{"usage says that some chunks hold nothing", probertest.Chunked(2, chunk(100*ms, -1), chunk(120*ms, -1), chunk(150*ms, -1)), nil},
		{"usage fits, but one chunk is known to hold two", probertest.Chunked(3, chunk(100*ms, -1), chunk(120*ms, 2), chunk(150*ms, -1)), nil},
		{"usage fits, and the known chunks hold one", probertest.Chunked(3, chunk(100*ms, -1), chunk(120*ms, 1), chunk(150*ms, -1)), []sample{{20 * ms, 1}, {30 * ms, 1}}},
		{"a chunk known to hold no token", probertest.Chunked(3, chunk(100*ms, 1), chunk(120*ms, 0), chunk(150*ms, 2)), nil},
		{"an estimate is no count", probertest.Chunked(0, chunk(100*ms, -1), chunk(120*ms, -1)), nil},
		{"chunks that claim more than the usage", probertest.Chunked(3, chunk(100*ms, 1), chunk(120*ms, 2), chunk(150*ms, 2)), nil},
		{"a chunk that claims two thousand million tokens", probertest.Chunked(0, chunk(100*ms, 1), chunk(120*ms, 1<<31-1)), nil},
		{"one chunk has no gap", probertest.Chunked(1, chunk(100*ms, 1)), nil},
		{"two chunks in one segment", probertest.Chunked(2, chunk(100*ms, 1), chunk(100*ms, 1)), []sample{{0, 1}}},
		{"stamps out of order by the clocks' error", probertest.Chunked(2, chunk(100*ms, 1), chunk(100*ms-time.Microsecond, 1)), []sample{{0, 1}}},
		{"failed", with(probertest.Chunked(2, chunk(100*ms, 1), chunk(120*ms, 1)), func(r *prober.Result) { r.Outcome = prober.TruncatedStream }), nil},
		{"hidden reasoning is not in the chunks", with(probertest.Chunked(42, chunk(100*ms, -1), chunk(120*ms, -1)), func(r *prober.Result) {
			r.Usage.ReasoningTokens = 40
		}), []sample{{20 * ms, 1}}},
		{"no chunks", probertest.Whole("t", "p", time.Second, 16), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []sample
			for d, n := range prober.InterTokenLatencies(test.in) {
				got = append(got, sample{d, n})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("InterTokenLatencies() (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever the chunks hold, the latencies counted once per token add up to the time from the first to the last token.
func TestInterTokenLatenciesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Duration(rapid.IntRange(0, 1e9).Draw(t, "first"))
		chunks := []prober.Chunk{chunk(at, 1)}
		tokens := 0
		for range rapid.IntRange(1, 50).Draw(t, "chunks") {
			at += time.Duration(rapid.IntRange(0, 1e8).Draw(t, "gap"))
			n := rapid.Int32Range(1, 20).Draw(t, "tokens")
			chunks = append(chunks, chunk(at, n))
			tokens += int(n)
		}
		var sum time.Duration
		n := 0
		for d, k := range prober.InterTokenLatencies(probertest.Chunked(tokens+1, chunks...)) {
			sum += d * time.Duration(k)
			n += k
		}
		span := at - chunks[0].At
		if n != tokens || sum > span || span-sum > time.Duration(tokens) { // each division loses less than a nanosecond per token
			t.Fatalf("InterTokenLatencies() = %d tokens, %v in all; want %d tokens, %v", n, sum, tokens, span)
		}
	})
}

func TestChunkGaps(t *testing.T) {
	ok := probertest.Chunked(0, chunk(100*ms, -1), chunk(120*ms, -1), chunk(115*ms, -1), chunk(200*ms, -1))
	var got []time.Duration
	for d := range prober.ChunkGaps(ok) {
		got = append(got, d)
	}
	if diff := cmp.Diff([]time.Duration{20 * ms, 0, 85 * ms}, got); diff != "" {
		t.Errorf("ChunkGaps() (-want +got):\n%s", diff)
	}
	ok.Outcome = prober.TimeoutIdle
	for d := range prober.ChunkGaps(ok) {
		t.Errorf("ChunkGaps(failed) yields %v; want nothing", d)
	}
}

func TestTimePerToken(t *testing.T) {
	for _, test := range []struct {
		name string
		in   *prober.Result
		tpot time.Duration
		rate float64
		ok   bool
	}{
		{"eleven tokens in 200 ms", probertest.Streamed("t", "p", 100*ms, 20*ms, 11), 20 * ms, 50, true},
		{"two tokens", probertest.Streamed("t", "p", 100*ms, 20*ms, 2), 20 * ms, 50, true},
		{"one token", probertest.Streamed("t", "p", 100*ms, 20*ms, 1), 0, 0, false},
		{"all at once", probertest.Streamed("t", "p", 100*ms, 0, 11), 0, 0, false},
		{"few chunks of many tokens", probertest.Chunked(101, chunk(100*ms, -1), chunk(600*ms, -1)), 5 * ms, 200, true},
		{"an estimate", probertest.Chunked(0, chunk(100*ms, -1), chunk(600*ms, -1)), 0, 0, false},
		{"failed", with(probertest.Streamed("t", "p", 100*ms, 20*ms, 11), func(r *prober.Result) { r.Outcome = prober.TruncatedStream }), 0, 0, false},
		{"not streamed", probertest.Whole("t", "p", time.Second, 16), 0, 0, false},
		{"reasoning that was streamed counts", with(probertest.Streamed("t", "p", 100*ms, 20*ms, 11), func(r *prober.Result) {
			r.Usage.ReasoningTokens, r.ReasoningShown = 6, true
			r.Timeline.FirstOutput = r.Timeline.FirstToken.Add(6 * 20 * ms)
		}), 20 * ms, 50, true},
		{"reasoning that was hidden does not", with(probertest.Streamed("t", "p", 100*ms, 20*ms, 11), func(r *prober.Result) {
			r.Usage.ReasoningTokens, r.Usage.OutputTokens, r.OutputTokens = 1000, 1011, 1011
		}), 20 * ms, 50, true},
		{"more reasoning than output", with(probertest.Streamed("t", "p", 100*ms, 20*ms, 11), func(r *prober.Result) {
			r.Usage.ReasoningTokens = 1000
		}), 0, 0, false},
		{"counted on the chunks", with(probertest.Streamed("t", "p", 100*ms, 20*ms, 11), func(r *prober.Result) {
			r.OutputSource = prober.TokensChunks
		}), 20 * ms, 50, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			tpot, ok := prober.TPOT(test.in)
			if tpot != test.tpot || ok != test.ok {
				t.Errorf("TPOT() = %v, %v; want %v, %v", tpot, ok, test.tpot, test.ok)
			}
			rate, ok := prober.TokensPerSecond(test.in)
			if rate != test.rate || ok != test.ok {
				t.Errorf("TokensPerSecond() = %v, %v; want %v, %v", rate, ok, test.rate, test.ok)
			}
		})
	}
}

func TestPhases(t *testing.T) {
	type phase struct {
		Phase prober.Phase
		Took  time.Duration
	}
	for _, test := range []struct {
		name string
		in   *prober.Result
		want []phase
	}{
		{"streamed on a fresh connection", probertest.Streamed("t", "p", 300*ms, 20*ms, 6), []phase{
			{prober.PhaseDNS, 2 * ms}, {prober.PhaseConnect, 3 * ms}, {prober.PhaseTLS, 15 * ms}, {prober.PhaseWrite, 100 * time.Microsecond},
			{prober.PhaseWait, 19900 * time.Microsecond}, {prober.PhaseFirstToken, 260 * ms}, {prober.PhaseDecode, 100 * ms}, {prober.PhaseFinish, ms},
		}},
		{"not streamed, on a connection that served before", with(probertest.Whole("t", "p", 300*ms, 6), func(r *prober.Result) {
			tl := &r.Timeline
			tl.DNSStart, tl.DNSDone, tl.ConnectStart, tl.ConnectDone, tl.TLSStart, tl.TLSDone = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
		}), []phase{
			{prober.PhaseWrite, 100 * time.Microsecond}, {prober.PhaseWait, 279900 * time.Microsecond}, {prober.PhaseBody, ms},
		}},
		{"the header arrived, by the kernel's clock, before the write had returned by ours", with(probertest.Streamed("t", "p", 300*ms, 20*ms, 2), func(r *prober.Result) {
			tl := &r.Timeline
			tl.DNSStart, tl.ConnectStart, tl.TLSStart = time.Time{}, time.Time{}, time.Time{}
			tl.Headers = tl.Wrote.Add(-time.Microsecond)
		}), []phase{
			{prober.PhaseWrite, 100 * time.Microsecond}, {prober.PhaseWait, 0}, {prober.PhaseFirstToken, 300*ms - 20100*time.Microsecond + time.Microsecond},
			{prober.PhaseDecode, 20 * ms}, {prober.PhaseFinish, ms},
		}},
		{"failed", probertest.Failed("t", "p", prober.TimeoutFirstToken, time.Second), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []phase
			known := make(map[prober.Phase]bool)
			for _, p := range prober.PhasesOf(test.in.Request.Call.Stream) {
				known[p] = true
			}
			var sum time.Duration
			for p, d := range prober.Phases(test.in) {
				if !known[p] {
					t.Errorf("phase %q is not in PhasesOf(%v)", p, test.in.Request.Call.Stream)
				}
				got = append(got, phase{p, d})
				sum += d
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Phases() (-want +got):\n%s", diff)
			}
			if test.name == "streamed on a fresh connection" && sum != test.in.Duration() {
				t.Errorf("the phases add up to %v; want the duration, %v", sum, test.in.Duration())
			}
		})
	}
	t.Run("stops when the loop does", func(t *testing.T) {
		for range prober.Phases(probertest.Streamed("t", "p", 300*ms, 20*ms, 6)) {
			break
		}
	})
}
