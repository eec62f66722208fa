package prober

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// ErrNoTokenizer says that the server does not count tokens for others.
var ErrNoTokenizer = errors.New("the server has no /tokenize")

// CountTokens asks the server how many prompt tokens messages are, its chat template included, by POST /tokenize as
// vLLM and SGLang have it beside their /v1. Servers without it give ErrNoTokenizer. Nothing is generated.
func (p *Prober) CountTokens(ctx context.Context, model string, messages []wire.Message) (int, error) {
	body, err := json.Marshal(map[string]any{"model": model, "messages": messages})
	if err != nil {
		return 0, err
	}
	u := *p.opts.URL
	u.Path, u.RawPath = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/v1")+"/tokenize", ""
	hr, err := http.NewRequest(http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, values := range p.opts.Header {
		hr.Header[http.CanonicalHeaderKey(name)] = values
	}
	hr.Header.Set("Content-Type", "application/json")
	x, err := p.opts.Client.Do(ctx, hr, transport.Deadlines{Connect: DefaultConnectTimeout})
	if err != nil {
		return 0, fmt.Errorf("tokenize: %w", err)
	}
	defer x.Close()
	if x.Status != http.StatusOK {
		return 0, fmt.Errorf("tokenize: HTTP %d: %w", x.Status, ErrNoTokenizer)
	}
	// The answer of a long prompt lists its tokens; what is wanted stands beside them.
	const enough = 8 << 20
	if deadline, ok := ctx.Deadline(); ok {
		x.SetReadDeadline(deadline)
	} else {
		x.SetReadDeadline(time.Now().Add(DefaultTimeout))
	}
	answer, err := io.ReadAll(io.LimitReader(plainReader{x}, enough))
	if err != nil {
		return 0, fmt.Errorf("tokenize: %w", err)
	}
	n, ok := tokenCount(answer, len(body))
	if !ok {
		return 0, fmt.Errorf("tokenize: no count in the answer: %w", ErrNoTokenizer)
	}
	return n, nil
}

// tokenCount reads the answer to a question of that many bytes.
func tokenCount(answer []byte, sent int) (int, bool) {
	var counted struct {
		Count int `json:"count"`
	}
	if json.Unmarshal(answer, &counted) != nil || counted.Count < 1 || counted.Count > maxTokenCount(sent) {
		return 0, false
	}
	return counted.Count, true
}

// maxTokenCount is the most that so many bytes can be: no token is less than a byte, and the longest chat templates, with the
// instructions that some bring along, add thousands. Prompts are made to the measure of this count.
func maxTokenCount(bytes int) int { return bytes + 1<<16 }

// plainReader reads a body whose times do not matter.
type plainReader struct{ x *transport.Exchange }

func (r plainReader) Read(p []byte) (int, error) {
	n, _, err := r.x.ReadStamped(p)
	return n, err
}
