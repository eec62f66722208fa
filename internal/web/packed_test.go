package web

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

// drawnSlot is any slot that can have been made here.
func drawnSlot(t *rapid.T) slot {
	count := rapid.IntRange(0, math.MaxInt32)
	s := slot{Number: rapid.Int64Min(0).Draw(t, "number"), OK: count.Draw(t, "ok"), Failed: count.Draw(t, "failed"), Broken: count.Draw(t, "broken")}
	for _, k := range []*sketch{&s.TTFT, &s.Took, &s.TPOT} {
		for range rapid.IntRange(0, 2*sketchMost).Draw(t, "n") {
			k.add(time.Duration(rapid.Int64Range(-1, int64(24*time.Hour)).Draw(t, "d")))
		}
		for i := range *k {
			(*k)[i].Count = rapid.Uint16Min(1).Draw(t, "count")
		}
	}
	if rapid.Bool().Draw(t, "explained") {
		s.Parts = newPartSums()
		for i := range s.Parts {
			s.Parts[i] = rapid.Float32().Draw(t, "part")
		}
	}
	for _, o := range prober.Outcomes()[:rapid.IntRange(0, len(prober.Outcomes())).Draw(t, "outcomes")] {
		s.Outcomes = append(s.Outcomes, outcomeCount{string(o), count.Draw(t, "count")})
	}
	return s
}

// What was packed comes out as it was.
func TestPackedSlot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawnSlot(t)
		p := want.pack()
		got, err := p.unpack()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("unpack() of %q: %v (-packed +unpacked):\n%s", p.data, err, diff)
		}
		if diff := cmp.Diff(want.TTFT, p.ttft()); diff != "" {
			t.Fatalf("ttft() (-want +got):\n%s", diff)
		}
	})
}

// What was cut off, or goes on, is none that was packed; and nothing ever takes more memory than there are bytes.
func TestUnpackOfWhatIsWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawnSlot(t)
		p := s.pack()
		if cut := rapid.IntRange(0, len(p.data)-1).Draw(t, "cut"); true {
			if got, err := (packedSlot{1, p.data[:cut]}).unpack(); err == nil {
				t.Fatalf("unpack() of %d bytes of %d = %+v; want an error", cut, len(p.data), got)
			}
		}
		if got, err := (packedSlot{1, p.data + "\x00"}).unpack(); err == nil {
			t.Fatalf("unpack() of a byte more = %+v; want an error", got)
		}
		junk := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "junk")
		if got, err := (packedSlot{1, string(junk)}).unpack(); err == nil && len(got.TTFT)+len(got.Parts)+len(got.Outcomes) > len(junk) {
			t.Fatalf("unpack() of %d bytes has %+v", len(junk), got)
		}
	})
}

// Adding to slots in any order, packed and opened again, is as adding to slots that stay open.
func TestTrendIsAsIfNothingWerePacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
		var tr trend
		open := map[int64]*slot{}
		newest := int64(0)
		for range rapid.IntRange(0, 60).Draw(t, "n") {
			s := sample{
				end: at.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "slots ahead")) * slotSpan), outcome: prober.OK, timed: true,
				latency: time.Duration(rapid.IntRange(1, 1000).Draw(t, "ms")) * time.Millisecond,
			}
			if rapid.Bool().Draw(t, "fails") {
				s.outcome, s.timed = prober.DNS, false
			}
			tr.add(&s)
			if n := slotNumber(s.end); n > newest-trendSlots {
				newest = max(newest, n)
				if open[n] == nil {
					open[n] = &slot{Number: n}
				}
				alone := trend{open: open[n]}
				alone.add(&s)
			}
		}
		want := map[int64]slot{}
		for n, s := range open {
			if n > newest-trendSlots {
				want[n] = *s
			}
		}
		got := map[int64]slot{}
		before := int64(-1)
		for _, s := range tr.clone() {
			if s.Number <= before {
				t.Fatalf("slot %d after %d; want them in order", s.Number, before)
			}
			before, got[s.Number] = s.Number, s
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("slots (-never packed +packed):\n%s", diff)
		}
		from, to := at.Add(10*slotSpan), at.Add(100*slotSpan)
		var all sketch
		for _, s := range tr.clone() {
			if !s.begin().Before(from) && !s.begin().Add(slotSpan).After(to) {
				all.merge(s.TTFT)
			}
		}
		if diff := cmp.Diff(all, tr.around(from, to)); diff != "" {
			t.Fatalf("around() (-want +got):\n%s", diff)
		}
	})
}

// What was packed of a result comes out as it was.
func TestPackedSample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 50, 200)
		span := func(name string) time.Duration { return time.Duration(rapid.Int64().Draw(t, name)) }
		want := sample{
			id: text.Draw(t, "id"), end: time.Unix(0, rapid.Int64().Draw(t, "end")), outcome: prober.Outcome(text.Draw(t, "outcome")),
			status: rapid.Int().Draw(t, "status"), err: text.Draw(t, "err"), latency: span("latency"), timed: rapid.Bool().Draw(t, "timed"),
			rate: rapid.Float64().Draw(t, "rate"), exact: rapid.Bool().Draw(t, "exact"), degraded: rapid.Bool().Draw(t, "degraded"),
			clock: prober.Clock(text.Draw(t, "clock")), took: span("took"), tpot: span("tpot"),
		}
		if rapid.Bool().Draw(t, "explained") {
			want.parts = &parts{source: queuewait.Source(text.Draw(t, "source")), model: rapid.Bool().Draw(t, "model"), took: []time.Duration{}}
			for range rapid.IntRange(0, 8).Draw(t, "parts") {
				want.parts.took = append(want.parts.took, span("part"))
			}
		}
		if diff := cmp.Diff(want, want.pack().unpack(), cmp.AllowUnexported(sample{}, parts{})); diff != "" {
			t.Fatalf("(-packed +unpacked):\n%s", diff)
		}
	})
}

// The end keeps the reading of the clock that is not set.
func TestPackedSampleKeepsItsAge(t *testing.T) {
	s := sample{end: time.Now()}
	if got := s.pack().unpack().end; got != s.end {
		t.Errorf("end = %v; want %v, to the last bit", got, s.end)
	}
}
