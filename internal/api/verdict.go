package api

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// Readiness is a verdict on a target, in one word.
type Readiness string

// The verdicts, the best first.
const (
	Ready    Readiness = "ready"
	Degraded Readiness = "degraded"  // it answers, but not as was promised, or something is about to go wrong
	NotReady Readiness = "not_ready" // it does not answer, or nobody knows whether it does
)

// Code is why a target is not simply ready. The set is closed.
type Code string

// The codes, with the verdict that each gives. A target has the worst of its reasons' verdicts; without a reason it is ready.
//
//	no_probes         not_ready  it has no probes, or not those that were asked for
//	no_evidence       not_ready  a probe has no result yet
//	stale             not_ready  a probe's newest result is older than the maximum age
//	failing           not_ready  a probe's last two questions failed, or the only one there is
//	last_failed       degraded   a probe's last question failed, the one before did not
//	objective_missed  degraded   more requests are bad than the goal allows, and not by chance;
//	                  not_ready  of five or more, more than half are bad
//	regression        degraded   slower than the pinned baseline by more than a fifth, and not by chance
//	prober_late       degraded   three or more of a probe's results, and more than half, are marked: the prober was late
//	paused            degraded   the server has asked to be left alone
//	engine_down       degraded   the engine's metrics cannot be read
//	engine_saturated  degraded   its cache is full, or as many requests wait as run
//	gpu_lost          not_ready  a GPU cannot be read any more
//	gpu_unknown       degraded   nobody can tell how a GPU is
//	gpu_error         degraded   the driver has reported an error (XID) of late
//	gpu_throttled     degraded   heat, or lack of power, holds a GPU's clocks down
const (
	NoProbes        Code = "no_probes"
	NoEvidence      Code = "no_evidence"
	Stale           Code = "stale"
	Failing         Code = "failing"
	LastFailed      Code = "last_failed"
	ObjectiveMissed Code = "objective_missed"
	Regression      Code = "regression"
	ProberLate      Code = "prober_late"
	Paused          Code = "paused"
	EngineDown      Code = "engine_down"
	EngineSaturated Code = "engine_saturated"
	GPULost         Code = "gpu_lost"
	GPUUnknown      Code = "gpu_unknown"
	GPUError        Code = "gpu_error"
	GPUThrottled    Code = "gpu_throttled"
)

// Codes lists every code.
func Codes() []Code {
	return []Code{
		NoProbes, NoEvidence, Stale, Failing, LastFailed, ObjectiveMissed, Regression, ProberLate, Paused,
		EngineDown, EngineSaturated, GPULost, GPUUnknown, GPUError, GPUThrottled,
	}
}

// The numbers of the rules.
const (
	chance         = 0.05 // a share is above what is allowed where that happens by chance less often than this
	leastJudged    = 5    // of fewer requests, an objective is missed where all are bad
	leastLate      = 3    // fewer requests in which the prober was late are passed over
	leastRegressed = 10   // of fewer requests, nothing is said of a baseline
	margin         = 1.2  // times the baseline: less is no regression
	fullCache      = 0.95 // of an engine's cache
)

// Evidence is what is known of a target when it is judged.
type Evidence struct {
	Target string
	Now    time.Time
	MaxAge time.Duration // of results: older ones do not count; 0: see ProbeEvidence.maxAge
	Probes []ProbeEvidence

	PausedUntil time.Time
	Ramp        string // that loads the target; empty: none does
	Engine      *Engine
	GPUs        []GPU
}

// ProbeEvidence is what is known of a probe.
type ProbeEvidence struct {
	Name       string
	Interval   time.Duration // 0: not known
	Objectives []Objective
	Baselines  []Baseline
	Samples    []Sample // the newest first
}

// Sample is a request that ended. Seconds, and tokens per second; NaN: not known.
type Sample struct {
	At      time.Time // its end
	Outcome prober.Outcome
	Retried bool // another try follows: the question has no answer yet
	Late    bool // the prober was

	TTFT, Duration, TPOT, QueueWait, Rate float64
}

// Reason is one thing that keeps a target from being ready.
type Reason struct {
	Verdict   Readiness `json:"verdict"`
	Code      Code      `json:"code"`
	Probe     string    `json:"probe,omitempty"`
	Objective string    `json:"objective,omitempty"`
	Indicator string    `json:"indicator,omitempty"`
	GPU       string    `json:"gpu,omitempty"`
	Text      string    `json:"text"`
}

// Verdict is what is made of the evidence.
type Verdict struct {
	Target   string    `json:"target"`
	Verdict  Readiness `json:"verdict"`
	At       time.Time `json:"at"`
	Reasons  []Reason  `json:"reasons"`  // the worst first; empty: it is ready
	Notes    []string  `json:"notes"`    // what else there is to know; they change nothing
	Evidence []Basis   `json:"evidence"` // by probe
}

// Basis is how much of a probe the verdict rests on.
type Basis struct {
	Probe  string   `json:"probe"`
	Used   int      `json:"requests"`              // that were looked at
	Age    *float64 `json:"age_seconds,omitempty"` // of the newest, whether it counts or not; nil: there is none
	MaxAge float64  `json:"max_age_seconds"`
	Window float64  `json:"window_seconds"` // how far back requests count
}

// Judge says whether a target may be relied on. It looks at nothing but the evidence.
func Judge(e Evidence) Verdict {
	j := &judgement{e: &e, v: Verdict{Target: e.Target, At: e.Now.UTC(), Reasons: []Reason{}, Notes: []string{}, Evidence: []Basis{}}}
	if len(e.Probes) == 0 {
		j.add(NotReady, Reason{Code: NoProbes, Text: "it has no probes to judge it by"})
	}
	for i := range e.Probes {
		j.probe(&e.Probes[i])
	}
	if e.PausedUntil.After(e.Now) {
		j.add(Degraded, Reason{Code: Paused, Text: "the server has asked to be left alone for " + span(e.PausedUntil.Sub(e.Now))})
	}
	if e.Ramp != "" {
		j.note("the ramp %s loads it: all figures are under that load", e.Ramp)
	}
	j.engine()
	for i := range e.GPUs {
		j.gpu(&e.GPUs[i])
	}
	slices.SortStableFunc(j.v.Reasons, func(a, b Reason) int { return b.Verdict.rank() - a.Verdict.rank() })
	j.v.Verdict = Ready
	if len(j.v.Reasons) > 0 {
		j.v.Verdict = j.v.Reasons[0].Verdict
	}
	return j.v
}

// rank orders verdicts, the worst last.
func (r Readiness) rank() int { return slices.Index([]Readiness{Ready, Degraded, NotReady}, r) }

type judgement struct {
	e *Evidence
	v Verdict
}

func (j *judgement) add(v Readiness, r Reason) {
	r.Verdict = v
	j.v.Reasons = append(j.v.Reasons, r)
}

func (j *judgement) note(format string, args ...any) {
	j.v.Notes = append(j.v.Notes, fmt.Sprintf(format, args...))
}

// unknownInterval stands in where a probe has no interval that is known.
const unknownInterval = 10 * time.Minute

// maxAge is how old a probe's newest result may be, and window how far back its results count.
//
//	            now
//	<-- max age -|    three intervals, and two minutes beyond one at least: the newest result lies here
//	<-- window --|    ten intervals, five minutes at least
//
// A maximum age that was asked for is both: then nothing older counts.
func (p *ProbeEvidence) maxAge(asked time.Duration) (age, window time.Duration) {
	if asked > 0 {
		return asked, asked
	}
	interval := p.Interval
	if interval <= 0 {
		interval = unknownInterval
	}
	age = max(3*interval, interval+2*time.Minute)
	return age, max(10*interval, 5*time.Minute, age)
}

// probe judges by one probe.
func (j *judgement) probe(p *ProbeEvidence) {
	age, window := p.maxAge(j.e.MaxAge)
	basis := Basis{Probe: p.Name, MaxAge: age.Seconds(), Window: window.Seconds()}
	defer func() { j.v.Evidence = append(j.v.Evidence, basis) }()
	if len(p.Samples) == 0 {
		j.add(NotReady, Reason{Code: NoEvidence, Probe: p.Name, Text: "probe " + p.Name + " has no result yet"})
		return
	}
	newest := max(j.e.Now.Sub(p.Samples[0].At), 0)
	basis.Age = new(newest.Seconds())
	if newest > age {
		j.add(NotReady, Reason{Code: Stale, Probe: p.Name, Text: fmt.Sprintf("probe %s: the newest result is %s old, which is more than %s", p.Name, span(newest), span(age))})
		return
	}
	samples := p.Samples
	if i := slices.IndexFunc(samples, func(s Sample) bool { return j.e.Now.Sub(s.At) > window }); i >= 0 {
		samples = samples[:i]
	}
	samples = slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return !s.Outcome.OfTarget() })
	basis.Used = len(samples)
	j.answers(p, samples)
	for _, o := range p.Objectives {
		j.objective(p, &o, samples)
	}
	for _, b := range p.Baselines {
		j.baseline(p, &b, samples)
	}
	late := 0
	for _, s := range samples {
		if s.Late {
			late++
		}
	}
	if late >= leastLate && 2*late > len(samples) {
		j.add(Degraded, Reason{Code: ProberLate, Probe: p.Name, Text: fmt.Sprintf("probe %s: the prober itself was late in %d of %d requests; its figures are not to be trusted", p.Name, late, len(samples))})
	}
}

// answers judges whether the last questions were answered.
func (j *judgement) answers(p *ProbeEvidence, samples []Sample) {
	var last []Sample
	for _, s := range samples {
		if !s.Retried {
			last = append(last, s)
		}
		if len(last) == 2 {
			break
		}
	}
	switch {
	case len(last) == 0 || !last[0].Outcome.Failed():
	case len(last) == 1:
		j.add(NotReady, Reason{Code: Failing, Probe: p.Name, Text: fmt.Sprintf("probe %s: the only request failed (%s)", p.Name, last[0].Outcome)})
	case last[1].Outcome.Failed():
		j.add(NotReady, Reason{Code: Failing, Probe: p.Name, Text: fmt.Sprintf("probe %s: the last two requests failed (%s, %s)", p.Name, last[0].Outcome, last[1].Outcome)})
	default:
		j.add(Degraded, Reason{Code: LastFailed, Probe: p.Name, Text: fmt.Sprintf("probe %s: the last request failed (%s)", p.Name, last[0].Outcome)})
	}
}

// value is that of an indicator, in seconds or tokens per second; NaN: not known.
func (s *Sample) value(indicator string) float64 {
	switch indicator {
	case "ttft":
		return s.TTFT
	case "duration":
		return s.Duration
	case "tpot":
		return s.TPOT
	case "queue_wait":
		return s.QueueWait
	case "output_tokens_per_second":
		return s.Rate
	}
	return math.NaN()
}

// count counts the requests that an objective judges, and the bad ones of them: as the objectives' metrics do, a failed
// request is bad, and one whose indicator is not known counts nowhere.
func (o *Objective) count(samples []Sample) (n, bad int) {
	for _, s := range samples {
		switch v := s.value(o.Indicator); {
		case !s.Outcome.OfTarget():
		case s.Outcome.Failed():
			n++
			bad++
		case o.Indicator == "availability":
			n++
		case math.IsNaN(v):
		default:
			n++
			if o.Indicator == "output_tokens_per_second" && v < o.Threshold || o.Indicator != "output_tokens_per_second" && v > o.Threshold {
				bad++
			}
		}
	}
	return n, bad
}

func (j *judgement) objective(p *ProbeEvidence, o *Objective, samples []Sample) {
	n, bad := o.count(samples)
	if n == 0 {
		j.note("probe %s: objective %s: no request says anything of it", p.Name, o.Name)
		return
	}
	missed := bad == n
	if n >= leastJudged {
		missed = bad >= 2 && tail(n, bad, 1-o.Goal) < chance
	}
	if !missed {
		return
	}
	v := Degraded
	if n >= leastJudged && 2*bad > n {
		v = NotReady
	}
	j.add(v, Reason{Code: ObjectiveMissed, Probe: p.Name, Objective: o.Name, Indicator: o.Indicator,
		Text: fmt.Sprintf("probe %s: objective %s: %d of %d requests are bad (%s); the goal is %s good", p.Name, o.Name, bad, n, o.promise(), percent(o.Goal))})
}

// promise is what a request has to keep, in words.
func (o *Objective) promise() string {
	switch o.Indicator {
	case "availability":
		return "failed"
	case "output_tokens_per_second":
		return "below " + strconv.FormatFloat(o.Threshold, 'g', 4, 64) + " tokens/s, or failed"
	}
	return strings.ReplaceAll(o.Indicator, "_", " ") + " over " + seconds(o.Threshold) + ", or failed"
}

// baseline holds a quantile against what it was. That the q-quantile is at most x is the promise that a share q of the
// requests is; so it is tested as an objective is, with a fifth to spare. Only successful requests count here.
func (j *judgement) baseline(p *ProbeEvidence, b *Baseline, samples []Sample) {
	if !(b.Quantile > 0 && b.Quantile < 1) || !(b.Seconds > 0) || b.Indicator == "output_tokens_per_second" {
		return
	}
	var values []float64
	over := 0
	for _, s := range samples {
		v := s.value(b.Indicator)
		if s.Outcome != prober.OK || math.IsNaN(v) {
			continue
		}
		values = append(values, v)
		if v > b.Seconds*margin {
			over++
		}
	}
	if len(values) < leastRegressed || tail(len(values), over, 1-b.Quantile) >= chance {
		return
	}
	now := quantile(values, b.Quantile)
	if now <= b.Seconds*margin {
		return
	}
	j.add(Degraded, Reason{Code: Regression, Probe: p.Name, Indicator: b.Indicator,
		Text: fmt.Sprintf("probe %s: %s p%s is %s, the pinned baseline %s", p.Name, b.Indicator, strconv.FormatFloat(b.Quantile*100, 'g', 4, 64), seconds(now), seconds(b.Seconds))})
}

func (j *judgement) engine() {
	e := j.e.Engine
	switch {
	case e == nil:
	case !e.Up:
		j.add(Degraded, Reason{Code: EngineDown, Text: "the engine's metrics cannot be read"})
	case e.KVCache != nil && *e.KVCache >= fullCache:
		j.add(Degraded, Reason{Code: EngineSaturated, Text: "the engine's cache is " + percent(*e.KVCache) + " full"})
	case e.Waiting != nil && e.Running != nil && *e.Waiting >= 1 && *e.Waiting >= *e.Running:
		j.add(Degraded, Reason{Code: EngineSaturated, Text: fmt.Sprintf("in the engine %.0f requests wait, and %.0f run", *e.Waiting, *e.Running)})
	}
}

func (j *judgement) gpu(g *GPU) {
	name := text(g.UUID, maxName)
	switch {
	case g.Lost != "":
		j.add(NotReady, Reason{Code: GPULost, GPU: name, Text: "GPU " + name + " is lost: " + text(g.Lost, maxName)})
	case !g.Known:
		j.add(Degraded, Reason{Code: GPUUnknown, GPU: name, Text: "GPU " + name + ": nothing is known of it"})
	default:
		if g.XID != "" {
			j.add(Degraded, Reason{Code: GPUError, GPU: name, Text: "GPU " + name + ": the driver has reported XID " + text(g.XID, maxName)})
		}
		if len(g.Throttled) > 0 {
			j.add(Degraded, Reason{Code: GPUThrottled, GPU: name, Text: "GPU " + name + " is throttled: " + strings.Join(g.Throttled, ", ")})
		}
	}
}

// tail is the probability of k or more among n where each is so with probability p, independently of the others.
func tail(n, k int, p float64) float64 {
	switch {
	case k <= 0:
		return 1
	case p <= 0:
		return 0
	case p >= 1:
		return 1
	}
	lgamma := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	sum := 0.0
	for i := k; i <= n; i++ {
		sum += math.Exp(lgamma(n) - lgamma(i) - lgamma(n-i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return min(sum, 1)
}

// quantile is the smallest value that a share q of all is at most. values is sorted by it, and not empty.
func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	return values[min(max(int(math.Ceil(q*float64(len(values))))-1, 0), len(values)-1)]
}

// span is a duration for people.
func span(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < time.Millisecond {
		return d.Round(time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'g', 5, 64) + " %" }
