package queuewait

import (
	"math"
	"slices"
	"time"
)

// The memory of a bucket, and what it takes to believe that the floor has risen.
const (
	slotLength = 2 * time.Hour
	slots      = 24 // so a floor that nothing supports any more is forgotten after two days

	riseBlocks = 3                // at least, of which none comes down to the floor
	riseRow    = 8                // of the latest that count
	riseFor    = 10 * time.Minute // from the first of them to the last, at least
	riseLeast  = 0.15             // of the floor, where there is load
	riseOver   = 4                // times what shorter prompts waited meanwhile
	riseMost   = 2.0              // times the floor, where there is load and shorter prompts tell nothing
)

// probe is one observation. Times are Unix nanoseconds, by the wall clock: they outlive the process.
type probe struct {
	At     int64   `json:"at"`
	Tokens float64 `json:"tokens"`  // uncached
	Took   float64 `json:"seconds"` // from written to first token
}

// block is what a number of consecutive probes of a bucket say together.
type block struct {
	From   int64   `json:"from"`
	To     int64   `json:"to"`
	Count  int     `json:"count"` // of the probes; 0: no block
	Tokens float64 `json:"tokens"`
	Level  float64 `json:"level_seconds"` // at Tokens
	Spread float64 `json:"spread_seconds"`
	Middle float64 `json:"middle_seconds"` // the median
	Calm   bool    `json:"calm"`
}

// bucket is what is remembered of prompts of about one length.
//
//	probes ──16──> block ──lowest of each 2 h──> slots, 2 days ──lowest──> knot of the floor
//	                 └──row of those above the floor──> a rise? then the slots before it are void
type bucket struct {
	Open   []probe `json:"open,omitempty"`  // of the block being filled
	Slots  []block `json:"slots,omitempty"` // the lowest block of each, oldest first
	Last   block   `json:"last"`            // the latest that was filled
	Seen   int     `json:"seen"`            // probes, in all
	Met    int64   `json:"met"`             // when a block last came down to the floor
	Row    []block `json:"row,omitempty"`   // the latest blocks since, which did not, oldest first
	Before low     `json:"before"`          // what the floor was before rises
}

// low is the lowest floor that a rise has made void within the memory.
type low struct {
	Level float64 `json:"level_seconds"` // 0: none
	At    int64   `json:"at"`
}

// judge makes a block of the open probes. slope is what a token costs, to compare prompts of different length; where all
// of the time being the prompt's makes them agree better, that is believed: a slower server may be why the slope is wrong.
func (b *bucket) judge(slope float64) block {
	n := len(b.Open)
	var tokens, took float64
	for _, p := range b.Open {
		tokens += p.Tokens
		took += p.Took
	}
	x := block{From: b.Open[0].At, To: b.Open[n-1].At, Count: n, Tokens: tokens / float64(n)}
	found := b.level(x.Tokens, slope)
	if tokens > 0 {
		if other := b.level(x.Tokens, took/tokens); other.calm && (!found.calm || other.spread < found.spread) {
			found = other
		}
	}
	x.Level, x.Spread, x.Middle, x.Calm = found.at, found.spread, found.middle, found.calm
	return x
}

// level is that of the open probes, brought to one length.
func (b *bucket) level(tokens, slope float64) level {
	var times [blockSize]float64
	for i, p := range b.Open {
		times[i] = max(0, p.Took-slope*(p.Tokens-tokens))
	}
	return levelOf(times[:len(b.Open)])
}

// knot is the block that makes the floor: the lowest that is remembered, the open one included once it has enough. slope
// compares blocks of different mean length.
func (b *bucket) knot(slope float64) (lowest block, ok bool) {
	consider := func(x block) {
		if !ok || x.Level-slope*(x.Tokens-lowest.Tokens) < lowest.Level {
			lowest, ok = x, true
		}
	}
	for _, s := range b.Slots {
		consider(s)
	}
	if len(b.Open) >= enough {
		consider(b.judge(slope))
	}
	return lowest, ok
}

// remember puts a block into its slot and forgets the slots that are too old.
func (b *bucket) remember(x block, slope float64) {
	slot := func(at int64) int64 { return at / int64(slotLength) }
	if n := len(b.Slots); n > 0 && slot(b.Slots[n-1].To) == slot(x.To) {
		if s := &b.Slots[n-1]; x.Level-slope*(x.Tokens-s.Tokens) < s.Level {
			*s = x
		}
	} else {
		b.Slots = append(b.Slots, x)
	}
	old := 0
	for old < len(b.Slots)-1 && (slot(b.Slots[old].To) <= slot(x.To)-slots || len(b.Slots)-old > slots) {
		old++
	}
	b.Slots = append(b.Slots[:0], b.Slots[old:]...)
	if x.To-b.Before.At > int64(slots*slotLength) {
		b.Before = low{}
	}
}

// consider holds a filled block against the floor, and reports whether the floor has risen, and to which block. loaded is
// how long shorter prompts have waited since a moment; infinite where they tell nothing.
func (b *bucket) consider(x, floor block, slope float64, loaded func(since int64) float64) (to block, risen bool) {
	at := func(y block) float64 { return y.Level - slope*(y.Tokens-x.Tokens) } // at the length of x
	f := max(0, at(floor))
	w := width(f)
	if x.Level <= f+w {
		b.Met, b.Row = x.To, b.Row[:0]
		return block{}, false
	}
	if len(b.Row) == riseRow {
		b.Row = append(b.Row[:0], b.Row[1:]...)
	}
	b.Row = append(b.Row, x)
	if n := len(b.Row); n >= riseBlocks {
		last := b.Row[n-riseBlocks:]
		if to, ok := tight(last, at, floor.Spread); ok && long(last) {
			return to, true
		}
	}
	if len(b.Row) < riseRow || !long(b.Row) {
		return block{}, false
	}
	to, steady := edge(b.Row, at)
	up := at(to) - f
	if up <= max(riseLeast*f, w)+2*steady || !b.plausible(at(to), f, loaded(b.Row[0].From)) {
		return block{}, false
	}
	return to, true
}

// long reports whether a row of blocks is long enough for what it says to last.
func long(row []block) bool { return row[len(row)-1].To-row[0].From >= int64(riseFor) }

// tight reports whether blocks agree, each in itself and with the others, as those of an idle server do, and which of them
// is the lowest. Then there is no load: a queue is never that even.
func tight(row []block, at func(block) float64, spread float64) (lowest block, ok bool) {
	lowest, steady := edge(row, at)
	for _, x := range row {
		if !x.Calm || x.Spread > 2*spread+1e-3 || at(x)-at(lowest) > width(at(lowest)) {
			return block{}, false
		}
	}
	return lowest, steady <= width(at(lowest))
}

// edge is the lowest block of a row and how far the others are above it: the median.
func edge(row []block, at func(block) float64) (lowest block, steady float64) {
	var levels [riseRow]float64
	lowest = row[0]
	for i, x := range row {
		levels[i] = at(x)
		if at(x) < at(lowest) {
			lowest = x
		}
	}
	sorted := levels[:len(row)]
	slices.Sort(sorted)
	return lowest, sorted[len(row)/2] - sorted[0]
}

// plausible tells a slower server from steady load. A queue makes all lengths wait alike, and a shared batch makes a long
// prompt wait once for each of its few steps; so it was neither if shorter prompts waited much less: in the median, loaded
// is what this is. If nothing is known of these, a server may become twice as slow and no more.
func (b *bucket) plausible(level, floor, loaded float64) bool {
	if !math.IsInf(loaded, 1) {
		return level-floor >= riseOver*loaded
	}
	if b.Before.Level > 0 {
		floor = min(floor, b.Before.Level)
	}
	return level <= riseMost*floor
}

// rise makes void what was remembered from before a rise from the floor to a block.
func (b *bucket) rise(floor, to block) {
	if b.Before.Level == 0 || floor.Level < b.Before.Level {
		b.Before = low{Level: floor.Level, At: to.From}
	}
	b.Slots = append(b.Slots[:0], to)
	b.Met, b.Row = to.To, b.Row[:0]
}
