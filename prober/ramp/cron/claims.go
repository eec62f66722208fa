package cron

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// keepClaims is how long a claim is kept: far longer than clocks differ or a prober stays suspended before it looks
	// at an occasion, which is late by then anyway.
	keepClaims = 7 * 24 * time.Hour
	claimExt   = ".claim"
)

// FileClaims claims occasions by files in a directory that several probers share: who creates the file runs the ramp.
// It needs a file system whose exclusive creation is atomic, as those of one machine and NFS from version 3 on are.
//
// A prober that dies after its claim leaves the occasion without a run: a load test too few is better than two at once.
type FileClaims struct {
	Dir string // it is made where it is missing
}

// Claim tells whether an occasion is ours to run: true once for all probers, false afterwards.
func (c FileClaims) Claim(ctx context.Context, name string, nominal time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, context.Cause(ctx)
	}
	// Owner and group: probers that share a directory may run as different users of one group.
	if err := os.MkdirAll(c.Dir, 0o770); err != nil {
		return false, fmt.Errorf("claim %s: %w", name, err)
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return false, fmt.Errorf("claim %s: %w", name, err)
	}
	defer root.Close()

	file := claimFile(name, nominal)
	f, err := root.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o660)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("claim %s: %w", name, err)
	}
	// The file's being there is the claim. What is in it is for people, so that a full disk does not stop the night's run.
	host, _ := os.Hostname()
	_, _ = fmt.Fprintf(f, "%s pid %d at %s\n", host, os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	_ = f.Sync()
	_ = f.Close()
	// After a power cut the claim must be there still, or the occasion might be run again.
	if dir, err := root.Open("."); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	sweep(root, nominal.Add(-keepClaims))
	return true, nil
}

// claimFile names an occasion: by its nominal time, so that clocks may differ by less than it takes to the next one.
func claimFile(name string, nominal time.Time) string {
	name = url.PathEscape(name)
	if len(name) > 200 { // file names end at 255 bytes
		name = fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	}
	return name + "@" + strconv.FormatInt(nominal.Unix(), 10) + claimExt
}

// sweep removes claims of occasions before the given time. What cannot be removed is tried again with the next claim.
func sweep(root *os.Root, before time.Time) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return
	}
	for _, e := range entries {
		base, ours := strings.CutSuffix(e.Name(), claimExt)
		at := strings.LastIndexByte(base, '@')
		if !ours || at < 0 {
			continue
		}
		if unix, err := strconv.ParseInt(base[at+1:], 10, 64); err == nil && unix < before.Unix() {
			_ = root.Remove(e.Name())
		}
	}
}
