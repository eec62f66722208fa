package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	commoncfg "github.com/prometheus/common/config"
)

// tokenTimeout bounds the fetching of an OAuth2 token, which knows no context of ours.
const tokenTimeout = 30 * time.Second

// credentials add what the configuration wants to be sent, and choose the TLS configuration, per request.
//
// Both are prometheus/common's round trippers, which re-read files and renew tokens. They end in a round tripper that
// sends nothing: it takes down what it was given, and the exchange is made with that.
type credentials struct {
	header http.RoundTripper // ends in takeRequest
	secure http.RoundTripper // ends in takeConfig
	slow   bool              // the header may need the network

	tokens context.Context // the end of every token fetch
	cancel context.CancelFunc
	mu     sync.Mutex     // no fetch begins after the end
	wg     sync.WaitGroup // token fetches
}

// takenKey is the context key for a *taken.
type takenKey struct{}

type taken struct {
	req  *http.Request
	conf *tls.Config
}

// takeRequest is the end of the header chain.
type takeRequest struct{}

func (takeRequest) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Context().Value(takenKey{}).(*taken).req = req
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
}

// takeConfig is the end of the TLS chain, and remade when a file's content changes.
type takeConfig struct {
	conf    *tls.Config
	changed func()
}

func (t takeConfig) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Context().Value(takenKey{}).(*taken).conf = t.conf
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
}

// CloseIdleConnections is called when another configuration takes over.
func (t takeConfig) CloseIdleConnections() { t.changed() }

// newCredentials calls changed whenever connections made before should no longer be used.
func newCredentials(cfg commoncfg.HTTPClientConfig, userAgent string, changed func()) (*credentials, error) {
	// Validate normalises, also behind pointers. Several clients may be made from one configuration.
	if cfg.Authorization != nil {
		cfg.Authorization = new(*cfg.Authorization)
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("http configuration: %w", err)
	}
	c := &credentials{}
	c.tokens, c.cancel = context.WithCancel(context.Background())

	conf, err := commoncfg.NewTLSConfigWithContext(context.Background(), &cfg.TLSConfig)
	if err != nil {
		return nil, fmt.Errorf("tls_config: %w", err)
	}
	var settings commoncfg.TLSRoundTripperSettings
	for _, s := range []struct {
		to         *commoncfg.SecretReader
		text, file string
	}{
		{&settings.CA, cfg.TLSConfig.CA, cfg.TLSConfig.CAFile},
		{&settings.Cert, cfg.TLSConfig.Cert, cfg.TLSConfig.CertFile},
		{&settings.Key, string(cfg.TLSConfig.Key), cfg.TLSConfig.KeyFile},
	} {
		*s.to, _ = secret(s.text, s.file, "") // a ref is refused above
	}
	c.secure, err = commoncfg.NewTLSRoundTripperWithContext(context.Background(), conf, settings, func(conf *tls.Config) (http.RoundTripper, error) {
		return takeConfig{conf, changed}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("tls_config: %w", err)
	}
	if c.header, err = c.headerChain(cfg, userAgent); err != nil {
		return nil, err
	}
	return c, nil
}

// headerChain is in the order of prometheus/common's own.
func (c *credentials) headerChain(cfg commoncfg.HTTPClientConfig, userAgent string) (rt http.RoundTripper, err error) {
	rt = takeRequest{}
	if a := cfg.Authorization; a != nil {
		credentials, err := secret(string(a.Credentials), a.CredentialsFile, a.CredentialsRef)
		if err != nil {
			return nil, fmt.Errorf("authorization: %w", err)
		}
		rt = commoncfg.NewAuthorizationCredentialsRoundTripper(a.Type, credentials, rt)
	}
	if b := cfg.BasicAuth; b != nil {
		username, err := secret(b.Username, b.UsernameFile, b.UsernameRef)
		if err != nil {
			return nil, fmt.Errorf("basic_auth: %w", err)
		}
		password, err := secret(string(b.Password), b.PasswordFile, b.PasswordRef)
		if err != nil {
			return nil, fmt.Errorf("basic_auth: %w", err)
		}
		rt = commoncfg.NewBasicAuthRoundTripper(username, password, rt)
	}
	if o := cfg.OAuth2; o != nil {
		credential, err := secret(string(o.ClientSecret), o.ClientSecretFile, o.ClientSecretRef)
		if o.ClientCertificateKey != "" || o.ClientCertificateKeyFile != "" || o.ClientCertificateKeyRef != "" {
			credential, err = secret(string(o.ClientCertificateKey), o.ClientCertificateKeyFile, o.ClientCertificateKeyRef)
		}
		if err != nil {
			return nil, fmt.Errorf("oauth2: %w", err)
		}
		// Without keep-alives a token fetch is one connection, so bounding the connection bounds the fetch.
		rt = commoncfg.NewOAuth2RoundTripper(credential, o, rt,
			commoncfg.WithDialContextFunc(KeepTokenOrigin(cfg, "", c.dialToken)), commoncfg.WithKeepAlivesDisabled())
		c.slow = true
	}
	if cfg.HTTPHeaders != nil {
		rt = commoncfg.NewHeadersRoundTripper(cfg.HTTPHeaders, rt)
	}
	if userAgent != "" {
		rt = commoncfg.NewUserAgentRoundTripper(userAgent, rt)
	}
	return rt, nil
}

// authorize returns req with the configured header, as a copy.
func (c *credentials) authorize(ctx context.Context, req *http.Request) (*http.Request, error) {
	var t taken
	body := req.Body
	req = req.WithContext(context.WithValue(req.Context(), takenKey{}, &t))
	req.Header = req.Header.Clone()
	req.Body = nil // not theirs to close
	run := c.run
	if c.slow {
		run = c.runBeside
	}
	if err := run(req); err != nil {
		return nil, err
	}
	out := t.req.WithContext(ctx)
	out.Body = body
	return out, nil
}

func (c *credentials) run(req *http.Request) error {
	_, err := c.header.RoundTrip(req)
	return err
}

// runBeside ends with the request's context. A token may have to be fetched for it, and the fetch does not; what it
// brings is there for the next request.
func (c *credentials) runBeside(req *http.Request) error {
	done := make(chan error, 1)
	c.mu.Lock()
	if c.tokens.Err() != nil {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.wg.Go(func() { done <- c.run(req) })
	c.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-req.Context().Done():
		return context.Cause(req.Context())
	}
}

// tls returns the TLS configuration for req, nil for plain HTTP. It is another one only when a file has changed.
func (c *credentials) tls(req *http.Request) (*tls.Config, error) {
	if req.URL.Scheme != "https" {
		return nil, nil
	}
	var t taken
	probe := &http.Request{URL: req.URL}
	if _, err := c.secure.RoundTrip(probe.WithContext(context.WithValue(req.Context(), takenKey{}, &t))); err != nil {
		return nil, err
	}
	return t.conf, nil
}

// close ends the token fetches and waits for them.
func (c *credentials) close() {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.wg.Wait()
}

// dialToken connects to a token endpoint, for one fetch.
func (c *credentials) dialToken(_ context.Context, network, addr string) (net.Conn, error) {
	deadline := time.Now().Add(tokenTimeout)
	conn, err := (&net.Dialer{Deadline: deadline}).DialContext(c.tokens, network, addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(deadline); err != nil {
		conn.Close()
		return nil, err
	}
	return &tokenConn{conn, context.AfterFunc(c.tokens, func() { conn.Close() })}, nil
}

// tokenConn is closed with its client.
type tokenConn struct {
	net.Conn
	unwatch func() bool
}

func (t *tokenConn) Close() error {
	t.unwatch()
	return t.Conn.Close()
}

// secret returns where a secret is to be had; nil: nowhere.
func secret(text, file, ref string) (commoncfg.SecretReader, error) {
	switch {
	case text != "":
		return commoncfg.NewInlineSecret(text), nil
	case file != "":
		return commoncfg.NewFileSecret(file), nil
	case strings.TrimSpace(ref) != "":
		return nil, errors.New("references to a secret manager are not supported: use a file")
	}
	return nil, nil
}
