package discovery

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/llmprober/llm_prober/config"
)

var update = flag.Bool("update", false, "rewrite docs/discovery.md")

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// allProbes are those that there are in the tests, beside a target of the file.
const allProbes = `
probes:
  chat: {prompt_tokens: 20, max_output_tokens: 10, interval: 15s}
  rag:  {prompt_tokens: 20, max_output_tokens: 200, interval: 15s}
  interactive: {prompt_tokens: 20, max_output_tokens: 10, interval: 15s}
targets:
  - {name: own, url: "http://own/v1", model: m, probes: [chat, rag, interactive]}
`

// aTemplate is what targets of most tests have in common.
const aTemplate = `{model: llama, probes: [chat], labels: {region: eu, team: a}}`

// configure reads a configuration.
func configure(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("the configuration", []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ofFiles is a configuration with a source for each folder.
func ofFiles(t testing.TB, dirs ...string) *config.Config {
	t.Helper()
	var text strings.Builder
	text.WriteString(allProbes + "target_files:\n")
	for _, dir := range dirs {
		fmt.Fprintf(&text, "  - {files: [%q, %q], template: %s}\n", dir+"/*.json", dir+"/*.yml", aTemplate)
	}
	return configure(t, text.String())
}

// ofURL is a configuration with a source at a URL, and further keys of it.
func ofURL(t testing.TB, url, more string) *config.Config {
	t.Helper()
	return configure(t, allProbes+fmt.Sprintf("http_sd:\n  - url: %q\n    template: %s\n", url, aTemplate)+more)
}

// write puts a file into its place at once, as those who write lists of targets should.
func write(t testing.TB, path, text string) {
	t.Helper()
	half := filepath.Join(filepath.Dir(path), ".new"+filepath.Ext(path))
	if err := os.WriteFile(half, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(half, path); err != nil {
		t.Fatal(err)
	}
}

// names are those of targets.
func names(targets []*config.Target) []string {
	list := []string{}
	for _, t := range targets {
		list = append(list, t.Name)
	}
	return list
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
