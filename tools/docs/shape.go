package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Output is compared by its shape, since no two runs print the same numbers. The shape of a line is its words in order; what
// has a digit in it is a number, and a number takes with it the unit after it and the numbers beside it:
//
//	   1  ok   ttft 101.08 ms  duration 1.081 s  id 3cccc97...      ->  # ok ttft # duration # id #
//	   4  ok   ttft 98 ms      duration 960 ms   id 0f1a77c0211     ->  # ok ttft # duration # id #
//
// That a request was measured late, which the prober says of each, or that it was late itself, which a verdict says, is this machine's
// affair and left out.
//
// A line `...` stands for any number of lines, and a word `...` for the rest of its line. All other lines have to come as
// they are shown, one after another, and none may come beside them.

var units = []string{"ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "%", "B", "KB", "kB", "MB", "GB", "KiB", "MiB", "GiB"}

// number is what stands for numbers in a shape, and rest for whatever comes.
const (
	number = "#"
	rest   = "..."
)

var late = regexp.MustCompile(`degraded \([^)]* late\)|^ *degraded: .*\(prober_late\)$`)

var divider = regexp.MustCompile(`[\s,;:()\[\]{}"'=|/<>]+`)

// shape is a line's.
func shape(line string) []string {
	var words []string
	for _, word := range divider.Split(late.ReplaceAllString(line, ""), -1) {
		counted := len(words) > 0 && words[len(words)-1] == number
		switch {
		case word == rest || word == "…":
			return append(words, rest)
		case strings.ContainsFunc(word, unicode.IsDigit):
			if !counted {
				words = append(words, number)
			}
		case !strings.ContainsFunc(word, unicode.IsLetter): // a rule, a bar of a chart, a missing value
		case counted && slices.Contains(units, word):
		case strings.HasSuffix(word, rest):
			return append(words, rest)
		default:
			words = append(words, strings.Trim(word, ".!?*`"))
		}
	}
	return words
}

// fits says whether a line's shape is one that is shown.
func fits(line, shown []string) bool {
	if i := slices.Index(shown, rest); i >= 0 {
		return len(line) >= i && slices.Equal(line[:i], shown[:i])
	}
	return slices.Equal(line, shown)
}

// sameShape is nil if the output is what the page shows. Lines without a word or number count for nothing.
func sameShape(output string, shown []string) error {
	type shaped struct {
		text  string
		words []string
	}
	shapes := func(lines []string) (all []shaped) {
		for _, line := range lines {
			if words := shape(line); len(words) > 0 {
				all = append(all, shaped{line, words})
			}
		}
		return all
	}
	got, want := shapes(strings.Split(output, "\n")), shapes(shown)
	for i, w := range want { // in the pages a line alone may stand for many
		if len(w.words) == 1 && w.words[0] == rest {
			want[i].words = nil
		}
	}
	// furthest is the line shown beyond which no way of reading the output came.
	furthest := 0
	type place struct{ g, w int }
	dead := map[place]bool{}
	var match func(g, w int) bool
	match = func(g, w int) (ok bool) {
		if dead[place{g, w}] {
			return false
		}
		defer func() { dead[place{g, w}] = !ok }()
		furthest = max(furthest, w)
		switch {
		case w == len(want):
			return g == len(got)
		case want[w].words == nil:
			return match(g, w+1) || g < len(got) && match(g+1, w)
		default:
			return g < len(got) && fits(got[g].words, want[w].words) && match(g+1, w+1)
		}
	}
	if match(0, 0) {
		return nil
	}
	if furthest == len(want) {
		return fmt.Errorf("it prints more than the page shows: a line `...` would say so")
	}
	return fmt.Errorf("no output of the shape of the line %q, as %q, where the page shows it", want[furthest].text, strings.Join(want[furthest].words, " "))
}
