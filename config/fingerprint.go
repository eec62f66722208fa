package config

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	commoncfg "github.com/prometheus/common/config"
)

// Fingerprint is equal for two values exactly when they have the same effect, secrets included: a reload
// restarts what has another one than before. It is the same in every process.
//
// It reveals a secret to nobody who cannot guess the secret; as short ones can be guessed, it is not for publishing.
type Fingerprint [sha256.Size]byte

// Fingerprint covers all fields of the probe. Its name is not one of them.
func (p *Probe) Fingerprint() Fingerprint { return fingerprint(*p) }

// Fingerprint covers all fields of the target, its probes by name only. The order of their names has no effect.
func (t *Target) Fingerprint() Fingerprint {
	copied := *t
	copied.Probes = slices.Sorted(slices.Values(t.Probes))
	return fingerprint(copied)
}

func fingerprint(v any) Fingerprint {
	f := fingerprinter{sha256.New()}
	f.value(reflect.ValueOf(v))
	return Fingerprint(f.hash.Sum(nil))
}

// fingerprinter writes each value so that two that differ are never written alike: numbers in 8 bytes, the rest behind its length.
type fingerprinter struct{ hash hash.Hash }

func (f fingerprinter) number(n uint64) { f.hash.Write(binary.BigEndian.AppendUint64(nil, n)) }

func (f fingerprinter) text(s string) {
	f.number(uint64(len(s)))
	f.hash.Write([]byte(s))
}

func (f fingerprinter) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			f.number(0)
			return
		}
		f.number(1)
		if v.Kind() == reflect.Interface {
			f.text(v.Elem().Type().String())
		}
		f.value(v.Elem())
	case reflect.Struct:
		switch v := v.Interface().(type) {
		case commoncfg.URL:
			address := ""
			if v.URL != nil {
				address = v.String()
			}
			f.text(address)
			return
		case time.Time: // of a claim
			f.text(v.Format(time.RFC3339Nano))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				f.value(v.Field(i))
			}
		}
	case reflect.Map:
		f.number(uint64(v.Len()))
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			return strings.Compare(fmt.Sprintf("%T %v", a.Interface(), a), fmt.Sprintf("%T %v", b.Interface(), b))
		})
		for _, k := range keys {
			f.value(k)
			f.value(v.MapIndex(k))
		}
	case reflect.Slice:
		f.number(uint64(v.Len()))
		for i := range v.Len() {
			f.value(v.Index(i))
		}
	case reflect.String:
		f.text(v.String())
	case reflect.Bool:
		if v.Bool() {
			f.number(1)
		} else {
			f.number(0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.number(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.number(v.Uint())
	case reflect.Float32, reflect.Float64:
		f.number(math.Float64bits(v.Float()))
	default:
		panic(fmt.Sprintf("config: fingerprint.go has no rule for %s", v.Type()))
	}
}
