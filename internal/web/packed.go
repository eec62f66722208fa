package web

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// packedSlot is a slot that nothing is added to for now, in some hundred bytes: a day of 500 probes has 75,000 of them.
// All numbers but the parts are varints, of which most take a byte:
//
//	TTFT | took | TPOT | ok | failed | explained | n + 1, n parts as float32; 0: nil | outcomes
//
// where a distribution is its number of buckets, and for each how far it is from the one before, and its count.
type packedSlot struct {
	number int64
	data   string
}

// errPacked says that bytes are none that pack has made.
var errPacked = errors.New("not a packed slot")

// pack is s in few bytes.
func (s *slot) pack() packedSlot {
	var room [512]byte
	return packedSlot{number: s.Number, data: string(s.appendTo(room[:0]))}
}

func (s *slot) appendTo(b []byte) []byte {
	for _, k := range []sketch{s.TTFT, s.Took, s.TPOT} {
		b = binary.AppendUvarint(b, uint64(len(k)))
		before := 0
		for _, bucket := range k {
			b = binary.AppendVarint(b, int64(int(bucket.Top)-before)) // the first may be below zero
			b = binary.AppendUvarint(b, uint64(bucket.Count))
			before = int(bucket.Top)
		}
	}
	for _, n := range []int{s.OK, s.Failed, s.Broken} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	if s.Parts == nil {
		b = append(b, 0)
	} else {
		b = binary.AppendUvarint(b, uint64(len(s.Parts))+1)
		for _, sum := range s.Parts {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(sum))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(s.Outcomes)))
	for _, o := range s.Outcomes {
		b = binary.AppendUvarint(b, uint64(len(o.Outcome)))
		b = append(b, o.Outcome...)
		b = binary.AppendUvarint(b, uint64(o.Count))
	}
	return b
}

// unpack is the slot that was packed. Bytes that pack has not made are an error.
func (p packedSlot) unpack() (s slot, err error) {
	r := unpacker{rest: p.data}
	s.Number = p.number
	s.TTFT, s.Took, s.TPOT = r.sketch(), r.sketch(), r.sketch()
	s.OK, s.Failed, s.Broken = r.number(), r.number(), r.number()
	if n := r.number(); n > 0 {
		s.Parts = make([]float32, 0, min(n-1, len(r.rest)))
		for range n - 1 {
			bits := r.take(4)
			if r.bad {
				break
			}
			s.Parts = append(s.Parts, math.Float32frombits(binary.LittleEndian.Uint32([]byte(bits))))
		}
	}
	for range r.number() {
		o := outcomeCount{Outcome: r.text(), Count: r.number()}
		if r.bad {
			break
		}
		s.Outcomes = append(s.Outcomes, o)
	}
	if r.bad || r.rest != "" {
		return slot{}, errPacked
	}
	return s, nil
}

// ttft is the distribution of the times to first token alone.
func (p packedSlot) ttft() sketch {
	r := unpacker{rest: p.data}
	return r.sketch()
}

// unpacker reads what pack has written, and stays at the end of what is bad.
type unpacker struct {
	rest string
	bad  bool
}

// take is the next n bytes; "" where there are not as many.
func (r *unpacker) take(n int) string {
	if n < 0 || n > len(r.rest) {
		r.rest, r.bad = "", true
		return ""
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

// uvarint is the next varint.
func (r *unpacker) uvarint() (v uint64) {
	for shift := 0; shift < 64; shift += 7 {
		b := r.take(1)
		if r.bad {
			return 0
		}
		v |= uint64(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			return v
		}
	}
	r.rest, r.bad = "", true
	return 0
}

// varint is the next varint that may be below zero.
func (r *unpacker) varint() int64 {
	zigzag := r.uvarint()
	return int64(zigzag>>1) ^ -int64(zigzag&1)
}

// text is the next text.
func (r *unpacker) text() string { return r.take(r.number()) }

// number is the next varint, as far as it is a number of things.
func (r *unpacker) number() int {
	v := r.uvarint()
	if v > math.MaxInt32 {
		r.rest, r.bad = "", true
		return 0
	}
	return int(v)
}

func (r *unpacker) sketch() sketch {
	n := r.number()
	if n == 0 {
		return nil
	}
	s := make(sketch, 0, min(n, sketchMost))
	top := int64(0)
	for range n {
		top += r.varint()
		count := r.number()
		if r.bad || top != int64(int16(top)) || count > math.MaxUint16 {
			r.rest, r.bad = "", true
			return nil
		}
		s = append(s, bucket{int16(top), uint16(count)})
	}
	return s
}

// inOrder finds a slot by its number among packed ones.
func inOrder(slots []packedSlot, number int64) (int, bool) {
	return slices.BinarySearchFunc(slots, number, func(p packedSlot, n int64) int {
		switch {
		case p.number < n:
			return -1
		case p.number > n:
			return 1
		}
		return 0
	})
}
