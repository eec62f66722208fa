package workload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// told is the items of a file as text: line, and text or fault.
func told(file string, limit int) []string {
	var list []string
	for it, err := range items(iotest.OneByteReader(strings.NewReader(file)), limit) {
		switch {
		case err != nil:
			list = append(list, err.Error())
		case it.fault != nil:
			list = append(list, fmt.Sprintf("%d: %s; %s", it.line, it.fault.what, it.fault.cure))
		default:
			list = append(list, fmt.Sprintf("%d %s", it.line, it.text))
		}
	}
	return list
}

func TestItems(t *testing.T) {
	const noEnd = "the list has no end; see whether the file was cut off"
	for _, test := range []struct {
		name, file string
		want       []string
	}{
		{"empty", "", nil},
		{"blank", " \n\t\r\n", nil},
		{"lines", "a\n\n b c \r\nd", []string{"1 a", "3 b c", "4 d"}},
		{"byte order mark", "\xef\xbb\xbfa\n", []string{"1 a"}},
		{"long line", "a\n12345678901\n1234567890\nb\n", []string{"1 a", "2: longer than 10 bytes; leave it out", "3: longer than 10 bytes; leave it out", "4 b"}},
		{"long line without end", "12345678901", []string{"1: longer than 10 bytes; leave it out"}},
		{"list", "[1,\n2, 3 ]\n", []string{"1 1", "2 2", "2 3"}},
		{"list of lists", `[[1,2],{"a":[3]}]`, []string{"1 [1,2]", `1 {"a":[3]}`}},
		{"strings", `["],", "\"]", "\\"]`, []string{`1 "],"`, `1 "\"]"`, `1 "\\"`}},
		{"empty list", "\n[\n]\n", nil},
		{"element over lines", "[\n[\n1\n],\n2]", []string{"2 [\n1\n]", "5 2"}},
		{"long element", "[1,\n\"123456789012\",\n3]", []string{"1 1", "2: longer than 10 bytes; leave it out", "3 3"}},
		{"comma too many", "[1,\n,2,]", []string{"1 1", "2: there is nothing beside a comma; leave the comma out", "2 2", "2: there is nothing beside a comma; leave the comma out"}},
		{"no end", "[1,\n2", []string{"1 1", "2: " + noEnd}},
		{"no end after a comma", "[1,\n", []string{"1 1", "2: " + noEnd}},
		{"no end at all", "[", []string{"1: " + noEnd}},
		{"more", "[1]\n[2]", []string{"1 1", "2: there is more after the end of the list; let the file be one list, or have one request on each line"}},
		{"brackets in disorder", "[}]2", []string{"1 }", "1: there is more after the end of the list; let the file be one list, or have one request on each line"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, told(test.file, 10)); diff != "" {
				t.Errorf("items of %q (-want +got):\n%s", test.file, diff)
			}
		})
	}
}

func TestItemsEndWithTheReaderAndTheCaller(t *testing.T) {
	cause := errors.New("disk on fire")
	for _, file := range []string{"", "a\nb", "[1, 2", "[1]", "  "} {
		var last error
		for _, err := range items(io.MultiReader(strings.NewReader(file), iotest.ErrReader(cause)), 10) {
			if last != nil {
				t.Errorf("%q: an item after the error", file)
			}
			last = err
		}
		if last != cause {
			t.Errorf("%q: the last error is %v; want %v", file, last, cause)
		}
	}
	for _, file := range []string{"a\nb\n", "[1,2]", "[1", "[1]2"} {
		n := 0
		for range items(strings.NewReader(file), 10) {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%q: %d items; want to stop after one", file, n)
		}
	}
}

func TestBadLines(t *testing.T) {
	var bad BadLines
	for i := range 25 {
		bad.add(&LineError{"f.jsonl", i + 1, "no JSON", "mend it"})
	}
	text := bad.Error()
	if !strings.HasPrefix(text, "f.jsonl:1: no JSON; mend it\nf.jsonl:2: no JSON; mend it\n") ||
		!strings.HasSuffix(text, "f.jsonl:20: no JSON; mend it\nand 5 more bad lines") {
		t.Errorf("Error() = %s; want 20 lines and the number of the others", text)
	}
	if line, ok := errors.AsType[*LineError](&bad); !ok || line.Line != 1 {
		t.Errorf("AsType = %v, %v; want the first line", line, ok)
	}
}

// A list that encoding/json takes is cut as it cuts it.
func FuzzItems(f *testing.F) {
	for _, seed := range []string{"[1, 2]", `[{"a":"]\""}, null]`, "[[],[[]]]", "a\nb", "[", "[1]x", `["\u005d"]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		line := 1
		var texts [][]byte
		faults := 0
		for it, err := range items(bytes.NewReader(file), 1<<20) {
			if err != nil {
				t.Fatal(err)
			}
			if it.line < line || it.line > 1+bytes.Count(file, []byte("\n")) {
				t.Fatalf("an item on line %d after line %d", it.line, line)
			}
			line = it.line
			if it.fault != nil {
				faults++
				continue
			}
			if len(it.text) == 0 || !bytes.Contains(file, it.text) {
				t.Fatalf("the item %q is not of the file", it.text)
			}
			texts = append(texts, bytes.Clone(it.text))
		}
		var want []json.RawMessage
		if first := bytes.TrimLeft(file, " \t\r\n"); len(first) == 0 || first[0] != '[' || json.Unmarshal(file, &want) != nil {
			return
		}
		if faults > 0 || len(texts) != len(want) {
			t.Fatalf("%d items and %d faults of %q; want %d items", len(texts), faults, file, len(want))
		}
		for i := range want {
			if !bytes.Equal(texts[i], want[i]) {
				t.Fatalf("item %d = %q; want %q", i, texts[i], want[i])
			}
		}
	})
}
