package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// maxShown is how much of a text from outside stands in one line, in characters: an error that a server worded at length.
// Names are shorter.
const (
	maxShown     = 1500
	maxShownName = 200
)

// terminal is how wide the terminal behind w is; 0 where there is none.
func terminal(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 80
	}
	return width
}
