package queuewait

import (
	"encoding/json"
	"testing"
	"time"
	"unsafe"

	"github.com/llmprober/llm_prober/prober/wire"
)

// However long a model runs, it takes no more memory.
func TestBoundedMemory(t *testing.T) {
	m := NewModel()
	at := time.Unix(1e9, 0)
	for i := range 60_000 { // ten days, with load that comes and goes
		at = at.Add(15 * time.Second)
		took := 10 * ms
		if i/3000%2 == 1 {
			took += time.Duration(i*i%97) * ms
		}
		m.Observe(at, 40, took)
	}
	b := m.buckets[bucketOf(40)]
	size := cap(b.Open)*int(unsafe.Sizeof(probe{})) + (cap(b.Slots)+cap(b.Row))*int(unsafe.Sizeof(block{})) + int(unsafe.Sizeof(*b))
	if size > 4<<10 || len(b.Slots) != slots {
		t.Errorf("a bucket takes %d bytes, with %d slots; want at most 4096, with %d", size, len(b.Slots), slots)
	}
}

func BenchmarkModelObserve(b *testing.B) {
	m := NewModel()
	lengths := []int{20, 40, 60, 400, 4000, 12000}
	at := time.Unix(1e9, 0)
	i := 0
	observe := func() {
		i++
		at = at.Add(15 * time.Second)
		m.Observe(at, lengths[i%len(lengths)], time.Duration(10+i%7)*ms)
	}
	for range 20_000 { // three days: all memory is in use
		observe()
	}
	b.ReportAllocs()
	for b.Loop() {
		observe()
	}
	b.StopTimer()
	saved, err := json.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(saved)), "saved-bytes")
}

func BenchmarkTargetObserve(b *testing.B) {
	target := NewTarget()
	r := streamed(wrote+100*ms, told(func(t *wire.ServerTiming) { t.QueueSeconds, t.PrefillSeconds = 0.02, 0.05 }))
	b.ReportAllocs()
	for b.Loop() {
		target.Observe(r, nil)
	}
}
