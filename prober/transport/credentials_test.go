package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commoncfg "github.com/prometheus/common/config"
)

// echo is a server that answers with the value of the request's header name.
func echo(t testing.TB, name string) *server {
	return serve(t, func(c net.Conn) {
		if req, _, err := readRequest(bufio.NewReader(c)); err == nil {
			v := fmt.Sprintf("%q", req.Header[name])
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(v), v)
		}
	})
}

func get(t testing.TB, c *Client, url string) (string, error) {
	t.Helper()
	x, err := c.Do(t.Context(), post(t, url, "{}"), Deadlines{})
	if err != nil {
		return "", err
	}
	defer x.Close()
	body, _, err := readAll(x, 100)
	return body, err
}

func TestCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, header string
		config       commoncfg.HTTPClientConfig
		want         string // with "one" in the file
		again        string // with "two"
	}{
		{
			name: "authorization", header: "Authorization",
			config: commoncfg.HTTPClientConfig{Authorization: &commoncfg.Authorization{CredentialsFile: file}},
			want:   `["Bearer one"]`, again: `["Bearer two"]`,
		},
		{
			name: "authorization type", header: "Authorization",
			config: commoncfg.HTTPClientConfig{Authorization: &commoncfg.Authorization{Type: "Key", Credentials: "k"}},
			want:   `["Key k"]`, again: `["Key k"]`,
		},
		{
			name: "bearer token", header: "Authorization",
			config: commoncfg.HTTPClientConfig{BearerTokenFile: file},
			want:   `["Bearer one"]`, again: `["Bearer two"]`,
		},
		{
			name: "basic", header: "Authorization",
			config: commoncfg.HTTPClientConfig{BasicAuth: &commoncfg.BasicAuth{Username: "me", PasswordFile: file}},
			want:   `["Basic bWU6b25l"]`, again: `["Basic bWU6dHdv"]`,
		},
		{
			name: "headers", header: "X-Api-Key",
			config: commoncfg.HTTPClientConfig{HTTPHeaders: &commoncfg.Headers{Headers: map[string]commoncfg.Header{"x-api-key": {Files: []string{file}}}}},
			want:   `["one"]`, again: `["two"]`,
		},
		{name: "none", header: "Authorization", want: `[]`, again: `[]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			write("one")
			s := echo(t, tt.header)
			c := newClient(t, Options{HTTP: tt.config})
			if got, err := get(t, c, s.url()); got != tt.want || err != nil {
				t.Errorf("%s = %s, %v; want %s", tt.header, got, err, tt.want)
			}
			write("two")
			if got, err := get(t, c, s.url()); got != tt.again || err != nil {
				t.Errorf("%s with another secret = %s, %v; want %s", tt.header, got, err, tt.again)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			_, err := get(t, c, s.url())
			if e, ok := errors.AsType[*Error](err); (tt.want != tt.again) != (ok && e.Step == StepWrite && errors.Is(err, ErrRequest)) {
				t.Errorf("Do() without the file = %v", err)
			}
		})
	}
}

func TestNewFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config commoncfg.HTTPClientConfig
		want   string
	}{
		{"two ways", commoncfg.HTTPClientConfig{BearerToken: "a", BasicAuth: &commoncfg.BasicAuth{}}, "http configuration: at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured"},
		{"no CA file", commoncfg.HTTPClientConfig{TLSConfig: commoncfg.TLSConfig{CAFile: "/does/not/exist"}}, "tls_config: unable to read CA cert: unable to read file /does/not/exist: open /does/not/exist: no such file or directory"},
		{"reference", commoncfg.HTTPClientConfig{Authorization: &commoncfg.Authorization{CredentialsRef: "x"}}, "authorization: references to a secret manager are not supported: use a file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := New(Options{HTTP: tt.config})
			if err == nil {
				c.Close()
				t.Fatal("New() = nil; want an error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("New() (-want +got):\n%s", diff)
			}
		})
	}
}

// One configuration may serve several clients at once, so making them must not write to it.
func TestConfigurationIsShared(t *testing.T) {
	cfg := commoncfg.HTTPClientConfig{Authorization: &commoncfg.Authorization{Credentials: "x"}}
	newClient(t, Options{HTTP: cfg})
	if cfg.Authorization.Type != "" {
		t.Errorf("New wrote %q to the caller's configuration", cfg.Authorization.Type)
	}
}

func TestOAuth2(t *testing.T) {
	var fetched atomic.Int64
	hang := make(chan struct{})
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
			return
		}
		fetched.Add(1)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token":"token1","token_type":"Bearer","expires_in":3600}`)
	}))
	defer tokens.Close()
	defer close(hang)
	s := echo(t, "Authorization")
	oauth := func(path string) commoncfg.HTTPClientConfig {
		return commoncfg.HTTPClientConfig{OAuth2: &commoncfg.OAuth2{ClientID: "me", ClientSecret: "s", TokenURL: tokens.URL + path}}
	}

	c := newClient(t, Options{HTTP: oauth("/token")})
	for range 3 {
		if got, err := get(t, c, s.url()); got != `["Bearer token1"]` || err != nil {
			t.Errorf("Authorization = %s, %v; want the token", got, err)
		}
	}
	if fetched.Load() != 1 {
		t.Errorf("%d tokens fetched; want 1", fetched.Load())
	}

	// A token endpoint that hangs holds a request no longer than its context, and the client no longer than its Close.
	c = newClient(t, Options{HTTP: oauth("/hang")})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.Do(ctx, post(t, s.url(), "{}"), Deadlines{})
	if e, ok := errors.AsType[*Error](err); !ok || e.Step != StepWrite || !e.Timeout {
		t.Errorf("Do() = %v; want a timeout in step write", err)
	}
	c.Close()
}
