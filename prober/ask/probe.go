package ask

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

// Spec says what a probe is.
type Spec struct {
	Name string

	// Shape is that of generated prompts. What its zero leaves open follows from the rest: the cap is the call's, the purpose is
	// what the call's options are there for, and the shared prefix is named after target and probe.
	Shape workload.Shape

	// Recorded requests are asked in place of generated prompts, each as often as its weight says; nil: none. A request's own
	// cap on the answer holds where it is below the call's.
	Recorded *workload.Recorded

	Call   wire.Call // without messages; an empty model is the target's
	Limits prober.Limits
	Checks prober.Checks
	Reuse  bool // of connections; false: each request has one of its own

	Retry Retry
	Turns int   // questions of a conversation; 0 and 1: there is none
	Burst Burst // requests that go out together

	Sink prober.Sink // takes each result as soon as it is there; nil: nobody does
}

// Burst is several requests at once, as when all users come back at the same time.
type Burst struct {
	Size int // 0: the probe sends no bursts

	// AfterIdle is for how long nothing of ours must have been under way at the target, be it of other probes, for the first
	// request to be Cold. With 0 it always is: the caller knows that it comes after a silence.
	AfterIdle time.Duration
}

// Probe is one request shape at one target. It is safe for concurrent use.
type Probe struct {
	target      *Target
	spec        Spec
	endpoint    prober.Options
	prober      *prober.Prober
	prompts     *workload.Generator
	calibration *workload.Calibration // of prompts
	replay      *workload.Replay      // nil: prompts are generated
	talk        workload.ConversationShape
	seed        uint64
	waits       *atomic.Uint64 // drawn so far
	sink        prober.Sink
}

// Probe makes a probe of the target.
func (t *Target) Probe(s Spec) (*Probe, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("probe %s: %w", s.Name, err)
	}
	if s.Call.Model == "" {
		s.Call.Model = t.opts.Model
	}
	if s.Shape.MaxOutputTokens == 0 {
		s.Shape.MaxOutputTokens = s.Call.MaxOutputTokens
	}
	if s.Shape.Purpose == workload.Plain {
		s.Shape.Purpose, s.Shape.Tool = purpose(&s.Call.Options)
	}
	if s.Shape.Prefix == "" {
		s.Shape.Prefix = t.opts.Name + "/" + s.Name
	}
	p := &Probe{
		target: t, spec: s, endpoint: t.endpoint, prompts: t.learnt.prompts, calibration: &t.learnt.calibration,
		talk: conversationShape(&s.Shape, s.Turns), seed: t.seed(s.Name), waits: new(atomic.Uint64), sink: s.Sink,
	}
	if len(s.Call.Options.Tools) > 0 || s.Shape.Instruction != "" {
		// Servers count the tools as prompt, and a user's text is not ours: what is learnt here holds for no other probe.
		p.calibration = new(workload.Calibration)
		p.prompts = workload.NewGenerator(p.seed, p.calibration)
	}
	if s.Recorded != nil {
		p.replay = s.Recorded.Replay(p.seed)
	}
	p.endpoint.Client = t.fresh
	if s.Reuse {
		p.endpoint.Client = t.reuse
	}
	p.prober = prober.New(p.endpoint)
	return p, nil
}

// check returns everything that is wrong with the spec.
func (s *Spec) check() error {
	var errs []error
	if s.Turns < 0 || s.Burst.Size < 0 || s.Retry.Attempts < 0 {
		errs = append(errs, errors.New("turns, a burst's size or a retry's attempts are negative"))
	}
	if s.Turns > 1 && s.Recorded != nil {
		errs = append(errs, errors.New("recorded prompts are questions, not conversations: take turns or the recorded prompts away"))
	}
	if s.Turns > 1 && s.Burst.Size > 0 {
		errs = append(errs, errors.New("a burst is of questions, not of conversations: take turns or the burst away"))
	}
	return errors.Join(errs...)
}

// With returns the same probe for somebody else who asks, such as a ramp's lane: with a sink (nil: as before) and with further
// headers, which win over those of the target. It shares what is learnt, and the supply of prompts.
func (p *Probe) With(sink prober.Sink, header http.Header) *Probe {
	q := *p
	if sink != nil {
		q.sink = sink
	}
	if len(header) > 0 {
		all := http.Header{}
		for _, h := range []http.Header{p.endpoint.Header, header} {
			for name, values := range h {
				all[http.CanonicalHeaderKey(name)] = slices.Clone(values)
			}
		}
		q.endpoint.Header = all
		q.prober = prober.New(q.endpoint)
	}
	return &q
}

// Ask asks once: one question with all its tries, one conversation, or one burst. It returns when all results are with the sink,
// within the probe's total timeout for each question, or soon after ctx ends. intended is when it should have been called;
// zero is now.
func (p *Probe) Ask(ctx context.Context, intended time.Time) Spent {
	var s Spent
	switch {
	case p.spec.Burst.Size > 0:
		p.burst(ctx, intended, &s)
	case p.spec.Turns > 1:
		p.converse(ctx, intended, &s)
	default:
		p.settle(ctx, p.request(prober.NewID(), intended), how{}, &s)
	}
	if !s.PauseUntil.After(time.Now()) {
		s.PauseUntil = time.Time{} // the tries have waited for it
	}
	return s
}

// Most returns the most that Ask can spend, about, for what has to be set aside beforehand: -1 for output tokens without a cap.
func (p *Probe) Most() Spent {
	limit, tries, turns := p.spec.Call.MaxOutputTokens, max(p.spec.Retry.Attempts, 1), max(p.spec.Turns, 1)
	questions := max(p.spec.Burst.Size, 1) * turns
	s := Spent{Requests: tries * questions, OutputTokens: tries * questions * limit}
	if limit <= 0 {
		s.OutputTokens = -1
	}
	if p.spec.Recorded != nil {
		s.PromptTokens = s.Requests * p.spec.Recorded.MaxBytes() // hardly any text has a token for each byte, and none has more
		return s
	}
	asked := max(p.spec.Shape.PromptTokens.Max, p.spec.Shape.PromptTokens.Min)
	s.PromptTokens = s.Requests * asked
	if turns > 1 { // turn n holds n-1 answers and n-1 later questions
		s.PromptTokens += tries * turns * (turns - 1) / 2 * (limit + p.talk.TurnTokens.Max + turnTemplate)
	}
	return s
}

// request writes a question.
func (p *Probe) request(id string, intended time.Time) *prober.Request {
	var prompt workload.Prompt
	if p.replay != nil {
		prompt = p.replay.Prompt()
	} else {
		prompt = p.prompts.Prompt(p.spec.Shape)
	}
	return p.carry(id, intended, &prompt)
}

// carry makes the request that carries a prompt.
func (p *Probe) carry(id string, intended time.Time, prompt *workload.Prompt) *prober.Request {
	r := &prober.Request{
		ID: id, Target: p.target.opts.Name, Probe: p.spec.Name, Intended: intended,
		Call: p.spec.Call, Limits: p.spec.Limits, Checks: p.spec.Checks, PromptUnits: prompt.Units, Attempt: 1,
		Private: p.replay != nil,
	}
	r.Call.Messages = prompt.Messages
	if own := prompt.MaxOutputTokens; own > 0 && (own < r.Call.MaxOutputTokens || r.Call.MaxOutputTokens == 0) {
		r.Call.MaxOutputTokens = own
		r.Call.Options.MinTokens = min(r.Call.Options.MinTokens, own)
	}
	return r
}

// how is in which manner a question is asked.
type how struct {
	keep  int           // bytes of the answer's text that are wanted; 0: none
	start *prober.Start // of the first try, with others; nil: alone
}

// settle asks a question until it has an answer or is given up. It returns the last result, and the text of the answer.
func (p *Probe) settle(ctx context.Context, q *prober.Request, how how, s *Spent) (*prober.Result, string) {
	for attempt := 1; ; attempt++ {
		r, text := p.try(ctx, q, how)
		s.add(r, q.Call.MaxOutputTokens)
		first := q.FirstDispatched
		if first.IsZero() {
			first = r.Timeline.Dispatched
		}
		deadline := first.Add(p.total())
		at, again := p.spec.Retry.next(r, attempt, deadline, p.random)
		r.Retried = again && ctx.Err() == nil
		if p.sink != nil {
			p.sink.Observe(r)
		}
		if !r.Retried {
			return r, text
		}
		// Where ctx ends meanwhile the try is not sent, and its result says so: the question has been given up.
		_ = workload.SleepUntilTimer(ctx, at)
		next := *q
		next.ID, next.Attempt, next.FirstDispatched, next.Intended = prober.SiblingID(q.ID), attempt+1, first, at
		next.Limits.Total = deadline.Sub(at)
		q, how.start = &next, nil
	}
}

// try sends one request, and learns from the server's count of it.
func (p *Probe) try(ctx context.Context, q *prober.Request, how how) (r *prober.Result, text string) {
	p.target.learnt.activity.begin()
	defer p.target.learnt.activity.end()
	switch {
	case how.start != nil:
		r = p.prober.DoTogether(ctx, q, how.start)
	case how.keep > 0:
		r, text = p.prober.DoText(ctx, q, how.keep)
	default:
		r = p.prober.Do(ctx, q)
	}
	if r.Usage.Known {
		p.calibration.Observe(q.PromptUnits, r.Usage.PromptTokens)
	}
	return r, text
}

// total bounds a question.
func (p *Probe) total() time.Duration {
	if p.spec.Limits.Total > 0 {
		return p.spec.Limits.Total
	}
	return prober.DefaultTimeout
}

// random is a source for one wait. The n-th one depends on the seed and n alone.
func (p *Probe) random() *rand.Rand { return rand.New(rand.NewPCG(p.seed, p.waits.Add(1))) }
