package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/llmprober/llm_prober/config"
)

// TestDocumentedConfigurations keeps the whole configurations of the README and the documents ones that the program takes.
func TestDocumentedConfigurations(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1) {
			if !regexp.MustCompile(`(?m)^probes:`).Match(block[1]) || !regexp.MustCompile(`(?m)^targets:`).Match(block[1]) {
				continue // a part of one, or Prometheus' own
			}
			whole++
			if _, err := config.Parse(filepath.Base(file), block[1], config.Options{}); err != nil {
				t.Error(err)
			}
		}
	}
	if whole < 2 {
		t.Errorf("%d whole configurations in the README and the documents; want 2 or more", whole)
	}
}

// TestReadmeMetrics keeps the metrics that the README names ones that exist.
func TestReadmeMetrics(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	reference, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile("`(llm_[a-z_]+)[`{]").FindAllSubmatch(readme, -1) {
		if string(name[1]) != "llm_prober" && !bytes.Contains(reference, name[1]) {
			t.Errorf("%s is not in docs/metrics.md", name[1])
		}
	}
}

// TestHelp holds each command's help to one screen with an example.
func TestHelp(t *testing.T) {
	const screen = 60 // lines; a tall terminal, since every command has the log's flags, and run those of the GPU collector
	var overview bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, &overview, &overview); code != exitOK {
		t.Fatalf("--help exits with %d", code)
	}
	for _, name := range []string{"run", "demo", "probe", "check-config", "simulate", "ramp", "compare", "gate", "rules", "runs list", "runs show", "baseline save"} {
		if !strings.Contains(overview.String(), "\n  "+name+" ") {
			t.Errorf("the overview does not have %s:\n%s", name, overview.String())
		}
		var help bytes.Buffer
		if code := run(t.Context(), append(strings.Fields(name), "--help"), &help, &help); code != exitOK {
			t.Errorf("%s --help exits with %d", name, code)
		}
		if lines := strings.Count(help.String(), "\n"); lines > screen {
			t.Errorf("%s --help has %d lines; want %d at most", name, lines, screen)
		}
		if !strings.Contains(help.String(), "\n  llm_prober ") {
			t.Errorf("%s --help shows no example:\n%s", name, help.String())
		}
	}
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--nonsense"}, exitUsage, "unknown long flag"},
		{[]string{"nonsense"}, exitUsage, "nonsense"},
		{[]string{"probe"}, exitUsage, "--model"},
		{[]string{"probe", "--url=x", "--model=m"}, exitFailed, "http://HOST"},
		{[]string{"probe", "--url=http://x/v1", "--model=m", "--prompt-tokens=20-"}, exitUsage, "20-60"},
		{[]string{"probe", "--url=http://x/v1", "--model=m", "-n", "0"}, exitFailed, "at least 1"},
		{[]string{"check-config", "no-such-file.yml"}, exitFailed, "no-such-file.yml"},
		{[]string{"--config.file=no-such-file.yml"}, exitFailed, "no-such-file.yml"},
		{[]string{"simulate", "--fault=reset=3:x"}, exitFailed, "share"},
		{[]string{"simulate", "--fault=nonsense"}, exitFailed, "nonsense"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), tt.args, &stdout, &stderr); code != tt.code || !strings.Contains(stderr.String(), tt.says) {
				t.Errorf("exit code %d, says %q; want %d and %q", code, stderr.String(), tt.code, tt.says)
			}
		})
	}
}

func TestCheckConfig(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"check-config", "../../config/llm_prober.example.yml"}, &stdout, &stderr); code != exitOK {
		t.Errorf("the example: exit code %d: %s", code, stderr.String())
	}
	bad := t.TempDir() + "/bad.yml"
	if err := os.WriteFile(bad, []byte("probes: {a: {prompt_tokens: 0, max_output_tokens: 1, interval: 1s}}\ntargets: []\nnonsense: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stderr.Reset()
	code := run(t.Context(), []string{"check-config", bad}, &stdout, &stderr)
	for _, want := range []string{"bad.yml:1:", "bad.yml:3:1", "^"} {
		if code != exitFailed || !strings.Contains(stderr.String(), want) {
			t.Errorf("a bad file: exit code %d: %s; want 1 and %q", code, stderr.String(), want)
		}
	}
}
