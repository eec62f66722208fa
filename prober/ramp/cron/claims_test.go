package cron

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFileClaimsCheck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "claims")
	for range 2 { // it makes the directory, and leaves nothing in it
		if err := (FileClaims{Dir: dir}).Check(); err != nil {
			t.Fatalf("Check = %v; want nil", err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("after Check the directory has %v, %v; want nothing", entries, err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (FileClaims{Dir: file}).Check(); err == nil {
		t.Error("Check of a file = nil; want an error")
	}
	if os.Geteuid() == 0 {
		return // may write anywhere
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := (FileClaims{Dir: dir}).Check(); err == nil {
		t.Error("Check of a directory that cannot be written to = nil; want an error")
	}
}

func TestFileClaims(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "claims")
	night := at(t, "2026-11-22T02:00:00Z")
	var ours atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			won, err := FileClaims{Dir: dir}.Claim(t.Context(), "soak", night)
			if err != nil {
				t.Error(err)
			}
			if won {
				ours.Add(1)
			}
		})
	}
	wg.Wait()
	if got := ours.Load(); got != 1 {
		t.Errorf("%d of 16 claimed one occasion; want 1", got)
	}

	claim := func(name string, nominal time.Time, want bool) {
		t.Helper()
		got, err := FileClaims{Dir: dir}.Claim(t.Context(), name, nominal)
		if err != nil || got != want {
			t.Errorf("Claim(%q, %v) = %v, %v; want %v", name, nominal, got, err, want)
		}
	}
	claim("soak", night, false)
	claim("soak", night.Add(24*time.Hour), true)
	claim("spike", night, true)
	claim("../../escape", night, true)
	claim(strings.Repeat("夜", 64), night, true)
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	claim("soak", night.Add(8*24*time.Hour), true) // a week later the old ones go
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "notes.txt soak@1795399200.claim soak@1796004000.claim" {
		t.Errorf("left are %s", got)
	}
}

func TestFileClaimed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "claims")
	night := at(t, "2026-11-22T02:00:00Z")
	one, other := FileClaims{Dir: dir, Holder: "one"}, FileClaims{Dir: dir, Holder: "other\nline"}
	claimed := func(c FileClaims, name string, want ...Claimed) {
		t.Helper()
		got, err := c.Claimed(t.Context(), name, night.Add(-time.Second))
		if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); diff != "" || err != nil {
			t.Errorf("Claimed(%s) of %q (-want +got): %v\n%s", name, c.Holder, err, diff)
		}
	}
	claimed(one, "soak") // no directory yet
	for i, c := range []FileClaims{one, other, one} {
		if ours, err := c.Claim(t.Context(), "soak", night.Add(time.Duration(i-1)*24*time.Hour)); err != nil || !ours {
			t.Fatalf("Claim = %v, %v", ours, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, claimFile("soak", night.Add(time.Hour))), nil, 0o600); err != nil { // on a full disk
		t.Fatal(err)
	}
	later := night.Add(24 * time.Hour)
	claimed(one, "soak", Claimed{night, false}, Claimed{night.Add(time.Hour), false}, Claimed{later, true})
	claimed(other, "soak", Claimed{night, true}, Claimed{night.Add(time.Hour), false}, Claimed{later, false})
	claimed(one, "spike")
}

func TestFileClaimsFail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if won, err := (FileClaims{Dir: file}).Claim(t.Context(), "soak", time.Unix(0, 0)); won || err == nil {
		t.Errorf("Claim in a file = %v, %v; want an error", won, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if won, err := (FileClaims{Dir: t.TempDir()}).Claim(ended, "soak", time.Unix(0, 0)); won || err == nil {
		t.Errorf("Claim with an ended context = %v, %v; want an error", won, err)
	}
}
