package config

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// source is the text of a file, for the lines that errors show.
type source struct {
	name  string
	lines [][]rune
}

// newSource splits a file into lines as YAML does, which knows more line ends than Go.
func newSource(name string, data []byte) *source {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	s := &source{name: name}
	for line := range strings.SplitSeq(strings.Map(func(r rune) rune {
		if isLineEnd(r) {
			return '\n'
		}
		return r
	}, text), "\n") {
		s.lines = append(s.lines, []rune(line))
	}
	if last := len(s.lines) - 1; last > 0 && len(s.lines[last]) == 0 {
		s.lines = s.lines[:last]
	}
	return s
}

func isLineEnd(r rune) bool {
	return r == '\n' || r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029'
}

// unreadable returns what keeps data from being text at all: bytes that are not UTF-8, or control characters.
func unreadable(data []byte) *fault {
	line, col := 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			return &fault{line: line, col: col, message: "the file is not UTF-8 from here on"}
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == '\uFFFE', r == '\uFFFF', r == '\uFEFF':
			return &fault{line: line, col: col, message: fmt.Sprintf("the character U+%04X does not belong into a text file", r)}
		}
		data = data[size:]
		col++
		if r == '\r' && len(data) > 0 && data[0] == '\n' {
			continue
		}
		if isLineEnd(r) {
			line, col = line+1, 1
		}
	}
	return nil
}

// errors makes of faults what is shown. Without a document, of which the places of secrets are known, the text itself is masked by its looks.
// The faults that no message tells have neither suggestion nor excerpt: each takes time that grows with the file, or with its line.
func (s *source) errors(list faults, d *document) ErrorList {
	excerpt := maskText
	if d != nil {
		excerpt = d.masker()
	}
	// What was found several times through aliases is one fault.
	slices.SortFunc(list, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.col, b.col), cmp.Compare(a.message, b.message))
	})
	var out ErrorList
	for i, f := range slices.CompactFunc(list, fault.is) {
		line := min(max(f.line, 1), len(s.lines))
		text := s.lines[line-1]
		col := max(f.col, 1)
		if line != f.line { // the end of the file
			col = len(text) + 1
		}
		e := &Error{File: s.name, Line: line, Column: col, Message: f.message}
		if i < maxShown {
			e.Message = f.text()
			e.Excerpt = draw(excerpt(text, line, min(col, len(text)+1)))
		}
		out = append(out, e)
	}
	return out
}

// widest is how many characters of a line are shown.
const widest = 120

// draw writes a line, cut around the caret where it is long, and the caret below it.
func draw(line string, caret int) string {
	runes := []rune(line)
	for i, r := range runes {
		switch {
		case r == '\t':
			runes[i] = ' ' // as wide as the caret's line takes it for
		case !unicode.IsPrint(r):
			runes[i] = '\uFFFD'
		}
	}
	caret = min(max(caret, 1), len(runes)+1)
	if from := caret - 1 - widest/2; from > 0 && len(runes) > widest {
		runes = append([]rune("..."), runes[from:]...)
		caret += 3 - from
	}
	if len(runes) > widest {
		runes = append(runes[:widest-3], []rune("...")...)
	}
	return strings.TrimRight(string(runes), " ") + "\n" + strings.Repeat(" ", caret-1) + "^"
}

// token is where a scalar or an alias begins. What follows, up to the next token, is the scalar and the signs around it.
type token struct {
	line, col int
	flow      bool
	mask      string // as in node
}

// masker returns a function that shows a line without its secrets, and where a column of the line is in what is shown.
func (d *document) masker() func(line []rune, number, col int) (string, int) {
	at := map[[2]int]token{} // aliases make several nodes of one place: one that masks is enough
	see := func(n *node) {
		place := [2]int{n.line, n.col}
		if n.kind == scalarNode {
			at[place] = token{n.line, n.col, n.flow, cmp.Or(at[place].mask, n.mask)}
		}
	}
	if d.root != nil {
		d.root.each(see)
	}
	for _, n := range d.aside {
		n.each(see)
	}
	tokens := slices.Collect(maps.Values(at))
	order := func(a, b token) int { return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.col, b.col)) }
	slices.SortFunc(tokens, order)

	return func(line []rune, number, col int) (string, int) {
		first, _ := slices.BinarySearchFunc(tokens, token{line: number}, order)
		current := token{}
		if first > 0 {
			current = tokens[first-1]
		}
		var out []rune
		caret, begin := 0, 1
		show := func(end int, last bool) { // what belongs to current, up to end
			part := line[begin-1 : end-1]
			mask, own := current.mask, current.line == number
			if !own { // the rest of a value from a line above, if it is not the signs around it
				mask = hidden
			}
			shown, hides := part, mask != "" && (own || !isStructure(part, current.mask == ""))
			if hides {
				shown = []rune(mask)
				if !last || own && current.flow && isClosed(part) {
					shown = append(shown, part[lengthOfValue(part):]...)
				}
			}
			if caret == 0 && col >= begin && col < end {
				caret = len(out) + 1
				if !hides {
					caret += col - begin
				}
			}
			out = append(out, shown...)
			begin = end
		}
		for _, next := range tokens[first:] {
			if next.line != number || next.col > len(line)+1 {
				break
			}
			show(next.col, false)
			current = next
		}
		end := len(line) + 1
		if comment := strings.Index(string(line[begin-1:]), " #"); comment >= 0 { // may be an old secret
			end = begin + len([]rune(string(line[begin-1:])[:comment]))
		}
		show(end, true)
		if caret == 0 {
			caret = len(out) + 1
		}
		return string(out), caret
	}
}

// isStructure reports whether text has only the signs that YAML puts around values, and perhaps anchors.
func isStructure(text []rune, anchors bool) bool {
	line := string(text)
	if anchors {
		line = anchor.ReplaceAllString(line, "")
	}
	return strings.Trim(line, " \t-?:,[]{}") == ""
}

var anchor = regexp.MustCompile(`&[A-Za-z0-9_-]+`)

// lengthOfValue is how much of part is left without the signs that may follow a value inside {} or [].
func lengthOfValue(part []rune) int {
	return len([]rune(strings.TrimRight(string(part), " ,]}")))
}

// isClosed reports whether a value inside {} or [] ends in part, so that the signs behind it are no part of it:
// without quotes it has no such signs, and with quotes it ends with one.
func isClosed(part []rune) bool {
	value := part[:lengthOfValue(part)]
	if len(value) == 0 || value[0] != '\'' && value[0] != '"' {
		return true
	}
	return len(value) > 1 && value[len(value)-1] == value[0]
}
