package ask

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

// Options say what a target is.
type Options struct {
	Name     string
	Model    string      // as the endpoint names it
	URL      string      // the base URL, as SDKs of the protocol are given it
	Protocol string      // one of wire.Names
	Header   http.Header // further headers for each request; nil: none

	// Transport says how bytes travel. Its Reuse is not looked at: each probe says for itself.
	Transport transport.Options

	// DegradedAfter is how late the prober itself may be before a result is marked as degraded. 0: 10ms.
	DegradedAfter time.Duration

	// Seed decides the prompts and the waits between tries. 0: a random one, which is what is wanted outside of tests:
	// what a prefix cache kept of the last process must not answer.
	Seed uint64
}

// Target is one endpoint that is asked, with what has been learnt of it. It is safe for concurrent use.
type Target struct {
	opts         Options
	endpoint     prober.Options // without a client
	fresh, reuse *transport.Client
	learnt       *learnt // shared with the targets made of this one

	starting    sync.Once
	calibrating sync.WaitGroup
	context     context.Context // of calibrating
	stop        context.CancelFunc
}

// learnt is what is known of an endpoint, by whichever connections.
type learnt struct {
	calibration workload.Calibration
	prompts     *workload.Generator
	activity    activity
}

// NewTarget makes a target. Nothing is sent yet.
func NewTarget(o Options) (*Target, error) {
	base, err := url.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	protocol, err := wire.Lookup(o.Protocol)
	if err != nil {
		return nil, err
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	l := new(learnt)
	l.prompts = workload.NewGenerator(o.Seed, &l.calibration)
	l.activity.start()
	t := &Target{
		opts: o, learnt: l,
		endpoint: prober.Options{URL: base, Protocol: protocol, Header: o.Header, DegradedAfter: o.DegradedAfter},
	}
	if err := t.connect(o.Transport); err != nil {
		return nil, err
	}
	return t, nil
}

// Through returns the same target by connections and credentials of their own: what was learnt of it is shared, and so is
// the supply of prompts that no prefix cache has seen. The caller closes both.
func (t *Target) Through(o transport.Options) (*Target, error) {
	other := &Target{opts: t.opts, endpoint: t.endpoint, learnt: t.learnt}
	other.starting.Do(func() {}) // nothing to learn anew
	if err := other.connect(o); err != nil {
		return nil, err
	}
	return other, nil
}

// connect makes the clients.
func (t *Target) connect(o transport.Options) (err error) {
	o.Reuse = false
	if t.fresh, err = transport.New(o); err != nil {
		return err
	}
	o.Reuse = true
	if t.reuse, err = transport.New(o); err != nil {
		t.fresh.Close()
		return err
	}
	t.context, t.stop = context.WithCancel(context.Background())
	return nil
}

// Name is the target's name.
func (t *Target) Name() string { return t.opts.Name }

// Start is called once the target may be asked; further calls do nothing. It learns the server's tokens from its /tokenize in
// the background, where the protocol has servers with one (openai_chat). Without it the answers' usage teaches them.
func (t *Target) Start() {
	t.starting.Do(func() {
		if t.endpoint.Protocol.Name == "openai_chat" {
			t.calibrating.Go(func() { t.calibrate(t.context) })
		}
	})
}

// calibrateWithin bounds what is asked of a server's /tokenize, once, when a target is new.
const calibrateWithin = 10 * time.Second

// calibrate asks the server to count.
func (t *Target) calibrate(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, calibrateWithin)
	defer cancel()
	t.learnt.activity.begin()
	defer t.learnt.activity.end()
	endpoint := t.endpoint
	endpoint.Client = t.fresh
	counter := prober.New(endpoint)
	// Its error is no news: most hosted services have no such path, and a server that is down shows as failed probes.
	_ = t.learnt.prompts.Calibrate(ctx, func(ctx context.Context, messages []wire.Message) (int, error) {
		return counter.CountTokens(ctx, t.opts.Model, messages)
	})
}

// IdleFor returns for how long nothing of ours has been under way at the target, since it was made at the most; false while
// something is.
func (t *Target) IdleFor() (time.Duration, bool) { return t.learnt.activity.idleFor() }

// Close ends what Start began, waits for it, and closes the connections. Askings under way end with their contexts.
func (t *Target) Close() {
	t.stop()
	t.calibrating.Wait()
	t.fresh.Close()
	t.reuse.Close()
}

// seed returns a seed for what belongs to one probe, and differs from probe to probe.
func (t *Target) seed(probe string) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, probe)
	return rand.NewPCG(t.opts.Seed, h.Sum64()).Uint64()
}
