//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/collector"
	"github.com/llmprober/llm_prober/config"
	"github.com/llmprober/llm_prober/internal/simulator"
	"github.com/llmprober/llm_prober/prober"
)

// TestReloadOfAPipe puts a pipe that nobody writes to in the place of the configuration, and of a credential.
func TestReloadOfAPipe(t *testing.T) {
	url := simulated(t, simulator.Options{FirstToken: time.Millisecond, PerToken: time.Millisecond})
	d, results, registry := started(t, func() string { return fmt.Sprintf(twoTargets, url, "") })
	inForce := d.inForce.Load()
	dir := t.TempDir()
	pipe, file := filepath.Join(dir, "pipe"), filepath.Join(dir, "llm_prober.yml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(twoTargets, url, "") + "http_sd: [{url: 'http://127.0.0.1:1/', http: {bearer_token_file: pipe}}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{pipe: pipe + ": it is a pipe", file: "the file cannot be used: it is a pipe"} {
		d.load = func() (*config.Config, error) { return config.Load(name) }
		if err := d.reload(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("reload of %s = %v; want %q", name, err, want)
		}
	}
	if d.inForce.Load() != inForce {
		t.Error("another configuration is in force")
	}
	if ok, _ := value(t, registry, collector.NameReloadSuccessful); ok != 0 {
		t.Errorf("%s = %v; want 0", collector.NameReloadSuccessful, ok)
	}
	results.await(t, "stays", "fast", prober.OK, 2) // at most one of which was under way before
}
