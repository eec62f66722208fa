package record

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"nothing":            {`{}`, ""},
		"one lane":           {`{"shards":4,"shard":3,"lanes":[{"name":"a","stages":[{"planned":5,"end_load":0.5,"probes":{"p":{"sent":5}},"windows":[{"length_ns":1000000000}]}]}]}`, ""},
		"no statistics":      {`{"lanes":[{"name":"a","stages":[{},{"probes":{"p":null}}]}]}`, `lane "a": stages: 1: probes: "p": there is nothing`},
		"a negative count":   {`{"lanes":[{"name":"a","stages":[{"planned":-1}]}]}`, "planned: -1 is no number of a run"},
		"a load beyond all":  {`{"lanes":[{"name":"a","stages":[{"begin_load":1e308}]}]}`, "begin_load: 1e+308 is no number of a run"},
		"a sum that is long": {`{"lanes":[{"name":"a","stages":[{"probes":{"p":{"output_tokens":9223372036854775807}}}]}]}`, "output_tokens"},
		"too many shards":    {`{"shards":1001}`, "shard 0 of 1001 is none"},
		"a negative shard":   {`{"shards":2,"shard":-1}`, "shard -1 of 2 is none"},
	} {
		t.Run(name, func(t *testing.T) {
			run := new(Run)
			if err := json.Unmarshal([]byte(test.text), run); err != nil {
				t.Fatal(err)
			}
			err := run.Check()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Check = %v; want %q", err, test.want)
			}
		})
	}
}

// What is read of another tool's histogram would not add up exactly, and a large one is never made.
func TestHistogramsOfOthers(t *testing.T) {
	const wide = `"HISTFAAAAB54nJNpmSzMwMDAxAABrFCa0QHKsP8AoZmYAEQPAsI="` // 1 to 2^62 with five digits: 50 MB of counts
	if err := json.Unmarshal([]byte(wide), new(Histogram)); err == nil || !strings.Contains(err.Error(), "buckets") {
		t.Errorf("Unmarshal = %v; want other buckets to be refused", err)
	}
}
