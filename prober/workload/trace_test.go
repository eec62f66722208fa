package workload

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadTrace(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name, file, kind string
		want             []time.Duration
	}{
		{"seconds", "0\n0.25\n1e1\n", "seconds", []time.Duration{0, 250 * ms, 10_000 * ms}},
		{"seconds of a clock", "1700000000.5\n1700000001\n", "seconds", []time.Duration{0, 500 * ms}},
		{"out of order, blanks and no last newline", "\xef\xbb\xbf\n 5 \r\n\n3\n4.5", "seconds", []time.Duration{0, 1500 * ms, 2000 * ms}},
		{"BurstGPT", "Timestamp,Model,Request tokens\n5,ChatGPT,472\n45,ChatGPT,1087\n", "seconds", []time.Duration{0, 40_000 * ms}},
		{"milliseconds", "timestamp_ms,prompt_tokens\n0.5,512\n30,1\n", "milliseconds", []time.Duration{0, 29500 * time.Microsecond}},
		{
			"Azure 2023", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n",
			"times", []time.Duration{0, 52 * ms},
		},
		{
			"Azure 2024", "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 02:00:00.019930+02:00,2399,6\n",
			"times", []time.Duration{0, 10 * ms},
		},
		{"RFC 3339", "\"2026-01-02T03:04:05Z\"\n2026-01-02T03:04:04.5+00:00\n", "times", []time.Duration{0, 500 * ms}},
		{
			"Mooncake", `{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}` + "\n" + `{"timestamp": 3052.5, "input_length": 7}`,
			"JSON objects with milliseconds", []time.Duration{0, 3052500 * time.Microsecond},
		},
		{"a list", "[1, 3,\n 2]", "seconds", []time.Duration{0, 1000 * ms, 2000 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			trace, err := ReadTrace("trace.csv", strings.NewReader(test.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, all(trace.Arrivals())); diff != "" {
				t.Errorf("arrivals (-want +got):\n%s", diff)
			}
			if trace.Kind() != test.kind || trace.Len() != len(test.want) || trace.Duration() != test.want[len(test.want)-1] {
				t.Errorf("%d arrivals of %q in %v; want %d of %q", trace.Len(), trace.Kind(), trace.Duration(), len(test.want), test.kind)
			}
		})
	}
}

func TestBadTraces(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"empty", " \n", "trace t.csv: no arrivals in it; write one time on each line"},
		{"a header alone", "time,tokens\n", "trace t.csv: no arrivals in it; write one time on each line"},
		{"no time", "1\nsoon\n3\n\nlater\n", "t.csv:2: no time; begin the line with seconds (12.25), or with a time (2006-01-02 15:04:05.25)\n" +
			"t.csv:5: no time; begin the line with seconds (12.25), or with a time (2006-01-02 15:04:05.25)"},
		{"negative", "1\n-1\n", "t.csv:2: a time that is negative or too long; give 0 to 9000000000 seconds"},
		{"no number", "1\nNaN\n", "t.csv:2: a time that is negative or too long; give 0 to 9000000000 seconds"},
		{"milliseconds for seconds", "1700000000000\n", "t.csv:1: a time that is negative or too long; give 0 to 9000000000 seconds"},
		{"two kinds", "1\n2026-01-02 03:04:05\n", "t.csv:2: one of times after lines of seconds; let all lines be of one kind"},
		{"no timestamp", `{"time": 1}`, `t.csv:1: no JSON object with a number "timestamp"; write {"timestamp": MILLISECONDS}`},
		{"ages", "2026-01-02 03:04:05\n1026-01-02 03:04:05\n", "t.csv:2: a time more than a century from the first one; mend it"},
		{"a long line", strings.Repeat("1", maxTraceLine+1) + "\n1\n", "t.csv:1: longer than 1048576 bytes; leave it out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := ReadTrace("t.csv", strings.NewReader(test.file)); err == nil || err.Error() != test.want {
				t.Errorf("ReadTrace = %v; want %s", err, test.want)
			}
		})
	}
}

func TestLoadTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace.csv")
	if err := os.WriteFile(path, []byte("1\n2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if trace, err := LoadTrace(path); err != nil || trace.Len() != 2 {
		t.Errorf("LoadTrace = %v, %v; want two arrivals", trace, err)
	}
	if _, err := LoadTrace(path + "x"); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "trace: ") {
		t.Errorf("LoadTrace of no file = %v; want an error that says so", err)
	}
}

func FuzzReadTrace(f *testing.F) {
	for _, seed := range []string{"1\n2\n", "a,b\n1,2", "2026-01-02 03:04:05\n", `{"timestamp":1}`, "[1,2]", "[[", "\xff", "1e400", "0x1p4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		trace, err := ReadTrace("f", strings.NewReader(file))
		if err != nil {
			if bad, ok := errors.AsType[*BadLines](err); ok && (bad.Count < len(bad.Lines) || len(bad.Lines) == 0) {
				t.Fatalf("%d bad lines, of which %d are told", bad.Count, len(bad.Lines))
			}
			return
		}
		times := all(trace.Arrivals())
		last := time.Duration(0)
		for _, at := range times {
			if at < last {
				t.Fatalf("arrivals go back: %v", times)
			}
			last = at
		}
		if len(times) != trace.Len() || times[0] != 0 || last != trace.Duration() || trace.Kind() == "" {
			t.Fatalf("%d arrivals of %q from %v to %v; want %d until %v", len(times), trace.Kind(), times[0], last, trace.Len(), trace.Duration())
		}
	})
}
