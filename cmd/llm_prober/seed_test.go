package main

import "testing"

// TestSeed tells replicas apart, and knows a prober again.
func TestSeed(t *testing.T) {
	a := seedOf("prober-0", "data")
	for _, other := range []struct{ host, storage string }{{"prober-1", "data"}, {"prober-0", "other"}, {"", "prober-0data"}} {
		if seedOf(other.host, other.storage) == a {
			t.Errorf("seedOf(%q, %q) is that of another prober", other.host, other.storage)
		}
	}
	if seedOf("prober-0", "data") != a {
		t.Error("seedOf differs from itself")
	}
}
