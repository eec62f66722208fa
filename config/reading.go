package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// What is read may be anything that has a name: a pipe to which nobody writes, a folder, a device without an end, an image of
// a disk. None of them may hold up a reload or take the memory of what runs.
const (
	maxSize    = 2 << 20          // bytes of a configuration: 9000 targets, each with a probe and an objective; to read them takes some 100 times as much memory
	maxKeySize = 1 << 20          // bytes of a file with a credential or certificates: those of all authorities have some 0.2 MB
	patience   = 10 * time.Second // for whoever writes a configuration into a pipe
)

// readFile returns what is in a file of most bytes at most, and waits for it for so long at most.
func readFile(name string, most int, wait time.Duration) ([]byte, error) {
	// Without blocking, for a pipe that nobody has opened to write would be waited for.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s: it is a folder; name the file in it", name)
	}
	_ = f.SetReadDeadline(time.Now().Add(wait)) // what cannot have one does not make wait
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	isPipe := info.Mode().Type() == fs.ModeNamedPipe
	switch {
	case len(data) > most:
		return nil, fmt.Errorf("%s: it is longer than %d MiB, which no configuration is; name the right file, or put lists of targets into target_files", name, most>>20)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.EAGAIN):
		return nil, fmt.Errorf("%s: its end has not come within %s; write it into a file first", name, wait)
	case err != nil:
		return nil, err
	case isPipe && len(data) == 0:
		return nil, fmt.Errorf("%s: it is a pipe that nobody writes to; name a file, which can be read again", name)
	}
	return data, nil
}

// checkFile says why a file cannot be read, or not again and again.
func checkFile(name string) error {
	if info, err := os.Stat(name); err == nil {
		if err := regular(info); err != nil {
			return err
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return f.Close()
}

// checkKey says why a file with a credential must not be read: each request does, and would wait for ever or take all
// memory. One that is not there yet, or not for whoever checks, is none of these.
func checkKey(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return nil
	}
	if err := regular(info); err != nil {
		return err
	}
	if info.Size() > maxKeySize {
		return fmt.Errorf("it has %d MiB, and a file of keys or certificates 1 MiB at most; name the right one", info.Size()>>20)
	}
	return nil
}

// regular says what something is that is no file.
func regular(info fs.FileInfo) error {
	what := "a device"
	switch info.Mode().Type() {
	case 0:
		return nil
	case fs.ModeDir:
		return errors.New("it is a folder; name the file in it")
	case fs.ModeNamedPipe:
		what = "a pipe"
	case fs.ModeSocket:
		what = "a socket"
	}
	return fmt.Errorf("it is %s, which cannot be read again and again; name a file", what)
}
