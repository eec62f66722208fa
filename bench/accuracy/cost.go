package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// What an event costs while answers are under way, ours against loops that only read. All read the same answers of the
// same server at the same rate, in turns, so that a slow drift of the machine meets all of them.
//
//	round 1:  ours  bare Go  bare epoll     each: open all streams | settle | window | read to the end
//	round 2:  bare Go  bare epoll  ours
//	...

// readerCost is the sum over all rounds of one reader's windows.
type readerCost struct {
	Reader         string  `json:"reader"` // ours, bare_go or bare_epoll
	Events         float64 `json:"events"`
	CPUPerEvent    float64 `json:"cpu_seconds_per_event"`
	AllocsPerEvent float64 `json:"allocs_per_event"`

	read   func(context.Context, *reading) error
	cpu    time.Duration
	allocs uint64
	rounds []float64 // CPU seconds per event
}

// reading is one turn: streams that begin at start and give one answer each, of which the time from open to close counts.
type reading struct {
	target  *server
	request []byte // as it goes over the wire
	streams int
	tokens  int
	spread  time.Duration
	gap     time.Duration

	start, open, close time.Time

	// What the reader tells: either the events in the window or, where it parses nothing, all bytes so far.
	events int64
	bytes  []counter
}

// counter is a number that one goroutine writes, on a cache line of its own.
type counter struct {
	n atomic.Int64
	_ [56]byte
}

func (r *reading) begin(i int) time.Time {
	return r.start.Add(begin(i, r.streams, r.spread, r.gap))
}

func (r *reading) total() (n int64) {
	for i := range r.bytes {
		n += r.bytes[i].n.Load()
	}
	return n
}

// compare measures what reading costs, and fills it in.
func (s *setting) compare(ctx context.Context, target *server, row *row) error {
	streams := row.Streams
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		return err
	}
	client, err := transport.New(transport.Options{})
	if err != nil {
		return err
	}
	defer client.Close()
	readers := []*readerCost{
		{Reader: "ours", read: func(ctx context.Context, r *reading) error { return readOurs(ctx, r, client, protocol) }},
		{Reader: "bare_go", read: readBareGo},
	}
	if hasEpoll {
		readers = append(readers, &readerCost{Reader: "bare_epoll", read: readBareEpoll})
	}

	// A stream takes about a quarter of a millisecond to open; beyond 100 streams that takes longer than a gap.
	spread := max(s.pace.perToken, time.Duration(streams)*250*time.Microsecond)
	const settle = 300 * time.Millisecond
	window := max(s.duration/10, 200*time.Millisecond)
	length := spread + s.pace.firstToken + settle + window + 200*time.Millisecond
	turn := reading{
		target: target, streams: streams, spread: spread, gap: s.pace.perToken,
		tokens: int(length/s.pace.perToken) + 1,
	}
	if turn.request, err = rawRequest(target, protocol, turn.tokens); err != nil {
		return err
	}
	perEvent, err := eventBytes(ctx, &turn, protocol)
	if err != nil {
		return err
	}
	for round := range s.rounds {
		for i := range readers {
			reader := readers[(i+round)%len(readers)]
			for try := 1; ; try++ {
				r := turn
				r.bytes = make([]counter, streams)
				runtime.GC()
				r.start = time.Now()
				r.open = r.start.Add(spread + s.pace.firstToken + settle)
				r.close = r.open.Add(window)
				err := reader.turn(ctx, &r, perEvent)
				if err == nil {
					break
				}
				if !errors.Is(err, errStoodStill) || try == mostTries {
					return fmt.Errorf("%s: %w", reader.Reader, err)
				}
			}
		}
	}
	row.addCost(readers)
	return nil
}

// errStoodStill says of a turn that it tells nothing.
var errStoodStill = errors.New("nothing was read in the window: the machine stood still")

// mostTries is how often a turn is run whose machine stands still.
const mostTries = 10

// turn runs one turn and adds up its window.
func (c *readerCost) turn(ctx context.Context, r *reading, perEvent float64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var failure error
	wg.Go(func() {
		if failure = c.read(ctx, r); failure != nil {
			cancel()
		}
	})
	var m meter
	closing := time.NewTimer(time.Until(r.close)) // now, for it allocates
	defer closing.Stop()
	sleepUntil(ctx, r.open)
	read := r.total()
	before := m.start()
	select {
	case <-closing.C:
	case <-ctx.Done():
	}
	after := m.stop()
	read = r.total() - read
	wg.Wait()
	if failure != nil {
		return failure
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	events := float64(r.events)
	if events == 0 {
		events = float64(read) / perEvent
	}
	if events < 1 {
		return errStoodStill
	}
	cpu, allocs := after.cpu-before.cpu, after.mallocs-before.mallocs
	c.Events += events
	c.cpu += cpu
	c.allocs += allocs
	c.rounds = append(c.rounds, cpu.Seconds()/events)
	return nil
}

// addCost compares the first reader, ours, with the others.
func (r *row) addCost(readers []*readerCost) {
	for _, c := range readers {
		c.CPUPerEvent = c.cpu.Seconds() / c.Events
		c.AllocsPerEvent = float64(c.allocs) / c.Events
	}
	ours := readers[0]
	r.Steady = readers
	r.AllocsPerEvent = &ours.AllocsPerEvent
	for i, bare := range readers[1:] {
		ratio := new(ours.CPUPerEvent / bare.CPUPerEvent)
		if i > 0 {
			r.RatioEpoll = ratio
			continue
		}
		r.RatioGo = ratio
		for n := range ours.rounds {
			r.RatioGoRounds = append(r.RatioGoRounds, ours.rounds[n]/bare.rounds[n])
		}
		slices.Sort(r.RatioGoRounds)
	}
}

// readOurs has the prober read.
func readOurs(ctx context.Context, r *reading, client *transport.Client, protocol *wire.Protocol) error {
	l := &load{
		target: r.target, client: client, protocol: protocol, streams: r.streams, tokens: r.tokens,
		spread: r.spread, scatter: r.gap,
	}
	var mu sync.Mutex
	var failure error
	l.run(ctx, r.start, r.start, func(result *prober.Result, _ *sends) {
		mu.Lock()
		defer mu.Unlock()
		if result.Outcome != prober.OK || len(result.Chunks) != r.tokens {
			failure = fmt.Errorf("an answer of %d tokens: %s, %d received: %w", r.tokens, result.Outcome, len(result.Chunks), result.Err)
			return
		}
		// Events are counted when they had been read, for that is when they cost.
		from, to := r.open.Sub(result.Timeline.Dispatched), r.close.Sub(result.Timeline.Dispatched)
		for _, c := range result.Chunks {
			if read := c.At + c.Delay; read >= from && read < to {
				r.events++
			}
		}
	})
	return failure
}

// rawRequest is the same question as bytes, with a connection of its own, for readers that know no HTTP.
func rawRequest(target *server, protocol *wire.Protocol, tokens int) ([]byte, error) {
	question := call(tokens, false)
	enc, err := protocol.Encode(target.url, &question)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, enc.URL.String(), bytes.NewReader(enc.Body))
	if err != nil {
		return nil, err
	}
	req.Header = enc.Header
	req.Header.Set("X-Request-Id", prober.NewID())
	req.Close = true
	var b bytes.Buffer
	err = req.Write(&b)
	return b.Bytes(), err
}

// eventBytes is how many bytes one event has in the mean, framing included: the difference between a long answer and one
// of a single token, over the tokens between them.
func eventBytes(ctx context.Context, turn *reading, protocol *wire.Protocol) (float64, error) {
	read := func(tokens int) (int64, error) {
		one := reading{target: turn.target, streams: 1, bytes: make([]counter, 1), start: time.Now()}
		var err error
		if one.request, err = rawRequest(turn.target, protocol, tokens); err != nil {
			return 0, err
		}
		err = readBareGo(ctx, &one)
		return one.total(), err
	}
	many := min(turn.tokens, 50)
	short, err := read(1)
	if err != nil {
		return 0, err
	}
	long, err := read(many)
	if err != nil {
		return 0, err
	}
	perEvent := float64(long-short) / float64(many-1)
	if math.IsNaN(perEvent) || perEvent < 1 {
		return 0, fmt.Errorf("answers of 1 and %d tokens have %d and %d bytes", many, short, long)
	}
	return perEvent, nil
}
