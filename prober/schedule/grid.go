package schedule

import (
	"hash/fnv"
	"time"
)

// A grid is where a job's ticks lie: at offset + k*interval nanoseconds since 1970, each up to jitter later.
type grid struct {
	hash     uint64
	interval time.Duration
	jitter   time.Duration
	offset   time.Duration // in [0, interval)
}

func newGrid(j *Job, seed uint64) grid {
	h := fnv.New64a()
	h.Write([]byte(j.Key))
	hash := mix(h.Sum64() ^ seed)
	return grid{
		hash:     hash,
		interval: j.Interval,
		jitter:   j.Jitter,
		offset:   time.Duration(hash % uint64(j.Interval)),
	}
}

// from returns the first point of the grid at or after t. It has t's clock readings, so it goes by t's monotonic clock.
func (g grid) from(t time.Time) time.Time {
	wait := (int64(g.offset) - t.UnixNano()) % int64(g.interval)
	if wait < 0 {
		wait += int64(g.interval)
	}
	return t.Add(time.Duration(wait))
}

// after returns the point that follows t, which may lie off the grid: at least half an interval later.
func (g grid) after(t time.Time) time.Time { return g.from(t.Add(g.interval / 2)) }

// first returns the first tick of a job that is new at t. That is the first point of the grid; or, where that is more
// than within away, a time within it in which the order and the relative distances of the grid's offsets are kept.
func (g grid) first(t time.Time, within time.Duration) time.Time {
	early := time.Duration(float64(within) * float64(g.offset) / float64(g.interval))
	if on := g.from(t); within == 0 || on.Sub(t) <= early {
		return on
	}
	return t.Add(early)
}

// late returns by how much the tick at t comes later: random, but the same for each restart.
func (g grid) late(t time.Time) time.Duration {
	if g.jitter == 0 {
		return 0
	}
	return time.Duration(mix(g.hash^uint64(t.UnixNano())) % uint64(g.jitter))
}

// mix spreads x over all 64 bits (splitmix64's finaliser): names that differ in one letter end up far apart.
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}
