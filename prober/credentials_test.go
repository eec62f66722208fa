package prober_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	commoncfg "github.com/prometheus/common/config"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// What is not sent for want of credentials counts as a failure, and its error says that nothing was sent: docs/faults.md and the
// runbook of LLMTargetDown have people look for that.
func TestCredentialsThatAreGone(t *testing.T) {
	asked := 0
	count := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++; w.WriteHeader(http.StatusTeapot) })
	plain, secure := httptest.NewServer(count), httptest.NewTLSServer(count)
	defer plain.Close()
	defer secure.Close()
	tokens := httptest.NewServer(http.NotFoundHandler())
	tokens.Close()

	file := filepath.Join(t.TempDir(), "file")
	for _, test := range []struct {
		name, url string
		content   []byte // of the file, until the first request
		http      commoncfg.HTTPClientConfig
	}{
		{"key", plain.URL, []byte("key"), commoncfg.HTTPClientConfig{Authorization: &commoncfg.Authorization{CredentialsFile: file}}},
		{"password", plain.URL, []byte("key"), commoncfg.HTTPClientConfig{BasicAuth: &commoncfg.BasicAuth{Username: "me", PasswordFile: file}}},
		{"token server", plain.URL, []byte("key"), commoncfg.HTTPClientConfig{OAuth2: &commoncfg.OAuth2{ClientID: "me", ClientSecret: "x", TokenURL: tokens.URL}}},
		{"certificates", secure.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), commoncfg.HTTPClientConfig{TLSConfig: commoncfg.TLSConfig{CAFile: file}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(file, test.content, 0o600); err != nil {
				t.Fatal(err)
			}
			client, err := transport.New(transport.Options{HTTP: test.http})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			base, err := url.Parse(test.url)
			if err != nil {
				t.Fatal(err)
			}
			protocol, err := wire.Lookup("openai_chat")
			if err != nil {
				t.Fatal(err)
			}
			r := prober.New(prober.Options{URL: base, Protocol: protocol, Client: client}).Do(t.Context(), &prober.Request{
				ID: prober.NewID(), Limits: prober.Limits{Total: 10 * time.Second},
				Call: wire.Call{Model: "m", Messages: []wire.Message{{Role: "user", Content: "Hi."}}, MaxOutputTokens: 1, Stream: true},
			})
			check(t, r)
			if r.Outcome != prober.Connect || r.Err == nil || !strings.Contains(r.Err.Error(), "cannot make the request") || asked > 0 {
				t.Errorf("outcome = %s (%v), after %d requests; want %s of a request that cannot be made", r.Outcome, r.Err, asked, prober.Connect)
			}
		})
	}
}
