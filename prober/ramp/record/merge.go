package record

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// maxSkew is how far apart shards may have run a stage, as a share of its measured part: more, and there was not the
// load that the sum speaks of.
const maxSkew = 0.1

// MaxShards is over how many probers a ramp can be spread: each of them has a share of the load that is worth a prober.
const MaxShards = 1000

// Merge adds up the records of a ramp that was spread over several probers, each of which made a share of its load.
//
// Loads, counts, tokens, cost and histograms add up exactly, and so do the means of requests under way; their maxima add
// up to a bound, since they need not have come together. Of a window the counts, means and maxima are exact, and its
// other quantiles are means of the shards', weighted by their samples: the true ones lie between the shards' least and
// greatest. Where a stage's beginnings differ, its measured part is told as the earliest one; by over a tenth of its
// length, it is invalid. Samples of the engine and GPUs are those of the first shard that has some, since all look at the
// same. What was concluded from a shard alone (the search, the diagnosis, the comparison) is left out: judge anew.
//
// The verdict is the gravest of the shards', within what Bound allows, until the sum is judged; Merged has the shards that are
// in, and Missing those that are not. The id is the first shard's. The runs are not changed, and the result shares what it does
// not change.
//
// Runs that are no shards of one run are an error, and so is one shard twice. Shards of one run have one plan (ramp, target,
// model, seed, configuration, objectives) and one occasion; those that were given no time to begin at were at least under way
// together.
func Merge(runs []*Run) (*Run, error) {
	if len(runs) == 0 {
		return nil, errors.New("merge: there are no runs")
	}
	runs = slices.SortedFunc(slices.Values(runs), func(a, b *Run) int { return cmp.Compare(a.Shard, b.Shard) })
	first := runs[0]
	for i, r := range runs {
		var what, cure string
		switch {
		case r.Shards < 1 || r.Shards > MaxShards || r.Shard < 0 || r.Shard >= r.Shards || len(r.Merged) > 0:
			return nil, fmt.Errorf("merge: run %s is no shard", r.ID)
		case i > 0 && r.Shard == runs[i-1].Shard:
			return nil, fmt.Errorf("merge: runs %s and %s are both shard %d", runs[i-1].ID, r.ID, r.Shard)
		case r.Shards != first.Shards:
			what = "number of shards"
		case r.Ramp != first.Ramp:
			what = "ramp"
		case r.Target != first.Target:
			what = "target"
		case r.Model != first.Model:
			what = "model"
		case r.Set != first.Set, r.Sets != first.Sets:
			what = "set"
		case !r.Nominal.Equal(first.Nominal):
			what = fmt.Sprintf("occasion (%s and %s)", occasion(first), occasion(r))
			cure = ": start all shards with the same --start-at"
		case r.Seed != first.Seed:
			what, cure = fmt.Sprintf("seed (%d and %d)", first.Seed, r.Seed), oneFile
		case !slices.Equal(r.Objectives, first.Objectives):
			what, cure = "objectives", oneFile
		case !sameConfig(r.Config, first.Config):
			what, cure = "configuration"+differing(first.Config, r.Config), oneFile
		case r.Environment.Currency != first.Environment.Currency:
			what = "currency"
		}
		if what != "" {
			return nil, fmt.Errorf("merge: runs %s and %s are not of one run: they differ in the %s%s", first.ID, r.ID, what, cure)
		}
	}
	if first.Nominal.IsZero() {
		if early, late := apart(runs); late != nil {
			return nil, fmt.Errorf("merge: runs %s and %s are not of one run: the one had ended at %s, and the other began at %s: start all shards with the same --start-at",
				early.ID, late.ID, early.Ended.UTC().Format(time.RFC3339), late.Started.UTC().Format(time.RFC3339))
		}
	}

	sum := *first
	sum.Schema = SchemaVersion
	sum.Shard = 0
	sum.Merged, sum.Samples, sum.Lanes, sum.Reasons = nil, nil, nil, nil
	sum.Diagnosis, sum.Comparison, sum.Abort = nil, nil, nil
	var hosts, stopped []string
	for _, r := range runs {
		sum.Merged = append(sum.Merged, r.Shard)
		if r.Started.Before(sum.Started) {
			sum.Started = r.Started
		}
		if r.Ended.After(sum.Ended) {
			sum.Ended = r.Ended
		}
		if r.Environment.Host != "" {
			hosts = append(hosts, r.Environment.Host)
		}
		if r.Stopped != "" {
			stopped = append(stopped, fmt.Sprintf("shard %d: %s", r.Shard, r.Stopped))
		}
		if r.Abort != nil && (sum.Abort == nil || r.Abort.At.Before(sum.Abort.At)) {
			sum.Abort = r.Abort
		}
		if len(sum.Samples) == 0 {
			sum.Samples = r.Samples
		}
		for _, reason := range r.Reasons {
			sum.Reasons = append(sum.Reasons, fmt.Sprintf("shard %d: %s", r.Shard, reason))
		}
	}
	sum.Environment.Host = strings.Join(hosts, ", ")
	sum.Stopped = strings.Join(stopped, "; ")

	for _, lane := range first.Lanes {
		merged, err := mergeLane(lane, runs)
		if err != nil {
			return nil, fmt.Errorf("merge: %w", err)
		}
		sum.Lanes = append(sum.Lanes, merged)
	}
	for _, r := range runs {
		if len(r.Lanes) != len(first.Lanes) {
			return nil, fmt.Errorf("merge: run %s has %d lanes, %s has %d", first.ID, len(first.Lanes), r.ID, len(r.Lanes))
		}
	}

	sum.Verdict = gravest(runs)
	if words := sum.MissingWords(); words != "" {
		sum.Reasons = append([]string{words}, sum.Reasons...)
		sum.Verdict = sum.Bound(sum.Verdict)
	}
	return &sum, nil
}

// oneFile is the cure of shards with plans that differ.
const oneFile = ": start all shards with one configuration file and one version of llm_prober"

// occasion names the time that a run was to begin at.
func occasion(r *Run) string {
	if r.Nominal.IsZero() {
		return "none"
	}
	return r.Nominal.UTC().Format(time.RFC3339)
}

// apart finds a run that had ended when another began; late is nil where all were under way together.
func apart(runs []*Run) (early, late *Run) {
	early = slices.MinFunc(runs, func(a, b *Run) int { return a.Ended.Compare(b.Ended) })
	late = slices.MaxFunc(runs, func(a, b *Run) int { return a.Started.Compare(b.Started) })
	if late.Started.After(early.Started) && !late.Started.Before(early.Ended) {
		return early, late
	}
	return nil, nil
}

// sameConfig reports whether two configurations say the same, however they are written.
func sameConfig(a, b json.RawMessage) bool {
	return bytes.Equal(a, b) || reflect.DeepEqual(decoded(a), decoded(b))
}

// decoded is what JSON says; of what is no JSON, its bytes.
func decoded(text json.RawMessage) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return []byte(text)
	}
	return v
}

// differing names, in brackets, what two configurations have not in common, down to the keys of the ramp and the probes.
func differing(a, b json.RawMessage) string {
	var names []string
	parts := func(v any) map[string]any {
		fields, _ := v.(map[string]any)
		return fields
	}
	each := func(a, b map[string]any, do func(name string, a, b any)) {
		all := maps.Clone(a)
		if all == nil {
			all = map[string]any{}
		}
		maps.Copy(all, b)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if !reflect.DeepEqual(a[name], b[name]) {
				do(name, a[name], b[name])
			}
		}
	}
	each(parts(decoded(a)), parts(decoded(b)), func(section string, a, b any) {
		each(parts(a), parts(b), func(name string, _, _ any) { names = append(names, fmt.Sprintf("%q of %q", name, section)) })
	})
	if len(names) == 0 {
		return ""
	}
	if more := len(names) - mostNamed; more > 0 {
		names = append(names[:mostNamed], fmt.Sprintf("%d more", more))
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// mostNamed is how many differences of two configurations are named.
const mostNamed = 5

// Missing are the shards that are not in a merged run. A run that is not merged misses none.
func (r *Run) Missing() (shards []int) {
	if len(r.Merged) == 0 {
		return nil
	}
	for n := range min(r.Shards, MaxShards) {
		if !slices.Contains(r.Merged, n) {
			shards = append(shards, n)
		}
	}
	return shards
}

// Bound is the best that can be said of a run for which v was found. Where a shard is missing, the load was less than
// planned, or nobody knows what became of a part of it. Then a pass says nothing, while what failed under less load fails.
func (r *Run) Bound(v Verdict) Verdict {
	if len(r.Missing()) > 0 && (v == Pass || v == NotEnoughRuns) {
		return Invalid
	}
	return v
}

// MissingWords name the shards that are missing, in one sentence; empty: none is.
func (r *Run) MissingWords() string {
	shards, of := r.Missing(), r.Shards
	if len(shards) == 0 {
		return ""
	}
	var names []string
	for _, n := range shards {
		names = append(names, fmt.Sprint(n))
	}
	if len(names) == 1 {
		return fmt.Sprintf("shard %s (of 0 to %d) is missing: the load was less than planned, or a part of it is not known", names[0], of-1)
	}
	return fmt.Sprintf("shards %s (of 0 to %d) are missing: the load was less than planned, or a part of it is not known", strings.Join(names, ", "), of-1)
}

// gravest is the first verdict, in their order, that one of the runs has.
func gravest(runs []*Run) Verdict {
	for _, v := range Verdicts() {
		if slices.ContainsFunc(runs, func(r *Run) bool { return r.Verdict == v }) {
			return v
		}
	}
	return ""
}

// mergeLane adds up a lane of all shards.
func mergeLane(first Lane, runs []*Run) (Lane, error) {
	sum := first
	sum.Stages, sum.Search = nil, nil
	var lanes []Lane
	longest := 0
	for _, r := range runs {
		i := slices.IndexFunc(r.Lanes, func(l Lane) bool { return l.Name == first.Name })
		if i < 0 {
			return Lane{}, fmt.Errorf("run %s has no lane %q", r.ID, first.Name)
		}
		l := r.Lanes[i]
		if l.Open != first.Open || l.Target != first.Target || l.Model != first.Model {
			return Lane{}, fmt.Errorf("lane %q of run %s is another one than that of run %s", first.Name, r.ID, runs[0].ID)
		}
		lanes = append(lanes, l)
		longest = max(longest, len(l.Stages))
	}
	for n := range longest {
		var stages []*Stage
		var shards, without []int
		for i := range lanes {
			if n < len(lanes[i].Stages) {
				stages = append(stages, &lanes[i].Stages[n])
				shards = append(shards, runs[i].Shard)
			} else {
				without = append(without, runs[i].Shard)
			}
		}
		s, err := mergeStage(stages, shards)
		if err != nil {
			return Lane{}, fmt.Errorf("lane %q: %w", first.Name, err)
		}
		for _, shard := range without {
			s.Invalid = join(s.Invalid, fmt.Sprintf("shard %d did not get to it", shard))
		}
		sum.Stages = append(sum.Stages, s)
	}
	return sum, nil
}

// join adds a reason to others.
func join(reasons, more string) string {
	if reasons == "" {
		return more
	}
	return reasons + "; " + more
}

// mergeStage adds up one stage of several shards.
func mergeStage(stages []*Stage, shards []int) (Stage, error) {
	first := stages[0]
	sum := Stage{
		Index: first.Index, Name: first.Name, Kind: first.Kind, Mix: first.Mix,
		Started: first.Started, From: first.From, Ended: first.Ended,
		DispatchDelay: &Histogram{}, Probes: map[string]*Stats{},
	}
	var longest, skew time.Duration
	for i, s := range stages {
		if s.Index != first.Index || s.Name != first.Name || s.Kind != first.Kind || !maps.Equal(s.Mix, first.Mix) {
			return Stage{}, fmt.Errorf("stage %d: shard %d had another one than shard %d", first.Index, shards[i], shards[0])
		}
		sum.Begin += s.Begin
		sum.End += s.End
		sum.Planned += s.Planned
		sum.Sent += s.Sent
		sum.Shed += s.Shed
		sum.Unended += s.Unended
		sum.Canceled += s.Canceled
		sum.InFlight += s.InFlight
		sum.MaxInFlight += s.MaxInFlight
		sum.ShedBy = addCounts(sum.ShedBy, s.ShedBy)
		sum.DispatchDelay.Add(s.DispatchDelay)
		if s.Started.Before(sum.Started) {
			sum.Started = s.Started
		}
		if s.From.Before(sum.From) {
			sum.From = s.From
		}
		if s.Ended.After(sum.Ended) {
			sum.Ended = s.Ended
		}
		longest = max(longest, s.Measured())
		skew = max(skew, s.From.Sub(first.From).Abs())
		if s.Invalid != "" {
			sum.Invalid = join(sum.Invalid, fmt.Sprintf("shard %d: %s", shards[i], s.Invalid))
		}
		if s.Early != "" {
			sum.Early = join(sum.Early, fmt.Sprintf("shard %d: %s", shards[i], s.Early))
		}
		for probe, stats := range s.Probes {
			if sum.Probes[probe] == nil {
				sum.Probes[probe] = &Stats{}
			}
			sum.Probes[probe].Add(stats)
		}
	}
	sum.To = sum.From.Add(longest)
	if float64(skew) > maxSkew*float64(longest) {
		sum.Invalid = join(sum.Invalid, fmt.Sprintf("the shards ran it up to %v apart: there was not the load of all at once", skew))
	}
	sum.Windows = mergeWindows(stages)
	return sum, nil
}

// addCounts adds b to a, which it changes. It is nil where there is nothing in either.
func addCounts(a, b map[string]int) map[string]int {
	for name, n := range b {
		if a == nil {
			a = map[string]int{}
		}
		a[name] += n
	}
	return a
}

// Add adds up what other requests of the probe came to, exactly. A nil o has none.
func (s *Stats) Add(o *Stats) {
	if o == nil {
		return
	}
	s.Sent += o.Sent
	s.Outcomes = addCounts(s.Outcomes, o.Outcomes)
	s.Shed += o.Shed
	s.Unended += o.Unended
	s.Retried += o.Retried
	s.TimedOutByClient += o.TimedOutByClient
	s.TimedOutByServer += o.TimedOutByServer
	s.Reset += o.Reset
	for _, h := range []struct{ to, from **Histogram }{
		{&s.TTFT, &o.TTFT}, {&s.TTFTDispatched, &o.TTFTDispatched},
		{&s.Duration, &o.Duration}, {&s.DurationDispatched, &o.DurationDispatched},
		{&s.ITL, &o.ITL}, {&s.TPOT, &o.TPOT}, {&s.OutputRate, &o.OutputRate},
	} {
		*h.to = addHistogram(*h.to, *h.from)
	}
	for source, h := range o.QueueWait {
		if s.QueueWait == nil {
			s.QueueWait = map[string]*Histogram{}
		}
		s.QueueWait[source] = addHistogram(s.QueueWait[source], h)
	}
	s.PromptTokens += o.PromptTokens
	s.CachedPromptTokens += o.CachedPromptTokens
	s.OutputTokens += o.OutputTokens
	s.EstimatedTokens += o.EstimatedTokens
	s.Cost += o.Cost
}

// addHistogram adds b to a, which it makes where it is nil and there is something to add.
func addHistogram(a, b *Histogram) *Histogram {
	if b == nil {
		return a
	}
	if a == nil {
		a = &Histogram{}
	}
	a.Add(b)
	return a
}

// mergeWindows adds up windows that are the same slice of a stage. Those that not all shards have are left out.
func mergeWindows(stages []*Stage) []Window {
	type slice struct {
		n      int64 // counted from the beginning of the stage
		length time.Duration
	}
	found := map[slice][]*Window{}
	for _, s := range stages {
		for i := range s.Windows {
			w := &s.Windows[i]
			if w.Length <= 0 {
				continue
			}
			key := slice{int64((w.Start.Sub(s.Started) + w.Length/2) / w.Length), w.Length}
			found[key] = append(found[key], w)
		}
	}
	var sums []Window
	for _, windows := range found {
		if len(windows) != len(stages) {
			continue
		}
		sum := Window{Start: windows[0].Start, Length: windows[0].Length}
		var ttft, duration, itl, tpot []Quantiles
		for _, w := range windows {
			if w.Start.Before(sum.Start) {
				sum.Start = w.Start
			}
			sum.Planned += w.Planned
			sum.Sent += w.Sent
			sum.OK += w.OK
			sum.Shed += w.Shed
			sum.Outcomes = addCounts(sum.Outcomes, w.Outcomes)
			sum.InFlight += w.InFlight
			sum.Tokens += w.Tokens
			sum.Arrived += w.Arrived
			ttft, duration = append(ttft, w.TTFT), append(duration, w.Duration)
			itl, tpot = append(itl, w.ITL), append(tpot, w.TPOT)
		}
		sum.TTFT, sum.Duration = mergeQuantiles(ttft), mergeQuantiles(duration)
		sum.ITL, sum.TPOT = mergeQuantiles(itl), mergeQuantiles(tpot)
		sums = append(sums, sum)
	}
	slices.SortFunc(sums, func(a, b Window) int { return a.Start.Compare(b.Start) })
	return sums
}

// mergeQuantiles are the quantiles of all samples together, as Merge says.
func mergeQuantiles(parts []Quantiles) (sum Quantiles) {
	for _, q := range parts {
		sum.N += q.N
		sum.Max = max(sum.Max, q.Max)
	}
	if sum.N == 0 {
		return Quantiles{}
	}
	for _, q := range parts {
		share := float64(q.N) / float64(sum.N)
		sum.Mean += share * q.Mean
		sum.P50 += share * q.P50
		sum.P90 += share * q.P90
		sum.P95 += share * q.P95
		sum.P99 += share * q.P99
	}
	return sum
}
