package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// healthcheckCommand asks a running prober whether it is healthy: images without a shell have nothing else to ask with.
type healthcheckCommand struct {
	url     *url.URL
	timeout time.Duration
}

func addHealthcheckCommand(app *kingpin.Application) (*kingpin.CmdClause, command) {
	c := new(healthcheckCommand)
	cmd := app.Command("healthcheck", "Ask a running prober whether it is healthy.")
	cmd.HelpLong("  llm_prober healthcheck --url=http://127.0.0.1:9779\n\nExit codes: 0 it is, 1 it is not, or does not answer.")
	cmd.Flag("url", "Where the prober serves, without /-/healthy.").Default("http://127.0.0.1:9779").URLVar(&c.url)
	cmd.Flag("timeout", "How long it may take to answer.").Default("5s").DurationVar(&c.timeout)
	return cmd, c
}

func (c *healthcheckCommand) run(ctx context.Context, _ env) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url.JoinPath("-", "healthy").String(), nil)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	client := &http.Client{
		Transport: &http.Transport{ // no proxy: it is this machine that is asked
			DisableKeepAlives: true,
			// A certificate names the prober's host, not 127.0.0.1. Nothing secret is sent, and nothing but the status is read.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	response.Body.Close()
	// With passwords in --web.config.file even this page wants one. That it is asked for is a sign of life.
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("healthcheck: GET %s: %s", request.URL.Redacted(), response.Status)
	}
	return nil
}
