package main

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthcheck(t *testing.T) {
	mux := http.NewServeMux()
	answer := func(prefix string, status int) {
		mux.HandleFunc("GET "+prefix+"/-/healthy", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/good/-/healthy")
			w.WriteHeader(status)
		})
	}
	answer("/good", http.StatusOK)
	answer("/password", http.StatusUnauthorized)
	answer("/sick", http.StatusServiceUnavailable)
	answer("/elsewhere", http.StatusFound)
	mux.HandleFunc("GET /hung/-/healthy", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	defer plain.Close()
	defer secure.Close()
	a := newAuthority(t)
	mutual := func(newest uint16) string {
		s := httptest.NewUnstartedServer(mux)
		s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool, MaxVersion: newest}
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL
	}
	// One that asks for a certificate and then says nothing, or says something else than that it wants one.
	hung := httptest.NewUnstartedServer(mux)
	hung.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	hung.StartTLS()
	defer hung.Close()
	// One without a version in common: an alert that is about no certificate.
	old := httptest.NewUnstartedServer(mux)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	old.StartTLS()
	defer old.Close()
	mux.HandleFunc("GET /confused/-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Client sent an HTTP request to an HTTPS server. Or not.", http.StatusBadRequest)
	})

	for _, test := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"healthy", []string{"--url=" + plain.URL + "/good"}, exitOK, ""},
		{"slash", []string{"--url=" + plain.URL + "/good/"}, exitOK, ""},
		{"tls", []string{"--url=" + secure.URL + "/good"}, exitOK, ""},
		{"password wanted", []string{"--url=" + plain.URL + "/password"}, exitOK, ""},
		{"certificate wanted", []string{"--url=" + mutual(tls.VersionTLS13) + "/good"}, exitOK, ""},
		{"certificate wanted by TLS 1.2", []string{"--url=" + mutual(tls.VersionTLS12) + "/good"}, exitOK, ""},
		{"certificate wanted, and sick", []string{"--url=" + hung.URL + "/sick"}, exitFailed, "503 Service Unavailable"},
		{"certificate wanted, and too slow", []string{"--url=" + hung.URL + "/hung", "--timeout=50ms"}, exitFailed, "deadline exceeded"},
		{"another alert", []string{"--url=" + old.URL + "/good"}, exitFailed, "protocol version"},
		{"TLS wanted", []string{"--url=" + strings.Replace(secure.URL, "https:", "http:", 1) + "/good"}, exitOK, ""},
		{"another 400", []string{"--url=" + plain.URL + "/confused"}, exitFailed, "400 Bad Request"},
		{"unhealthy", []string{"--url=" + plain.URL + "/sick"}, exitFailed, "503 Service Unavailable"},
		{"redirect", []string{"--url=" + plain.URL + "/elsewhere"}, exitFailed, "302 Found"},
		{"no such page", []string{"--url=" + plain.URL}, exitFailed, "404 Not Found"},
		{"nobody there", []string{"--url=http://127.0.0.1:1"}, exitFailed, "connection refused"},
		{"too slow", []string{"--url=" + plain.URL + "/hung", "--timeout=50ms"}, exitFailed, "deadline exceeded"},
		{"password hidden", []string{"--url=" + strings.Replace(plain.URL, "//", "//me:canary@", 1) + "/sick"}, exitFailed, "me:xxxxx@"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"healthcheck"}, test.args...), &stdout, &stderr)
			if code != test.code || !strings.Contains(stderr.String(), test.says) || strings.Contains(stderr.String(), "canary") {
				t.Errorf("healthcheck %v = %d, %q; want %d, with %q", test.args, code, stderr.String(), test.code, test.says)
			}
		})
	}
}
