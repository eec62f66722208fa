package prober_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

func TestCountTokens(t *testing.T) {
	base := simulated(t, simulator.Options{FirstToken: 1, PerToken: 1})
	client, err := transport.New(transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	protocol, err := wire.Lookup("openai_chat")
	if err != nil {
		t.Fatal(err)
	}
	messages := []wire.Message{{Role: "user", Content: "How many tokens are these words, in the template of the model?"}}
	counted, err := prober.New(prober.Options{URL: base, Protocol: protocol, Client: client}).CountTokens(t.Context(), "sim-8b", messages)
	if err != nil {
		t.Fatal(err)
	}
	r := ask(t, t.Context(), base, nil, prober.Request{Call: wire.Call{Messages: messages}})
	if r.Outcome != prober.OK || counted != r.Usage.PromptTokens {
		t.Errorf("CountTokens() = %d; the answer's usage says %d (%s, %v)", counted, r.Usage.PromptTokens, r.Outcome, r.Err)
	}

	for _, body := range []string{"", "{}", "[]", `{"count":0}`, `{"count":"many"}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if body == "" {
				http.NotFound(w, nil)
				return
			}
			w.Write([]byte(body))
		}))
		base, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_, err = prober.New(prober.Options{URL: base, Protocol: protocol, Client: client}).CountTokens(t.Context(), "m", messages)
		if !errors.Is(err, prober.ErrNoTokenizer) {
			t.Errorf("answer %q: CountTokens() = %v; want ErrNoTokenizer", body, err)
		}
		server.Close()
	}
}
