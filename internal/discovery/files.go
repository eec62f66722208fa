package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxDocument bounds what is read of a file or of an answer, in bytes: 10,000 targets with as much as 400 bytes each.
const maxDocument = 4 << 20

// document is what was read at a place.
type document struct {
	place  string // the path, or the URL as messages show it
	data   []byte
	err    error // why there is no data
	yaml   bool  // else JSON
	settle bool  // it may be half written: a change counts when it is seen twice
}

// reader reads what a source lists.
type reader interface {
	// read returns the documents that are there, sorted by place. An error says that there may be more of them.
	read(ctx context.Context) ([]document, error)
}

// files reads the files that patterns match.
type files struct{ patterns []string }

var (
	_ reader = files{}
	_ reader = (*endpoint)(nil)
)

func (f files) read(context.Context) ([]document, error) {
	found := map[string]document{} // by path: two patterns may match one file
	var errs []error
	for _, pattern := range f.patterns {
		paths, err := match(pattern)
		if err != nil {
			errs = append(errs, err)
		}
		for _, path := range paths {
			data, err := readFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if e, ok := errors.AsType[*fs.PathError](err); ok {
				err = fmt.Errorf("%s: %w", e.Op, e.Err) // the place is told anyway
			}
			found[path] = document{place: path, data: data, err: err, yaml: !strings.EqualFold(filepath.Ext(path), ".json"), settle: true}
		}
	}
	docs := make([]document, 0, len(found))
	for _, path := range slices.Sorted(maps.Keys(found)) {
		docs = append(docs, found[path])
	}
	return docs, errors.Join(errs...)
}

// match lists the files that a pattern may stand for. Unlike filepath.Glob it tells of a folder that cannot be read, in which
// the files may well be; one that is not there has none.
func match(pattern string) ([]string, error) {
	pattern = filepath.Clean(pattern)
	dir, base := filepath.Split(pattern)
	if !strings.Contains(base, "*") {
		return []string{pattern}, nil
	}
	entries, err := os.ReadDir(filepath.Clean(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var paths []string
	for _, e := range entries {
		if !e.IsDir() && matches(base, e.Name()) {
			paths = append(paths, dir+e.Name())
		}
	}
	return paths, err
}

// matches reports whether a name is what a pattern with a * in it says. As in shells, no * stands for a dot at the beginning, for
// so files are called that are hidden or not ready yet. Nothing but a * has a meaning.
func matches(pattern, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(pattern, ".") {
		return false
	}
	parts := strings.Split(pattern, "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	rest := name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return true
}

// readFile reads a regular file: a pipe would make it wait.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("the file is above %d bytes", maxDocument)
	}
	return data, nil
}
