package runs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"time"
)

const baselinesSchema = 1

// BaselineValue is one number of a target that later ones are held against, until another is saved: it never forgets.
type BaselineValue struct {
	Probe     string    `json:"probe"`
	Indicator string    `json:"indicator"` // ttft, duration, tpot, ...
	Quantile  float64   `json:"quantile"`  // 0 to 1
	Seconds   float64   `json:"seconds"`
	Run       string    `json:"run,omitempty"` // the id of the run that it comes from; empty: from elsewhere
	SavedAt   time.Time `json:"saved_at"`
}

// Pin is a name for a run, which then is never removed.
type Pin struct {
	Run string    `json:"run"`
	At  time.Time `json:"at"` // when it was pinned
}

// baselines is what is in the file.
type baselines struct {
	Schema  int                        `json:"schema"`
	Pins    map[string]Pin             `json:"pins"`    // by name
	Targets map[string][]BaselineValue `json:"targets"` // by target
}

func (b *baselines) pinned(id string) bool {
	for _, p := range b.Pins {
		if p.Run == id {
			return true
		}
	}
	return false
}

// readBaselines reads the file. It is empty where there is none.
func (s *Store) readBaselines() (*baselines, error) {
	b := &baselines{Schema: baselinesSchema, Pins: map[string]Pin{}, Targets: map[string][]BaselineValue{}}
	data, err := s.root.ReadFile(baselinesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("baselines: %w", err)
	}
	if err := json.Unmarshal(data, b); err != nil {
		return nil, fmt.Errorf("%s/%s: %w: mend it or move it away", s.dir, baselinesFile, err)
	}
	if b.Pins == nil {
		b.Pins = map[string]Pin{}
	}
	if b.Targets == nil {
		b.Targets = map[string][]BaselineValue{}
	}
	if b.Schema > baselinesSchema {
		return nil, fmt.Errorf("%s/%s: a newer llm_prober has written it (schema %d; this one reads up to %d): use that version", s.dir, baselinesFile, b.Schema, baselinesSchema)
	}
	return b, nil
}

// changeBaselines changes the file: as a whole, or not at all.
func (s *Store) changeBaselines(change func(*baselines) error) error {
	return s.changing(func() error {
		b, err := s.readBaselines()
		if err != nil {
			return err
		}
		if err := change(b); err != nil {
			return err
		}
		data, err := json.MarshalIndent(b, "", "  ")
		if err != nil {
			return fmt.Errorf("baselines: %w", err)
		}
		err = writeFile(s.root, baselinesTemp, append(data, '\n'))
		if err == nil {
			err = s.root.Rename(baselinesTemp, baselinesFile)
		}
		if err != nil {
			_ = s.root.Remove(baselinesTemp)
			return fmt.Errorf("baselines: %w", err)
		}
		return syncDir(s.root)
	})
}

// Pin gives a run a name, which another run may have had, and keeps it from being removed.
func (s *Store) Pin(name, id string) error {
	if name == "" {
		return errors.New("pin: it has no name")
	}
	if !ValidID(id) {
		return fmt.Errorf("run %q: %w: that is no run's id", id, ErrNotFound)
	}
	return s.changeBaselines(func(b *baselines) error {
		if _, err := s.readInfo(id); err != nil {
			return loadError(id, err)
		}
		b.Pins[name] = Pin{Run: id, At: time.Now().UTC()}
		return nil
	})
}

// Unpin takes a name away. The run is removed when its time comes, unless it has another one.
func (s *Store) Unpin(name string) error {
	return s.changeBaselines(func(b *baselines) error {
		if _, ok := b.Pins[name]; !ok {
			return fmt.Errorf("pin %q: %w", name, ErrNotFound)
		}
		delete(b.Pins, name)
		return nil
	})
}

// Pins are the pinned runs by name.
func (s *Store) Pins() (map[string]Pin, error) {
	b, err := s.readBaselines()
	if err != nil {
		return nil, err
	}
	return b.Pins, nil
}

// SaveBaseline saves values of a target. They take the place of all values of the same probes; other probes keep theirs.
// A value without a time gets this one.
func (s *Store) SaveBaseline(target string, values []BaselineValue) error {
	if target == "" || len(values) == 0 {
		return errors.New("save baseline: there is no target, or no value")
	}
	now := time.Now().UTC()
	values = slices.Clone(values)
	probes := map[string]bool{}
	for i, v := range values {
		if v.Probe == "" || v.Indicator == "" || !(v.Quantile >= 0 && v.Quantile <= 1) || !(v.Seconds >= 0) || math.IsInf(v.Seconds, 0) {
			return fmt.Errorf("save baseline of %s: %s %s at quantile %v: %v seconds is no value to keep", target, v.Probe, v.Indicator, v.Quantile, v.Seconds)
		}
		if v.SavedAt.IsZero() {
			values[i].SavedAt = now
		}
		probes[v.Probe] = true
	}
	return s.changeBaselines(func(b *baselines) error {
		kept := slices.DeleteFunc(b.Targets[target], func(v BaselineValue) bool { return probes[v.Probe] })
		kept = append(kept, values...)
		slices.SortFunc(kept, func(a, b BaselineValue) int {
			return cmp.Or(cmp.Compare(a.Probe, b.Probe), cmp.Compare(a.Indicator, b.Indicator), cmp.Compare(a.Quantile, b.Quantile))
		})
		b.Targets[target] = kept
		return nil
	})
}

// DropBaseline removes all values of a target. The error is ErrNotFound where there are none.
func (s *Store) DropBaseline(target string) error {
	return s.changeBaselines(func(b *baselines) error {
		if len(b.Targets[target]) == 0 {
			return fmt.Errorf("baseline of %q: %w", target, ErrNotFound)
		}
		delete(b.Targets, target)
		return nil
	})
}

// Baselines are the saved values by target, sorted by probe, indicator and quantile.
func (s *Store) Baselines() (map[string][]BaselineValue, error) {
	b, err := s.readBaselines()
	if err != nil {
		return nil, err
	}
	return maps.Clone(b.Targets), nil
}
