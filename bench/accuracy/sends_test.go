package main

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmprober/llm_prober/prober/wire"
)

func TestStamps(t *testing.T) {
	const due, sent = 1760000000123456789, 1760000000123460001
	stamped := fmt.Sprintf(`"sim_due_unix_nano":%d,"sim_sent_unix_nano":%d}`, int64(due), int64(sent))
	for _, tt := range []struct {
		name, event string
		ok          bool
	}{
		{"last fields", `{"choices":[],` + stamped, true},
		{"text that looks like them", `{"content":",\"sim_due_unix_nano\":1",` + stamped, true},
		{"none", `{"choices":[{"index":0,"delta":{"content":"some text that is long enough to hold both stamps, if it did"}}]}`, false},
		{"short", `{}`, false},
		{"empty", ``, false},
		{"a digit less", `{"choices":[],"sim_due_unix_nano":176000000012345678,"sim_sent_unix_nano":1760000000123460001}`, false},
		{"no number", `{"choices":[],"sim_due_unix_nano":1760000000123456789,"sim_sent_unix_nano":17600000001234600x1}`, false},
		{"no number before", `{"choices":[],"sim_due_unix_nano":17600000001234567x9,"sim_sent_unix_nano":1760000000123460001}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gotDue, gotSent, ok := stamps([]byte(tt.event))
			if ok != tt.ok || ok && (gotDue != due || gotSent != sent) {
				t.Errorf("stamps(%s) = %d, %d, %t; want %d, %d, %t", tt.event, gotDue, gotSent, ok, int64(due), int64(sent), tt.ok)
			}
		})
	}
}

// TestWatched decodes a stream with and without being watched: the events are the same, and the stamps are the tokens'.
func TestWatched(t *testing.T) {
	plain, err := wire.Lookup("openai_chat")
	if err != nil {
		t.Fatal(err)
	}
	all, free, err := newSends(2, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	s := &all[1]
	s.reset()
	frames := []string{
		`{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"sim_due_unix_nano":1760000000000000001,"sim_sent_unix_nano":1760000000000000002}`,
		`{"choices":[{"index":0,"delta":{"content":"a"}}],"sim_due_unix_nano":1760000000000000003,"sim_sent_unix_nano":1760000000000000004}`,
		`{"choices":[{"index":0,"delta":{"content":"b"}}]}`,
		`{"choices":[{"index":0,"delta":{"content":"c"},"finish_reason":"stop"}],"sim_due_unix_nano":1760000000000000005,"sim_sent_unix_nano":1760000000000000006}`,
		`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":3},"sim_due_unix_nano":1760000000000000007,"sim_sent_unix_nano":1760000000000000008}`,
		`[DONE]`,
	}
	decode := func(p *wire.Protocol) (events []wire.Event) {
		d := p.NewDecoder()
		for _, f := range frames {
			var ev wire.Event
			if err := d.Decode(wire.Frame{Data: []byte(f)}, &ev); err != nil {
				t.Fatal(err)
			}
			events = append(events, ev)
		}
		return events
	}
	if diff := cmp.Diff(decode(plain), decode(watched(plain, s))); diff != "" {
		t.Errorf("watching changes the events (-unwatched +watched):\n%s", diff)
	}
	got := fmt.Sprint(s.due, s.sent, s.unstamped)
	if want := "[1760000000000000003 0 1760000000000000005] [1760000000000000004 0 1760000000000000006] 1"; got != want {
		t.Errorf("stamps = %s; want %s", got, want)
	}
	if len(all[0].due) != 0 || len(all[0].sent) != 0 {
		t.Errorf("another stream's stamps = %v; want none", all[0])
	}
}
