package workload

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"

	"github.com/llmprober/llm_prober/prober/wire"
)

// RecordedOptions say how to read a file of recorded requests.
type RecordedOptions struct {
	SkipBad bool // load the rest of a file of which some lines cannot be used

	MaxBytes     int // of memory for all prompts of the file, about; 0: 256 MiB
	MaxLineBytes int // of one line or list element; 0: 16 MiB
}

const (
	maxRecordedBytes     = 256 << 20
	maxRecordedLineBytes = 16 << 20
	messageBytes         = 128 // of a message beside its text: string headers, its part of the request, the allocator's rounding
)

// Recorded is the requests of one file, in memory. It is not changed once read.
type Recorded struct {
	kind     string
	requests []recordedRequest
	upTo     []float64 // the sum of the weights of all requests up to this one
	bad      *BadLines // that were passed over; nil: none
	idle     int
	hash     [sha256.Size]byte // of the file
}

type recordedRequest struct {
	messages        []wire.Message
	maxOutputTokens int
	weight          float64
}

// LoadRecorded reads a file of recorded requests, as [ReadRecorded] does.
func LoadRecorded(path string, o RecordedOptions) (*Recorded, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("recorded requests: %w", err)
	}
	defer f.Close()
	return ReadRecorded(path, f, o)
}

// ReadRecorded reads recorded requests: one JSON object on each line, or one JSON list of them. All objects of a file are
// of the kind of the first one:
//
//	{"messages": [{"role": "user", "content": "Hi"}], "max_output_tokens": 64, "weight": 2}     ours; the last two may be left out
//	{"custom_id": "1", "body": {"model": "m", "messages": [...], "max_tokens": 64}}             a batch file of OpenAI's
//	{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}]}   ShareGPT's
//
// Of a batch file's body the messages and the cap are taken: model, sampling and the rest are for the target and the probe
// to say. Messages are text: images, tool calls and tool results cannot be asked again.
//
// In a conversation of ShareGPT's, each user's turn is a request of its own, with all that came before it, as a chat client
// sends it. Of the conversation counts what any chat template takes, from the first user's turn on: turns of the user and
// the model in alternation, none empty. One without any is passed over and no fault.
//
// If lines cannot be used, the error is a [*BadLines], unless SkipBad is set and others can. The name is that of the file,
// for errors.
func ReadRecorded(name string, r io.Reader, o RecordedOptions) (*Recorded, error) {
	room := cmp.Or(o.MaxBytes, maxRecordedBytes)
	rec := new(Recorded)
	var bad BadLines
	var total float64
	hash := sha256.New()
	for it, err := range items(io.TeeReader(r, hash), cmp.Or(o.MaxLineBytes, maxRecordedLineBytes)) {
		if err != nil {
			return nil, fmt.Errorf("recorded requests %s: %w", name, err)
		}
		var requests []recordedRequest
		f := it.fault
		if f == nil {
			requests, f = rec.parse(it.text)
		}
		if f != nil {
			bad.add(&LineError{name, it.line, f.what, f.cure})
			continue
		}
		if len(requests) == 0 {
			rec.idle++
			continue
		}
		for _, m := range requests[len(requests)-1].messages { // the last one holds those of the others
			room -= len(m.Content) + messageBytes
		}
		if room < 0 {
			return nil, &LineError{name, it.line, "the requests up to here take more memory than is allowed", "take a part of the file, or allow more"}
		}
		for _, q := range requests {
			total += q.weight
			rec.upTo = append(rec.upTo, total)
		}
		rec.requests = append(rec.requests, requests...)
	}
	if bad.Count > 0 {
		if !o.SkipBad || len(rec.requests) == 0 {
			return nil, &bad
		}
		rec.bad = &bad
	}
	if len(rec.requests) == 0 {
		return nil, fmt.Errorf(`recorded requests %s: none in it; write lines of {"messages": [{"role": "user", "content": "..."}]}`, name)
	}
	hash.Sum(rec.hash[:0])
	return rec, nil
}

// Kind says what the file was: "requests", "OpenAI batch" or "ShareGPT conversations".
func (r *Recorded) Kind() string { return r.kind }

// Fingerprint changes with the content of the file.
func (r *Recorded) Fingerprint() string { return hex.EncodeToString(r.hash[:]) }

// Len is the number of requests.
func (r *Recorded) Len() int { return len(r.requests) }

// Bad is what was passed over because it could not be used, on leave of SkipBad; nil: nothing.
func (r *Recorded) Bad() *BadLines { return r.bad }

// MaxBytes is the text of the longest request, in bytes, with what a message takes beside its own: no tokenizer makes more
// tokens of it.
func (r *Recorded) MaxBytes() int {
	longest := 0
	for i := range r.requests {
		n := 0
		for _, m := range r.requests[i].messages {
			n += len(m.Content) + messageBytes
		}
		longest = max(longest, n)
	}
	return longest
}

// Idle is how many conversations had no turn of a user's, and so nothing to ask.
func (r *Recorded) Idle() int { return r.idle }

// Replay picks requests of a recording, each as often as its weight says. It is safe for concurrent use.
// A prompt that comes again is the same to the letter: a prefix cache can answer it.
type Replay struct {
	recorded *Recorded
	seed     uint64
	next     atomic.Uint64
}

// Replay returns a replay of which the n-th pick depends on the seed and n alone.
func (r *Recorded) Replay(seed uint64) *Replay { return &Replay{recorded: r, seed: seed} }

// Prompt picks the next request. Its messages are shared: do not change them.
func (p *Replay) Prompt() Prompt {
	r := p.recorded
	at := rand.New(rand.NewPCG(p.seed, p.next.Add(1)-1)).Float64() * r.upTo[len(r.upTo)-1]
	i, found := slices.BinarySearch(r.upTo, at)
	if found { // the sum up to a request belongs to the next one
		i++
	}
	q := &r.requests[min(i, len(r.requests)-1)]
	return Prompt{Messages: q.messages, MaxOutputTokens: q.maxOutputTokens}
}
