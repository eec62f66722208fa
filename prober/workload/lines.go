package workload

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
	"strings"
)

// LineError is one place of a file that cannot be used. It shows no text of prompts, which are private.
type LineError struct {
	File string
	Line int // from 1
	What string
	Cure string
}

// Error returns file:line: what; cure.
func (e *LineError) Error() string {
	return fmt.Sprintf("%s:%d: %s; %s", e.File, e.Line, e.What, e.Cure)
}

// maxBadLines is how many bad lines are told one by one.
const maxBadLines = 20

// BadLines is all that is wrong with a file.
type BadLines struct {
	Lines []*LineError // the first 20, in the order of the file
	Count int          // of all
}

// Error returns one line for each bad one, and how many more there are.
func (b *BadLines) Error() string {
	var s strings.Builder
	for i, e := range b.Lines {
		if i > 0 {
			s.WriteByte('\n')
		}
		s.WriteString(e.Error())
	}
	if more := b.Count - len(b.Lines); more > 0 {
		fmt.Fprintf(&s, "\nand %d more bad lines", more)
	}
	return s.String()
}

// Unwrap returns the bad lines that are told, for errors.As.
func (b *BadLines) Unwrap() []error {
	list := make([]error, len(b.Lines))
	for i, e := range b.Lines {
		list[i] = e
	}
	return list
}

// add notes one more bad line.
func (b *BadLines) add(e *LineError) {
	b.Count++
	if len(b.Lines) < maxBadLines {
		b.Lines = append(b.Lines, e)
	}
}

// A fault is what is wrong with a part of a file, and what to do about it.
type fault struct{ what, cure string }

// An item is one part of a file: a line, or an element of a list, which can span several.
type item struct {
	line  int    // on which it begins, from 1
	text  []byte // without the blanks around; valid until the next item
	fault *fault // why there is no text to go by; nil: there is
}

// items yields the parts of a file: the elements where it is one JSON list, else the lines that are not blank.
// An item of more than limit bytes is passed over and told as a fault. An error of r ends it.
func items(r io.Reader, limit int) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		c := &cutter{in: bufio.NewReaderSize(r, 64<<10), limit: limit, line: 1}
		const byteOrderMark = "\xef\xbb\xbf"
		if mark, _ := c.in.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
			_, _ = c.in.Discard(len(byteOrderMark))
		}
		switch first, err := c.skipBlanks(); {
		case err == io.EOF:
		case err != nil:
			yield(item{}, err)
		case first == '[':
			c.list(yield)
		default:
			c.lines(yield)
		}
	}
}

// A cutter cuts a file into items and counts its lines.
type cutter struct {
	in    *bufio.Reader
	limit int
	line  int // of the next byte

	text []byte // of the item
	over bool   // the item has more than that
}

func (c *cutter) begin() { c.text, c.over = c.text[:0], false }

// keep adds to the item as long as there is room.
func (c *cutter) keep(b ...byte) {
	if c.over = c.over || len(c.text)+len(b) > c.limit; !c.over {
		c.text = append(c.text, b...)
	}
}

// item returns what was kept since begin.
func (c *cutter) item(line int) item {
	if c.over {
		return item{line: line, fault: &fault{fmt.Sprintf("longer than %d bytes", c.limit), "leave it out"}}
	}
	return item{line: line, text: bytes.TrimSpace(c.text)}
}

// lines yields lines.
func (c *cutter) lines(yield func(item, error) bool) {
	for ; ; c.line++ {
		c.begin()
		part, err := c.in.ReadSlice('\n')
		for ; err == bufio.ErrBufferFull; part, err = c.in.ReadSlice('\n') {
			c.keep(part...)
		}
		c.keep(part...)
		if err != nil && err != io.EOF {
			yield(item{}, err)
			return
		}
		if it := c.item(c.line); (len(it.text) > 0 || it.fault != nil) && !yield(it, nil) || err == io.EOF {
			return
		}
	}
}

// list yields the elements of a JSON list. It looks at strings and brackets alone: whether an element is right JSON is for
// others to see.
func (c *cutter) list(yield func(item, error) bool) {
	const cutOff = "see whether the file was cut off"
	_, _ = c.readByte() // the bracket
	for first, last := true, false; !last; first = false {
		_, err := c.skipBlanks()
		line := c.line
		var end byte
		if err == nil {
			end, err = c.element()
		}
		last = end == ']'
		it := c.item(line)
		switch {
		case err == io.EOF:
			it = item{line: line, fault: &fault{"the list has no end", cutOff}}
		case err != nil:
			yield(item{}, err)
			return
		case len(it.text) == 0 && it.fault == nil && first && last:
			continue // an empty list
		case len(it.text) == 0 && it.fault == nil:
			it.fault = &fault{"there is nothing beside a comma", "leave the comma out"}
		}
		if !yield(it, nil) || err != nil {
			return
		}
	}
	switch _, err := c.skipBlanks(); {
	case err == nil:
		yield(item{line: c.line, fault: &fault{"there is more after the end of the list", "let the file be one list, or have one request on each line"}}, nil)
	case err != io.EOF:
		yield(item{}, err)
	}
}

// element keeps all up to the comma or bracket that ends an element, and returns that.
func (c *cutter) element() (byte, error) {
	c.begin()
	depth, quoted, escaped := 0, false, false
	for {
		b, err := c.readByte()
		if err != nil {
			return 0, err
		}
		switch {
		case escaped:
			escaped = false
		case quoted:
			quoted, escaped = b != '"', b == '\\'
		case b == '"':
			quoted = true
		case b == '{' || b == '[':
			depth++
		case depth > 0 && (b == '}' || b == ']'):
			depth--
		case depth == 0 && (b == ',' || b == ']'):
			return b, nil
		}
		c.keep(b)
	}
}

func (c *cutter) readByte() (byte, error) {
	b, err := c.in.ReadByte()
	if err == nil && b == '\n' {
		c.line++
	}
	return b, err
}

// skipBlanks goes to the next byte that is no blank, and returns it without reading it.
func (c *cutter) skipBlanks() (byte, error) {
	for {
		b, err := c.readByte()
		if err != nil {
			return 0, err
		}
		if b != ' ' && b != '\t' && b != '\n' && b != '\r' {
			return b, c.in.UnreadByte()
		}
	}
}
