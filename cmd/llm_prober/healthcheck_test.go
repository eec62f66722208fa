package main

import (
	"bytes"
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
	gone := httptest.NewServer(mux)
	gone.Close()

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
		{"unhealthy", []string{"--url=" + plain.URL + "/sick"}, exitFailed, "503 Service Unavailable"},
		{"redirect", []string{"--url=" + plain.URL + "/elsewhere"}, exitFailed, "302 Found"},
		{"no such page", []string{"--url=" + plain.URL}, exitFailed, "404 Not Found"},
		{"nobody there", []string{"--url=" + gone.URL}, exitFailed, "connection refused"},
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
