package queuewait

import (
	"math"
	"sync"
	"time"
)

// Model learns what the first token of a target takes without other load, as a function of the prompt tokens that have to
// be computed:
//
//	floor(tokens) = a + b × tokens
//
// with a and b by length, for no engine is a straight line over its whole range: prompts are put into buckets of half an
// octave, the lower edge of what each bucket sees makes a knot, and straight lines join the knots.
//
//	time
//	 |          .  : .        .  :              . a probe
//	 |    :   . : ::  .  .   :. ::  ____o       o a knot: the level of the lowest block of 16 probes in two days
//	 |  . :   ::::.___o------'-----'            _ the floor
//	 |__o--'----'
//	 +----------------------------------> uncached prompt tokens
//
// Down it goes with the next 8 to 16 probes of a length, for no load makes a request quicker. Up it goes in one of three ways:
//
//   - What made the floor is two days old, and is forgotten.
//   - Three blocks in a row, over ten minutes at least, lie above it and agree, each in itself and with each other, as
//     closely as those that made the floor. That is an idle server that became slower: a queue is never that even.
//   - Eight blocks in a row lie above it by more than 15 % and twice what they are strewn by. That may be a slower
//     server under load, or steadier load. Load makes prompts of all lengths wait, a slower prefill the long ones: it is the
//     server if shorter prompts waited less than a quarter as long meanwhile. Without shorter ones the floor may double.
//
// Under a load that never ceases the floor cannot be seen. Then what was seen before stands for two days, and the
// confidence goes down meanwhile.
//
// Where a server reports what it took from a prefix cache, such requests are short ones. Where it does not, they are too
// quick for their length: they do no harm while they are fewer than a third of the probes of that length, and cannot be
// told from a quicker server once they are nearly all.
//
// A Model is safe for concurrent use. It takes at most 4 KiB for each length bucket that is in use, of 41, however long it
// runs. It keeps its state as JSON, so that a restart does not forget.
type Model struct {
	mu      sync.Mutex // protects all following fields
	buckets [buckets]*bucket
	knots   []knot // of the floor, by length; times do not decrease
	latest  int64  // when the latest probe was
}

// knot is one corner of the floor.
type knot struct {
	bucket  int
	tokens  float64
	seconds float64
	spread  float64
	calm    bool
	at      int64 // when the block that makes it ended
}

// NewModel returns a model that has seen nothing.
func NewModel() *Model { return new(Model) }

// Observe takes in that a first token came at the time at, the given time after a prompt had been written of which so many
// tokens had to be computed. Without load from the prober itself: a probe in a ramp tells nothing of the unloaded server.
func (m *Model) Observe(at time.Time, uncached int, took time.Duration) {
	if uncached < 0 || took < 0 || took > maxSeconds*time.Second {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.latest = max(m.latest, at.UnixNano()) // time does not go backwards, whatever the wall clock does
	i := bucketOf(uncached)
	b := m.buckets[i]
	if b == nil {
		b = &bucket{Open: make([]probe, 0, blockSize)}
		m.buckets[i] = b
	}
	b.Seen++
	b.Open = append(b.Open, probe{At: m.latest, Tokens: float64(uncached), Took: took.Seconds()})
	full := len(b.Open) == blockSize || len(b.Open) >= enough && m.latest-b.Open[0].At >= int64(slotLength)/2
	if full {
		m.close(i)
	}
	if full || len(b.Open) >= enough {
		m.draw()
	}
}

// close files the open block of bucket i.
func (m *Model) close(i int) {
	b := m.buckets[i]
	slope := m.slope(i)
	x := b.judge(slope)
	floor, known := b.knot(slope)
	b.Open = b.Open[:0]
	b.Last = x
	if !known {
		b.Met = x.To
		b.remember(x, slope)
		return
	}
	b.remember(x, slope)
	if to, risen := b.consider(x, floor, slope, func(since int64) float64 { return m.waited(x.Tokens/2, since) }); risen {
		b.rise(floor, to)
	}
}

// waited is how long prompts of at most so many tokens have waited since a moment, by a floor that they had before: the
// median. Infinite: there were none.
func (m *Model) waited(tokens float64, since int64) float64 {
	most := math.Inf(1)
	for _, k := range m.knots {
		if k.tokens > tokens {
			break
		}
		b := m.buckets[k.bucket]
		if len(b.Slots) == 0 || b.Slots[0].From >= since {
			continue
		}
		last := b.Last
		if len(b.Open) >= enough {
			last = b.judge(m.slope(k.bucket))
		}
		if last.Count > 0 && last.To >= since {
			most = min(most, max(0, last.Middle-m.floor(last.Tokens)))
		}
	}
	return most
}

// slope is what one more token costs at bucket i: between the knots at half and at double its length, or as far as there
// are any. Of a single knot it is only known that b lies between 0 and what it takes in all: half of that.
func (m *Model) slope(i int) float64 {
	at := -1
	for j, k := range m.knots {
		if k.bucket == i {
			at = j
		}
	}
	if at < 0 {
		return 0
	}
	left, right := at, at
	for left > 0 && m.knots[left].tokens > m.knots[at].tokens/2 {
		left--
	}
	for right < len(m.knots)-1 && m.knots[right].tokens < m.knots[at].tokens*2 {
		right++
	}
	most := m.knots[at].seconds / max(1, m.knots[at].tokens)
	wide := m.knots[right].tokens - m.knots[left].tokens
	if wide < shortest/2 {
		return most / 2
	}
	return min(most, (m.knots[right].seconds-m.knots[left].seconds)/wide)
}

// draw makes the knots anew, of nothing but the buckets: first with the lengths within a bucket taken as equal, and then
// with the slopes that follow from that.
func (m *Model) draw() {
	var slopes [buckets]float64
	m.knots = m.knots[:0]
	m.join(&slopes)
	for _, k := range m.knots {
		slopes[k.bucket] = m.slope(k.bucket)
	}
	m.join(&slopes)
}

// join makes the knots of all buckets.
func (m *Model) join(slopes *[buckets]float64) {
	m.knots = m.knots[:0]
	for i, b := range m.buckets {
		if b == nil {
			continue
		}
		if low, ok := b.knot(slopes[i]); ok {
			m.knots = append(m.knots, knot{bucket: i, tokens: low.Tokens, seconds: low.Level, spread: low.Spread, calm: low.Calm, at: low.To})
		}
	}
	for i := len(m.knots) - 2; i >= 0; i-- { // a longer prompt takes no less
		m.knots[i].seconds = min(m.knots[i].seconds, m.knots[i+1].seconds)
	}
}

// confidence says how sure a knot is.
func (m *Model) confidence(k knot) float64 {
	b := m.buckets[k.bucket]
	c := float64(b.Seen) / float64(b.Seen+enough)
	if w := width(k.seconds); !k.calm {
		c *= w / (w + k.spread)
	}
	if len(b.Row) >= riseBlocks {
		c *= 0.5
	}
	idle := float64(m.latest-max(b.Met, k.at)) / float64(slots*slotLength)
	return c * min(1, max(0, 1-idle))
}

// floor is the floor at any length; extended by the slope of the outermost knots. It needs a knot.
func (m *Model) floor(tokens float64) float64 {
	n := len(m.knots)
	if k := m.knots[0]; tokens <= k.tokens {
		return max(0, k.seconds-m.slope(k.bucket)*(k.tokens-tokens))
	}
	for i := 1; i < n; i++ {
		if l, r := m.knots[i-1], m.knots[i]; tokens <= r.tokens {
			return l.seconds + (r.seconds-l.seconds)*(tokens-l.tokens)/(r.tokens-l.tokens)
		}
	}
	k := m.knots[n-1]
	return k.seconds + m.slope(k.bucket)*(tokens-k.tokens)
}
