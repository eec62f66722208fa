package cron

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// sayings answers each request with the next of what an API server is made to say, and at last not at all.
type sayings struct {
	status []int
	bodies [][]byte
	asked  []string
	wrong  string // what was asked to be removed, and is no Lease
	holder string // of the claim, as it was sent
}

func (s *sayings) RoundTrip(r *http.Request) (*http.Response, error) {
	n := len(s.asked)
	s.asked = append(s.asked, r.Method)
	if name, _ := strings.CutPrefix(r.URL.String(), "https://api/leases/"); r.Method == http.MethodDelete && !dnsLabel.MatchString(name) {
		s.wrong = r.URL.String()
	}
	if r.Method == http.MethodPost {
		var l lease
		if err := json.NewDecoder(r.Body).Decode(&l); err != nil {
			return nil, err
		}
		s.holder = l.Spec.Holder
	}
	if n >= len(s.status) {
		return nil, errors.New("no answer")
	}
	return &http.Response{
		StatusCode: s.status[n], Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(bytes.NewReader(s.bodies[n])), Request: r,
	}, nil
}

// Whatever the API server says: an occasion is ours only where it said that the Lease was created, or that this claim holds it;
// nothing is asked for ever; nothing but one Lease is removed; and an error is short text.
func FuzzLeaseAnswers(f *testing.F) {
	const name = "soak"
	nominal := time.Unix(1_795_305_600, 0).UTC()
	taken := `{"metadata":{"name":"` + leaseName("", name, nominal) + `"},"spec":{"holderIdentity":"other_1"}}`
	list := `{"items":[{"metadata":{"name":"` + leaseName("", name, nominal) + `","creationTimestamp":"2026-01-01T00:00:00Z","labels":{"app.kubernetes.io/managed-by":"llm-prober","app.kubernetes.io/component":"ramp-claim"},"annotations":{"ramp":"soak","nominal":"` +
		nominal.Format(time.RFC3339) + `"}},"spec":{"holderIdentity":"other_1"}}],"metadata":{"continue":"more"}}`
	for _, seed := range []struct {
		first, second int
		a, b          string
	}{
		{201, 200, taken, list}, {201, 200, `{"metadata":{"creationTimestamp":"2026-11-22T00:00:00Z"}}`, list}, {409, 200, `{"message":"exists"}`, taken},
		{409, 200, "", `{"spec":{"holderIdentity":""}}`}, {500, 404, "\xff", `{"message":"\u001b[2J\n"}`}, {403, 200, `{"message":1}`, ""}, {302, 200, "", taken}, {200, 200, list, list},
	} {
		f.Add(uint16(seed.first), uint16(seed.second), []byte(seed.a), []byte(seed.b))
	}
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("secret-of-the-account"), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, second uint16, a, b []byte) {
		said := &sayings{status: []int{int(first), int(second), int(second), int(first), int(second)}, bodies: [][]byte{a, b, a, b, a}}
		c := &LeaseClaims{dir: dir, leases: "https://api/leases", logger: slog.New(slog.DiscardHandler), via: said, within: time.Minute}
		ours, err := c.Claim(t.Context(), name, nominal)
		if ours && (err != nil || first != http.StatusCreated && !bytes.Contains(b, []byte(said.holder))) {
			t.Fatalf("ours, %v, after %d %q and %d %q", err, first, a, second, b)
		}
		if first == http.StatusCreated && !ours {
			t.Fatalf("not ours, %v, though it was created", err)
		}
		if said.wrong != "" {
			t.Fatalf("%s is asked to be removed", said.wrong)
		}
		checkRefusal(t, err)

		said.asked = nil
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		claimed, err := c.Claimed(ctx, name, nominal.Add(-time.Hour))
		for i, one := range claimed {
			if !one.Nominal.After(nominal.Add(-time.Hour)) || i > 0 && one.Nominal.Before(claimed[i-1].Nominal) {
				t.Fatalf("claims of %v", claimed)
			}
		}
		if len(said.asked) > len(said.status)+1 {
			t.Fatalf("%d requests for one list", len(said.asked))
		}
		checkRefusal(t, err)
	})
}

// checkRefusal looks at what is logged where a claim fails.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if text := err.Error(); len(text) > 2000 || !utf8.ValidString(text) || strings.Contains(text, "secret-of-the-account") {
		t.Errorf("the error is %q", text)
	}
}
