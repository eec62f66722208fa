package api

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Pages of lists.
const (
	defaultLimit = 100
	maxLimit     = 500
	maxQuery     = 4096 // bytes
)

// query is a query string of which every parameter is known.
type query struct {
	values url.Values
	wrong  *Problem // the first thing that is wrong; nil: nothing so far
}

// parseQuery takes a query string apart. names are the parameters that there are; many those that may come repeatedly.
func parseQuery(raw string, names []string, many ...string) *query {
	q := &query{values: url.Values{}}
	if len(raw) > maxQuery {
		q.fail("", "the query is longer than %d bytes", maxQuery)
		return q
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		q.fail("", "the query is malformed; escape %%, & and ; in values")
		return q
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !slices.Contains(names, name) && !slices.Contains(many, name):
			takes := "it takes none"
			if all := slices.Concat(names, many); len(all) > 0 {
				takes = "there are " + strings.Join(all, ", ")
			}
			q.fail(name, "there is no parameter %q here; %s", text(name, maxName), takes)
			return q
		case len(values[name]) > 1 && !slices.Contains(many, name):
			q.fail(name, "the parameter %s comes %d times", name, len(values[name]))
			return q
		case len(values[name]) > 50:
			q.fail(name, "the parameter %s comes %d times; at most 50", name, len(values[name]))
			return q
		}
	}
	q.values = values
	return q
}

func (q *query) fail(parameter, format string, args ...any) {
	if q.wrong == nil {
		q.wrong = problem(http.StatusBadRequest, "bad_query", format, args...)
		q.wrong.Parameter = text(parameter, maxName)
	}
}

// limit is how many items a page has at most.
func (q *query) limit() int {
	if !q.values.Has("limit") {
		return defaultLimit
	}
	n, err := strconv.Atoi(q.values.Get("limit"))
	if err != nil || n < 1 || n > maxLimit {
		q.fail("limit", "limit is a whole number from 1 to %d", maxLimit)
		return defaultLimit
	}
	return n
}

// oneOf is a word of a closed set; empty: there is none.
func (q *query) oneOf(name string, words ...string) string {
	v := q.values.Get(name)
	if q.values.Has(name) && !slices.Contains(words, v) {
		q.fail(name, "%s is one of %s", name, strings.Join(words, ", "))
		return ""
	}
	return v
}

// name is the name of something; empty: there is none.
func (q *query) name(name string) string {
	v := q.values.Get(name)
	if q.values.Has(name) && (v == "" || len(v) > maxName) {
		q.fail(name, "%s is a name, of %d bytes at most", name, maxName)
		return ""
	}
	return v
}

// duration is as Go writes it, above 0; 0: there is none.
func (q *query) duration(name string) time.Duration {
	if !q.values.Has(name) {
		return 0
	}
	d, err := time.ParseDuration(q.values.Get(name))
	if err != nil || d <= 0 || d > 30*24*time.Hour {
		q.fail(name, "%s is a duration above 0, such as 90s or 5m", name)
		return 0
	}
	return d
}

// time is one of RFC 3339; zero: there is none.
func (q *query) time(name string) time.Time {
	if !q.values.Has(name) {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, q.values.Get(name))
	if err != nil {
		q.fail(name, "%s is a time of RFC 3339, such as 2026-11-22T02:00:00Z; in a query a + is written %%2B", name)
	}
	return t
}

// cursor is where the page before ended; kind keeps the cursors of different lists apart. Empty: this is the first page.
func (q *query) cursor(kind string) string {
	if !q.values.Has("cursor") {
		return ""
	}
	at, ok := parseCursor(kind, q.values.Get("cursor"))
	if !ok {
		q.fail("cursor", "the cursor is not one that this list gave")
	}
	return at
}

// newCursor makes a cursor, which nobody should look into; empty where there is no next page.
func newCursor(kind, at string) string {
	if at == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(kind + ":" + at))
}

// parseCursor is the reverse.
func parseCursor(kind, cursor string) (at string, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return "", false
	}
	at, ok = strings.CutPrefix(string(raw), kind+":")
	return at, ok && newCursor(kind, at) == cursor // base64 passes over line breaks
}
