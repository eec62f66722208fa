package queuewait

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// stateVersion is that of the JSON; another one is not read.
const stateVersion = 1

// modelState is a model as it is kept.
type modelState struct {
	Version int             `json:"version"`
	Latest  int64           `json:"latest"` // Unix nanoseconds
	Buckets map[int]*bucket `json:"buckets,omitempty"`
}

// MarshalJSON implements json.Marshaler: all that the model has learned.
func (m *Model) MarshalJSON() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := modelState{Version: stateVersion, Latest: m.latest, Buckets: map[int]*bucket{}}
	for i, b := range m.buckets {
		if b != nil {
			s.Buckets[i] = b
		}
	}
	return json.Marshal(s)
}

// UnmarshalJSON implements json.Unmarshaler: it takes the place of all that the model had learned. After an error the
// model is as it was.
func (m *Model) UnmarshalJSON(data []byte) error {
	var s modelState
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("queue wait model: %w", err)
	}
	if s.Version != stateVersion {
		return fmt.Errorf("queue wait model: version %d, want %d", s.Version, stateVersion)
	}
	for i, b := range s.Buckets {
		if i < 0 || i >= buckets || b == nil {
			return fmt.Errorf("queue wait model: bucket %d is none", i)
		}
		if err := b.check(i, s.Latest); err != nil {
			return fmt.Errorf("queue wait model: bucket %d: %w", i, err)
		}
		b.Open = append(make([]probe, 0, blockSize), b.Open...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.buckets, m.knots, m.latest = [buckets]*bucket{}, nil, s.Latest
	for i, b := range s.Buckets {
		m.buckets[i] = b
	}
	m.draw()
	return nil
}

// check says what in a kept bucket cannot be.
func (b *bucket) check(i int, latest int64) error {
	if len(b.Open) >= blockSize || len(b.Slots) > slots || len(b.Row) > riseRow || b.Seen < len(b.Open) {
		return errors.New("too much of it")
	}
	for _, p := range b.Open {
		if p.At > latest || !plain(p.Tokens) || !plain(p.Took) || bucketOf(int(p.Tokens)) != i {
			return errors.New("a probe that cannot be")
		}
	}
	for _, x := range slices.Concat(b.Slots, b.Row) {
		if err := x.check(i, latest); err != nil {
			return err
		}
	}
	if b.Last != (block{}) {
		if err := b.Last.check(i, latest); err != nil {
			return err
		}
	}
	if b.Met > latest || b.Before.At > latest || !plain(b.Before.Level) {
		return errors.New("a past that cannot be")
	}
	return nil
}

func (x block) check(i int, latest int64) error {
	if x.Count < 1 || x.Count > blockSize || x.From > x.To || x.To > latest ||
		!plain(x.Tokens) || !plain(x.Level) || !plain(x.Spread) || bucketOf(int(x.Tokens)) != i {
		return errors.New("a block that cannot be")
	}
	return nil
}

// plain reports whether v is a number that a model may hold.
func plain(v float64) bool { return v >= 0 && v < math.MaxInt32 }
