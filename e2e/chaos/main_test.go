//go:build linux

package chaos

import (
	"os"
	"testing"

	"github.com/rs/zerolog"
)

func TestMain(m *testing.M) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's own log
	if code, ended := isolated(); ended {
		os.Exit(code)
	}
	os.Exit(m.Run())
}
