package main

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestClaimsOf(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	logger := slog.New(slog.DiscardHandler)
	if claims, err := claimsOf("", logger); claims != nil || err != nil {
		t.Errorf("claimsOf without a flag = %t, %v; want none", claims != nil, err)
	}
	d, err := newDaemon(logger, daemonOptions{storage: storageFlags{path: t.TempDir(), claims: "kubernetes"}})
	if d != nil || err == nil || !strings.HasPrefix(err.Error(), "--ramp.claims=kubernetes: ") {
		t.Errorf("newDaemon with claims=kubernetes outside of a cluster = %t, %v", d != nil, err)
	}
	claims, err := claimsOf(filepath.Join(t.TempDir(), "kubernetes"), logger)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if got, err := claims(t.Context(), "soak", time.Unix(0, 0)); err != nil || got != want {
			t.Errorf("claim = %v, %v; want %v", got, err, want)
		}
	}
}
