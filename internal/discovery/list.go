package discovery

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"github.com/llmprober/llm_prober/config"
)

// digest is the SHA-256 of a document; the zero one is that of no document.
type digest [sha256.Size]byte

// list is what one document says, in force. It is never changed.
type list struct {
	digest  digest
	found   []entry
	targets []*config.Target // of each found
}

// prints are what tells targets from each other, in an order of their own.
func prints(lists map[string]*list) []string {
	var all []string
	for _, l := range lists {
		for i := range l.len() {
			all = append(all, fmt.Sprintf("%x", l.targets[i].Fingerprint()))
		}
	}
	slices.Sort(all)
	return all
}

// putLocked puts lists of one source into force, by their places; nil for none where there was one. All at once if they fit so,
// for a target may have moved from one to the other; else those that fit, and the errors say why the others do not.
// d.mu is held, or nobody else knows d yet.
func (d *Discovery) putLocked(s *source, next map[string]*list) map[string]error {
	if len(next) == 0 {
		return nil
	}
	if d.fitsLocked(s, next) == nil {
		d.replaceLocked(s, next)
		return nil
	}
	errs := map[string]error{}
	for range 2 { // what the first round removes may make room for the second
		for _, place := range slices.Sorted(maps.Keys(next)) {
			one := map[string]*list{place: next[place]}
			if errs[place] = d.fitsLocked(s, one); errs[place] == nil {
				d.replaceLocked(s, one)
			}
		}
	}
	maps.DeleteFunc(errs, func(_ string, err error) bool { return err == nil })
	return errs
}

func (d *Discovery) replaceLocked(s *source, next map[string]*list) {
	before := map[string]*list{}
	for place, l := range next {
		if old := s.lists[place]; old != nil {
			before[place] = old
		}
		if s.lists[place] = l; l == nil {
			delete(s.lists, place)
		}
	}
	was, is := prints(before), prints(next)
	if slices.Equal(was, is) {
		return
	}
	if d.loaded {
		s.log.Info("targets changed", "places", slices.Sorted(maps.Keys(next)), "before", len(was), "now", len(is))
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// fitsLocked returns why lists do not fit to the others that are in force.
func (d *Discovery) fitsLocked(s *source, next map[string]*list) error {
	owners := s.mapping.owners()
	count := 0
	for _, other := range d.sources {
		for place, l := range other.lists {
			if other == s {
				if _, replaced := next[place]; replaced {
					continue
				}
				count += l.len()
			}
			for i, t := range l.targets {
				owners[t.Name] = l.found[i].place
			}
		}
	}
	for _, place := range slices.Sorted(maps.Keys(next)) {
		l := next[place]
		if l == nil {
			continue
		}
		if count += l.len(); count > s.bound {
			return fmt.Errorf("%s: the source would list %d targets, and its bound is %d", place, count, s.bound)
		}
		for i, t := range l.targets {
			if err := own(owners, t.Name, l.found[i].place); err != nil {
				return fmt.Errorf("%s: %w", l.found[i].place, err)
			}
		}
	}
	return nil
}

func (l *list) len() int {
	if l == nil {
		return 0
	}
	return len(l.targets)
}
