package cron

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
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

// Claims are how several probers share the occasions of their ramps.
type Claims interface {
	// Claim tells whether an occasion is ours to run: true once for all probers, false afterwards.
	Claim(ctx context.Context, name string, nominal time.Time) (bool, error)

	// Claimed lists a ramp's claimed occasions after a time, in their order. Those of over a week ago may not be among them.
	Claimed(ctx context.Context, name string, after time.Time) ([]Claimed, error)
}

// Claimed is an occasion that one of the probers has claimed.
type Claimed struct {
	Nominal time.Time
	Ours    bool // it was this prober, perhaps before a restart; false also where that is not known
}

// FileClaims claims occasions by files in a directory that several probers share: who creates the file runs the ramp.
// It needs a file system whose exclusive creation is atomic, as those of one machine and NFS from version 3 on are.
// Probers of one directory are taken to have one configuration: ramps of one name are one ramp.
//
// A prober that dies after its claim leaves the occasion without a run: a load test too few is better than two at once.
type FileClaims struct {
	Dir    string // it is made where it is missing
	Holder string // who claims, one line, the same after a restart and another one for each prober; empty: the host's name
}

func (c FileClaims) holder() string {
	host, _ := os.Hostname()
	return strings.Join(strings.Fields(cmp.Or(c.Holder, host, "?")), " ")
}

// Check makes the directory where it is missing, and says why nothing could be claimed in it.
func (c FileClaims) Check() error {
	if err := os.MkdirAll(c.Dir, 0o770); err != nil {
		return err
	}
	f, err := os.CreateTemp(c.Dir, ".check-*") // not the name of a claim
	if err != nil {
		return err
	}
	_ = f.Close()
	return os.Remove(f.Name())
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
	// The file's being there is the claim. What is in it is for reports, so that a full disk does not stop the night's run.
	_, _ = fmt.Fprintf(f, "%s\npid %d at %s\n", c.holder(), os.Getpid(), time.Now().UTC().Format(time.RFC3339Nano))
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

// Claimed implements Claims.
func (c FileClaims) Claimed(ctx context.Context, name string, after time.Time) ([]Claimed, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	root, err := os.OpenRoot(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nobody has claimed anything yet
	}
	if err != nil {
		return nil, fmt.Errorf("claims of %s: %w", name, err)
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("claims of %s: %w", name, err)
	}
	var all []Claimed
	for _, e := range entries {
		nominal, ok := claimTime(e.Name())
		if ok && nominal.After(after) && e.Name() == claimFile(name, nominal) {
			all = append(all, Claimed{Nominal: nominal, Ours: holderIn(root, e.Name()) == c.holder()})
		}
	}
	slices.SortFunc(all, func(a, b Claimed) int { return a.Nominal.Compare(b.Nominal) })
	return all, nil
}

// holderIn is who has made a claim; empty where that cannot be read.
func holderIn(root *os.Root, file string) string {
	f, err := root.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	line := bufio.NewScanner(f)
	line.Scan()
	return line.Text()
}

// claimFile names an occasion: by its nominal time, so that clocks may differ by less than it takes to the next one.
func claimFile(name string, nominal time.Time) string {
	name = url.PathEscape(name)
	if len(name) > 200 { // file names end at 255 bytes
		name = fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	}
	return name + "@" + strconv.FormatInt(nominal.Unix(), 10) + claimExt
}

// claimTime is the nominal time in a claim's name; false for other files.
func claimTime(file string) (time.Time, bool) {
	base, ours := strings.CutSuffix(file, claimExt)
	at := strings.LastIndexByte(base, '@')
	if !ours || at < 0 {
		return time.Time{}, false
	}
	unix, err := strconv.ParseInt(base[at+1:], 10, 64)
	return time.Unix(unix, 0), err == nil
}

// sweep removes claims of occasions before the given time. What cannot be removed is tried again with the next claim.
func sweep(root *os.Root, before time.Time) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return
	}
	for _, e := range entries {
		if nominal, ok := claimTime(e.Name()); ok && nominal.Before(before) {
			_ = root.Remove(e.Name())
		}
	}
}
