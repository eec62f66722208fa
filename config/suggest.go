package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// suggestion is didYouMean, put into words when a message is shown: among the many names that a file may have, the likeliest takes long to find.
type suggestion struct {
	name  string
	known func() []string // nil: nothing is suggested
}

// String implements fmt.Stringer.
func (s suggestion) String() string {
	if s.known == nil {
		return ""
	}
	return didYouMean(s.name, s.known())
}

// didYouMean ends a message about an unknown name: with the likeliest of the known ones, or with all of them.
func didYouMean(name string, known []string) string {
	if best := closest(name, known); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return knownAre(known)
}

// knownAre ends a message with the names that could stand there.
func knownAre(known []string) string {
	const most = 16
	if len(known) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(known))
	more := ""
	if len(sorted) > most {
		more = fmt.Sprintf(" and %d more", len(sorted)-most)
		sorted = sorted[:most]
	}
	return "; known: " + strings.Join(sorted, ", ") + more
}

// closest returns the known name that takes the fewest edits to reach from name, where up to a third of the name's letters may
// be wrong, and of several the first by the alphabet; else the one that begins with name, where only one does; else "".
func closest(name string, known []string) string {
	if len(name) > 100 { // nobody's slip of the keyboard
		return ""
	}
	best, fewest := "", max(1, len(name)/3)+1
	length := utf8.RuneCountInString(name)
	for _, k := range known {
		if more := utf8.RuneCountInString(k) - length; max(more, -more) > fewest {
			continue // so many edits it takes at least
		}
		if d := distance(name, k); d < fewest || d == fewest && k < best {
			best, fewest = k, d
		}
	}
	if best == "" && len(name) >= 3 {
		begin := slices.DeleteFunc(slices.Clone(known), func(k string) bool { return !strings.HasPrefix(k, name) })
		if len(begin) == 1 {
			return begin[0]
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours between a and b, case aside.
func distance(a, b string) int {
	s, t := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	before, last, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := range s {
		row[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}
