package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/cron"
)

func TestClaims(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	logger := slog.New(slog.DiscardHandler)
	if claims, err := new(storageFlags).claimed(logger); claims != nil || err != nil {
		t.Errorf("claims without a flag = %t, %v; want none", claims != nil, err)
	}
	for flag, want := range map[string]string{
		"kubernetes:":           "--ramp.claims=kubernetes:: there is no name after the colon",
		"kubernetes:llm prober": `--ramp.claims=kubernetes:llm prober: claims by Kubernetes Leases: "llm prober" is no name`,
		"kubernetes:llm-prober": "--ramp.claims=kubernetes:llm-prober: claims by Kubernetes Leases: this is no pod",
	} {
		if claims, err := (&storageFlags{claims: flag}).claimed(logger); claims != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("claims with --ramp.claims=%s = %t, %v; want %q", flag, claims != nil, err, want)
		}
	}
	d, err := newDaemon(logger, daemonOptions{storage: storageFlags{path: t.TempDir(), claims: "kubernetes"}})
	if d != nil || err == nil || !strings.HasPrefix(err.Error(), "--ramp.claims=kubernetes: ") {
		t.Errorf("newDaemon with claims=kubernetes outside of a cluster = %t, %v", d != nil, err)
	}
	// A directory that cannot be made, and one that could.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "claims")} {
		want := "--ramp.claims=" + dir + ": nothing can be claimed there: "
		if claims, err := (&storageFlags{claims: dir}).claimed(logger); claims != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("claims with --ramp.claims=%s = %t, %v; want %q", dir, claims != nil, err, want)
		}
	}
	// Two probers of one machine, and the first one again after a restart.
	shared, one, other := filepath.Join(t.TempDir(), "kubernetes"), t.TempDir(), t.TempDir()
	for i, prober := range []struct {
		records    string
		ours, then bool
	}{{one, true, true}, {other, false, false}, {one, false, true}} {
		claims, err := (&storageFlags{claims: shared, path: prober.records}).claimed(logger)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := claims.Claim(t.Context(), "soak", time.Unix(1e9, 0)); err != nil || got != prober.ours {
			t.Errorf("%d: claim = %v, %v; want %v", i, got, err, prober.ours)
		}
		got, err := claims.Claimed(t.Context(), "soak", time.Time{})
		if want := []cron.Claimed{{Nominal: time.Unix(1e9, 0), Ours: prober.then}}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%d: claimed = %v, %v; want %v", i, got, err, want)
		}
	}
}
