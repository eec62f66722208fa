package gpu

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestCodes(t *testing.T) {
	for code, want := range map[int]codeClass{
		0: codeOK, 3: codeAbsent, 13: codeAbsent, 25: codeAbsent, 2: codeAbsent, 6: codeNoValue, 21: codeNoValue, 10: codeNoValue,
		4: codeDenied, 17: codeDenied, 15: codeLost, 16: codeLost, 11: codeLost, 1: codeGone, 9: codeGone, 18: codeGone, 28: codeGone,
		19: codeTransient, 27: codeTransient, 999: codeTransient, 12345: codeTransient,
	} {
		if got := classify(code); got != want {
			t.Errorf("classify(%d) = %d; want %d", code, got, want)
		}
	}
	seen := map[string]bool{}
	for code := range codes {
		if name := codeName(code); name == "" || seen[name] {
			t.Errorf("codeName(%d) = %q; want a name of its own", code, name)
		}
		seen[codeName(code)] = true
	}
	if got := codeName(31337); got != "other" {
		t.Errorf("codeName(31337) = %q; want other", got)
	}
}

func TestDriverBranch(t *testing.T) {
	for _, c := range []struct {
		nvml, driver string
		want         int
	}{
		{"13.580.159.03", "580.159.03", 580},
		{"12.570.86", "", 570},
		{"", "590.48.01", 590},
		{"13", "575.1", 575},
		{"13.1", "590.1", 590}, // an API version without a branch in it
		{"", "", 0},
		{"x.y", "rubbish", 0},
		{"13.", "", 0},
	} {
		if got := driverBranch(c.nvml, c.driver); got != c.want {
			t.Errorf("driverBranch(%q, %q) = %d; want %d", c.nvml, c.driver, got, c.want)
		}
	}
}

func TestClockEventFields(t *testing.T) {
	always := map[uint32]string{74: "sw_power_cap", 76: "sync_boost"}
	with := func(first uint32) map[uint32]string {
		return map[uint32]string{74: "sw_power_cap", 76: "sync_boost", first: "sw_thermal", first + 1: "hw_thermal", first + 2: "hw_power_brake"}
	}
	for branch, want := range map[int]map[uint32]string{
		0: always, 470: always, 570: always, 574: always,
		575: with(251), 580: with(251), 589: with(251),
		590: with(269), 610: with(269),
	} {
		if diff := cmp.Diff(want, clockEventFields(branch)); diff != "" {
			t.Errorf("clockEventFields(%d) (-want +got):\n%s", branch, diff)
		}
	}
}

func TestClockEvents(t *testing.T) {
	active := func(mask uint64) (out []string) {
		for name, on := range clockEvents(mask) {
			if on {
				out = append(out, name)
			}
		}
		return out
	}
	for mask, want := range map[uint64][]string{
		0:           nil,
		1:           {"gpu_idle"},
		0x24:        {"sw_power_cap", "sw_thermal"},
		0x1ff:       {"gpu_idle", "applications_clocks", "sw_power_cap", "hw_slowdown", "sync_boost", "sw_thermal", "hw_thermal", "hw_power_brake", "display_clocks"},
		0x200:       {"other"},
		0x8000_0004: {"sw_power_cap", "other"},
	} {
		if diff := cmp.Diff(want, active(mask), cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
			t.Errorf("clockEvents(%#x) (-want +got):\n%s", mask, diff)
		}
	}
	if got := clockEvents(math.MaxUint64); got != nil {
		t.Errorf("clockEvents of a reserved value = %v; want nil", got)
	}
	if n := len(clockEvents(0)); n != len(clockReasons)+1 {
		t.Errorf("%d states; want every reason and other", n)
	}
}

func TestDecodeField(t *testing.T) {
	value := func(bits uint64) (b [8]byte) { binary.NativeEndian.PutUint64(b[:], bits); return b }
	narrow := func(bits uint32) [8]byte { // what lies behind a short value is not defined
		b := value(0xeeeeeeee_eeeeeeee)
		binary.NativeEndian.PutUint32(b[:], bits)
		return b
	}
	exact := func(v uint64, wide bool) number {
		return number{float: float64(v), integer: v, exact: true, wide: wide}
	}
	for name, c := range map[string]struct {
		kind  uint32
		value [8]byte
		want  number
		ok    bool
	}{
		"double":             {0, value(math.Float64bits(1.5)), number{float: 1.5}, true},
		"not a number":       {0, value(math.Float64bits(math.NaN())), number{}, false},
		"infinite":           {0, value(math.Float64bits(math.Inf(1))), number{}, false},
		"unsigned":           {1, narrow(61), exact(61, false), true},
		"unsigned, reserved": {1, narrow(math.MaxUint32), number{}, false},
		"long":               {2, value(1 << 40), exact(1<<40, true), true},
		"long long":          {3, value(7), exact(7, true), true},
		"reserved":           {3, value(math.MaxUint64), number{}, false},
		"signed maximum":     {3, value(math.MaxInt64), number{}, false},
		"signed":             {4, value(uint64(math.MaxUint64 - 4)), number{float: -5, wide: true}, true},
		"signed positive":    {4, value(5), exact(5, true), true},
		"signed, reserved":   {4, value(math.MaxInt64), number{}, false},
		"short signed":       {5, narrow(math.MaxUint32 - 4), number{float: -5}, true},
		"short, reserved":    {5, narrow(math.MaxInt32), number{}, false},
		"unsigned short":     {6, narrow(0xeeee0007), exact(7, false), true},
		"short sentinel":     {6, narrow(0xffff), number{}, false},
		"unknown type":       {7, value(1), number{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := decodeField(c.kind, c.value)
			if ok != c.ok {
				t.Fatalf("decodeField(%d, %x) = %+v, %v; want %v", c.kind, c.value, got, ok, c.ok)
			}
			if ok && got != c.want {
				t.Errorf("decodeField(%d, %x) = %+v; want %+v", c.kind, c.value, got, c.want)
			}
		})
	}
}

func TestLargest(t *testing.T) {
	if got := largest(nil); got != nil {
		t.Errorf("largest(nil) = %v; want nil", got)
	}
	byName := map[string]uint64{"other": 5, "tie-b": 1000, "tie-a": 1000}
	for i := range 20 {
		byName[string(rune('a'+i))] = uint64(100 + i)
	}
	got := largest(byName)
	if len(got) != processNames+1 {
		t.Fatalf("%d entries; want %d", len(got), processNames+1)
	}
	if got[0].Name != "tie-a" || got[1].Name != "tie-b" || got[2].Name != "t" {
		t.Errorf("largest first: %v", got[:3])
	}
	// Six programs are over, and one has the name that is ours.
	if want := (ProcessMemory{"other", 5 + 100 + 101 + 102 + 103 + 104 + 105}); got[processNames] != want {
		t.Errorf("the rest = %v; want %v", got[processNames], want)
	}
}
