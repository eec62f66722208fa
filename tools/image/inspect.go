//go:build linux

package main

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// parts say what the bytes of the image are for; the first prefix that fits counts.
var parts = []struct{ prefix, name string }{
	{"usr/bin/llm_prober", "binary"},
	{"usr/lib", "glibc"},
	{"etc/ssl/certs/", "CA certificates"},
	{"", "rest"},
}

// inspect looks at the files: how large they are, and that nothing is among them that has no business there.
func (i *image) inspect(limit int64) error {
	sizes, total, entries := map[string]int64{}, int64(0), 0
	digest := sha256.New()
	var errs []error
	err := filepath.WalkDir(i.Root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(i.Root, name)
		if err != nil {
			return err
		}
		entries++
		owner := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(digest, "%s %v %d:%d\n", rel, info.Mode(), owner.Uid, owner.Gid)
		switch {
		case info.Mode().IsRegular():
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(digest, "%d ", len(text))
			digest.Write(text)
			total += info.Size()
			for _, part := range parts {
				if strings.HasPrefix(rel, part.prefix) {
					sizes[part.name] += info.Size()
					break
				}
			}
			if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
				errs = append(errs, fmt.Errorf("/%s runs with another user's rights", rel))
			}
			if rel != "usr/bin/llm_prober" && info.Mode()&0o111 != 0 && !strings.HasPrefix(rel, "usr/lib") {
				errs = append(errs, fmt.Errorf("/%s is a second program", rel))
			}
			if info.Mode()&0o022 != 0 || owner.Uid != 0 {
				errs = append(errs, fmt.Errorf("/%s can be written by others than root", rel))
			}
		case info.Mode()&fs.ModeSymlink != 0:
			link, err := os.Readlink(name)
			if err != nil {
				return err
			}
			fmt.Fprintln(digest, link)
			if !strings.HasPrefix(link, "/") {
				link = filepath.Join(filepath.Dir("/"+rel), link)
			}
			if _, err := os.Lstat(filepath.Join(i.Root, link)); err != nil {
				errs = append(errs, fmt.Errorf("/%s leads to %s, where nothing is", rel, link))
			}
		case !info.IsDir():
			errs = append(errs, fmt.Errorf("/%s: %v", rel, info.Mode()))
		}
		return nil
	})
	if err != nil {
		return err
	}

	names := make([]string, 0, len(parts))
	for _, part := range parts {
		names = append(names, part.name)
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(sizes[b], sizes[a]) })
	for _, name := range names {
		fmt.Printf("image  %-16s %6.2f MB\n", name, float64(sizes[name])/1e6)
		if sizes[name] == 0 {
			errs = append(errs, fmt.Errorf("the image has no %s", name))
		}
	}
	fmt.Printf("image  %-16s %6.2f MB in %d entries, contents sha256:%x\n", "all", float64(total)/1e6, entries, digest.Sum(nil))
	if total >= limit {
		errs = append(errs, fmt.Errorf("the image has %d bytes; want under %d", total, limit))
	}

	errs = append(errs, i.certificates(), i.loader())
	if i.User == "" || strings.HasPrefix(i.User, "0") || strings.HasPrefix(i.User, "root") {
		errs = append(errs, fmt.Errorf("USER %q is root", i.User))
	}
	if len(i.Healthcheck) == 0 || len(i.Entrypoint) == 0 {
		errs = append(errs, errors.New("no HEALTHCHECK or no ENTRYPOINT"))
	}
	return errors.Join(errs...)
}

// certificates tells whether TLS can be verified.
func (i *image) certificates() error {
	rest, err := os.ReadFile(filepath.Join(i.Root, "etc/ssl/certs/ca-certificates.crt"))
	if err != nil {
		return err
	}
	n := 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("CA certificate %d: %w", n, err)
		}
		n++
	}
	if n < 50 {
		return fmt.Errorf("%d CA certificates; want 50 or more", n)
	}
	return nil
}

// loader tells whether the binary was linked against the glibc of the image, and as go-nvml needs it: lazily.
func (i *image) loader() error {
	file, err := elf.Open(filepath.Join(i.Root, i.Entrypoint[0]))
	if err != nil {
		return err
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		name := make([]byte, p.Filesz-1)
		if _, err := p.ReadAt(name, 0); err != nil {
			return err
		}
		// In the image's files, links and all.
		root, err := os.OpenRoot(i.Root)
		if err != nil {
			return err
		}
		defer root.Close()
		if info, err := root.Lstat(strings.TrimPrefix(string(name), "/")); err != nil {
			return fmt.Errorf("the binary wants %s: %w", name, err)
		} else if info.IsDir() {
			return fmt.Errorf("the binary wants %s, which is a folder", name)
		}
		flags, err := file.DynValue(elf.DT_FLAGS_1)
		if err != nil {
			return err
		}
		for _, f := range flags {
			if elf.DynFlag1(f)&elf.DF_1_NOW != 0 {
				return errors.New("the binary binds at its start: it would not run without NVIDIA's library")
			}
		}
		return nil
	}
	return errors.New("the binary is linked statically: it cannot load NVIDIA's library")
}
