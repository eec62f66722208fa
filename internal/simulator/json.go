package simulator

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// object is a JSON object whose members keep their order, as servers write them.
type object []pair

type pair struct {
	key   string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, m.key)
		b = append(b, ':')
		b = appendJSON(b, m.value)
	}
	return append(b, '}'), nil
}

// with adds a member if it is wanted.
func (o object) with(wanted bool, key string, value any) object {
	if wanted {
		return append(o, pair{key, value})
	}
	return o
}

// appendJSON appends v, which must be of a kind that cannot fail.
func appendJSON(b []byte, v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}

func appendInts(b []byte, ints []int) []byte {
	b = append(b, '[')
	for i, n := range ints {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return append(b, ']')
}
