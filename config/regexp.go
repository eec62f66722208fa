package config

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
)

// Regexp is a regular expression as Go writes them. In a loaded configuration it compiles.
type Regexp string

// Compile returns the expression, ready to match; nil where there is none.
func (r Regexp) Compile() *regexp.Regexp {
	if r == "" {
		return nil
	}
	return regexp.MustCompile(string(r))
}

// checkRegexp says what keeps a text from being a regular expression.
func checkRegexp(n *node) error {
	_, err := regexp.Compile(n.text)
	if wrong, ok := errors.AsType[*syntax.Error](err); ok {
		return errors.New("not a regular expression: " + wrong.Code.String() + " in " + strconv.Quote(wrong.Expr))
	}
	return err
}
