package judge

import (
	"slices"
	"strconv"
	"strings"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// What a run may be compared with, beside last_N, baseline:NAME and the id of a run.
const (
	Previous       = "previous"        // the last runs that came to their end
	PreviousPassed = "previous_passed" // the last runs that held all objectives
)

// DefaultLast is how many of the last runs a run is judged by.
const DefaultLast = 7

// Selection is what a run is compared with.
type Selection struct {
	News   []*record.Run // the runs that are judged: the run itself, or the whole set whose last run it is
	Olds   []*record.Run // the runs that they are held against
	Spread []*record.Run // where those are too few: runs that tell by how much runs differ
	Median bool          // the median of the old runs is what is usual

	// Early is that the run belongs to a set that is not complete: nothing is compared yet.
	Early bool
}

// Select chooses from the history what the run is compared with: with is as the configuration has it, or the id of a run.
// Baseline is the run of baseline:NAME. Runs of other ramps and targets, later ones and those without a word on the server
// are passed over, and so are those of another share of the load: see SameShare. The history
// may be in any order and may have the run itself.
//
// Of a ramp that is repeated, a set is judged when its last run is there, against the latest complete set before.
func Select(run *record.Run, history []*record.Run, with string, baseline *record.Run) Selection {
	last, isLast := lastOf(with)
	if !isLast {
		last = DefaultLast
	}
	var earlier []*record.Run
	for _, r := range history {
		if r.ID != run.ID && r.Ramp == run.Ramp && r.Target == run.Target && r.Started.Before(run.Started) && SameShare(r, run) {
			earlier = append(earlier, r)
		}
	}
	slices.SortStableFunc(earlier, func(a, b *record.Run) int { return a.Started.Compare(b.Started) })
	s := Selection{News: []*record.Run{run}}
	if run.Sets > 1 {
		if run.Set < run.Sets {
			s.Early = true
			return s
		}
		var before []*record.Run
		s.News, before = lastSet(append(earlier, run))
		if with == Previous || with == PreviousPassed {
			for len(before) > 0 {
				set, rest := lastSet(before)
				if len(set) == 0 {
					break
				}
				if all(set, fitFor(with)) {
					s.Olds = set
					break
				}
				before = rest
			}
			return s
		}
		earlier = before
	}
	if with == Previous {
		s.Olds = tail(only(earlier, ended), last)
		return s
	}
	held := only(earlier, passed)
	switch {
	case with == PreviousPassed:
		s.Olds = tail(held, last)
		return s
	case isLast:
		s.Median = true
		s.Olds = tail(held, last)
	case baseline != nil:
		s.Olds = []*record.Run{baseline}
	default:
		for _, r := range history {
			if r.ID == with && r.ID != run.ID {
				s.Olds = []*record.Run{r}
			}
		}
	}
	if len(s.Olds) < Few {
		s.Spread = SpreadOf(s.News, s.Olds, held)
	}
	return s
}

// SpreadOf chooses from the history, which may be in any order, the runs that tell how much runs differ where there are few old ones:
// the newest that passed of the same ramp, target and share of the load. Those that are compared are not among them: a run that
// is worse would widen the spread that it is held against.
func SpreadOf(news, olds, history []*record.Run) []*record.Run {
	compared := idsOf(slices.Concat(news, olds))
	fit := only(history, func(r *record.Run) bool {
		return passed(r) && r.Ramp == news[0].Ramp && r.Target == news[0].Target && SameShare(r, news[0]) && !slices.Contains(compared, r.ID)
	})
	slices.SortStableFunc(fit, func(a, b *record.Run) int { return a.Started.Compare(b.Started) })
	return tail(fit, DefaultLast)
}

// SameShare reports whether two runs of a ramp made the same share of its load: all of it, perhaps as shards that were added
// up, or the same shard. A shard and the whole have not the same to bear, and a sum in which a shard is missing is like no other.
func SameShare(a, b *record.Run) bool {
	whole := func(r *record.Run) bool { return r.Shards == 0 || len(r.Merged) > 0 && len(r.Missing()) == 0 }
	if whole(a) || whole(b) {
		return whole(a) && whole(b)
	}
	return a.Shards == b.Shards && a.Shard == b.Shard && len(a.Merged) == 0 && len(b.Merged) == 0
}

// lastOf is the N of last_N.
func lastOf(with string) (n int, ok bool) {
	text, ok := strings.CutPrefix(with, "last_")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n > 0
}

// tail is the last n runs.
func tail(runs []*record.Run, n int) []*record.Run { return runs[max(len(runs)-n, 0):] }

// passed reports whether a run held all objectives. One that had too few others to be compared with did.
func passed(r *record.Run) bool {
	return r.Verdict == record.Pass || r.Verdict == record.NotEnoughRuns
}

// ended reports whether a run came to its end, and says something of the server.
func ended(r *record.Run) bool {
	return passed(r) || r.Verdict == record.Fail || r.Verdict == record.Regressed
}

func fitFor(with string) func(*record.Run) bool {
	if with == Previous {
		return ended
	}
	return passed
}

// lastSet takes the latest complete set off the end of the runs, passing over runs of incomplete ones. The set is nil where
// there is none.
func lastSet(runs []*record.Run) (set, before []*record.Run) {
	for end := len(runs); end > 0; end-- {
		n := runs[end-1].Sets
		if n < 2 || runs[end-1].Set != n || end < n {
			continue
		}
		whole := true
		for i, r := range runs[end-n : end] {
			whole = whole && r.Set == i+1 && r.Sets == n
		}
		if whole {
			return runs[end-n : end], runs[:end-n]
		}
	}
	return nil, nil
}

func only(runs []*record.Run, ok func(*record.Run) bool) (kept []*record.Run) {
	for _, r := range runs {
		if ok(r) {
			kept = append(kept, r)
		}
	}
	return kept
}

func all(runs []*record.Run, ok func(*record.Run) bool) bool {
	return !slices.ContainsFunc(runs, func(r *record.Run) bool { return !ok(r) })
}
