package runs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/llmprober/llm_prober/prober"
)

// requestsSchema is the version of the lines of requests.jsonl.zst.
const requestsSchema = 1

// decodeMemory bounds what a broken or hostile file can make us take.
const decodeMemory = 64 << 20

// maxRequestLine bounds one request: half a million chunks. A few bytes of zstd can be a line without end.
const maxRequestLine = 16 << 20

// Request is one request as it is on record.
type Request struct {
	ID     string `json:"id"`
	Target string `json:"target"`
	Lane   string `json:"lane"`
	Stage  int    `json:"stage"` // from 0
	Probe  string `json:"probe"`

	Attempt int  `json:"attempt,omitempty"` // from 1; 0: the first
	Retried bool `json:"retried,omitempty"` // another attempt follows
	Turn    int  `json:"turn,omitempty"`    // of a conversation, from 1
	Burst   int  `json:"burst,omitempty"`   // how many went out together
	Cold    bool `json:"cold,omitempty"`    // the first one after the lane was idle

	Intended time.Time        `json:"intended"`
	Steps    map[string]int64 `json:"timeline_ns"` // by step: nanoseconds since Intended; a step that did not happen is missing
	Chunks   Chunks           `json:"chunks,omitempty"`

	Outcome    prober.Outcome `json:"outcome"`
	Error      string         `json:"error,omitempty"`
	HTTPStatus int            `json:"http_status,omitempty"`
	RemoteAddr string         `json:"remote_addr,omitempty"`
	Reused     bool           `json:"reused,omitempty"`

	UsageKnown      bool               `json:"usage_known,omitempty"` // the server counted
	PromptTokens    int                `json:"prompt_tokens,omitempty"`
	CachedTokens    int                `json:"cached_prompt_tokens,omitempty"`
	ReasoningTokens int                `json:"reasoning_tokens,omitempty"`
	OutputTokens    int                `json:"output_tokens,omitempty"`
	OutputSource    prober.TokenSource `json:"output_tokens_source,omitempty"`
	FinishReason    string             `json:"finish_reason,omitempty"`
	TPOT            int64              `json:"tpot_ns,omitempty"`              // time per output token, as prober.TPOT has it; 0: there is none
	QueueSeconds    *float64           `json:"server_queue_seconds,omitempty"` // as the server said in its answer; nil: it did not

	BodyBytes    int64        `json:"body_bytes,omitempty"`
	RetryAfter   int64        `json:"retry_after_ns,omitempty"`
	Clock        prober.Clock `json:"clock,omitempty"`
	ReceiveDelay int64        `json:"receive_delay_ns,omitempty"` // the largest
	Degraded     bool         `json:"degraded,omitempty"`
}

// The steps of a request, by their names in Steps.
const (
	StepDispatched   = "dispatched"
	StepDNSStart     = "dns_start"
	StepDNSDone      = "dns_done"
	StepConnectStart = "connect_start"
	StepConnectDone  = "connect_done"
	StepTLSStart     = "tls_start"
	StepTLSDone      = "tls_done"
	StepWriteStart   = "write_start"
	StepWrote        = "wrote"
	StepHeaders      = "headers"
	StepFirstEvent   = "first_event"
	StepFirstToken   = "first_token"
	StepFirstOutput  = "first_output"
	StepLastToken    = "last_token"
	StepEnd          = "end"
)

// Between is the time from one step to another, and whether both happened. An empty step is the intended time.
func (r *Request) Between(from, to string) (time.Duration, bool) {
	at := func(step string) (int64, bool) {
		if step == "" {
			return 0, true
		}
		ns, ok := r.Steps[step]
		return ns, ok
	}
	a, begun := at(from)
	b, ended := at(to)
	return time.Duration(b - a), begun && ended
}

// Chunks are the content-bearing events of a stream: in JSON an array of [at, delay, tokens] each, in nanoseconds since
// dispatch, nanoseconds, and tokens, -1 where they are not known.
type Chunks []prober.Chunk

// MarshalJSON writes them in one go: there can be thousands in a line.
func (c Chunks) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 2+len(c)*24)
	out = append(out, '[')
	for i, chunk := range c {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, '[')
		out = strconv.AppendInt(out, int64(chunk.At), 10)
		out = append(out, ',')
		out = strconv.AppendInt(out, int64(chunk.Delay), 10)
		out = append(out, ',')
		out = strconv.AppendInt(out, int64(chunk.Tokens), 10)
		out = append(out, ']')
	}
	return append(out, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Chunks) UnmarshalJSON(data []byte) error {
	var rows [][]int64
	if err := json.Unmarshal(data, &rows); err != nil {
		return err
	}
	*c = make(Chunks, len(rows))
	for i, row := range rows {
		if len(row) < 3 {
			return fmt.Errorf("chunk %d has %d numbers", i, len(row))
		}
		(*c)[i] = prober.Chunk{At: time.Duration(row[0]), Delay: time.Duration(row[1]), Tokens: int32(row[2])}
	}
	return nil
}

// A pending is a request that waits to be written. It has of the result what is written and not the question, which would
// be too much to hold on to.
type pending struct {
	lane   string
	stage  int
	result prober.Result // without its request
	asked  prober.Request
}

func newPending(lane string, stage int, r *prober.Result) pending {
	p := pending{lane: lane, stage: stage, result: *r}
	if q := r.Request; q != nil {
		p.asked = prober.Request{ID: q.ID, Target: q.Target, Probe: q.Probe, Attempt: q.Attempt, Turn: q.Turn, Burst: q.Burst, Cold: q.Cold}
	}
	p.result.Request, p.result.Header = nil, nil
	return p
}

// maxError is how much of an error's text is kept: enough to tell it, too little to copy an answer.
const maxError = 500

// request is what is written of it.
func (p *pending) request() *Request {
	r, t := &p.result, &p.result.Timeline
	q := &Request{
		ID: p.asked.ID, Target: p.asked.Target, Lane: p.lane, Stage: p.stage, Probe: p.asked.Probe,
		Attempt: p.asked.Attempt, Retried: r.Retried, Turn: p.asked.Turn, Burst: p.asked.Burst, Cold: p.asked.Cold,
		Intended: t.Intended.Round(0).UTC(), Steps: map[string]int64{}, Chunks: r.Chunks,
		Outcome: r.Outcome, HTTPStatus: r.HTTPStatus, RemoteAddr: r.RemoteAddr, Reused: r.Reused,
		UsageKnown: r.Usage.Known, PromptTokens: r.Usage.PromptTokens, CachedTokens: r.Usage.CachedTokens,
		ReasoningTokens: r.Usage.ReasoningTokens, OutputTokens: r.OutputTokens, OutputSource: r.OutputSource,
		FinishReason: r.FinishReason, BodyBytes: r.BodyBytes, RetryAfter: int64(r.RetryAfter), Clock: r.Clock,
		ReceiveDelay: int64(r.ReceiveDelay), Degraded: r.Degraded,
	}
	if d, ok := prober.TPOT(r); ok {
		q.TPOT = int64(d)
	}
	if r.Err != nil {
		q.Error = r.Err.Error()
		if len(q.Error) > maxError {
			q.Error = q.Error[:maxError] + "..."
		}
	}
	if r.Timing.Known && r.Timing.QueueSeconds >= 0 {
		q.QueueSeconds = new(r.Timing.QueueSeconds)
	}
	for _, step := range []struct {
		name string
		at   time.Time
	}{
		{StepDispatched, t.Dispatched}, {StepDNSStart, t.DNSStart}, {StepDNSDone, t.DNSDone},
		{StepConnectStart, t.ConnectStart}, {StepConnectDone, t.ConnectDone}, {StepTLSStart, t.TLSStart}, {StepTLSDone, t.TLSDone},
		{StepWriteStart, t.WriteStart}, {StepWrote, t.Wrote}, {StepHeaders, t.Headers}, {StepFirstEvent, t.FirstEvent},
		{StepFirstToken, t.FirstToken}, {StepFirstOutput, t.FirstOutput}, {StepLastToken, t.LastToken}, {StepEnd, t.End},
	} {
		if !step.at.IsZero() {
			q.Steps[step.name] = int64(step.at.Sub(t.Intended))
		}
	}
	return q
}

// Requests goes through a run's requests in the order in which they ended. It ends with the first error, which is
// ErrNotFound where none were kept.
func (s *Store) Requests(id string) iter.Seq2[*Request, error] {
	return func(yield func(*Request, error) bool) {
		info, err := s.Info(id)
		if err != nil {
			yield(nil, err)
			return
		}
		if info.Requests == nil {
			yield(nil, fmt.Errorf("requests of run %s: %w: they were not kept", id, ErrNotFound))
			return
		}
		if err := checkSchema(id, info.Requests.Schema, requestsSchema); err != nil {
			yield(nil, err)
			return
		}
		f, err := s.root.Open(id + "/" + requestsFile)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("requests of run %s: %w", id, ErrNotFound)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		if err := eachRequest(f, yield); err != nil {
			yield(nil, fmt.Errorf("requests of run %s: %w", id, err))
		}
	}
}

// eachRequest gives the lines of r to yield until it wants no more.
func eachRequest(r io.Reader, yield func(*Request, error) bool) error {
	// Concurrency 1: it decodes where it is read, without goroutines.
	dec, err := zstd.NewReader(bufio.NewReader(r), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(decodeMemory))
	if err != nil {
		return err
	}
	defer dec.Close()
	lines := bufio.NewScanner(dec)
	lines.Buffer(nil, maxRequestLine)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		q := &Request{}
		if err := json.Unmarshal(lines.Bytes(), q); err != nil {
			return err
		}
		if !yield(q, nil) {
			return nil
		}
	}
	return lines.Err()
}
