package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is the server, where a test has started this program as one.
func TestMain(m *testing.M) {
	if slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "--serve=") }) {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}
