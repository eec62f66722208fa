package runs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

func TestID(t *testing.T) {
	id := NewID(begin.In(time.FixedZone("", 3600)), "nightly_soak")
	if !strings.HasPrefix(id, "20261122T020000Z-nightly_soak-") || !ValidID(id) {
		t.Errorf("NewID = %q", id)
	}
	for _, ramp := range []string{"", "../../etc", "夜", strings.Repeat("a", 200), "a b/c"} {
		if id := NewID(begin, ramp); !ValidID(id) || strings.ContainsAny(id, "/ ") {
			t.Errorf("NewID(%q) = %q", ramp, id)
		}
	}
	if NewID(begin, "a") >= NewID(begin.Add(time.Second), "a") {
		t.Error("ids do not sort by time")
	}
	seen := map[string]bool{}
	for range 1000 {
		seen[NewID(begin, "a")] = true
	}
	if len(seen) < 999 { // of 32 random bits: in one of 9,000 runs two are the same, two pairs in one of 10^8
		t.Errorf("%d of 1000 ids differ", len(seen))
	}
	for _, id := range []string{"", ".", "..", "../x", "20261122T020000Z-a-1f3a/..", ".tmp-20261122T020000Z-a-1f3a", "20261122T020000Z-a-XYZW", "20261122T020000Z--1f3a"} {
		if ValidID(id) {
			t.Errorf("ValidID(%q) = true", id)
		}
	}
}

func TestCommitAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	s, _ := open(t, dir, Options{})
	run := sampleRun("soak", begin, record.Fail)
	id := put(t, s, run, 3)
	if run.ID != "" {
		t.Errorf("Commit has changed the run: id %q", run.ID)
	}
	for _, s := range []*Store{s, must(t, dir)} { // this process, and the next one
		got, err := s.Load(id)
		if err != nil {
			t.Fatal(err)
		}
		want := *run
		want.ID = id
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(&want)
		if diff := cmp.Diff(string(b), string(a)); diff != "" {
			t.Errorf("Load (-want +got):\n%s", diff)
		}
		infos, next, err := s.List(Filter{})
		if err != nil || len(infos) != 1 || next != "" {
			t.Fatalf("List = %v, %q, %v", infos, next, err)
		}
		wantInfo := Info{Schema: 1, ID: id, Ramp: "soak", Target: "chat", Model: "llama", Shape: "step", Trigger: record.BySchedule,
			Nominal: begin, Started: begin, Ended: begin.Add(2 * time.Minute), Verdict: record.Fail, Requests: &Kept{Schema: 1, Written: 3}}
		if diff := cmp.Diff(wantInfo, infos[0]); diff != "" {
			t.Errorf("List (-want +got):\n%s", diff)
		}
		n := 0
		for r, err := range s.Requests(id) {
			if err != nil {
				t.Fatal(err)
			}
			p := newPending("interactive", 0, sampleResult(n))
			if diff := cmp.Diff(p.request(), r); diff != "" {
				t.Errorf("request %d (-want +got):\n%s", n, diff)
			}
			n++
		}
		if n != 3 {
			t.Errorf("%d requests; want 3", n)
		}
		for range s.Requests(id) {
			break // who has seen enough
		}
	}
	for path, want := range map[string]fs.FileMode{"": 0o700, id: 0o700, id + "/run.json": 0o600, id + "/requests.jsonl.zst": 0o600} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("mode of %q = %v, %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
	if entries, _ := os.ReadDir(filepath.Join(dir, id)); len(entries) != 2 {
		t.Errorf("the run has %v", entries)
	}
}

func must(t *testing.T, dir string) *Store {
	t.Helper()
	s, _ := open(t, dir, Options{})
	return s
}

func TestListing(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{NoRequests: true})
	var ids []string
	for i := range 10 {
		run := sampleRun([]string{"soak", "spike"}[i%2], begin.Add(time.Duration(i)*time.Hour), []record.Verdict{record.Pass, record.Pass, record.Fail}[i%3])
		if i == 9 {
			run.Target = "rag"
		}
		ids = append(ids, put(t, s, run, 1))
	}
	slices.Reverse(ids)
	list := func(f Filter) (got []string, next string) {
		t.Helper()
		infos, next, err := s.List(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range infos {
			got = append(got, i.ID)
		}
		return got, next
	}
	at := func(n ...int) (some []string) {
		for _, i := range n {
			some = append(some, ids[i])
		}
		return some
	}
	for _, tt := range []struct {
		name string
		f    Filter
		want []string
	}{
		{"all, newest first", Filter{}, ids},
		{"of a ramp", Filter{Ramp: "spike"}, at(0, 2, 4, 6, 8)},
		{"of a target", Filter{Target: "rag"}, at(0)},
		{"of a verdict", Filter{Verdict: record.Fail}, at(1, 4, 7)},
		{"since", Filter{Since: begin.Add(7 * time.Hour)}, at(0, 1, 2)},
		{"all at once", Filter{Ramp: "soak", Verdict: record.Pass, Since: begin.Add(time.Hour)}, at(3, 5)},
		{"none", Filter{Ramp: "nobody"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := list(tt.f); !slices.Equal(got, tt.want) {
				t.Errorf("List(%+v) = %v; want %v", tt.f, got, tt.want)
			}
		})
	}
	first, next := list(Filter{Limit: 4})
	if err := s.Remove(first[3]); err != nil { // a list can be gone on with though its last run is gone
		t.Fatal(err)
	}
	second, next := list(Filter{Limit: 4, After: next})
	third, last := list(Filter{Limit: 4, After: next})
	if got := slices.Concat(first, second, third); !slices.Equal(got, ids) || last != "" {
		t.Errorf("in pages: %v, then %q; want %v", got, last, ids)
	}
	if _, _, err := s.List(Filter{After: "nonsense"}); err == nil {
		t.Error("List after nonsense = nil; want an error")
	}
	if err := firstError(s, ids[0]); !errors.Is(err, ErrNotFound) {
		t.Errorf("Requests that were not kept = %v", err)
	}
}

func firstError(s *Store, id string) error {
	for _, err := range s.Requests(id) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestNotThere(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{})
	for _, id := range []string{NewID(begin, "soak"), "../../etc/passwd", "", "."} {
		if _, err := s.Load(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("Load(%q) = %v", id, err)
		}
		if err := firstError(s, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("Requests(%q) = %v", id, err)
		}
		if err := s.Remove(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("Remove(%q) = %v", id, err)
		}
		if err := s.Pin("x", id); !errors.Is(err, ErrNotFound) {
			t.Errorf("Pin(%q) = %v", id, err)
		}
	}
	if _, err := s.Begin("../x"); err == nil {
		t.Error("Begin of no id = nil; want an error")
	}
}

// A record that a link leads to elsewhere is not read: no id leads out of the directory.
func TestNoEscape(t *testing.T) {
	outside := t.TempDir()
	s, _ := open(t, t.TempDir(), Options{})
	id := put(t, must(t, outside), sampleRun("soak", begin, record.Pass), 0)
	if err := os.Symlink(filepath.Join(outside, id), filepath.Join(s.dir, id)); err != nil {
		t.Skip(err)
	}
	if _, err := s.Load(id); err == nil {
		t.Error("Load through a link out of the directory = nil; want an error")
	}
	if infos, _, err := s.List(Filter{}); err != nil || len(infos) != 0 {
		t.Errorf("List = %v, %v", infos, err)
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	good := put(t, s, sampleRun("soak", begin, record.Pass), 1)
	bad := map[string]struct{ text, want string }{
		"20261122T030000Z-soak-00000001": {`{"schema":2,"id":"?","lanes":"other than now"}`, "use that version"},
		"20261122T030000Z-soak-00000002": {`{"schema":1,`, "EOF"},
		"20261122T030000Z-soak-00000003": {`[]`, "no JSON object"},
		"20261122T030000Z-soak-00000004": {`{"schema":1,"id":"20261122T030000Z-soak-00000005","ramp":"soak","started":"2026-11-22T03:00:00Z","verdict":"pass"}`, "its id is"},
		"20261122T030000Z-soak-00000006": {`{"id":"20261122T030000Z-soak-00000006"}`, "schema"},
		"20261122T030000Z-soak-00000007": {`{"schema":1,"id":7,"ramp":"soak","started":"2026-11-22T03:00:00Z","verdict":"pass"}`, "cannot unmarshal"},
		"20261122T030000Z-soak-00000008": {`{"schema":0,"id":"20261122T030000Z-soak-00000008","ramp":"soak","started":"2026-11-22T03:00:00Z","verdict":"pass"}`, "schema 0 is none"},
	}
	for id, tt := range bad {
		if err := os.Mkdir(filepath.Join(dir, id), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, id, runFile), []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, log := open(t, dir, Options{MaxRuns: 1, MaxAge: time.Nanosecond})
	for id, tt := range bad {
		if _, err := s.Load(id); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Load(%s) = %v; want an error with %q", tt.text, err, tt.want)
		}
	}
	newer, ok := errors.AsType[*NewerError](func() error { _, err := s.Load("20261122T030000Z-soak-00000001"); return err }())
	if !ok || newer.Schema != 2 || newer.Reads != 1 {
		t.Errorf("Load of a newer record = %+v", newer)
	}
	if infos, _, err := s.List(Filter{}); err != nil || len(infos) != 0 { // the good one was too old
		t.Errorf("List = %v, %v", infos, err)
	}
	if _, err := s.Load(good); !errors.Is(err, ErrNotFound) {
		t.Errorf("Load of what was too old = %v", err)
	}
	why, err := s.Unreadable()
	if err != nil || len(why) != len(bad) {
		t.Errorf("Unreadable = %v, %v; want %d", why, err, len(bad))
	}
	if n := strings.Count(log.String(), "cannot be read"); n != len(bad) {
		t.Errorf("%d warnings of unreadable records; want %d, once each:\n%s", n, len(bad), log)
	}
}

// Fields in any order, unknown ones among them: also what other programs have rewritten can be listed.
func TestDecodeInfoOrder(t *testing.T) {
	text := `{"lanes":[{"name":"a"}],"new":{"schema":9},"verdict":"pass","started":"2026-11-22T03:00:00Z","ramp":"soak","id":"x","schema":1,"shard":3}`
	info, err := decodeInfo(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if info.ID != "x" || info.Schema != 1 || info.Verdict != record.Pass || info.Shard != 3 {
		t.Errorf("decodeInfo = %+v", info)
	}
	// What comes first is enough.
	if _, err := decodeInfo(strings.NewReader(`{"schema":1,"id":"x","ramp":"a","started":"2026-11-22T03:00:00Z","verdict":"pass","lanes":[{`)); err != nil {
		t.Errorf("decodeInfo of the beginning = %v", err)
	}
}

func FuzzDecodeInfo(f *testing.F) {
	f.Add([]byte(`{"schema":1,"id":"x","ramp":"a","started":"2026-11-22T03:00:00Z","verdict":"pass"}`))
	f.Add([]byte(`{"schema":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := decodeInfo(strings.NewReader(string(data)))
		if (info == nil) == (err == nil) {
			t.Errorf("decodeInfo = %v, %v", info, err)
		}
	})
}

// A record of version 1 is readable for ever, and means the same. The files in testdata/v1 are not to be made anew.
func TestVersion1(t *testing.T) {
	s, _ := open(t, t.TempDir(), Options{NoRequests: true})
	const id = "20261122T020000Z-nightly_soak-1f3a9c02"
	if err := os.CopyFS(filepath.Join(s.dir, id), os.DirFS("testdata/v1")); err != nil {
		t.Fatal(err)
	}
	infos, _, err := s.List(Filter{})
	if err != nil || len(infos) != 1 || infos[0].Verdict != record.Fail || infos[0].Requests.Written != 3 {
		t.Fatalf("List = %+v, %v", infos, err)
	}
	run, err := s.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	st := &run.Lanes[0].Stages[0]
	p := st.Probes["chat"]
	got := fmt.Sprint(run.ID, run.Ramp, run.Target, run.Seed, run.Started, run.Objectives[0].Threshold, st.Planned, st.Shed, st.From, st.Measured(),
		p.Outcomes, p.TTFT.Count(), p.TTFT.Quantile(0.5).Round(time.Millisecond), p.TTFT.Quantile(0.95).Round(time.Millisecond), p.OutputTokens, p.Cost)
	want := "20261122T020000Z-nightly_soak-1f3a9c02 nightly_soak chat 7 2026-11-22 02:00:00 +0000 UTC 0.8 110 6 2026-11-22 02:00:10 +0000 UTC 1m40s " +
		"map[ok:100 timeout_total:4] 100 120ms 900ms 6400 0.02"
	if strings.Join(strings.Fields(got), "") != strings.Join(strings.Fields(want), "") {
		t.Errorf("version 1 says\n%s\nwant\n%s", got, want)
	}
	n := 0
	for r, err := range s.Requests(id) {
		if err != nil {
			t.Fatal(err)
		}
		wanted := newPending("interactive", 0, sampleResult(n))
		if diff := cmp.Diff(wanted.request(), r); diff != "" {
			t.Errorf("request %d of version 1 (-want +got):\n%s", n, diff)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d requests; want 3", n)
	}
}

func TestRetention(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	now := time.Now().UTC()
	var soak, spike []string
	for i := range 5 {
		at := now.Add(-time.Duration(i) * 24 * time.Hour)
		soak = append(soak, put(t, s, sampleRun("soak", at, record.Pass), 1))
		spike = append(spike, put(t, s, sampleRun("spike", at, record.Pass), 1))
	}
	if err := s.Pin("release", soak[4]); err != nil {
		t.Fatal(err)
	}
	left := func(s *Store, ramp string) (ids []string) {
		infos, _, err := s.List(Filter{Ramp: ramp})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range infos {
			ids = append(ids, i.ID)
		}
		return ids
	}
	opened, _ := open(t, dir, Options{MaxRuns: 3}) // when it is opened
	if diff := cmp.Diff([]string{soak[0], soak[1], soak[2], soak[4]}, left(opened, "soak")); diff != "" {
		t.Errorf("soak (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(spike[:3], left(s, "spike")); diff != "" { // the first store sees it as well
		t.Errorf("spike (-want +got):\n%s", diff)
	}
	newest := put(t, opened, sampleRun("spike", now.Add(time.Hour), record.Pass), 1) // and after each commit
	if diff := cmp.Diff([]string{newest, spike[0], spike[1]}, left(opened, "spike")); diff != "" {
		t.Errorf("spike (-want +got):\n%s", diff)
	}
	aged, _ := open(t, dir, Options{MaxAge: 36 * time.Hour})
	if diff := cmp.Diff([]string{soak[0], soak[1], soak[4]}, left(aged, "soak")); diff != "" {
		t.Errorf("soak by age (-want +got):\n%s", diff)
	}
	if err := aged.Remove(soak[4]); err == nil || !strings.Contains(err.Error(), "pinned") {
		t.Errorf("Remove of a pinned run = %v", err)
	}
	if err := aged.Unpin("release"); err != nil {
		t.Fatal(err)
	}
	if err := aged.Retain(time.Now()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{soak[0], soak[1]}, left(aged, "soak")); diff != "" {
		t.Errorf("soak, unpinned (-want +got):\n%s", diff)
	}
	for _, e := range entries(t, dir) {
		if strings.HasPrefix(e, delPrefix) || strings.HasPrefix(e, tmpPrefix) {
			t.Errorf("%s is left", e)
		}
	}
}

// Without the pins nobody knows what may be removed: then nothing is.
func TestRetentionWithoutPins(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir, Options{})
	put(t, s, sampleRun("soak", begin, record.Pass), 0)
	put(t, s, sampleRun("soak", begin.Add(time.Hour), record.Pass), 0)
	if err := os.WriteFile(filepath.Join(dir, baselinesFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, log := open(t, dir, Options{MaxRuns: 1})
	if infos, _, _ := s.List(Filter{}); len(infos) != 2 || !strings.Contains(log.String(), "Old runs cannot be removed") {
		t.Errorf("%d runs are left, and the log says\n%s", len(infos), log)
	}
	if err := s.Pin("a", NewID(begin, "soak")); err == nil || !strings.Contains(err.Error(), "mend it") {
		t.Errorf("Pin = %v", err)
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// Two stores, as two processes have them, write, list, pin and remove at once.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	var logs [2]*bytes.Buffer
	for n := range 2 {
		s, log := open(t, dir, Options{MaxRuns: 5})
		logs[n] = log
		for g := range 3 {
			wg.Go(func() {
				for i := range 4 {
					id := put(t, s, sampleRun(fmt.Sprintf("ramp%d", g), begin.Add(time.Duration(i)*time.Second), record.Pass), 5)
					if err := s.SaveBaseline(fmt.Sprintf("t%d-%d-%d", n, g, i), []BaselineValue{{Probe: "p", Indicator: "ttft", Quantile: 0.5, Seconds: 1}}); err != nil {
						t.Error(err)
					}
					infos, _, err := s.List(Filter{Limit: 3})
					if err != nil {
						t.Error(err)
					}
					for _, info := range infos {
						if _, err := s.Load(info.ID); err != nil && !errors.Is(err, ErrNotFound) {
							t.Errorf("Load(%s) = %v", info.ID, err)
						}
					}
					_ = id
				}
			})
		}
	}
	wg.Wait()
	for _, log := range logs {
		if strings.Contains(log.String(), "cannot") {
			t.Errorf("one of them says\n%s", log)
		}
	}
	s, log := open(t, dir, Options{})
	infos, _, err := s.List(Filter{})
	if err != nil || len(infos) != 15 || strings.Contains(log.String(), "cannot") {
		t.Errorf("%d runs are left, %v; want 5 of 3 ramps\n%s", len(infos), err, log)
	}
	if all, err := s.Baselines(); err != nil || len(all) != 24 {
		t.Errorf("%d baselines, %v; want 24: one was lost", len(all), err)
	}
}
