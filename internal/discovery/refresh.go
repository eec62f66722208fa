package discovery

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/llmprober/llm_prober/prober/redaction"
)

// take looks at what was read of s. err says that not all could be read.
func (d *Discovery) take(s *source, docs []document, err error) {
	wrong := map[string]error{} // by place
	next := map[string]*list{}
	settling := map[string]bool{} // the places that are to be looked at again soon
	there := map[string]bool{}
	for _, doc := range docs {
		there[doc.place] = true
		l, again, err := s.look(doc)
		switch {
		case again:
			settling[doc.place] = true
		case err != nil:
			wrong[doc.place] = err
		case l != nil:
			next[doc.place] = l
		}
	}
	if err != nil {
		wrong[""] = err
	} else { // what is not there has not been overlooked
		maps.DeleteFunc(s.tried, func(place string, _ trial) bool { return !there[place] })
		for place := range s.lists {
			if there[place] {
				continue
			}
			if s.sawTwice(place, digest{}) {
				next[place] = nil
			} else {
				settling[place] = true
			}
		}
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	settle := len(settling) > 0
	refused := d.putLocked(s, next)
	for place := range next {
		switch {
		case refused[place] == nil:
			delete(s.seen, place)
			delete(s.tried, place)
		case settle: // what is still to be seen may make room: a file that is renamed is there before it is gone
			settling[place] = true
		default:
			wrong[place] = refused[place]
		}
	}
	if len(wrong) > 0 && s.secrets != nil {
		hidden := redaction.Of(s.secrets()...)
		for place, err := range wrong {
			wrong[place] = hidden.Error(err)
		}
	}
	s.tell(wrong, settling, len(docs) == 0)
	var errs []error
	for _, place := range slices.Sorted(maps.Keys(wrong)) {
		errs = append(errs, wrong[place])
	}
	switch {
	case len(errs) > 0:
		s.status.Failed++
		s.status.LastError = errors.Join(errs...)
	case !settle:
		s.status.Succeeded++
		s.status.LastError = nil
		s.status.LastSuccess = time.Now()
	}
	switch {
	case settle:
		s.wait = min(settleAfter, s.interval)
	case s.status.LastSuccess.IsZero():
		s.wait = min(retryAfter, s.interval)
	default:
		s.wait = s.interval
	}
}

// look makes a list of a document. It is nil where the document is in force already, and where it is to be looked at again.
func (s *source) look(doc document) (_ *list, again bool, _ error) {
	if doc.err != nil {
		return nil, false, fmt.Errorf("%s: %w", doc.place, doc.err)
	}
	sum := digest(sha256.Sum256(doc.data))
	if old := s.lists[doc.place]; old != nil {
		if old.digest == sum {
			delete(s.seen, doc.place)
			delete(s.tried, doc.place)
			return nil, false, nil
		}
		if doc.settle && !s.sawTwice(doc.place, sum) {
			return nil, true, nil
		}
	}
	last, ok := s.tried[doc.place]
	if !ok || last.digest != sum {
		last = trial{digest: sum}
		last.list, last.err = s.make(doc, sum)
		s.tried[doc.place] = last
	}
	return last.list, false, last.err
}

// trial is what was made of a document: a list, or an error. It spares making it anew, each time, of one that stays refused.
type trial struct {
	digest digest
	list   *list
	err    error
}

func (s *source) make(doc document, sum digest) (*list, error) {
	found, err := parse(doc)
	if err != nil {
		return nil, err
	}
	if len(found) > s.bound {
		return nil, fmt.Errorf("%s: %d targets; the source's bound is %d", doc.place, len(found), s.bound)
	}
	targets, err := s.mapping.targets(found)
	if err != nil {
		return nil, err
	}
	return &list{sum, found, targets}, nil
}

// sawTwice remembers what is at a place, and reports whether it was so when it was last looked at.
func (s *source) sawTwice(place string, sum digest) bool {
	last, ok := s.seen[place]
	s.seen[place] = sum
	return ok && last == sum
}

// tell logs what is wrong now and was not before, or no longer is.
func (s *source) tell(wrong map[string]error, settling map[string]bool, empty bool) {
	for _, place := range slices.Sorted(maps.Keys(wrong)) {
		if text := wrong[place].Error(); text != s.said[place] {
			s.said[place] = text
			s.log.Warn("targets not taken over; those from before stay in force", "err", text)
		}
	}
	for _, place := range slices.Sorted(maps.Keys(s.said)) {
		if known := wrong[""] == nil && !settling[place]; wrong[place] == nil && known {
			delete(s.said, place)
			s.log.Info("targets are read again", "place", place)
		}
	}
	if empty = empty && len(wrong) == 0; empty && !s.empty {
		s.log.Warn("there is no file of targets")
	}
	s.empty = empty
}

// unreplaced returns why lists that were taken over are gone, if nothing new stands in their place.
func (s *source) unreplaced() error {
	var errs []error
	for _, place := range slices.Sorted(maps.Keys(s.lost)) {
		if s.lists[place] == nil && (s.said[place] != "" || s.said[""] != "") {
			errs = append(errs, s.lost[place])
		}
	}
	clear(s.lost)
	return errors.Join(errs...)
}
