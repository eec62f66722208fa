//go:build !linux

package runs

import "errors"

// playFull has no roles: small disks are mounted on Linux alone.
func playFull(string, string) error { return errors.New("no such role") }
