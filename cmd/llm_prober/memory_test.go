package main

import (
	"runtime/debug"
	"testing"
)

// The user's word goes before ours.
func TestTuneMemory(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	percent := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	t.Setenv("GOGC", "300")
	if tuneMemory(); percent() != 100 {
		t.Errorf("with GOGC set, tuneMemory() makes it %d %%; want it left alone", percent())
	}
	t.Setenv("GOGC", "")
	if tuneMemory(); percent() != collectAt {
		t.Errorf("without GOGC, tuneMemory() makes it %d %%; want %d %%", percent(), collectAt)
	}
}
