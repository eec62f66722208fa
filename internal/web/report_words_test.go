package web

import (
	"slices"
	"testing"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// A shard is called what its flag was, --shard=0/4, here as everywhere.
func TestWhenOfShards(t *testing.T) {
	for _, test := range []struct {
		run  record.Run
		want string
	}{
		{record.Run{Shards: 4}, "shard 0/4"},
		{record.Run{Shard: 3, Shards: 4}, "shard 3/4"},
		{record.Run{Shards: 4, Merged: []int{0, 1, 3}}, "3 of 4 shards added up"},
	} {
		if got := whenOf(&test.run); !slices.Contains(got, test.want) {
			t.Errorf("whenOf(shard %d of %d, merged %v) = %q; want %q among it", test.run.Shard, test.run.Shards, test.run.Merged, got, test.want)
		}
	}
}
