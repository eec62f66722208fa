//go:build !linux || !cgo

package gpu

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
)

func TestWorkerOfABuildWithoutTheDriver(t *testing.T) {
	var in bytes.Buffer
	if err := writeMessage(&in, configMessage{Interval: 1}); err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe() // an input that stays open
	defer w.Close()
	err := RunWorker(context.Background(), io.MultiReader(&in, r), io.Discard, slog.New(slog.DiscardHandler))
	if !errors.Is(err, ErrNotInBuild) {
		t.Errorf("RunWorker() = %v; want ErrNotInBuild", err)
	}
	if built {
		t.Error("built = true; want false")
	}
	_ = w.Close()
}
