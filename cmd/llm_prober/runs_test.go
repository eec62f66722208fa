package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/internal/runs"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// spread is a directory of records of a ramp that runs each night on so many shards.
type spread struct {
	t      *testing.T
	dir    string
	shards int
	config string
}

// night is the time of one.
func night(day int) time.Time { return time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC).AddDate(0, 0, day) }

// shard puts a shard's run on record, whose requests all took about so many seconds, and returns its id.
func (s *spread) shard(day, shard int, ttft float64, v record.Verdict) string {
	s.t.Helper()
	begin, h := night(day), new(record.Histogram)
	for i := range 100 {
		h.Record(time.Duration(ttft * (1 + float64(i%20)/1000) * float64(time.Second)))
	}
	run := &record.Run{
		Ramp: "soak", Target: "chat", Model: "m", Trigger: record.ByHand, Nominal: begin, Started: begin, Ended: begin.Add(time.Minute),
		Seed: 7, Shard: shard, Shards: s.shards, Verdict: v, Reasons: []string{"what it came to by itself."}, Config: json.RawMessage(s.config),
		Objectives: []record.Objective{{Indicator: "ttft", Percentile: 95, Threshold: 10}},
		Lanes: []record.Lane{{Name: "main", Target: "chat", Model: "m", Open: true, Stages: []record.Stage{{
			Name: "hold", Kind: record.Hold, Begin: 1, End: 1, Mix: map[string]float64{"short": 1}, Started: begin, From: begin, To: begin.Add(time.Minute), Ended: begin.Add(time.Minute),
			Planned: 100, Sent: 100, DispatchDelay: &record.Histogram{},
			Probes: map[string]*record.Stats{"short": {Sent: 100, Outcomes: map[string]int{"ok": 100}, TTFT: h}},
		}}}},
	}
	store, err := runs.Open(filepath.Join(s.dir, "runs"), runs.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	w, err := store.Begin(runs.NewID(begin, run.Ramp))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := w.Commit(run); err != nil {
		s.t.Fatal(err)
	}
	return w.ID()
}

// night puts the runs of all shards of a night on record.
func (s *spread) night(day int, ttft float64, v record.Verdict) (ids []string) {
	for shard := range s.shards {
		ids = append(ids, s.shard(day, shard, ttft, v))
	}
	return ids
}

// merge adds runs up as a user does, and returns the sum that was written, nil where there is none, and what was said of it.
func (s *spread) merge(ids ...string) (sum *record.Run, stdout, stderr string, err error) {
	s.t.Helper()
	before := s.ids()
	var out, aside bytes.Buffer
	c := &runsCommand{storage: s.dir, ids: ids, do: mergeRuns}
	err = c.run(s.t.Context(), env{stdout: &out, stderr: &aside, logger: slog.New(slog.DiscardHandler)})
	store, openErr := runs.Open(filepath.Join(s.dir, "runs"), runs.Options{})
	if openErr != nil {
		s.t.Fatal(openErr)
	}
	defer store.Close()
	for id := range s.ids() {
		if before[id] {
			continue
		}
		if sum != nil {
			s.t.Fatalf("runs merge has written %s and %s", sum.ID, id)
		}
		if sum, openErr = store.Load(id); openErr != nil {
			s.t.Fatal(openErr)
		}
	}
	return sum, out.String(), aside.String(), err
}

func (s *spread) ids() map[string]bool {
	s.t.Helper()
	store, err := runs.Open(filepath.Join(s.dir, "runs"), runs.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	infos, _, err := store.List(runs.Filter{})
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]bool{}
	for _, i := range infos {
		all[i.ID] = true
	}
	return all
}

// sevenNights are spread over four shards and added up: 35 records, of which seven are whole runs.
func sevenNights(t *testing.T) *spread {
	t.Helper()
	s := &spread{t: t, dir: t.TempDir(), shards: 4, config: `{"ramp":{"name":"soak","repeat":1,"compare":{"with":"last_7","max_regression":"10%"}}}`}
	for day, ttft := range []float64{.200, .206, .194, .203, .198, .210, .192} {
		if sum, _, _, err := s.merge(s.night(day, ttft, record.Pass)...); err != nil || sum == nil || sum.Verdict != record.NotEnoughRuns && sum.Verdict != record.Pass {
			t.Fatalf("night %d: %+v, %v; want a sum that is no worse", day, sum, err)
		}
	}
	return s
}

// TestMergeComparesTheSum has sums judged by the whole runs before them, as the ramp's own configuration says.
func TestMergeComparesTheSum(t *testing.T) {
	for _, test := range []struct {
		name   string
		ttft   float64
		shards record.Verdict // what each was called by itself
		want   record.Verdict
		reason string
	}{
		{"slower", .260, record.NotEnoughRuns, record.Regressed, "p95 TTFT"},
		{"no worse", .201, record.NotEnoughRuns, record.Pass, "No worse than 7 runs"},
		{"no worse, whatever the shards were called", .201, record.Regressed, record.Pass, "Shard 3 by itself was called worse"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := sevenNights(t)
			sum, out, _, err := s.merge(s.night(9, test.ttft, test.shards)...)
			if err != nil {
				t.Fatal(err)
			}
			if sum.Verdict != test.want || sum.Comparison == nil || len(sum.Comparison.Runs) != 7 || sum.Comparison.News[0] != sum.ID || !strings.Contains(strings.Join(sum.Reasons, "\n"), test.reason) {
				t.Errorf("runs merge: %s because %q, against %+v; want %s against 7 runs, %q", sum.Verdict, sum.Reasons, sum.Comparison, test.want, test.reason)
			}
			if !strings.Contains(out, sum.ID) {
				t.Errorf("runs merge says\n%s\nwant the id of the sum, %s", out, sum.ID)
			}
		})
	}
}

// TestMergeKeepsTheGravest has shards that nothing can overrule: there is nothing that their sum is compared with.
func TestMergeKeepsTheGravest(t *testing.T) {
	for _, test := range []struct {
		name, config string
		shards       []record.Verdict
		want         record.Verdict
	}{
		{"no history", `{"ramp":{"compare":{"with":"last_7"}}}`, []record.Verdict{record.Pass, record.Regressed}, record.Regressed},
		{"no comparison", `{"ramp":{}}`, []record.Verdict{record.Regressed, record.Regressed}, record.Regressed},
		{"no baseline", `{"ramp":{"compare":{"with":"baseline:gone"}}}`, []record.Verdict{record.NotEnoughRuns, record.Pass}, record.NotEnoughRuns},
		{"no configuration", ``, []record.Verdict{record.Pass, record.Pass}, record.Pass},
		{"what a shard missed, all together held", `{"ramp":{}}`, []record.Verdict{record.Fail, record.Pass}, record.Pass},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &spread{t: t, dir: t.TempDir(), shards: 2, config: test.config}
			var ids []string
			for shard, v := range test.shards {
				ids = append(ids, s.shard(0, shard, .2, v))
			}
			sum, out, _, err := s.merge(ids...)
			if err != nil || sum.Verdict != test.want {
				t.Fatalf("runs merge of %q = %+v, %v; want %s\n%s", test.shards, sum, err, test.want, out)
			}
		})
	}
}

// TestMergeOnce has shards added up once: a second sum of the same would be taken for another night.
func TestMergeOnce(t *testing.T) {
	s := &spread{t: t, dir: t.TempDir(), shards: 3, config: `{"ramp":{}}`}
	ids := s.night(0, .2, record.Pass)
	s.night(1, .2, record.Pass) // another night is no obstacle
	part, _, _, err := s.merge(ids[0], ids[2])
	if err != nil || part.Verdict != record.Invalid {
		t.Fatalf("runs merge of two = %+v, %v; want invalid", part, err)
	}
	if sum, _, _, err := s.merge(ids[2], ids[0]); sum != nil || err == nil || !strings.Contains(err.Error(), part.ID) {
		t.Errorf("runs merge of the same two = %v; want an error that names %s", err, part.ID)
	}
	whole, _, aside, err := s.merge(ids...) // the missing one has come
	if err != nil || whole.Verdict != record.Pass || !strings.Contains(aside, "runs remove "+part.ID) {
		t.Fatalf("runs merge of three = %+v, %v, %q; want a pass, and that %s can go", whole, err, aside, part.ID)
	}
	if sum, _, _, err := s.merge(ids...); sum != nil || err == nil || !strings.Contains(err.Error(), "runs remove "+whole.ID) {
		t.Errorf("runs merge of the same three = %v; want an error that says how to do so", err)
	}
	remove := &runsCommand{storage: s.dir, id: whole.ID, do: removeRun}
	if err := remove.run(t.Context(), env{logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.merge(ids...); err != nil {
		t.Errorf("runs merge once the sum was removed = %v", err)
	}
}

// TestHistoryOfShares looks at the runs that can be compared, however many others there are of the ramp, and at each once.
func TestHistoryOfShares(t *testing.T) {
	s := sevenNights(t)
	f := storageFlags{path: s.dir}
	storage := f.storage(slog.New(slog.DiscardHandler))
	defer storage.close()
	again := *storage.history(&record.Run{Ramp: "soak"}, 1)[0]
	w, err := storage.open().Begin(runs.NewID(again.Started, again.Ramp))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(&again); err != nil { // as versions did that took no notice
		t.Fatal(err)
	}
	for _, test := range []struct {
		of   *record.Run
		most int
		want int
	}{
		{&record.Run{Ramp: "soak"}, 24, 7},
		{&record.Run{Ramp: "soak"}, 5, 5},
		{&record.Run{Ramp: "soak", Shards: 4, Merged: []int{0, 1, 2, 3}}, 24, 7},
		{&record.Run{Ramp: "soak", Shards: 4, Shard: 2}, 24, 7},
		{&record.Run{Ramp: "soak", Shards: 3, Shard: 2}, 24, 0},
		{&record.Run{Ramp: "soak", Shards: 4, Merged: []int{0, 1, 2}}, 24, 0},
		{&record.Run{Ramp: "other"}, 24, 0},
	} {
		if got := storage.history(test.of, test.most); len(got) != test.want {
			t.Errorf("history of shard %d of %d, merged %v, at most %d: %d runs; want %d", test.of.Shard, test.of.Shards, test.of.Merged, test.most, len(got), test.want)
		}
	}
}

// TestExportOfASum has requests asked for where there are none.
func TestExportOfASum(t *testing.T) {
	s := &spread{t: t, dir: t.TempDir(), shards: 2, config: `{"ramp":{}}`}
	ids := s.night(0, .2, record.Pass)
	s.night(1, .2, record.Pass)
	sum, _, _, err := s.merge(ids...)
	if err != nil {
		t.Fatal(err)
	}
	export := func(id, what string) (string, error) {
		var out bytes.Buffer
		c := &runsCommand{storage: s.dir, id: id, what: what, form: "csv", do: exportRun}
		err := c.run(t.Context(), env{stdout: &out, logger: slog.New(slog.DiscardHandler)})
		return out.String(), err
	}
	if out, err := export(sum.ID, "requests"); err == nil || out != "" || !strings.HasSuffix(err.Error(), fmt.Sprintf("export those of %s, %s", ids[0], ids[1])) {
		t.Errorf("export of the sum's requests = %q, %v; want the shards named, and nothing written", out, err)
	}
	if out, err := export(ids[0], "requests"); err != nil || out == "" {
		t.Errorf("export of a shard's requests = %q, %v", out, err)
	}
	if out, err := export(sum.ID, "stages"); err != nil || !strings.Contains(out, sum.ID) {
		t.Errorf("export of the sum's stages = %q, %v; want those of %s", out, err, sum.ID)
	}
}
