package record

import (
	"fmt"
	"reflect"
	"time"
)

// mostOf is more than any count, load, time or sum of a run: far from where numbers overflow when runs are added up.
const mostOf = 1e16

// Check tells what keeps a record, which anybody may have written, from being one: a stage's statistics that are missing, or
// a number that is negative or beyond all that a run can have. What passes can be judged, added up and shown.
func (r *Run) Check() error {
	if r.Shards < 0 || r.Shards > MaxShards || r.Shard < 0 {
		return fmt.Errorf("shard %d of %d is none", r.Shard, r.Shards)
	}
	for i := range r.Lanes {
		if err := checkNumbers(reflect.ValueOf(&r.Lanes[i]).Elem()); err != nil {
			return fmt.Errorf("lane %q: %w", r.Lanes[i].Name, err)
		}
	}
	return nil
}

// checkNumbers looks at all numbers in v, by way of its JSON names.
func checkNumbers(v reflect.Value) error {
	number := 0.0
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		number = float64(v.Int())
	case reflect.Float64:
		number = v.Float()
	case reflect.Pointer:
		if v.IsNil() || v.Type() == reflect.TypeFor[*Histogram]() { // which looks after itself
			return nil
		}
		return checkNumbers(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if err := checkNumbers(v.Index(i)); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			name, entry := entries.Key(), entries.Value()
			if entry.Type() == reflect.TypeFor[*Stats]() && entry.IsNil() {
				return fmt.Errorf("%q: there is nothing", name.String())
			}
			if err := checkNumbers(entry); err != nil {
				return fmt.Errorf("%q: %w", name.String(), err)
			}
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return nil
		}
		for i := range v.NumField() {
			if err := checkNumbers(v.Field(i)); err != nil {
				return fmt.Errorf("%s: %w", v.Type().Field(i).Tag.Get("json"), err)
			}
		}
	}
	if !(number >= 0 && number <= mostOf) {
		return fmt.Errorf("%v is no number of a run", number)
	}
	return nil
}
