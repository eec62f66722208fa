package gpu

import (
	"encoding/binary"
	"math"
)

// number is the decoded value of an NVML field.
type number struct {
	float   float64
	integer uint64
	exact   bool // integer holds the value
	wide    bool // it was 64 bits wide
}

// decodeField reads a value of NVML's type (nvmlValueType_t) in native byte order. ok is false for unknown types,
// for what is no number, and for reserved values.
func decodeField(kind uint32, value [8]byte) (n number, ok bool) {
	bits := binary.NativeEndian.Uint64(value[:])
	half := binary.NativeEndian.Uint32(value[:])
	switch kind {
	case 0: // double
		f := math.Float64frombits(bits)
		return number{float: f}, !math.IsNaN(f) && !math.IsInf(f, 0)
	case 1: // unsigned int
		return whole(uint64(half), false), half != math.MaxUint32
	case 2, 3: // unsigned long (64 bits wherever NVML is used with Go on Linux), unsigned long long
		return whole(bits, true), bits < maxCount
	case 4: // signed long long
		v := int64(bits)
		return signed(v, true), v != math.MinInt64 && v < maxCount
	case 5: // signed int
		v := int32(half)
		return signed(int64(v), false), v != math.MinInt32 && v != math.MaxInt32
	case 6: // unsigned short
		v := binary.NativeEndian.Uint16(value[:])
		return whole(uint64(v), false), v != math.MaxUint16
	}
	return number{}, false
}

func whole(v uint64, wide bool) number {
	return number{float: float64(v), integer: v, exact: true, wide: wide}
}

func signed(v int64, wide bool) number {
	if v < 0 {
		return number{float: float64(v), wide: wide}
	}
	return whole(uint64(v), wide)
}
