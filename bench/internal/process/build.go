package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds cmd/llm_prober of the module around the working directory into dir, as `make build` does but for the stamp of
// the version, and returns the binary's path.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "llm_prober")
	// Binding at the first call is what lets it start where there is no GPU driver: see LAZY in the Makefile.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-extldflags=-Wl,-z,lazy", "-o", binary,
		"github.com/llmprober/llm_prober/cmd/llm_prober")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build llm_prober: %w\n%s", err, out)
	}
	return binary, nil
}
