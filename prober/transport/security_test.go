package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	commoncfg "github.com/prometheus/common/config"
)

// ways are all in which a request may be carried: by us, by net/http over HTTP/2, and through a proxy.
func ways(t *testing.T, certs *certificates) map[string]Options {
	proxy, _ := connectProxy(t)
	trust := commoncfg.TLSConfig{CAFile: certs.caFile}
	return map[string]Options{
		"HTTP/1.1": {HTTP: commoncfg.HTTPClientConfig{TLSConfig: trust}},
		"HTTP/2":   {HTTP: commoncfg.HTTPClientConfig{TLSConfig: trust}, HTTP2: true},
		"a proxy":  {HTTP: commoncfg.HTTPClientConfig{TLSConfig: trust, ProxyConfig: proxied(proxy)}},
	}
}

// A server that speaks nothing newer than TLS 1.1 is not spoken to, however requests are carried.
func TestOldTLSIsNotSpoken(t *testing.T) {
	certs := newCertificates(t)
	serve := func(most uint16) string {
		s := httptest.NewUnstartedServer(events(true))
		s.EnableHTTP2 = true
		s.TLS = &tls.Config{Certificates: []tls.Certificate{certs.server}, MinVersion: tls.VersionTLS10, MaxVersion: most}
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL
	}
	old, current := serve(tls.VersionTLS11), serve(tls.VersionTLS12)
	for name, options := range ways(t, certs) {
		t.Run(name, func(t *testing.T) {
			x, err := newClient(t, options).Do(t.Context(), post(t, old, "{}"), Deadlines{})
			x.Close()
			if e, ok := errors.AsType[*Error](err); !ok || e.Step != StepTLS {
				t.Errorf("Do() with TLS 1.1 = %v; want an error in step tls", err)
			}
			x, err = newClient(t, options).Do(t.Context(), post(t, current, "{}"), Deadlines{})
			x.Close()
			if err != nil {
				t.Errorf("Do() with TLS 1.2 = %v; want an answer", err)
			}
		})
	}
}

// trap is a server that must not be asked. Its address is of another port, of another name, or of another scheme.
func trap(t *testing.T) (server *httptest.Server, hits *atomic.Int64) {
	hits = new(atomic.Int64)
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token":"stolen","token_type":"Bearer"}`)
	}))
	t.Cleanup(server.Close)
	return server, hits
}

// A redirect is an answer: where it leads nobody is asked, with credentials or without.
func TestRedirectsAreNotFollowed(t *testing.T) {
	certs := newCertificates(t)
	elsewhere, hits := trap(t)
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/x", http.StatusTemporaryRedirect)
	}
	secure := startTLS(t, certs, http.HandlerFunc(redirect))
	for name, options := range ways(t, certs) {
		t.Run(name, func(t *testing.T) {
			options.HTTP.FollowRedirects = true // is not looked at
			options.HTTP.Authorization = &commoncfg.Authorization{Credentials: "canary"}
			x, err := newClient(t, options).Do(t.Context(), post(t, secure.URL, "{}"), Deadlines{})
			x.Close()
			if err != nil || x.Status != http.StatusTemporaryRedirect || hits.Load() != 0 {
				t.Errorf("Do() = %d, %v, and the other server was asked %d times; want 307 and never", x.Status, err, hits.Load())
			}
		})
	}
}

// everyCredential is what a client can be told to send.
func everyCredential(t *testing.T) map[string]commoncfg.HTTPClientConfig {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("canary-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]commoncfg.HTTPClientConfig{
		"authorization": {Authorization: &commoncfg.Authorization{Type: "Bearer", Credentials: "canary"}},
		"basic":         {BasicAuth: &commoncfg.BasicAuth{Username: "me", Password: "canary"}},
		"header":        {HTTPHeaders: &commoncfg.Headers{Headers: map[string]commoncfg.Header{"X-Api-Key": {Secrets: []commoncfg.Secret{"canary"}}}}},
		"header file":   {HTTPHeaders: &commoncfg.Headers{Headers: map[string]commoncfg.Header{"X-Api-Key": {Files: []string{file}}}}},
		"cookie":        {HTTPHeaders: &commoncfg.Headers{Headers: map[string]commoncfg.Header{"Cookie": {Secrets: []commoncfg.Secret{"canary"}}}}},
	}
}

// What a client follows redirects with goes to the origin that it was asked to ask, and to no other.
func TestKeepOrigin(t *testing.T) {
	certs := newCertificates(t)
	elsewhere, hits := trap(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(elsewhere.URL, "http://"), ":")
	var to atomic.Value
	home := startTLS(t, certs, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/home" {
			fmt.Fprintf(w, "%q", r.Header)
			return
		}
		http.Redirect(w, r, to.Load().(string), http.StatusFound)
	}))
	for name, cfg := range everyCredential(t) {
		t.Run(name, func(t *testing.T) {
			cfg.FollowRedirects = true
			cfg.TLSConfig = commoncfg.TLSConfig{CAFile: certs.caFile}
			client, err := commoncfg.NewClientFromConfig(cfg, "test", commoncfg.WithKeepAlivesDisabled())
			if err != nil {
				t.Fatal(err)
			}
			KeepOrigin(client)
			for _, address := range []string{
				elsewhere.URL, "http://localhost:" + port, "//127.0.0.1:" + port, "http://127.0.0.1:" + port + "/home",
				"https://localhost:" + port, "http://" + strings.TrimPrefix(home.URL, "https://") + "/home", "gopher://127.0.0.1:" + port,
			} {
				to.Store(address)
				resp, err := client.Get(home.URL)
				if err != nil {
					t.Errorf("to %s: %v; want the redirect as the answer", address, err)
					continue
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusFound || hits.Load() != 0 {
					t.Errorf("to %s: %d, and the other server was asked %d times; want 302 and never", address, resp.StatusCode, hits.Load())
				}
			}
			to.Store("/home")
			resp, err := client.Get(home.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "canary") && !strings.Contains(string(body), "Basic bWU6") {
				t.Errorf("within the origin: %d %s, %v; want an answer to the credentials", resp.StatusCode, body, err)
			}
		})
	}
	t.Run("for ever", func(t *testing.T) {
		client := home.Client()
		KeepOrigin(client)
		to.Store("/again")
		resp, err := client.Get(home.URL)
		if err != nil || resp.StatusCode != http.StatusFound {
			t.Fatalf("Get() = %v; want the last redirect", err)
		}
		resp.Body.Close()
	})
	t.Run("none are followed", func(t *testing.T) {
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("mine") }}
		KeepOrigin(client)
		if err := client.CheckRedirect(nil, nil); err == nil || err.Error() != "mine" {
			t.Errorf("CheckRedirect() = %v; want the client's own", err)
		}
	})
}

// The client that fetches tokens follows redirects, and sends the client's secret along: it is led nowhere.
func TestTokenRedirects(t *testing.T) {
	elsewhere, hits := trap(t)
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/token", http.StatusTemporaryRedirect)
	}))
	defer tokens.Close()
	model := echo(t, "Authorization")
	cfg := commoncfg.HTTPClientConfig{OAuth2: &commoncfg.OAuth2{ClientID: "me", ClientSecret: "canary", TokenURL: tokens.URL}}

	_, err := get(t, newClient(t, Options{HTTP: cfg}), model.url())
	if err == nil || !strings.Contains(err.Error(), "was not followed") || hits.Load() != 0 {
		t.Errorf("a probe: %v, and the other server was asked %d times; want an error and never", err, hits.Load())
	}
	client, err := commoncfg.NewClientFromConfig(cfg, "test", commoncfg.WithKeepAlivesDisabled(), commoncfg.WithDialContextFunc(KeepTokenOrigin(cfg, model.url(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Get(model.url()); err == nil || hits.Load() != 0 {
		t.Errorf("another client: %v, and the other server was asked %d times; want an error and never", err, hits.Load())
	}
	unguarded, err := commoncfg.NewClientFromConfig(cfg, "test", commoncfg.WithKeepAlivesDisabled())
	if err != nil {
		t.Fatal(err)
	}
	resp, err := unguarded.Get(model.url())
	if err != nil || hits.Load() == 0 {
		t.Fatalf("without the guard: %v, and the other server was asked %d times; want that it is: else there is nothing to guard", err, hits.Load())
	}
	resp.Body.Close()
}

// A header that is too large is no answer, whoever reads it.
func TestHeaderIsBounded(t *testing.T) {
	certs := newCertificates(t)
	huge := startTLS(t, certs, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 20 {
			w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 10_000))
		}
	}))
	for name, options := range ways(t, certs) {
		t.Run(name, func(t *testing.T) {
			x, err := newClient(t, options).Do(t.Context(), post(t, huge.URL, "{}"), Deadlines{})
			x.Close()
			if !errors.Is(err, ErrHeaderTooLarge) {
				t.Errorf("Do() = %v; want ErrHeaderTooLarge", err)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("in-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := &url.URL{Scheme: "http", User: url.UserPassword("me", "proxy-pass"), Host: "proxy"}
	for _, c := range []struct {
		name string
		cfg  commoncfg.HTTPClientConfig
		want []string
	}{
		{"none", commoncfg.HTTPClientConfig{}, nil},
		{"authorization", commoncfg.HTTPClientConfig{Authorization: &commoncfg.Authorization{Credentials: "a", CredentialsFile: file}}, []string{"a", "in-file\n"}},
		{"basic", commoncfg.HTTPClientConfig{BasicAuth: &commoncfg.BasicAuth{Username: "u", PasswordFile: file}}, []string{"in-file\n"}},
		{"bearer", commoncfg.HTTPClientConfig{BearerToken: "b"}, []string{"b"}},
		{"oauth2", commoncfg.HTTPClientConfig{OAuth2: &commoncfg.OAuth2{
			ClientSecret: "s", TokenURL: "http://login/?key=q", EndpointParams: map[string]string{"password": "p"}, Claims: map[string]any{"x": "c", "n": 1},
			ProxyConfig: commoncfg.ProxyConfig{ProxyURL: commoncfg.URL{URL: proxy}},
		}}, []string{"c", "me:proxy-pass", "p", "proxy-pass", "q", "s"}},
		{"headers", commoncfg.HTTPClientConfig{HTTPHeaders: &commoncfg.Headers{Headers: map[string]commoncfg.Header{"X": {Values: []string{"plain"}, Secrets: []commoncfg.Secret{"s"}, Files: []string{file, "/does/not/exist"}}}}}, []string{"in-file\n", "s"}},
		{"proxy", commoncfg.HTTPClientConfig{ProxyConfig: commoncfg.ProxyConfig{
			ProxyURL: commoncfg.URL{URL: proxy}, ProxyConnectHeader: commoncfg.ProxyHeader{"Proxy-Authorization": {"Basic Zm9v"}},
		}}, []string{"Basic Zm9v", "Zm9v", "me:proxy-pass", "proxy-pass"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := slices.DeleteFunc(Secrets(c.cfg), func(s string) bool { return s == "" })
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" && len(c.want)+len(got) > 0 {
				t.Errorf("Secrets (-want +got):\n%s", diff)
			}
		})
	}
}
