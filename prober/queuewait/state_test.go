package queuewait

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/prober/wire"
)

// learned is a target that has seen an unloaded server.
func learned() *Target {
	target := NewTarget()
	for i := range 60 {
		took := 100*ms + time.Duration(i%3)*ms/4
		target.Observe(streamed(wrote+took, wire.ServerTiming{}), nil)
	}
	return target
}

func TestTargetRestored(t *testing.T) {
	target := learned()
	saved, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	restored := NewTarget()
	if err := json.Unmarshal(saved, restored); err != nil {
		t.Fatal(err)
	}
	if got, want := restored.Trip(), target.Trip(); got != want || !got.Known {
		t.Errorf("Trip() = %v after a restart; want %v", got, want)
	}
	got, gotConfidence, ok := restored.Unloaded(24)
	want, wantConfidence, _ := target.Unloaded(24)
	if !ok || got != want || gotConfidence != wantConfidence {
		t.Errorf("Unloaded(24) = %v, %v, %t after a restart; want %v, %v", got, gotConfidence, ok, want, wantConfidence)
	}
	again, err := json.Marshal(restored)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(saved) {
		t.Errorf("saved again:\n%s\nwant\n%s", again, saved)
	}
}

// A state that cannot be is refused as a whole, and nothing is forgotten for it.
func TestStateRefused(t *testing.T) {
	saved, err := json.Marshal(learned())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		old, new string
		want     string
	}{
		{"cut off", `}}`, `}`, "unexpected end"},
		{"another version", `"version":1`, `"version":2`, "version 2, want 1"},
		{"a bucket that is none", `"buckets":{"0":`, `"buckets":{"41":`, "bucket 41 is none"},
		{"a null bucket", `"buckets":{"0":`, `"buckets":{"1":null,"0":`, "bucket 1 is none"},
		{"a length of another bucket", `"tokens":24`, `"tokens":4000`, "cannot be"},
		{"below zero", `"level_seconds":0.1`, `"level_seconds":-0.1`, "cannot be"},
		{"a wrong type", `"seen":60`, `"seen":"many"`, "cannot unmarshal"},
		{"more open than seen", `"seen":60`, `"seen":1`, "too much of it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(string(saved), c.old, c.new, 1)
			if bad == string(saved) {
				t.Fatalf("nothing to replace: no %s in %s", c.old, saved)
			}
			target := learned()
			err := json.Unmarshal([]byte(bad), target)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Unmarshal() = %v; want an error with %q", err, c.want)
			}
			if floor, _, ok := target.Unloaded(24); !ok || floor.Round(ms) != 100*ms {
				t.Errorf("after a bad state, Unloaded(24) = %v, %t; want 100ms as before", floor, ok)
			}
		})
	}
}

func FuzzState(f *testing.F) {
	saved, err := json.Marshal(learned())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(saved)
	f.Add([]byte(`{"model":{"version":1,"latest":9,"buckets":{"3":{"seen":1,"open":[{"at":1,"tokens":70,"seconds":1}]}}}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		target := NewTarget()
		if json.Unmarshal(data, target) != nil {
			return
		}
		for range 40 {
			target.Observe(streamed(wrote+100*ms, wire.ServerTiming{}), nil)
		}
		if floor, _, ok := target.Unloaded(24); !ok || floor < 0 || floor > 100*ms {
			t.Errorf("Unloaded(24) = %v, %t; want at most the 100ms that were seen", floor, ok)
		}
		if _, err := json.Marshal(target); err != nil {
			t.Errorf("Marshal() after Unmarshal() = %v", err)
		}
	})
}
