//go:build linux && cgo

package gpu

import (
	"debug/elf"
	"testing"
)

// TestLinkedLazily looks at this very binary. Its driver symbols are undefined until a worker loads the library, so a
// toolchain that resolves all symbols at start ("-z now") makes binaries that do not start; see docs/gpu.md.
func TestLinkedLazily(t *testing.T) {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for tag, bit := range map[elf.DynTag]uint64{elf.DT_FLAGS: uint64(elf.DF_BIND_NOW), elf.DT_FLAGS_1: uint64(elf.DF_1_NOW)} {
		values, err := f.DynValue(tag)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if v&bit != 0 {
				t.Errorf("%v = %#x; want no immediate binding", tag, v)
			}
		}
	}
	symbols, err := f.ImportedSymbols()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, s := range symbols {
		found = found || s.Name == "nvmlInit_v2"
	}
	if !found {
		t.Error("nvmlInit_v2 is not among the undefined symbols; is the driver linked in some other way?")
	}
}
