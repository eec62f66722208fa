package api

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/llmprober/llm_prober/prober"
)

// packed is a request as it is kept: of 500 probes there are 50,000, and as structs they take three times as much. What is not
// in data is what all requests of a probe share, and the end, which has the clock's own reading.
//
// data has the fields of request, with numbers as varints, texts after their length, and the steps that happened after a mask of
// which those are.
type packed struct {
	end    time.Time
	failed bool
	data   string
}

// pack is q in few bytes. Its target and probe are known to whoever keeps it.
func (q *request) pack() *packed {
	var room [512]byte
	b := appendText(room[:0], q.id)
	planned := !q.intended.IsZero()
	ahead := int64(0)
	if planned {
		ahead = q.at - q.intended.UnixNano()
	}
	b = binary.AppendVarint(b, ahead)
	happened := uint64(0)
	for i, step := range q.steps {
		if step != missing {
			happened |= 1 << i
		}
	}
	b = binary.AppendUvarint(b, happened)
	for _, step := range q.steps {
		if step != missing {
			b = binary.AppendVarint(b, int64(step))
		}
	}
	for _, s := range []string{string(q.outcome), q.err, string(q.source), q.finish, q.remote, string(q.clock)} {
		b = appendText(b, s)
	}
	for _, n := range []int64{int64(q.status), int64(q.retryAfter), int64(q.prompt), int64(q.cached), int64(q.output),
		int64(q.attempt), int64(q.turn), int64(q.burst), int64(q.dispatched), int64(q.receiveLate)} {
		b = binary.AppendVarint(b, n)
	}
	for _, v := range []float64{q.ttft, q.duration, q.tpot, q.wait, q.rate} {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	flags := byte(0)
	for i, is := range []bool{q.stream, q.usage, q.retried, q.cold, q.reused, q.late, planned} {
		if is {
			flags |= 1 << i
		}
	}
	return &packed{q.end, q.outcome.Failed(), string(append(b, flags))}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// unpackInto makes q the request that was packed, of that target and probe. Its texts are parts of p's.
func (p *packed) unpackInto(q *request, target, probe string) {
	u := unpacker{p.data}
	*q = request{id: u.text(), target: target, probe: probe, end: p.end, at: p.end.UnixNano()}
	q.intended = time.Unix(0, q.at-u.number()).UTC()
	happened := u.uvarint()
	for i := range q.steps {
		if q.steps[i] = missing; happened&(1<<i) != 0 {
			q.steps[i] = time.Duration(u.number())
		}
	}
	q.outcome, q.err, q.source = prober.Outcome(u.text()), u.text(), prober.TokenSource(u.text())
	q.finish, q.remote, q.clock = u.text(), u.text(), prober.Clock(u.text())
	for _, n := range []*int{&q.status, nil, &q.prompt, &q.cached, &q.output, &q.attempt, &q.turn, &q.burst} {
		if v := u.number(); n != nil {
			*n = int(v)
		} else {
			q.retryAfter = time.Duration(v)
		}
	}
	q.dispatched, q.receiveLate = time.Duration(u.number()), time.Duration(u.number())
	for _, v := range []*float64{&q.ttft, &q.duration, &q.tpot, &q.wait, &q.rate} {
		*v = math.Float64frombits(binary.LittleEndian.Uint64([]byte(u.take(8))))
	}
	planned := false
	flags := u.take(1)[0]
	for i, is := range []*bool{&q.stream, &q.usage, &q.retried, &q.cold, &q.reused, &q.late, &planned} {
		*is = flags&(1<<i) != 0
	}
	if !planned {
		q.intended = time.Time{}
	}
}

// unpacker reads what pack has written, and nothing else.
type unpacker struct{ rest string }

func (u *unpacker) take(n int) string {
	taken := u.rest[:n]
	u.rest = u.rest[n:]
	return taken
}

func (u *unpacker) uvarint() (v uint64) {
	for shift := 0; ; shift += 7 {
		b := u.take(1)[0]
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

func (u *unpacker) number() int64 {
	zigzag := u.uvarint()
	return int64(zigzag>>1) ^ -int64(zigzag&1)
}

func (u *unpacker) text() string { return u.take(int(u.uvarint())) }
