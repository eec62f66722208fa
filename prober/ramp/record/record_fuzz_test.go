package record

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// Whatever is in the place of a histogram: what is read is no larger than one of ours, adds up, and reads as the same when it
// is written again.
func FuzzHistogram(f *testing.F) {
	for _, times := range []int{0, 1, 100} {
		h := &Histogram{}
		for i := range times {
			h.RecordN(time.Duration(i*i)*time.Millisecond, i+1)
		}
		text, err := json.Marshal(h)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, false)
		if times > 0 {
			f.Add(unpacked(f, text), true)
		}
	}
	f.Add([]byte(`"HISTFAAAAB"`), false)
	f.Add([]byte(`""`), false)
	f.Add([]byte(`"not base64"`), false)
	f.Fuzz(func(t *testing.T, data []byte, pack bool) {
		if pack {
			data = packedAgain(t, data)
		}
		h := &Histogram{}
		if json.Unmarshal(data, h) != nil {
			if h.Count() != 0 {
				t.Errorf("%d values of what cannot be read", h.Count())
			}
			return
		}
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatalf("Marshal() = %v", err)
		}
		again := &Histogram{}
		if err := json.Unmarshal(text, again); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if h.Count() < 0 || again.Count() != h.Count() || again.Max() != h.Max() || again.Mean() != h.Mean() {
			t.Errorf("%d values, mean %v, max %v; read again %d, %v, %v", h.Count(), h.Mean(), h.Max(), again.Count(), again.Mean(), again.Max())
		}
		last := time.Duration(0)
		for _, q := range []float64{0, .5, .9, .99, 1} {
			v := h.Quantile(q)
			if v < last || v > time.Duration(highest+highest/500)*unit {
				t.Errorf("quantile %v is %v after %v", q, v, last)
			}
			last = v
		}
		if h.Mean() < 0 {
			t.Errorf("the mean is %v", h.Mean())
		}
		sum := &Histogram{}
		sum.Add(h)
		sum.Add(again)
		if sum.Count() != 2*h.Count() || h.Count() > 0 && sum.Max() != h.Max() {
			t.Errorf("%d values up to %v added to themselves are %d up to %v", h.Count(), h.Max(), sum.Count(), sum.Max())
		}
	})
}

// unpacked is what a histogram's text has inside, which changes more than its base64 does.
func unpacked(t testing.TB, text []byte) []byte {
	t.Helper()
	all, err := base64.StdEncoding.DecodeString(strings.Trim(string(text), `"`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := zlib.NewReader(bytes.NewReader(all[8:]))
	if err != nil {
		t.Fatal(err)
	}
	inside, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return inside
}

// packedAgain is the reverse.
func packedAgain(t testing.TB, inside []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(inside); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	all := binary.BigEndian.AppendUint32(nil, 0x1c849314) // the cookie of what is compressed
	all = binary.BigEndian.AppendUint32(all, uint32(b.Len()))
	return []byte(`"` + base64.StdEncoding.EncodeToString(append(all, b.Bytes()...)) + `"`)
}

// Whatever is in the place of a record: what is read can be written, reads as the same, and shards of it add up or are refused.
func FuzzRun(f *testing.F) {
	text, err := os.ReadFile("../../../internal/runs/testdata/v1/run.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(bytes.Replace(text, []byte(`"lanes":`), []byte(`"shards":2,"shard":0,"lanes":`), 1))
	f.Add([]byte(`{"shards":2,"shard":1,"lanes":[{"name":"a","stages":[{"probes":{"p":null},"windows":[{"length_ns":-1}]}]}]}`))
	f.Add([]byte(`{"shards":1,"lanes":[{"stages":[{"mix":null,"probes":null},{"windows":[{"length_ns":1,"ttft":{"n":-1}}]}]},{}]}`))
	f.Add([]byte(`{"shards":1000000000,"shard":7}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		run := &Run{}
		if json.Unmarshal(data, run) != nil {
			return
		}
		written, err := json.Marshal(run)
		if err != nil {
			return // a time beyond the year 9999
		}
		again := &Run{}
		if err := json.Unmarshal(written, again); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if rewritten, err := json.Marshal(again); err != nil || !bytes.Equal(rewritten, written) {
			t.Fatalf("written\n%s\nand again, %v\n%s", written, err, rewritten)
		}
		if run.Check() != nil {
			return
		}
		other := *again
		other.Shard = 1 - run.Shard
		for _, runs := range [][]*Run{{run}, {run, &other}, {run, run}} {
			merged, err := Merge(runs)
			if (merged == nil) == (err == nil) {
				t.Fatalf("Merge = %v, %v", merged, err)
			}
			if err != nil {
				continue
			}
			if len(merged.Merged) != len(runs) || len(merged.Lanes) != len(run.Lanes) || len(merged.Merged)+len(merged.Missing()) != merged.Shards {
				t.Fatalf("Merge of %d has %v of %d shards, %d lanes", len(runs), merged.Merged, merged.Shards, len(merged.Lanes))
			}
		}
	})
}
