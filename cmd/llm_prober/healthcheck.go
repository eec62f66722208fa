package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
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
	cmd.HelpLong("  llm_prober healthcheck --url=http://127.0.0.1:9779\n\n" +
		"A prober that wants a password, a certificate or TLS, and says so, lives: that is healthy, too.\n\n" +
		"Exit codes: 0 it is, 1 it is not, or does not answer.")
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
	var wantsCertificate atomic.Bool
	client := &http.Client{
		Transport: &http.Transport{ // no proxy: it is this machine that is asked
			DisableKeepAlives: true,
			// A certificate names the prober's host, not 127.0.0.1. Nothing secret is sent, and nothing but the status is read.
			TLSClientConfig: &tls.Config{
				InsecureSkipVerify: true,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					wantsCertificate.Store(true)
					return new(tls.Certificate), nil
				},
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	// With certificates of clients, or passwords, in --web.config.file even this page wants one. That it is asked for is a sign of life.
	// The alert need not name the cause, which in TLS 1.2 it cannot: the server has asked for a certificate, and then sent one.
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" && wantsCertificate.Load() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusBadRequest && wantsTLS(response.Body) {
		return nil
	}
	return fmt.Errorf("healthcheck: GET %s: %s", request.URL.Redacted(), response.Status)
}

// wantsTLS reports whether body is what net/http's server says to those who do not speak TLS with it: it lives, and --url has
// the wrong scheme.
func wantsTLS(body io.Reader) bool {
	const said = "Client sent an HTTP request to an HTTPS server.\n"
	text, err := io.ReadAll(io.LimitReader(body, int64(len(said))+1))
	return err == nil && string(text) == said
}
