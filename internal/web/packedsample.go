package web

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/queuewait"
)

// packedSample is a sample in some 150 bytes, half of what it takes as a struct with what that points to: of 500 probes there
// are 60,000.
//
// data has the fields of sample and of its parts: texts after their length, durations as varints, and flags.
type packedSample struct {
	end  time.Time
	data string
}

// The flags of a packed sample.
const (
	flagTimed = 1 << iota
	flagExact
	flagDegraded
	flagParts
	flagModel
)

func (s *sample) pack() packedSample {
	var room [512]byte
	b := room[:0]
	for _, text := range []string{s.id, string(s.outcome), s.err, string(s.clock)} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	flags := byte(0)
	for i, is := range [...]bool{s.timed, s.exact, s.degraded, s.parts != nil, s.parts != nil && s.parts.model} {
		if is {
			flags |= 1 << i // in the order of the constants
		}
	}
	b = append(b, flags)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(s.rate))
	for _, n := range []int64{int64(s.status), int64(s.latency), int64(s.took), int64(s.tpot)} {
		b = binary.AppendVarint(b, n)
	}
	if s.parts != nil {
		b = append(binary.AppendUvarint(b, uint64(len(s.parts.source))), s.parts.source...)
		b = binary.AppendUvarint(b, uint64(len(s.parts.took)))
		for _, took := range s.parts.took {
			b = binary.AppendVarint(b, int64(took))
		}
	}
	return packedSample{s.end, string(b)}
}

// unpack is the sample that was packed.
func (p packedSample) unpack() sample {
	r := unpacker{rest: p.data}
	s := sample{end: p.end, id: r.text(), outcome: prober.Outcome(r.text()), err: r.text(), clock: prober.Clock(r.text())}
	flags := r.take(1)[0]
	s.timed, s.exact, s.degraded = flags&flagTimed != 0, flags&flagExact != 0, flags&flagDegraded != 0
	s.rate = math.Float64frombits(binary.LittleEndian.Uint64([]byte(r.take(8))))
	s.status, s.latency, s.took, s.tpot = int(r.varint()), time.Duration(r.varint()), time.Duration(r.varint()), time.Duration(r.varint())
	if flags&flagParts != 0 {
		s.parts = &parts{source: queuewait.Source(r.text()), model: flags&flagModel != 0}
		s.parts.took = make([]time.Duration, r.number())
		for i := range s.parts.took {
			s.parts.took[i] = time.Duration(r.varint())
		}
	}
	return s
}

// samples are all results, oldest first.
func (r *rowHistory) samples() []sample {
	packed := r.results.slice()
	all := make([]sample, len(packed))
	for i, p := range packed {
		all[i] = p.unpack()
	}
	return all
}
