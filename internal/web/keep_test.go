package web

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober"
)

// What was saved is there again after a restart: results, failures and the day, but for the rows that are about something else.
func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.json")
	h := newHistory(chat, batch)
	for i := range keptResults + 10 {
		if i%10 == 0 {
			h.Observe(failed(chat, prober.RateLimited, "HTTP 429: slow down"))
		} else {
			h.Observe(answer(chat, time.Duration(200+i)*ms, 20*ms, 8))
		}
	}
	h.Observe(answer(batch, time.Second, 0, 8))
	if err := h.Save(path); err != nil {
		t.Fatal(err)
	}

	other := batch
	other.Model = "another"
	again := NewHistory()
	if err := again.Load(path); err != nil {
		t.Fatal(err)
	}
	again.Apply([]Row{chat, other})
	look := func(h *History) any {
		type seen struct {
			Status  []statusRow
			Results int
			Errs    []string
			Day     []slot
		}
		var s seen
		for _, v := range h.view("chat") {
			if v.Probe != chat.Probe {
				continue
			}
			s.Results, s.Day = len(v.results), v.day
			for _, f := range v.failures {
				s.Errs = append(s.Errs, f.err)
			}
		}
		for _, r := range rowsOf(statusOf(h, nil)) {
			if r.Probe == chat.Probe {
				r.LastRun, r.Strip, r.Age = time.Time{}, nil, ""
				s.Status = append(s.Status, r)
			}
		}
		return s
	}
	if diff := cmp.Diff(look(h), look(again), cmp.AllowUnexported(statusRow{})); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	for _, v := range again.view("chat") {
		if v.Probe == batch.Probe && len(v.results) != 0 {
			t.Errorf("%d results of another model; want none", len(v.results))
		}
	}
	again.Observe(answer(chat, 300*ms, 20*ms, 8)) // it goes on
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("%d files; want the one that was saved", len(files))
	}
}

// A file that is none of ours is an error, and leaves the history as it was; one that is not there is none.
func TestLoadOfWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	if err := NewHistory().Load(filepath.Join(dir, "missing.json")); err != nil {
		t.Errorf("Load(missing) = %v; want nil", err)
	}
	whole := filepath.Join(dir, "whole.json")
	h := newHistory(chat)
	for range 30 {
		h.Observe(answer(chat, 300*ms, 20*ms, 8))
	}
	if err := h.Save(whole); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	if string(data[:2]) != "\x1f\x8b" {
		t.Errorf("the file begins with %q; want it compressed", data[:2])
	}
	for name, content := range map[string]string{
		"empty": "", "half": string(data[:len(data)/2]), "no JSON": "\x00\x01", "another version": `{"version":99}`, "null row": `{"version":1,"rows":[null]}`, "a list": `[]`,
		"no version": `{"rows":[]}`, "rows that are none": `{"version":1,"rows":{}}`, "half of it as text": `{"version":1,"rows":[{"target":"chat"`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history.json")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			h := NewHistory()
			if err := h.Load(path); err == nil || !strings.Contains(err.Error(), "load history") {
				t.Errorf("Load() = %v; want an error", err)
			}
			h.Apply([]Row{chat})
			if v := only(t, h); len(v.results) != 0 {
				t.Errorf("%d results; want none", len(v.results))
			}
		})
	}
}

// A file as it was before slots were packed and files compressed is taken as well.
func TestLoadOfPlainFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	end := time.Now().UTC().Add(-time.Hour).Truncate(time.Second)
	content := fmt.Sprintf(`{"version":1,"saved":%[1]q,"rows":[{"target":"chat","probe":"interactive","model":%[2]q,"stream":true,
		"results":[{"id":"x","end":%[1]q,"outcome":"ok","timed":true,"latency":300000000}],"failures":[],
		"day":[{"Number":%[3]d,"OK":7,"TTFT":[{"Top":5,"Count":1}],"Took":null,"TPOT":null,"Parts":null,"Broken":0,"Outcomes":null}]}]}`,
		end.Format(time.RFC3339), chat.Model, slotNumber(end))
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	h := NewHistory()
	if err := h.Load(path); err != nil {
		t.Fatal(err)
	}
	h.Apply([]Row{chat})
	v := only(t, h)
	if len(v.results) != 1 || len(v.day) != 1 || v.day[0].OK != 7 || v.results[0].latency != 300*ms {
		t.Errorf("results %v, day %v; want the one result and the one slot of the file", v.results, v.day)
	}
}

// Whatever a file holds, the history stays bounded and the pages can be drawn.
func FuzzLoad(f *testing.F) {
	f.Add(`{"version":1,"rows":[{"target":"chat","probe":"interactive","model":"llama","stream":true,"results":[{"id":"x","end":"2026-11-22T00:00:00Z","outcome":"ok","timed":true,"latency":-5}],"day":[{"Number":1,"TTFT":[{"Top":5,"Count":1}],"Parts":[1]}]}]}`)
	f.Add(`{"version":1,"rows":[{"target":"chat","probe":"interactive","model":"llama","stream":true,"failures":[{"end":"0001-01-01T00:00:00Z","outcome":"dns","turn":-1}],"day":[{"Number":9223372036854775807},{"Number":-5}]}]}`)
	f.Add(`{"version":1,"rows":[{"target":"chat","probe":"interactive","model":"llama","stream":true,"slots":[{"n":2970000,"p":"AQoBAAAAAQAAAAA="},{"n":1,"p":"/////w=="}]}]}`)
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "history.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		h := NewHistory()
		if h.Load(path) != nil {
			return
		}
		h.Apply([]Row{chat})
		v := only(t, h)
		if len(v.results) > keptResults || len(v.failures) > keptFailures || len(v.day) > trendSlots {
			t.Errorf("%d results, %d failures, %d slots", len(v.results), len(v.failures), len(v.day))
		}
		pages := newHandler(t, Options{History: h})
		for _, path := range []string{"/", "/targets/chat?range=day", "/targets/chat?range=recent"} {
			if w := get(t, pages, path); w.Code != 200 {
				t.Errorf("GET %s = %d", path, w.Code)
			}
		}
	})
}
