package gpu

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// eight is the view of a machine with eight GPUs that give every reading.
func eight() View {
	v := full()
	d := v.Snapshot.Devices[0]
	v.Snapshot.Devices = nil
	for i := range 8 {
		d.Identity = Identity{i, fmt.Sprintf("GPU-%d", i), fmt.Sprintf("0000:%x0:00.0", i)}
		v.Snapshot.Devices = append(v.Snapshot.Devices, d)
		for _, code := range PrecreatedXIDs() {
			v.XIDs = append(v.XIDs, XIDCount{GPU: d.Identity, Code: code, Source: sourceNVML})
		}
	}
	return v
}

func BenchmarkScrape(b *testing.B) {
	v := eight()
	r := prometheus.NewRegistry()
	r.MustRegister(NewCollector(func() View { return v }))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReceive is what the prober does with each snapshot: once a second.
func BenchmarkReceive(b *testing.B) {
	var frame bytes.Buffer
	if err := writeMessage(&frame, snapshotMessage{eight().Snapshot}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	inv := newInventory()
	for b.Loop() {
		m, err := readMessage(bytes.NewReader(frame.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		inv.complete(m.(snapshotMessage).Devices)
	}
	b.ReportMetric(float64(frame.Len()), "bytes/frame")
}
