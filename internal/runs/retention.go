package runs

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Retain removes what is older than MaxAge, and of each ramp what is beyond its newest MaxRuns. Pinned runs stay, and
// count; records that cannot be read stay. It is done when a Store is opened and after each Commit.
func (s *Store) Retain(now time.Time) error {
	if s.opts.MaxRuns <= 0 && s.opts.MaxAge <= 0 {
		return nil
	}
	infos, _, err := s.List(Filter{})
	if err != nil {
		return err
	}
	var old []string
	count := map[string]int{}
	for _, i := range infos { // the newest first
		count[i.Ramp]++
		if s.opts.MaxRuns > 0 && count[i.Ramp] > s.opts.MaxRuns || s.opts.MaxAge > 0 && now.Sub(i.Started) > s.opts.MaxAge {
			old = append(old, i.ID)
		}
	}
	if len(old) == 0 {
		return nil
	}
	return s.changing(func() error {
		// Read now, since a pin may have come meanwhile. Without them nothing can be removed.
		b, err := s.readBaselines()
		if err != nil {
			return err
		}
		var errs []error
		for _, id := range old {
			if b.pinned(id) {
				continue
			}
			if err := s.remove(id); !errors.Is(err, fs.ErrNotExist) { // another process may have removed it meanwhile
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
}

// Remove removes one run. A pinned one is refused. The error is ErrNotFound where it is not there.
func (s *Store) Remove(id string) error {
	if !ValidID(id) {
		return fmt.Errorf("run %q: %w: that is no run's id", id, ErrNotFound)
	}
	return s.changing(func() error {
		b, err := s.readBaselines()
		if err != nil {
			return err
		}
		if b.pinned(id) {
			return fmt.Errorf("run %s: it is pinned: unpin it first", id)
		}
		if _, err := s.root.Stat(id); err != nil {
			return loadError(id, err)
		}
		return s.remove(id)
	})
}

// remove makes a run disappear at once, and then removes its files. Names must not be changing.
func (s *Store) remove(id string) error {
	if err := s.root.Rename(id, delPrefix+id); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.index, id)
	delete(s.unread, id)
	s.mu.Unlock()
	s.opts.Logger.Info("A run was removed.", "run", id)
	return s.root.RemoveAll(delPrefix + id)
}
