package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	commoncfg "github.com/prometheus/common/config"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
	"github.com/llmprober/llm_prober/prober/workload"
)

type probeCommand struct {
	url             *url.URL
	model           string
	protocol        string
	requests        int
	stream          bool
	promptTokens    tokenRange
	maxOutputTokens int
	limits          prober.Limits
	credentialsFile string
	headerFiles     map[string]string
	reuse           bool
	output          string
}

func addProbeCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	c := &probeCommand{promptTokens: tokenRange{50, 50}, headerFiles: map[string]string{}}
	cmd := app.Command("probe", "Measure an endpoint now, without a daemon.")
	cmd.HelpLong("Sends requests one after the other, prints a line for each as it ends and a summary at last.\n" +
		"The exit code is 1 if a request failed.\n\n" +
		"  llm_prober probe --url=http://localhost:8000/v1 --model=llama-3.1-8b -n 20")
	cmd.Flag("url", "Base URL, as SDKs take it: http://localhost:8000/v1").Required().URLVar(&c.url)
	cmd.Flag("model", "The server's name of the model.").Required().StringVar(&c.model)
	cmd.Flag("requests", "Number of requests.").Short('n').Default("10").IntVar(&c.requests)
	cmd.Flag("protocol", "How the server is spoken to: "+strings.Join(wire.Names(), ", ")+".").
		Default("openai_chat").EnumVar(&c.protocol, wire.Names()...)
	cmd.Flag("stream", "Ask for the answer token by token.").Default("true").BoolVar(&c.stream)
	cmd.Flag("prompt-tokens", "Prompt length in tokens: 400, or a range, 20-60.").Default("50").SetValue(&c.promptTokens)
	cmd.Flag("max-output-tokens", "Cap on generated tokens.").Default("64").IntVar(&c.maxOutputTokens)
	cmd.Flag("timeout", "Limit of a whole request.").Default("60s").DurationVar(&c.limits.Total)
	cmd.Flag("connect-timeout", "Limit of name look-up, TCP and TLS.").Default("10s").DurationVar(&c.limits.Connect)
	cmd.Flag("first-token-timeout", "Limit until the first token; 0: --timeout.").Default("0s").DurationVar(&c.limits.FirstToken)
	cmd.Flag("idle-timeout", "Limit between events after that; 0: --timeout.").Default("0s").DurationVar(&c.limits.Idle)
	cmd.Flag("credentials-file", "File with the bearer token (API key).").PlaceHolder("FILE").StringVar(&c.credentialsFile)
	cmd.Flag("header-file", "Header whose value a file holds, repeatable: x-api-key=FILE.").PlaceHolder("NAME=FILE").StringMapVar(&c.headerFiles)
	cmd.Flag("reuse-connection", "Keep one connection for all requests.").BoolVar(&c.reuse)
	cmd.Flag("output", "Form of the output: text or json (an object a line, the last with key summary).").
		Default("text").EnumVar(&c.output, "text", "json")
	return cmd, c
}

func (c *probeCommand) run(ctx context.Context, e env) error {
	if c.requests < 1 || c.maxOutputTokens < 1 {
		return fmt.Errorf("--requests and --max-output-tokens must be at least 1")
	}
	for _, limit := range []struct {
		flag  string
		value time.Duration
	}{
		{"timeout", c.limits.Total}, {"connect-timeout", c.limits.Connect},
		{"first-token-timeout", c.limits.FirstToken}, {"idle-timeout", c.limits.Idle},
	} {
		if limit.value < 0 {
			return fmt.Errorf("--%s=%v: a limit cannot be negative", limit.flag, limit.value)
		}
	}
	if c.url.User != nil {
		return fmt.Errorf("--url: a user and password in it would show in process lists: use --credentials-file or --header-file")
	}
	if (c.url.Scheme != "http" && c.url.Scheme != "https") || c.url.Host == "" {
		return fmt.Errorf("--url=%s: want http://HOST[:PORT]/PATH, or the same with https", c.url.Redacted())
	}
	protocol, err := wire.Lookup(c.protocol)
	if err != nil {
		return err
	}
	clientConfig := commoncfg.HTTPClientConfig{}
	if c.credentialsFile != "" {
		if _, err := os.ReadFile(c.credentialsFile); err != nil {
			return fmt.Errorf("--credentials-file: %w", err)
		}
		clientConfig.Authorization = &commoncfg.Authorization{Type: "Bearer", CredentialsFile: c.credentialsFile}
	}
	header, err := readHeaders(c.headerFiles)
	if err != nil {
		return err
	}
	client, err := transport.New(transport.Options{HTTP: clientConfig, Reuse: c.reuse, UserAgent: userAgent()})
	if err != nil {
		return err
	}
	defer client.Close()

	p := prober.New(prober.Options{URL: c.url, Protocol: protocol, Client: client, Header: header})
	calibration := new(workload.Calibration)
	prompts := workload.NewGenerator(rand.Uint64(), calibration)
	shape := workload.Shape{PromptTokens: workload.Range(c.promptTokens), MaxOutputTokens: c.maxOutputTokens}

	var report probeReport = textReport{e.stdout}
	if c.output == "json" {
		report = jsonReport{json.NewEncoder(e.stdout)}
	}
	var all summary
	for n := 1; n <= c.requests && ctx.Err() == nil; n++ {
		prompt := prompts.Prompt(shape)
		r := p.Do(ctx, &prober.Request{
			ID: prober.NewID(), Target: c.url.Host, Probe: "probe", Intended: time.Now(), Limits: c.limits,
			Call:        wire.Call{Model: c.model, Messages: prompt.Messages, MaxOutputTokens: c.maxOutputTokens, Stream: c.stream},
			PromptUnits: prompt.Units,
		})
		if r.Usage.Known {
			calibration.Observe(prompt.Units, r.Usage.PromptTokens)
		}
		all.add(r)
		if err := report.request(n, r); err != nil {
			return err
		}
	}
	if err := report.summary(&all); err != nil {
		return err
	}
	if all.failed > 0 || ctx.Err() != nil {
		return errSilent
	}
	return nil
}

// readHeaders reads the values of headers from files: on the command line they would show in process lists.
func readHeaders(files map[string]string) (http.Header, error) {
	h := http.Header{}
	for name, file := range files {
		value, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--header-file=%s: %w", name, err)
		}
		h.Set(name, strings.TrimSpace(string(value)))
	}
	return h, nil
}

// tokenRange is the value of --prompt-tokens.
type tokenRange workload.Range

// Set implements kingpin.Value.
func (r *tokenRange) Set(s string) error {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	from, err1 := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	if err1 != nil || err2 != nil || from < 1 || to < from {
		return fmt.Errorf("%q: want a length, 400, or a range, 20-60", s)
	}
	*r = tokenRange{from, to}
	return nil
}

// String implements kingpin.Value.
func (r *tokenRange) String() string {
	if r.Min == r.Max {
		return strconv.Itoa(r.Min)
	}
	return fmt.Sprintf("%d-%d", r.Min, r.Max)
}

// probeReport says what was measured: each request as it ends, and all of them at last.
type probeReport interface {
	request(n int, r *prober.Result) error
	summary(s *summary) error
}

// textReport is for people.
type textReport struct{ w io.Writer }

func (t textReport) request(n int, r *prober.Result) error {
	line := fmt.Sprintf("%4d  %-16s", n, r.Outcome)
	if ttft, ok := r.TTFT(); ok {
		line += fmt.Sprintf("  ttft %s", shortDuration(ttft))
	}
	line += fmt.Sprintf("  duration %s", shortDuration(r.Duration()))
	if r.Outcome == prober.OK {
		prompt := "unknown"
		if r.Usage.PromptTokens > 0 { // no prompt is empty
			prompt = strconv.Itoa(r.Usage.PromptTokens)
		}
		line += fmt.Sprintf("  prompt %s  output %d (%s)", prompt, r.OutputTokens, r.OutputSource)
		if rate, ok := prober.TokensPerSecond(r); ok {
			line += fmt.Sprintf("  %.1f tokens/s", rate)
		}
	}
	if r.Err != nil {
		line += "  " + printable.Line(r.Err.Error(), maxShown)
	}
	if r.Degraded {
		line += fmt.Sprintf("  degraded (dispatch %s, receive %s late)", shortDuration(r.DispatchDelay()), shortDuration(r.ReceiveDelay))
	}
	_, err := fmt.Fprintf(t.w, "%s  id %s\n", line, r.Request.ID)
	return err
}

func (t textReport) summary(s *summary) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s:", quantity(s.requests, "request"))
	for _, o := range s.outcomeNames() {
		fmt.Fprintf(&b, " %d %s", s.outcomes[o], o)
	}
	b.WriteString(s.clockWords() + "\n")
	if len(s.duration) == 0 {
		_, err := io.WriteString(t.w, b.String())
		return err
	}
	fmt.Fprintf(&b, "%-24s %7s %10s %10s %10s %10s %10s\n", "", "n", "mean", "p50", "p95", "p99", "max")
	for _, row := range []struct {
		name   string
		values *sample
		scale  float64
	}{
		{"time to first token, ms", &s.ttft, 1e3},
		{"inter-token latency, ms", &s.itl, 1e3},
		{"duration, ms", &s.duration, 1e3},
		{"output tokens/s", &s.rate, 1},
	} {
		if d := row.values.describe(); d.N > 0 {
			fmt.Fprintf(&b, "%-24s %7d %10.2f %10.2f %10.2f %10.2f %10.2f\n", row.name, d.N,
				*d.Mean*row.scale, *d.P50*row.scale, *d.P95*row.scale, *d.P99*row.scale, *d.Max*row.scale)
		}
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// jsonReport is for scripts.
type jsonReport struct{ enc *json.Encoder }

// requestJSON is one request. Absent values are null.
type requestJSON struct {
	RequestID       string   `json:"request_id"`
	Outcome         string   `json:"outcome"`
	Error           *string  `json:"error"`
	HTTPStatus      int      `json:"http_status"`
	FinishReason    string   `json:"finish_reason"`
	TTFT            *float64 `json:"ttft_seconds"`
	Duration        float64  `json:"duration_seconds"`
	TPOT            *float64 `json:"time_per_output_token_seconds"`
	Rate            *float64 `json:"output_tokens_per_second"`
	PromptTokens    *int     `json:"prompt_tokens"`
	CachedTokens    *int     `json:"cached_prompt_tokens"`
	OutputTokens    int      `json:"output_tokens"`
	OutputSource    string   `json:"output_tokens_source"`
	Clock           string   `json:"clock"`
	WriteBracket    *float64 `json:"write_bracket_seconds"`
	ReceiveDelayMax float64  `json:"receive_delay_max_seconds"`
	Degraded        bool     `json:"degraded"`
}

func (j jsonReport) request(_ int, r *prober.Result) error {
	o := requestJSON{
		RequestID: r.Request.ID, Outcome: string(r.Outcome), HTTPStatus: r.HTTPStatus, FinishReason: r.FinishReason,
		Duration: r.Duration().Seconds(), OutputTokens: r.OutputTokens, OutputSource: string(r.OutputSource),
		Clock: string(r.Clock), ReceiveDelayMax: r.ReceiveDelay.Seconds(), Degraded: r.Degraded,
	}
	if r.Err != nil {
		o.Error = new(r.Err.Error())
	}
	if ttft, ok := r.TTFT(); ok {
		o.TTFT = new(ttft.Seconds())
	}
	if tpot, ok := prober.TPOT(r); ok {
		o.TPOT = new(tpot.Seconds())
	}
	if rate, ok := prober.TokensPerSecond(r); ok {
		o.Rate = new(rate)
	}
	if r.Usage.PromptTokens > 0 {
		o.PromptTokens, o.CachedTokens = new(r.Usage.PromptTokens), new(r.Usage.CachedTokens)
	}
	if !r.Timeline.Wrote.IsZero() {
		o.WriteBracket = new(r.Timeline.Wrote.Sub(r.Timeline.WriteStart).Seconds())
	}
	return j.enc.Encode(o)
}

func (j jsonReport) summary(s *summary) error {
	type body struct {
		Requests int                    `json:"requests"`
		Outcomes map[prober.Outcome]int `json:"outcomes"`
		Clock    *prober.Clock          `json:"clock"` // null: there are no times
		TTFT     description            `json:"ttft_seconds"`
		ITL      description            `json:"itl_seconds"`
		Duration description            `json:"duration_seconds"`
		Rate     description            `json:"output_tokens_per_second"`
	}
	var clock *prober.Clock
	if c := s.clock(); c != "" {
		clock = &c
	}
	return j.enc.Encode(map[string]body{"summary": {
		s.requests, s.outcomes, clock, s.ttft.describe(), s.itl.describe(), s.duration.describe(), s.rate.describe(),
	}})
}
