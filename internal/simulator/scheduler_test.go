package simulator

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// counts is an observer that counts.
type counts struct {
	nobody
	steps, prefilled, made int
	ended                  map[finishReason]int
}

func newCounts() *counts { return &counts{ended: map[finishReason]int{}} }

func (c *counts) step(st step) {
	c.steps++
	c.prefilled += st.prefilled
	c.made += st.made
}
func (c *counts) finished(_ *sequence, why finishReason) { c.ended[why]++ }

// model is a scheduler with round constants: a step is 10 ms, and 1 ms more for each sequence and each 100 prompt tokens.
func model(t testing.TB, change func(*Options)) (*scheduler, *counts) {
	t.Helper()
	o := Options{StepBase: 10 * time.Millisecond, StepPerSequence: time.Millisecond, PrefillPerToken: 10 * time.Microsecond, MaxModelLen: 1000}
	if change != nil {
		change(&o)
	}
	o, err := o.complete()
	if err != nil {
		t.Fatal(err)
	}
	c := newCounts()
	return newScheduler(&o, c), c
}

func arriving(at time.Duration, prompt, output int) *sequence {
	s := newSequence(fmt.Sprint(at), prompt, output)
	s.arrival = instant(at)
	return s
}

func submit(t testing.TB, e *scheduler, all ...*sequence) {
	t.Helper()
	for _, s := range all {
		if err := e.submit(s); err != nil {
			t.Fatalf("submit(%s) = %v", s.id, err)
		}
	}
}

// drain steps from the given instant until there is nothing to do, and returns when each step ended.
func drain(e *scheduler, at instant) []instant {
	var ends []instant
	for {
		end, ok := e.begin(at)
		if !ok {
			return ends
		}
		e.finish(end)
		ends = append(ends, end)
		at = end
	}
}

const ms = time.Millisecond

func TestStepTimes(t *testing.T) {
	// Alone: 100 prompt tokens cost 1 ms in the first step, the sequence 1 ms in each.
	// Then a second one joins at the next step and makes both slower.
	e, c := model(t, nil)
	a, b := arriving(5*ms, 100, 3), arriving(6*ms, 200, 2)
	submit(t, e, a, b)
	got := drain(e, 0)
	want := []instant{
		instant(5*ms + 10*ms + 1*ms + 1*ms),  // a: prefill and first token
		instant(17*ms + 10*ms + 2*ms + 2*ms), // b joins: prefill of 200
		instant(31*ms + 10*ms + 2*ms),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("steps ended at (-want +got):\n%s", d)
	}
	if got, want := a.timeline(), (timeline{started: true, scheduled: instant(5 * ms), admitted: instant(5 * ms), first: instant(17 * ms), last: instant(43 * ms), made: 3, ended: finishLength}); got != want {
		t.Errorf("a's timeline = %+v; want %+v", got, want)
	}
	if got, want := b.timeline(), (timeline{started: true, scheduled: instant(17 * ms), admitted: instant(17 * ms), first: instant(31 * ms), last: instant(43 * ms), made: 2, ended: finishLength}); got != want {
		t.Errorf("b's timeline = %+v; want %+v", got, want)
	}
	if c.steps != 3 || c.prefilled != 300 || c.made != 5 || c.ended[finishLength] != 2 {
		t.Errorf("observed %+v; want 3 steps, 300 prompt tokens, 5 tokens, 2 ended by length", *c)
	}
}

func TestIdleEngineStartsAtTheArrival(t *testing.T) {
	e, _ := model(t, nil)
	submit(t, e, arriving(0, 100, 1), arriving(time.Second, 100, 1))
	want := []instant{instant(12 * ms), instant(time.Second + 12*ms)}
	if d := cmp.Diff(want, drain(e, 0)); d != "" {
		t.Errorf("steps ended at (-want +got):\n%s", d)
	}
}

func TestNothingIsAdmittedFromTheFuture(t *testing.T) {
	// The driver is late: by the time it begins the second step, a request has come that the step must not know of.
	e, _ := model(t, nil)
	a, late := arriving(0, 100, 2), arriving(15*ms, 100, 1)
	submit(t, e, a)
	end, _ := e.begin(0)
	submit(t, e, late)
	e.finish(end) // at 12 ms
	e.begin(end)
	if got := late.timeline(); got.started {
		t.Errorf("a request that arrived at 15 ms was scheduled at %v", time.Duration(got.scheduled))
	}
	if got := e.load(); got.running != 1 || got.waiting != 1 {
		t.Errorf("load() = %+v; want 1 running, 1 waiting", got)
	}
}

func TestQueueIsFirstInFirstOut(t *testing.T) {
	e, _ := model(t, func(o *Options) { o.MaxRunning = 1 })
	a, b, c := arriving(0, 100, 2), arriving(1*ms, 100, 1), arriving(2*ms, 100, 1)
	submit(t, e, a, c, b) // c's handler was faster than b's
	drain(e, 0)
	// a: 12 + 11; then b and c, 12 each.
	for _, x := range []struct {
		s    *sequence
		want time.Duration
	}{{a, 0}, {b, 23 * ms}, {c, 35 * ms}} {
		if got := time.Duration(x.s.timeline().scheduled); got != x.want {
			t.Errorf("%s was scheduled at %v; want %v", x.s.id, got, x.want)
		}
	}
}

func TestCacheSpaceIsSetAside(t *testing.T) {
	// 1000 tokens of KV cache: the second request (600) does not fit beside the first (500), and the third, which would,
	// waits behind it.
	e, _ := model(t, func(o *Options) { o.KVTokens = 1000 })
	a, b, c := arriving(0, 495, 5), arriving(0, 595, 5), arriving(0, 100, 5)
	submit(t, e, a, b, c)
	end, _ := e.begin(0)
	if got, want := e.load(), (load{running: 1, waiting: 2, held: 496}); got != want {
		t.Fatalf("load() = %+v; want %+v: 31 blocks", got, want)
	}
	e.finish(end)
	drain(e, end)
	if b.timeline().scheduled != a.timeline().last || c.timeline().scheduled != a.timeline().last {
		t.Errorf("b and c were scheduled at %v and %v; want both when a ended, %v", b.timeline().scheduled, c.timeline().scheduled, a.timeline().last)
	}
	if got := e.load(); got != (load{}) || e.reserved != 0 {
		t.Errorf("at the end load() = %+v and %d tokens are set aside; want nothing", got, e.reserved)
	}
}

func TestBoundedQueue(t *testing.T) {
	e, _ := model(t, func(o *Options) { o.MaxQueued, o.MaxRunning = 2, 1 })
	a := arriving(0, 10, 5)
	submit(t, e, a)
	e.begin(0)
	submit(t, e, arriving(0, 10, 5))
	if err := e.submit(arriving(0, 10, 5)); !errors.Is(err, errOverloaded) {
		t.Errorf("submit() of one too many = %v; want %v", err, errOverloaded)
	}
	e.abort(a, finishAbort)
	if err := e.submit(arriving(0, 10, 5)); err != nil {
		t.Errorf("submit() after an abort = %v; want nil", err)
	}
}

func TestAbort(t *testing.T) {
	e, c := model(t, func(o *Options) { o.MaxRunning = 1 })
	running, waiting, next := arriving(0, 100, 50), arriving(0, 100, 50), arriving(0, 100, 1)
	submit(t, e, running, waiting, next)
	end, _ := e.begin(0)
	e.abort(waiting, finishAbort)
	e.abort(running, finishAbort)
	e.abort(running, finishAbort) // a second time changes nothing
	if pushed := e.finish(end); len(pushed) != 0 {
		t.Errorf("an aborted sequence got a token")
	}
	if got := e.load(); got.running != 0 || got.waiting != 1 || got.held != 0 {
		t.Errorf("load() = %+v; want 1 waiting and nothing else", got)
	}
	drain(e, end)
	if got := next.timeline(); got.scheduled != end || got.made != 1 {
		t.Errorf("the next sequence's timeline = %+v; want it scheduled at %v, complete", got, end)
	}
	if c.ended[finishAbort] != 2 || c.ended[finishLength] != 1 {
		t.Errorf("ended = %v; want 2 aborted, 1 by length", c.ended)
	}
}

func TestSlowSequenceSlowsTheBatch(t *testing.T) {
	e, _ := model(t, nil)
	a, b := arriving(0, 100, 1), arriving(0, 100, 2)
	a.slow = 3
	submit(t, e, a, b)
	want := []instant{instant(3 * 14 * ms), instant(3*14*ms + 11*ms)}
	if d := cmp.Diff(want, drain(e, 0)); d != "" {
		t.Errorf("steps ended at (-want +got):\n%s", d)
	}
}

func TestEndlessSequenceStopsOnlyByAbort(t *testing.T) {
	e, _ := model(t, nil)
	s := arriving(0, 100, 3)
	s.endless = true
	submit(t, e, s)
	var at instant
	for range 10 {
		at, _ = e.begin(at)
		e.finish(at)
	}
	if got := s.timeline(); got.made != 10 || got.ended != "" {
		t.Errorf("timeline = %+v; want 10 tokens and no end", got)
	}
	if got := e.load().held; got != 112 {
		t.Errorf("it holds %d tokens; want no more than the 7 blocks that were set aside, 112", got)
	}
	e.abort(s, finishAbort)
	if got := e.load(); got != (load{}) {
		t.Errorf("load() = %+v; want nothing", got)
	}
}

// tokensAt are the due times of what a sequence has made.
func tokensAt(s *sequence) []time.Duration {
	dues, _ := s.take(nil)
	var all []time.Duration
	for _, d := range dues {
		all = append(all, time.Duration(d))
	}
	return all
}

func TestPromptIsReadInPieces(t *testing.T) {
	// 100 tokens a step. a reads 80 of its prompt and makes a token; b reads 20 beside it, then 99 beside a's tokens.
	e, c := model(t, func(o *Options) { o.MaxBatchedTokens, o.MaxRunning = 100, 8 })
	a, b := arriving(0, 80, 4), arriving(0, 218, 2)
	submit(t, e, a, b)
	want := []instant{
		instant(13000 * time.Microsecond), // 80 and 20
		instant(25990 * time.Microsecond), // 1 and 99
		instant(38980 * time.Microsecond), // 1 and 99: now b makes a token too
		instant(50980 * time.Microsecond), // 1 and 1
	}
	got := drain(e, 0)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("steps ended at (-want +got):\n%s", d)
	}
	if c.prefilled != 298 || c.made != 6 {
		t.Errorf("observed %+v; want 298 prompt tokens and 6 tokens", *c)
	}
	if got := b.timeline(); got.scheduled != 0 || got.first != want[2] {
		t.Errorf("b was scheduled at %v and had its first token at %v; want 0 and %v, when its prompt had been read", got.scheduled, got.first, want[2])
	}
}

func TestFullCachePutsTheLatestBack(t *testing.T) {
	// 6 blocks of 16 tokens. a and b have prompts of 2 blocks each, and both need a third for their first token's place and
	// a fourth 16 tokens later: then there is none, b goes back, and comes again when a is done.
	e, c := model(t, func(o *Options) { o.MaxModelLen, o.KVTokens, o.Preempt = 96, 96, true })
	a, b, last := arriving(0, 32, 40), arriving(0, 32, 40), arriving(ms, 16, 1)
	submit(t, e, a, b, last)
	var at instant
	for a.timeline().ended == "" {
		end, ok := e.begin(at)
		if !ok {
			t.Fatal("the engine stopped")
		}
		if n := e.cache.held; n > 6 {
			t.Fatalf("%d blocks are held; there are 6", n)
		}
		e.finish(end)
		at = end
	}
	tb := b.timeline()
	if tb.preemptions != 1 || tb.made != 17 || a.timeline().preemptions != 0 {
		t.Fatalf("b's timeline = %+v, a's %+v; want b put back once, after 17 tokens", tb, a.timeline())
	}
	if last.timeline().started {
		t.Error("the last one went before b, which is older")
	}
	drain(e, at)
	tb = b.timeline()
	if tb.made != 40 || tb.ended != finishLength || tb.scheduled != 0 || tb.recomputed != 32+16 || tb.requeued <= 0 {
		t.Errorf("b's timeline = %+v; want 40 tokens, 48 of them all computed twice, and a wait in between", tb)
	}
	times := tokensAt(b)
	if gap := times[17] - times[16]; gap <= tb.requeued {
		t.Errorf("b's tokens have a gap of %v; want more than the %v that it waited", gap, tb.requeued)
	}
	if c.prefilled != 32+32+16+32+17 {
		t.Errorf("%d tokens were read; want the three prompts, and b's again with the 17 tokens it had made", c.prefilled)
	}
	if got := e.load(); got != (load{}) {
		t.Errorf("at the end load() = %+v; want nothing", got)
	}
}

// prompted is a sequence whose prompt is named block by block.
func prompted(at time.Duration, output int, rest int, blocks ...uint64) *sequence {
	s := arriving(at, 16*len(blocks)+rest, output)
	s.prefix = blocks
	return s
}

func TestPromptsShareBlocks(t *testing.T) {
	e, c := model(t, func(o *Options) { o.MaxModelLen, o.KVTokens, o.PrefixCache = 160, 160, true })
	a, b, other := prompted(0, 2, 8, 1, 2, 3), prompted(100*ms, 2, 8, 1, 2, 4), prompted(200*ms, 2, 8, 5, 6, 7)
	again, gone := prompted(300*ms, 2, 8, 1, 2, 3), prompted(400*ms, 2, 8, 1, 2, 3)
	submit(t, e, a, b, other, again)
	drain(e, 0)
	for _, x := range []struct {
		name   string
		s      *sequence
		cached int
		took   time.Duration // to the first token: 11 ms, and 10 µs for each token that is read
	}{
		{"a", a, 0, 11*ms + 560*time.Microsecond},
		{"b", b, 32, 11*ms + 240*time.Microsecond},
		{"other", other, 0, 11*ms + 560*time.Microsecond},
		{"again", again, 48, 11*ms + 80*time.Microsecond},
	} {
		tl := x.s.timeline()
		if tl.cached != x.cached || tl.first.sub(tl.scheduled) != x.took {
			t.Errorf("%s had %d tokens in the cache and took %v; want %d and %v", x.name, tl.cached, tl.first.sub(tl.scheduled), x.cached, x.took)
		}
	}
	if c.prefilled != 56+24+56+8 {
		t.Errorf("%d prompt tokens were read; want 144", c.prefilled)
	}
	if e.cache.held != 0 || e.cache.idles != 7 || len(e.cache.known) != 7 {
		t.Errorf("%d blocks held, %d idle, %d known; want none, 7 and 7", e.cache.held, e.cache.idles, len(e.cache.known))
	}

	// A long prompt needs the room of all that is idle.
	long := prompted(350*ms, 2, 8, 11, 12, 13, 14, 15, 16, 17, 18, 19)
	submit(t, e, long, gone)
	drain(e, instant(350*ms))
	if got := gone.timeline().cached; got != 0 {
		t.Errorf("%d tokens were found that had to be forgotten", got)
	}
}

func TestPriority(t *testing.T) {
	e, _ := model(t, func(o *Options) { o.MaxRunning, o.Priority = 1, true })
	first, low, high, later := arriving(0, 100, 1), arriving(ms, 100, 1), arriving(2*ms, 100, 1), arriving(50*ms, 100, 1)
	low.priority, high.priority, later.priority = 5, -1, -7
	submit(t, e, first, low, high, later)
	drain(e, 0)
	// 12 ms each. later is not there yet when low's turn comes.
	for _, x := range []struct {
		name string
		s    *sequence
		want time.Duration
	}{{"first", first, 0}, {"high", high, 12 * ms}, {"low", low, 24 * ms}, {"later", later, 50 * ms}} {
		if got := time.Duration(x.s.timeline().scheduled); got != x.want {
			t.Errorf("%s was scheduled at %v; want %v", x.name, got, x.want)
		}
	}
}

func TestPriorityPutsBackWhoMattersLeast(t *testing.T) {
	e, _ := model(t, func(o *Options) { o.MaxModelLen, o.KVTokens, o.Preempt, o.Priority = 96, 96, true, true })
	low, high := arriving(0, 32, 40), arriving(0, 32, 40)
	low.priority = 1
	submit(t, e, low, high)
	drain(e, 0)
	if low.timeline().preemptions == 0 || high.timeline().preemptions != 0 || low.timeline().made != 40 {
		t.Errorf("low was put back %d times, high %d; want low alone, and it complete: %+v", low.timeline().preemptions, high.timeline().preemptions, low.timeline())
	}
}

func TestPrefixHashes(t *testing.T) {
	ids := make([]int, 100)
	for i := range ids {
		ids[i] = i % 7
	}
	base := prefixHashes(ids, "", 16)
	if len(base) != 6 {
		t.Fatalf("prefixHashes() of 100 tokens has %d blocks; want 6", len(base))
	}
	if got := prefixHashes(ids[:96], "", 16); !slices.Equal(got, base[:5]) {
		t.Errorf("of 96 tokens: %v; want 5 blocks of %v: the last token is always computed", got, base)
	}
	if got := prefixHashes(ids, "salt", 16); slices.Contains(base, got[0]) {
		t.Error("a salt keeps nothing apart")
	}
	changed := slices.Clone(ids)
	changed[20]++
	if got := prefixHashes(changed, "", 16); got[0] != base[0] || got[1] == base[1] || got[5] == base[5] {
		t.Error("a changed token must change its block and all after it, and none before it")
	}
	if got := prefixHashes(nil, "", 16); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// checkCache holds the cache's books against what the running sequences hold.
func checkCache(t *rapid.T, e *scheduler) {
	c := e.cache
	own, shared := 0, map[*kvBlock]int{}
	for _, m := range e.running {
		own += m.own
		for _, b := range m.shared {
			shared[b]++
		}
		if m.own < 0 || m.blocks() < c.blocks(min(m.computed+m.share, m.sequence.held())) {
			t.Fatalf("a sequence holds %d + %d blocks for %d tokens", m.own, len(m.shared), m.computed+m.share)
		}
	}
	if c.held != own+len(shared) {
		t.Fatalf("%d blocks are held; the sequences hold %d alone and share %d", c.held, own, len(shared))
	}
	idle := 0
	for b := c.idle.next; b != &c.idle; b = b.next {
		if b.holders != 0 || c.known[b.hash] != b {
			t.Fatalf("an idle block has %d holders", b.holders)
		}
		idle++
	}
	for b, n := range shared {
		if b.holders != n {
			t.Fatalf("a block is shared by %d and says %d", n, b.holders)
		}
	}
	if idle != c.idles || c.held+idle > c.total || len(c.known) != idle+len(shared) {
		t.Fatalf("%d held and %d idle (%d said) of %d blocks, %d known", c.held, idle, c.idles, c.total, len(c.known))
	}
}

// TestModel checks what must hold whatever the load and the options: order, caps, budget, blocks, the step formula, and that
// nothing is lost.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{
			MaxRunning:      rapid.IntRange(1, 8).Draw(t, "max running"),
			MaxModelLen:     500,
			KVTokens:        rapid.IntRange(500, 3000).Draw(t, "kv tokens"),
			BlockTokens:     rapid.SampledFrom([]int{1, 7, 16, 64}).Draw(t, "block"),
			Preempt:         rapid.Bool().Draw(t, "preempt"),
			PrefixCache:     rapid.Bool().Draw(t, "prefix cache"),
			Priority:        rapid.Bool().Draw(t, "priority"),
			StepBase:        time.Duration(rapid.IntRange(1, 20).Draw(t, "base")) * ms,
			StepPerSequence: 100 * time.Microsecond,
			PrefillPerToken: 10 * time.Microsecond,
		}
		if rapid.Bool().Draw(t, "bounded") {
			o.MaxBatchedTokens = o.MaxRunning + rapid.IntRange(0, 300).Draw(t, "budget")
		}
		o, err := o.complete()
		if err != nil {
			t.Fatal(err)
		}
		c := newCounts()
		e := newScheduler(&o, c)

		all := make([]*sequence, rapid.IntRange(1, 40).Draw(t, "requests"))
		var at time.Duration
		prompts, outputs := 0, 0
		for i := range all {
			at += time.Duration(rapid.IntRange(0, 60_000).Draw(t, "gap")) * time.Microsecond
			s := arriving(at, rapid.IntRange(1, 400).Draw(t, "prompt"), rapid.IntRange(1, 100).Draw(t, "output"))
			s.priority = rapid.IntRange(0, 2).Draw(t, "priority")
			if o.PrefixCache {
				// Prompts of a few families, which begin alike and then differ.
				ids := make([]int, s.prompt)
				family, alike := rapid.IntRange(1, 3).Draw(t, "family"), rapid.IntRange(0, 400).Draw(t, "alike")
				for k := range ids {
					ids[k] = family
					if k >= alike {
						ids[k] = 100 + i
					}
				}
				s.prefix = prefixHashes(ids, "", o.BlockTokens)
			}
			all[i] = s
			prompts += s.prompt
			outputs += s.output
		}

		next, aborted := 0, 0
		var now instant
		for {
			// Requests are submitted when they arrive, or while a later step runs: the driver may be late.
			for next < len(all) && (all[next].arrival <= now || (len(e.waiting) == 0 && len(e.running) == 0) || rapid.Bool().Draw(t, "early")) {
				if err := e.submit(all[next]); err != nil {
					t.Fatal(err)
				}
				next++
			}
			before := len(e.running)
			began := map[*sequence]bool{}
			for _, m := range e.running {
				began[m.sequence] = true
			}
			end, ok := e.begin(now)
			if !ok {
				break
			}
			begin := e.now.begin
			if before > 0 && begin != now {
				t.Fatalf("a step began at %v; the one before had ended at %v", begin, now)
			}
			shares, reading, running := 0, 0, 0
			for _, m := range e.running {
				shares += m.share
				if m.share > 0 {
					running++
				}
				if m.reading {
					reading += m.share
				} else if m.share > 1 {
					t.Fatalf("a sequence that makes tokens computes %d at once", m.share)
				}
			}
			if running == 0 || shares < running || o.MaxBatchedTokens > 0 && shares > o.MaxBatchedTokens {
				t.Fatalf("%d tokens of %d sequences are computed in a step; the budget is %d", shares, running, o.MaxBatchedTokens)
			}
			want := o.StepBase + time.Duration(running)*o.StepPerSequence + time.Duration(reading)*o.PrefillPerToken
			if got := end.sub(begin); got != want {
				t.Fatalf("a step of %d sequences and %d prompt tokens took %v; want %v", running, reading, got, want)
			}
			if len(e.running) > o.MaxRunning {
				t.Fatalf("%d sequences run; the cap is %d", len(e.running), o.MaxRunning)
			}
			checkCache(t, e)
			for _, m := range e.running {
				for _, w := range e.waiting {
					if !began[m.sequence] && w.arrival <= begin && e.before(w, m.sequence) {
						t.Fatalf("one that arrived at %v with priority %d was admitted before one of %v, %d", m.arrival, m.priority, w.arrival, w.priority)
					}
				}
			}
			if rapid.IntRange(0, 99).Draw(t, "abort") == 0 {
				s := all[rapid.IntRange(0, next-1).Draw(t, "whom")]
				if s.timeline().ended == "" {
					aborted++
				}
				e.abort(s, finishAbort)
				checkCache(t, e)
			}
			e.finish(end)
			now = end
		}

		if l := e.load(); l != (load{}) || e.reserved != 0 {
			t.Fatalf("at the end load() = %+v, %d set aside; want nothing", l, e.reserved)
		}
		if c.ended[finishLength] != len(all)-aborted || c.ended[finishAbort] != aborted {
			t.Fatalf("ended %v; want %d, and %d aborted", c.ended, len(all)-aborted, aborted)
		}
		cached, recomputed := 0, 0
		for i, s := range all {
			tl := s.timeline()
			if tl.ended == finishAbort {
				continue
			}
			cached += tl.cached
			recomputed += tl.recomputed
			if tl.scheduled < s.arrival || tl.admitted < tl.scheduled || tl.first <= tl.admitted || tl.last < tl.first || tl.made != s.output {
				t.Fatalf("timeline %+v of a request that arrived at %v", tl, s.arrival)
			}
			if tl.cached >= s.prompt || tl.preemptions > 0 && !o.Preempt || tl.recomputed > 0 && tl.preemptions == 0 || (tl.requeued > 0) != (tl.preemptions > 0) {
				t.Fatalf("timeline %+v of a prompt of %d", tl, s.prompt)
			}
			if i > 0 && !o.Priority && all[i-1].timeline().started && tl.scheduled < all[i-1].timeline().scheduled {
				t.Fatalf("request %d was scheduled before request %d", i, i-1)
			}
			dues, _ := s.take(nil)
			if len(dues) != s.output || !slices.IsSorted(dues) || dues[0] != tl.first || dues[len(dues)-1] != tl.last {
				t.Fatalf("due times %v do not fit the timeline %+v", dues, tl)
			}
		}
		if aborted == 0 && (c.made != outputs || recomputed == 0 && c.prefilled != prompts-cached || c.prefilled < prompts-cached) {
			t.Fatalf("observed %+v; want %d prompt tokens (%d cached, %d computed twice) and %d tokens", *c, prompts, cached, recomputed, outputs)
		}
	})
}
