package engine

import (
	"slices"
	"time"
)

// Snapshot is what the engine said at one time, in base units. A nil pointer means that it does not tell; it never stands for zero.
type Snapshot struct {
	At        time.Time     // when the fetch was sent
	Took      time.Duration // until the answer was read: the numbers are from somewhere in between
	Kind      Kind
	Instances int // over how many ranks, replicas and models the numbers are summed; at least 1

	Running, Waiting *float64 // requests
	KVCacheUsage     *float64 // 0 to 1, of the fullest instance

	// Since the first fetch, through restarts of the engine. They only grow: differences of two snapshots are what happened in between.
	QueueWait, TimeToFirstToken, Prefill, Decode, RequestDuration *Totals
	PromptTokens, CachedPromptTokens, GenerationTokens            *float64
	Preemptions                                                   *float64
	Restarts                                                      float64
}

// Totals are all observations of one quantity together.
type Totals struct {
	Count float64 // how many
	Sum   float64 // in seconds
}

// Window is what the engine's requests waited between two snapshots: the mean over all traffic, not the wait of any one request.
// Most engines count a request's wait when the request finishes.
type Window struct {
	From, To  time.Time     // when the two fetches were sent
	Requests  float64       // how many waits were counted; above 0
	Mean      time.Duration // of their waits
	Restarted bool          // the engine began anew in between: waits just before that were not seen
}

// history keeps snapshots for Window.
type history struct{ snapshots []Snapshot } // in the order of their times

// How much of the past Window can speak of.
const (
	historyAge  = 15 * time.Minute
	historyMost = 1024
)

func (h *history) add(s Snapshot) {
	h.snapshots = append(h.snapshots, s)
	drop, _ := slices.BinarySearchFunc(h.snapshots, s.At.Add(-historyAge), func(s Snapshot, t time.Time) int { return s.At.Compare(t) })
	drop = max(drop, len(h.snapshots)-historyMost)
	h.snapshots = slices.Delete(h.snapshots, 0, drop)
}

// window is the smallest one that covers from and to: its first fetch was over by from, its second not yet sent before to.
func (h *history) window(from, to time.Time) (Window, bool) {
	var first, last *Snapshot
	for i := range h.snapshots {
		s := &h.snapshots[i]
		if !s.At.Add(s.Took).After(from) {
			first = s
		}
		if last == nil && !s.At.Before(to) {
			last = s
		}
	}
	if first == nil || last == nil || !last.At.After(first.At) || first.QueueWait == nil || last.QueueWait == nil {
		return Window{}, false
	}
	n := last.QueueWait.Count - first.QueueWait.Count
	if n <= 0 {
		return Window{}, false
	}
	mean := (last.QueueWait.Sum - first.QueueWait.Sum) / n
	return Window{
		From: first.At, To: last.At, Requests: n,
		Mean:      time.Duration(max(0, mean) * float64(time.Second)),
		Restarted: last.Restarts != first.Restarts,
	}, true
}
