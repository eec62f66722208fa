package runs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Whatever is in the place of a record: it is listed and loads, or is named as what cannot be read; it is exported, and left alone.
func FuzzLoad(f *testing.F) {
	const id = "20261122T020000Z-nightly_soak-1f3a9c02"
	text, err := os.ReadFile("testdata/v1/run.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(bytes.Replace(text, []byte(`"schema":1`), []byte(`"schema":2`), 1))
	f.Add([]byte(`{"schema":1,"id":"` + id + `","ramp":"a","started":"2026-11-22T02:00:00Z","verdict":"pass","lanes":[{"stages":[{"probes":{"p":null}}]}]}`))
	f.Add([]byte(`{"schema":1,"id":"../../etc","ramp":"a","started":"2026-11-22T02:00:00Z","verdict":"pass"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, id), 0o700); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, id, runFile)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, _ := open(t, dir, Options{NoRequests: true})
		infos, _, err := s.List(Filter{})
		if err != nil {
			t.Fatalf("List = %v", err)
		}
		unread, err := s.Unreadable()
		if err != nil || len(infos)+len(unread) != 1 {
			t.Fatalf("%d runs are listed, and %v cannot be read, %v; want one of them", len(infos), unread, err)
		}
		run, err := s.Load(id)
		if err == nil && (len(infos) == 0 || run.ID != id) {
			t.Fatalf("%q loads, and its list is %v", run.ID, infos)
		}
		if err == nil {
			var b bytes.Buffer
			if err := WriteStagesCSV(&b, run); err != nil {
				t.Errorf("WriteStagesCSV = %v", err)
			}
			if err := WriteStagesJSON(&b, run); err != nil {
				t.Errorf("WriteStagesJSON = %v", err)
			}
		}
		if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, data) {
			t.Errorf("the record was changed, %v", err)
		}
	})
}

// Whatever a file of requests holds, in the form of zstd or not: what can be read is, up to the first thing that cannot, within
// bounded memory; and what was read is written again as the same.
func FuzzRequests(f *testing.F) {
	lines, err := os.ReadFile("testdata/v1/requests.jsonl.zst")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(lines, false)
	f.Add(lines[:len(lines)/2], false)
	f.Add([]byte(`{"id":"a","intended":"2026-11-22T02:00:00Z","timeline_ns":{"end":5},"chunks":[[1,2,3],[4,5,-1]]}`+"\n"+`{"id":"b","chunks":[[1]]}`), true)
	f.Add([]byte(`{"id":"`+strings.Repeat("a", 1000)+`"`), true)
	f.Add([]byte("null\n{}\n\n[]"), true)
	f.Fuzz(func(t *testing.T, data []byte, pack bool) {
		if pack {
			var b bytes.Buffer
			w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			data = b.Bytes()
		}
		n := 0
		err := eachRequest(bytes.NewReader(data), func(r *Request, err error) bool {
			if r == nil || err != nil {
				t.Fatalf("request %v, %v", r, err)
			}
			text, err := json.Marshal(r)
			if err != nil {
				return true // a time beyond the year 9999
			}
			again := &Request{}
			if err := json.Unmarshal(text, again); err != nil {
				t.Fatalf("%s cannot be read again: %v", text, err)
			}
			if rewritten, err := json.Marshal(again); err != nil || !bytes.Equal(rewritten, text) {
				t.Fatalf("%s is read again as %s, %v", text, rewritten, err)
			}
			n++
			return n < 1000
		})
		if n == 0 && err == nil && len(bytes.TrimSpace(data)) > 0 && !pack && data[0] != 0x28 && data[0] < 0x50 {
			t.Errorf("%q is taken for a file without requests", data)
		}
	})
}

// Whatever is in the place of the baselines: it is read, or said to be broken, and a pin then changes nothing else of it.
func FuzzBaselines(f *testing.F) {
	for _, seed := range []string{
		`{"schema":1,"pins":{"a":{"run":"20261122T020000Z-nightly_soak-1f3a9c02","at":"2026-11-22T02:00:00Z"}},"targets":{"chat":[{"probe":"p","indicator":"ttft","quantile":0.5,"seconds":0.1,"saved_at":"2026-11-22T02:00:00Z"}]}}`,
		`{"schema":2}`, `{"pins":null,"targets":{"":null}}`, `{}`, `[]`, ``, `{"targets":{"chat":[{"seconds":-1,"quantile":1e308}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _ := open(t, t.TempDir(), Options{NoRequests: true})
		id := put(t, s, sampleRun("soak", begin, record.Pass), 0)
		file := filepath.Join(s.dir, baselinesFile)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := s.Baselines()
		if err != nil {
			if !strings.Contains(err.Error(), baselinesFile) {
				t.Errorf("the error %q does not name the file", err)
			}
			if s.Pin("a name", id) == nil {
				t.Errorf("%q is written over", data)
			}
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, data) {
				t.Errorf("what could not be read was changed to %q, %v", after, err)
			}
			return
		}
		if err := s.Pin("a name", id); err != nil {
			return // a time beyond the year 9999
		}
		after, err := s.Baselines()
		if err != nil {
			t.Fatalf("after a pin: %v", err)
		}
		a, _ := json.Marshal(before)
		b, _ := json.Marshal(after)
		pins, err := s.Pins()
		if !bytes.Equal(a, b) || err != nil || pins["a name"].Run != id {
			t.Errorf("after a pin the baselines are %s, and were %s; pins %v, %v", b, a, pins, err)
		}
	})
}

// Whatever is asked for as an id or a place in a list: it is one, or there is none; and nothing outside of the store is opened.
func FuzzID(f *testing.F) {
	for _, seed := range []string{"20261122T020000Z-nightly_soak-1f3a9c02", "..", "20261122T020000Z-../../x-1f3a9c02", "1795305600000000000.20261122T020000Z-a-00000000", ".", "", "-1.x", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if ValidID(text) && (!fs.ValidPath(text) || strings.ContainsAny(text, "/\\\x00") || len(text) > 255) {
			t.Errorf("%q is taken for an id", text)
		}
		if p, err := parsePlace(text); err == nil {
			again, err := parsePlace(p.String())
			if err != nil || again.compare(p) != 0 || !ValidID(p.id) {
				t.Errorf("parsePlace(%q) = %+v; read again %+v, %v", text, p, again, err)
			}
		}
	})
}

// A file of a few kilobytes that is one line without an end costs no more than a line may have.
func TestRequestWithoutEnd(t *testing.T) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(`{"id":"`)); err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte("a"), 1<<20)
	for range 64 {
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = eachRequest(&b, func(*Request, error) bool { return true })
	runtime.ReadMemStats(&after)
	if !errors.Is(err, bufio.ErrTooLong) {
		t.Errorf("eachRequest = %v; want %v", err, bufio.ErrTooLong)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 60<<20 { // 32 MiB of buffers that grow, and the decoder's
		t.Errorf("%d MiB were taken for it", took>>20)
	}
}
