package queuewait

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/wire"
)

func TestBreakdown(t *testing.T) {
	const rtt = 3 * ms
	trip := Trip{Known: true, Time: rtt}
	us := time.Microsecond
	for _, c := range []struct {
		name         string
		r            *prober.Result
		queue        Wait
		trip         Trip
		floor, fixed time.Duration
		source       Source
		model        bool
		want         map[Part]time.Duration
	}{
		{
			name: "nothing is known",
			r:    streamed(200*ms, wire.ServerTiming{}),
			want: map[Part]time.Duration{PartNetwork: wrote, PartUnknown: 200*ms - wrote},
		}, {
			name: "the trip is known",
			r:    streamed(200*ms, wire.ServerTiming{}), trip: trip,
			want: map[Part]time.Duration{PartNetwork: wrote + rtt, PartUnknown: 200*ms - wrote - rtt},
		}, {
			name: "vLLM: queue and prefill",
			r: streamed(200*ms, told(func(t *wire.ServerTiming) {
				t.QueueSeconds, t.PrefillSeconds = 0.05, 0.11
			})),
			queue: Wait{Body, 50 * ms, 0}, trip: trip, source: Body,
			want: map[Part]time.Duration{PartNetwork: wrote + rtt, PartQueue: 50 * ms, PartPrefill: 110 * ms, PartUnknown: 40*ms - wrote - rtt},
		}, {
			name: "Fireworks: the first token, too",
			r: streamed(200*ms, told(func(t *wire.ServerTiming) {
				t.QueueSeconds, t.PrefillSeconds, t.FirstTokenSeconds = 0.05, 0.10, 0.165
			})),
			queue: Wait{Body, 50 * ms, 0}, trip: trip, source: Body,
			want: map[Part]time.Duration{PartNetwork: wrote + rtt, PartQueue: 50 * ms, PartPrefill: 100 * ms, PartFirstDecode: 15 * ms, PartUnknown: 35*ms - wrote - rtt},
		}, {
			name: "Ollama: loading",
			r: streamed(200*ms, told(func(t *wire.ServerTiming) {
				t.TotalSeconds, t.LoadSeconds, t.PrefillSeconds, t.DecodeSeconds = 0.2, 0.06, 0.07, 0.04
			})),
			queue: Wait{Derived, 30 * ms, us}, trip: trip, source: Derived,
			want: map[Part]time.Duration{PartNetwork: wrote + rtt, PartQueue: 30 * ms, PartLoad: 60 * ms, PartPrefill: 70 * ms, PartUnknown: 40*ms - wrote - rtt},
		}, {
			name: "a server that claims more than there was",
			r: streamed(200*ms, told(func(t *wire.ServerTiming) {
				t.QueueSeconds, t.PrefillSeconds = 0.05, 0.18
			})),
			queue: Wait{Body, 50 * ms, 0}, trip: trip,
			want: map[Part]time.Duration{PartNetwork: wrote + rtt, PartUnknown: 200*ms - wrote - rtt},
		}, {
			name: "a little more is the clocks'",
			r: streamed(200*ms, told(func(t *wire.ServerTiming) {
				t.QueueSeconds, t.PrefillSeconds = 0.05, 0.128
			})),
			queue: Wait{Body, 50 * ms, 0}, trip: trip, source: Body,
			want: map[Part]time.Duration{PartNetwork: wrote + rtt, PartQueue: 50 * ms, PartPrefill: 150*ms - wrote - rtt, PartUnknown: 0},
		}, {
			name: "the model, and what does not grow with the prompt",
			r:    streamed(200*ms, wire.ServerTiming{}), queue: Wait{Estimated, 80 * ms, ms}, trip: trip,
			floor: 200*ms - wrote - 80*ms, fixed: 15 * ms, source: Estimated, model: true,
			want: map[Part]time.Duration{PartNetwork: wrote + rtt, PartQueue: 80 * ms, PartPrefill: 200*ms - wrote - 95*ms, PartFirstDecode: 15*ms - rtt, PartUnknown: 0},
		}, {
			name: "the model alone",
			r:    streamed(200*ms, wire.ServerTiming{}), queue: Wait{Estimated, 80 * ms, ms}, trip: trip,
			floor: 200*ms - wrote - 80*ms, source: Estimated,
			want: map[Part]time.Duration{PartNetwork: wrote + rtt, PartQueue: 80 * ms, PartUnknown: 120*ms - wrote - rtt},
		}, {
			name: "quicker than the floor",
			r:    streamed(wrote+90*ms, wire.ServerTiming{}), queue: Wait{Estimated, 0, ms},
			floor: 100 * ms, fixed: 15 * ms, source: Estimated, model: true,
			want: map[Part]time.Duration{PartNetwork: wrote, PartQueue: 0, PartPrefill: 85 * ms, PartFirstDecode: 5 * ms, PartUnknown: 0},
		}, {
			name: "the server tells prefill, the model the rest",
			r:    streamed(200*ms, told(func(t *wire.ServerTiming) { t.PrefillSeconds = 0.1 })), queue: Wait{Estimated, 90 * ms, ms}, trip: trip,
			floor: 95 * ms, source: Estimated,
			want: map[Part]time.Duration{PartNetwork: wrote + rtt, PartQueue: 100*ms - wrote - rtt, PartPrefill: 100 * ms, PartUnknown: 0},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, ok := split(c.r, c.queue, c.trip, c.floor, c.fixed)
			if !ok {
				t.Fatal("split() gave nothing")
			}
			got := maps.Collect(b.Parts())
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			if b.Queue != c.source || b.Model != c.model {
				t.Errorf("Queue, Model = %q, %t; want %q, %t", b.Queue, b.Model, c.source, c.model)
			}
			checkSum(t, &b)
		})
	}
}

// checkSum makes sure that the parts add up to the time to first token, to the nanosecond.
func checkSum(t *testing.T, b *Breakdown) {
	t.Helper()
	var sum time.Duration
	for p, d := range b.Parts() {
		if d < 0 {
			t.Errorf("%s took %v; want no less than nothing", p, d)
		}
		if one, ok := b.Part(p); !ok || one != d {
			t.Errorf("Part(%s) = %v, %t; want %v", p, one, ok, d)
		}
		sum += d
	}
	if sum != b.Total {
		t.Errorf("the parts add up to %v; want %v", sum, b.Total)
	}
}

// Whatever a server claims, the parts add up.
func TestBreakdownAddsUp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	claim := func() float64 { return r.Float64()*0.3 - 0.05 }
	target := learned()
	for range 2000 {
		timing := told(func(t *wire.ServerTiming) {
			t.QueueSeconds, t.PrefillSeconds, t.DecodeSeconds, t.LoadSeconds, t.TotalSeconds, t.FirstTokenSeconds =
				claim(), claim(), claim(), claim(), claim(), claim()
			t.PrefillTokens, t.GeneratedTokens = r.IntN(50)-5, r.IntN(10)-2
		})
		report := target.Judge(streamed(wrote+time.Duration(r.IntN(400))*ms, timing), nil)
		if !report.Broken {
			t.Fatal("a streamed success has no breakdown")
		}
		checkSum(t, &report.Breakdown)
	}
}

func TestNoBreakdown(t *testing.T) {
	for name, r := range map[string]*prober.Result{
		"failed":       failed(unknown()),
		"in one piece": whole(100*ms, unknown()),
	} {
		if report := NewTarget().Judge(r, nil); report.Broken {
			t.Errorf("%s: there is a breakdown %v; want none", name, report.Breakdown)
		}
	}
	if _, ok := new(Breakdown).Part("lunch"); ok {
		t.Error("an unknown part is known")
	}
}
