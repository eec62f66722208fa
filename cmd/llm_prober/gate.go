package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	commoncfg "github.com/prometheus/common/config"

	"github.com/llmprober/llm_prober/internal/api"
	"github.com/llmprober/llm_prober/prober/printable"
)

// Exit codes of the gate, beside those of every command.
const (
	exitDegraded = 9  // the target answers, but not as was promised
	exitNotReady = 10 // the target does not answer, or nobody knows whether it does
)

// gateExit is the exit code that a verdict on a target is.
type gateExit api.Readiness

// Error implements error.
func (v gateExit) Error() string { return "verdict " + string(v) }

func (v gateExit) code() int {
	switch api.Readiness(v) {
	case api.Ready:
		return exitOK
	case api.Degraded:
		return exitDegraded
	}
	return exitNotReady
}

// gateCommand asks a prober whether a target may be relied on.
type gateCommand struct {
	url           *url.URL
	target        string
	probes        []string
	wait, maxAge  time.Duration
	allowDegraded bool
	httpFile      string
	output        string

	every time.Duration // between two looks
}

func addGateCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	c := &gateCommand{every: 2 * time.Second}
	cmd := app.Command("gate", "Block a rollout or a CI step until a target is ready.")
	cmd.HelpLong("Asks a running prober for its verdict on a target, and prints the reasons.\n\n" +
		"  llm_prober gate --url=http://localhost:9779 --target=chat --wait=5m --max-age=2m\n\n" +
		"Exit codes: 0 ready, 9 degraded (0 with --allow-degraded), 10 not ready; 1 the prober cannot be asked, 2 usage.")
	cmd.Flag("url", "The prober.").Default("http://localhost:9779").URLVar(&c.url)
	cmd.Flag("target", "Name of the target.").Required().StringVar(&c.target)
	cmd.Flag("probe", "Look at this probe, repeatable; without it at all.").StringsVar(&c.probes)
	cmd.Flag("wait", "For how long to ask again until it is ready.").Default("0s").DurationVar(&c.wait)
	cmd.Flag("max-age", "Results that are older do not count: after a rollout, not more than its age. 0: what fits the probes' intervals.").Default("0s").DurationVar(&c.maxAge)
	cmd.Flag("allow-degraded", "Take degraded for ready.").BoolVar(&c.allowDegraded)
	cmd.Flag("http.config.file", "File with credentials, TLS and proxy for the prober, as Prometheus' HTTP clients have them.").PlaceHolder("FILE").StringVar(&c.httpFile)
	cmd.Flag("output", "Form of the output: text or json.").Default("text").EnumVar(&c.output, "text", "json")
	cmd.Validate(c.check)
	return cmd, c
}

// check says what the command line cannot mean.
func (c *gateCommand) check(*kingpin.CmdClause) error {
	if (c.url.Scheme != "http" && c.url.Scheme != "https") || c.url.Host == "" {
		return fmt.Errorf("--url=%s: want http://HOST[:PORT], or the same with https", c.url.Redacted())
	}
	if c.url.User != nil {
		return errors.New("--url: a user and password in it would show in process lists: use --http.config.file")
	}
	if c.target == "" {
		return errors.New("--target: the name is empty")
	}
	if c.wait < 0 || c.maxAge < 0 {
		return errors.New("--wait and --max-age cannot be negative")
	}
	return nil
}

func (c *gateCommand) run(ctx context.Context, e env) error {
	client, cfg, err := c.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()

	deadline := time.Now().Add(c.wait)
	said := ""
	for {
		v, body, err := c.ask(ctx, client)
		err = hideSecrets(cfg, err)
		passed := err == nil && (v.Verdict == api.Ready || c.allowDegraded && v.Verdict == api.Degraded)
		permanent := false
		if s, ok := errors.AsType[*gateStatus](err); ok {
			permanent = s.status >= 400 && s.status < 500 && s.status != http.StatusNotFound && s.status != http.StatusTooManyRequests
		}
		last := passed || permanent || ctx.Err() != nil || time.Until(deadline) < c.every
		if err == nil && (last || c.output == "text" && words(v) != said) {
			said = words(v)
			c.say(e.stdout, v, body)
		}
		switch {
		case passed:
			return nil
		case last && err != nil:
			return err
		case last:
			return gateExit(v.Verdict)
		case err != nil:
			e.logger.Info("asking again", "err", err)
		}
		next := time.NewTimer(c.every)
		select {
		case <-ctx.Done():
		case <-next.C:
		}
		next.Stop()
	}
}

// client speaks to the prober.
func (c *gateCommand) client() (*http.Client, *commoncfg.HTTPClientConfig, error) {
	cfg := new(commoncfg.HTTPClientConfig)
	*cfg = commoncfg.DefaultHTTPClientConfig
	cfg.FollowRedirects = false
	if c.httpFile != "" {
		loaded, err := loadHTTPConfig(c.httpFile)
		if err != nil {
			return nil, nil, fmt.Errorf("--http.config.file=%s: %w", c.httpFile, err)
		}
		cfg = loaded
	}
	client, err := newHTTPClient(*cfg, "gate", c.url.String())
	if err != nil {
		return nil, nil, fmt.Errorf("--http.config.file=%s: %w", c.httpFile, err)
	}
	client.Timeout = 10 * time.Second
	return client, cfg, nil
}

// gateStatus is an answer that is no verdict.
type gateStatus struct {
	status int
	text   string
}

// Error implements error.
func (s *gateStatus) Error() string { return s.text }

// maxVerdict bounds what is read of an answer.
const maxVerdict = 4 << 20

// ask asks once.
func (c *gateCommand) ask(ctx context.Context, client *http.Client) (*api.Verdict, []byte, error) {
	query := url.Values{}
	for _, p := range c.probes {
		query.Add("probe", p)
	}
	if c.maxAge > 0 {
		query.Set("max_age", c.maxAge.String())
	}
	address := strings.TrimRight(c.url.String(), "/") + api.Prefix + "/targets/" + url.PathEscape(c.target) + "/verdict"
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxVerdict))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", address, err)
	}
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")) // empty where there is none
	if response.StatusCode != http.StatusOK {
		text := response.Status
		p := new(api.Problem)
		if kind == "application/problem+json" && json.Unmarshal(body, p) == nil {
			text += ": " + printable.Line(p.Detail, maxShown)
		}
		return nil, nil, &gateStatus{response.StatusCode, address + ": " + text}
	}
	v := new(api.Verdict)
	if err := json.Unmarshal(body, v); err != nil || kind != "application/json" {
		return nil, nil, fmt.Errorf("%s: the answer is no verdict: is this an llm_prober?", address)
	}
	switch v.Verdict {
	case api.Ready, api.Degraded, api.NotReady:
		return v, body, nil
	}
	return nil, nil, fmt.Errorf("%s: the verdict %q is not known", address, printable.Line(string(v.Verdict), maxShownName))
}

// say prints a verdict.
func (c *gateCommand) say(w io.Writer, v *api.Verdict, body []byte) {
	if c.output == "json" {
		var line bytes.Buffer
		if json.Compact(&line, body) == nil { // it has been read already
			line.WriteByte('\n')
			w.Write(line.Bytes())
		}
		return
	}
	fmt.Fprint(w, words(v))
}

// words is a verdict for people: the target, and a line for each reason and each note.
func words(v *api.Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", printable.Line(v.Target, maxShownName), v.Verdict)
	for _, r := range v.Reasons {
		fmt.Fprintf(&b, "  %s: %s (%s)\n", printable.Line(string(r.Verdict), maxShownName), printable.Line(r.Text, maxShown), printable.Line(string(r.Code), maxShownName))
	}
	for _, n := range v.Notes {
		fmt.Fprintf(&b, "  note: %s\n", printable.Line(n, maxShown))
	}
	return b.String()
}
