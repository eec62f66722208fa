package gpu

import (
	"cmp"
	"maps"
	"slices"
)

// processNames is how many programs of a GPU have a series of their own.
const processNames = 16

// largest lists the programs that hold most, and the rest as "other". Ties are broken by name, so that series do not
// come and go.
func largest(byName map[string]uint64) []ProcessMemory {
	names := slices.SortedFunc(maps.Keys(byName), func(a, b string) int {
		return cmp.Or(cmp.Compare(byName[b], byName[a]), cmp.Compare(a, b))
	})
	var out []ProcessMemory
	rest := ProcessMemory{Name: "other"}
	for i, name := range names {
		if i < processNames && name != rest.Name {
			out = append(out, ProcessMemory{Name: name, Bytes: byName[name]})
		} else {
			rest.Bytes += byName[name]
		}
	}
	if rest.Bytes > 0 {
		out = append(out, rest)
	}
	return out
}
