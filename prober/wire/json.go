package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// cursor walks a JSON document once, from left to right, without allocating: the caller asks for the fields it
// wants and skips the rest. It accepts exactly what encoding/json accepts, and refuses invalid UTF-8 besides.
// After a mistake in the document every method returns its zero value and ok turns false for good.
//
//	c := cursor{b: doc}
//	for c.enter('{'); c.key(); {
//		switch string(c.name) {
//		case "id": id = c.str()
//		default:   c.skip()
//		}
//	}
//	if !c.end() { ... }
type cursor struct {
	b     []byte
	i     int
	name  []byte // the key that key found, escapes included
	first bool   // just after an opening bracket
	bad   bool
	depth int
}

// maxDepth is encoding/json's.
const maxDepth = 10000

func (c *cursor) fail() { c.bad = true; c.i = len(c.b) }

func (c *cursor) space() {
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return
		}
	}
}

// peek returns the first byte of the next value: '{', '[', '"', 't', 'f', 'n', '-' or a digit; 0 at the end.
func (c *cursor) peek() byte {
	c.space()
	if c.i >= len(c.b) {
		return 0
	}
	return c.b[c.i]
}

// enter goes into an object or array. Where the value is something else it is skipped, and there is nothing in it.
// The caller then loops over key or elem until it returns false.
func (c *cursor) enter(open byte) bool {
	if c.peek() != open {
		c.skip()
		return false
	}
	c.i++
	c.first = true
	if c.depth++; c.depth > maxDepth {
		c.fail()
	}
	return !c.bad
}

// more goes to the next member before close, and says whether there is one.
func (c *cursor) more(close byte) bool {
	b := c.peek()
	switch {
	case c.bad:
		return false
	case b == close:
		c.i++
		c.first = false
		c.depth--
		return false
	case c.first:
		c.first = false
		return true
	case b == ',':
		c.i++
		return true
	}
	c.fail()
	return false
}

// key goes to the next member of an object and leaves its name in c.name. It returns false at the end.
func (c *cursor) key() bool {
	if !c.more('}') {
		return false
	}
	if c.peek() != '"' {
		c.fail()
		return false
	}
	c.name = c.text()
	if c.peek() != ':' {
		c.fail()
		return false
	}
	c.i++
	return !c.bad
}

// elem goes to the next element of an array. It returns false at the end.
func (c *cursor) elem() bool { return c.more(']') && !c.bad }

// plain marks the bytes that a string holds as they are: no quote, no escape, no control character.
var plain = func() (t [256]bool) {
	for i := range t {
		t[i] = i >= 0x20 && i != '"' && i != '\\'
	}
	return t
}()

// text takes a string and returns what is between its quotes, escapes included.
func (c *cursor) text() []byte {
	b := c.b
	start := c.i + 1
	for i := start; i < len(b); {
		if plain[b[i]] {
			i++
			continue
		}
		switch b[i] {
		case '"':
			c.i = i + 1
			return b[start:i]
		case '\\':
			if i+1 >= len(b) {
				c.fail()
				return nil
			}
			switch b[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				if i+6 > len(b) || !isHex(b[i+2]) || !isHex(b[i+3]) || !isHex(b[i+4]) || !isHex(b[i+5]) {
					c.fail()
					return nil
				}
				i += 6
			default:
				c.fail()
				return nil
			}
		default:
			c.fail()
			return nil
		}
	}
	c.fail()
	return nil
}

func isHex(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
}

// str takes a string; any other value is skipped and gives nil.
func (c *cursor) str() []byte {
	if c.peek() != '"' {
		c.skip()
		return nil
	}
	return c.text()
}

// number takes a number and returns its bytes; any other value is skipped and gives nil.
func (c *cursor) number() []byte {
	if b := c.peek(); b != '-' && (b < '0' || b > '9') {
		c.skip()
		return nil
	}
	start, i, b := c.i, c.i, c.b
	digits := func() bool {
		from := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > from
	}
	if b[i] == '-' {
		i++
	}
	ok := true
	if i < len(b) && b[i] == '0' {
		i++
	} else {
		ok = digits()
	}
	if ok && i < len(b) && b[i] == '.' {
		i++
		ok = digits()
	}
	if ok && i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		ok = digits()
	}
	if !ok {
		c.fail()
		return nil
	}
	c.i = i
	return b[start:i]
}

// count takes a whole number of 0 or more. Anything else (null, a fraction, a negative or absurd number) gives -1.
// A fraction of nothing is none: servers in languages with one kind of number write 12.0.
func (c *cursor) count() int {
	digits := c.number()
	if dot := bytes.IndexByte(digits, '.'); dot > 0 && len(bytes.Trim(digits[dot+1:], "0")) == 0 {
		digits = digits[:dot]
	}
	if len(digits) == 0 || len(digits) > 15 {
		return -1
	}
	n := 0
	for _, d := range digits {
		if d < '0' || d > '9' {
			return -1
		}
		n = 10*n + int(d-'0')
	}
	return n
}

// decimal takes a number of 0 or more. Anything else gives -1. It is for the few fields of an answer's last event.
func (c *cursor) decimal() float64 {
	digits := c.number()
	if len(digits) == 0 || len(digits) > 64 {
		return -1
	}
	var f float64
	if json.Unmarshal(digits, &f) != nil || f < 0 {
		return -1
	}
	return f
}

// atLeast raises *n to the count that comes next; anything but a count leaves it as it is.
func (c *cursor) atLeast(n *int) { *n = max(*n, c.count()) }

// yes takes true. Any other value is skipped and is a no.
func (c *cursor) yes() bool {
	is := c.peek() == 't'
	c.skip()
	return is && !c.bad
}

// raw takes any value and returns it as it is written.
func (c *cursor) raw() []byte {
	c.space()
	start := c.i
	c.skip()
	if c.bad {
		return nil
	}
	return c.b[start:c.i]
}

// skip passes over the next value, whatever it is.
func (c *cursor) skip() {
	switch b := c.peek(); b {
	case '"':
		c.text()
	case '{':
		for c.enter('{'); c.key(); {
			c.skip()
		}
	case '[':
		for c.enter('['); c.elem(); {
			c.skip()
		}
	case 't':
		c.word("true")
	case 'f':
		c.word("false")
	case 'n':
		c.word("null")
	default:
		if b == '-' || b >= '0' && b <= '9' {
			c.number()
			return
		}
		c.fail()
	}
}

func (c *cursor) word(w string) {
	if len(c.b)-c.i < len(w) || string(c.b[c.i:c.i+len(w)]) != w {
		c.fail()
		return
	}
	c.i += len(w)
}

// end reports whether the whole document was read without a mistake.
func (c *cursor) end() bool {
	c.space()
	return !c.bad && c.i == len(c.b)
}

// malformed words why doc is not acceptable. It is for the way out: it parses again and allocates.
func malformed(doc []byte) error {
	show := doc
	if len(show) > 120 {
		show = show[:120]
	}
	if !utf8.Valid(doc) {
		return fmt.Errorf("%w: invalid UTF-8 in %q", ErrMalformed, show)
	}
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		return fmt.Errorf("%w: %w in %q", ErrMalformed, err, show)
	}
	return fmt.Errorf("%w: want a JSON object, got %q", ErrMalformed, show)
}

// AppendUnquoted appends to dst the text that raw, the inside of a JSON string, stands for.
// Lone surrogates become U+FFFD, as encoding/json has it.
func AppendUnquoted(dst, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 >= len(raw) {
			dst = append(dst, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(raw[i+1:])
			i += 4
			if r >= 0xD800 && r < 0xE000 {
				low := rune(-1)
				if i+6 < len(raw) && r < 0xDC00 && raw[i+1] == '\\' && raw[i+2] == 'u' {
					low = hex4(raw[i+3:])
				}
				if low >= 0xDC00 && low < 0xE000 {
					r = (r-0xD800)<<10 | (low - 0xDC00) + 0x10000
					i += 6
				} else {
					r = utf8.RuneError
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, raw[i])
		}
	}
	return dst
}

// hex4 reads four hexadecimal digits; -1 if they are not there.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, d := range b[:4] {
		r <<= 4
		switch {
		case d >= '0' && d <= '9':
			r |= rune(d - '0')
		case d >= 'a' && d <= 'f':
			r |= rune(d-'a') + 10
		case d >= 'A' && d <= 'F':
			r |= rune(d-'A') + 10
		default:
			return -1
		}
	}
	return r
}
