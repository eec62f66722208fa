package api

import (
	"net/url"
	"testing"
)

func TestCursor(t *testing.T) {
	for _, at := range []string{"a", "1.x:y", "ü\x00"} {
		if got, ok := parseCursor("t", newCursor("t", at)); !ok || got != at {
			t.Errorf("parseCursor(newCursor(%q)) = %q, %v", at, got, ok)
		}
		if _, ok := parseCursor("r", newCursor("t", at)); ok {
			t.Errorf("the cursor of another list is taken")
		}
	}
	if newCursor("t", "") != "" {
		t.Error("there is a cursor of no next page")
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(newCursor("t", "name"))
	f.Add("")
	f.Add("dDo")
	f.Fuzz(func(t *testing.T, cursor string) {
		if at, ok := parseCursor("t", cursor); ok && newCursor("t", at) != cursor {
			t.Errorf("parseCursor(%q) = %q, which is %q", cursor, at, newCursor("t", at))
		}
		requestAt(cursor)
		isPlace(cursor)
	})
}

// Whatever a query is, it is either refused or read within its bounds.
func FuzzQuery(f *testing.F) {
	f.Add("limit=10&cursor=dDpuYW1l&probe=a&probe=b&max_age=5m&since=2026-11-22T02:00:00Z&outcome=ok&name=x")
	f.Add("limit=+1&since=%2B")
	f.Add("a;b&%zz")
	f.Fuzz(func(t *testing.T, raw string) {
		q := parseQuery(raw, []string{"limit", "cursor", "max_age", "since", "outcome", "name"}, "probe")
		limit, age, name, outcome := q.limit(), q.duration("max_age"), q.name("name"), q.oneOf("outcome", "ok")
		q.time("since")
		q.cursor("t")
		if limit < 1 || limit > maxLimit || age < 0 || len(name) > maxName || outcome != "" && outcome != "ok" {
			t.Errorf("%q: limit %d, max_age %v, name %q, outcome %q", raw, limit, age, name, outcome)
		}
		if q.wrong != nil {
			if q.wrong.Status != 400 || len(q.wrong.Detail) > 4*maxName || len(q.wrong.Parameter) > 4*maxName+10 {
				t.Errorf("%q: %+v", raw, q.wrong)
			}
			return
		}
		if _, err := url.ParseQuery(raw); err != nil {
			t.Errorf("%q is taken: %v", raw, err)
		}
	})
}
