package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestCompose checks what of deploy/compose can be checked without Docker: that each image has a version, that Prometheus and
// Alertmanager are those that the chain runs, and that all that is mounted is there.
func TestCompose(t *testing.T) {
	dir := filepath.Join("..", "deploy", "compose")
	b, err := os.ReadFile(filepath.Join(dir, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			Image   string
			Volumes []string
			Ports   []string
		}
		Volumes map[string]any
	}
	if err := yaml.Unmarshal(b, &compose); err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]string{
		"simulator": "llm_prober:compose", "prober": "llm_prober:compose",
		// Version 3.13.2 of Prometheus is version 0.313.2 of its module.
		"prometheus":   "prom/prometheus:v3." + strings.TrimPrefix(required(t, "go.mod", "github.com/prometheus/prometheus"), "v0.3"),
		"alertmanager": "prom/alertmanager:" + required(t, "alertmanager/go.mod", "github.com/prometheus/alertmanager"),
	} {
		if got := compose.Services[service].Image; got != want {
			t.Errorf("service %s has image %q; want %q", service, got, want)
		}
	}
	for name, service := range compose.Services {
		if _, tag, _ := strings.Cut(service.Image, ":"); tag == "" || tag == "latest" {
			t.Errorf("service %s: image %q has no version", name, service.Image)
		}
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("service %s: port %s is not bound to loopback", name, port)
			}
		}
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if !strings.HasPrefix(source, ".") {
				if _, ok := compose.Volumes[source]; !ok {
					t.Errorf("service %s: there is no volume %s", name, source)
				}
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, source)); err != nil {
				t.Errorf("service %s: %v", name, err)
			}
		}
	}
}

// TestComposeConfiguration has the prober itself check its configuration of deploy/compose.
func TestComposeConfiguration(t *testing.T) {
	bin := os.Getenv("LLM_PROBER_E2E")
	if bin == "" {
		t.Skip("LLM_PROBER_E2E does not name the folder of the programs: run make e2e")
	}
	out, err := exec.Command(filepath.Join(bin, "llm_prober"), "check-config", filepath.Join("..", "deploy", "compose", "llm_prober.yml")).CombinedOutput()
	if err != nil || strings.Contains(string(out), "warning") {
		t.Errorf("check-config: %v\n%s", err, out)
	}
}

// required is the version of a module in a go.mod.
func required(t *testing.T, file, module string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require ")); len(f) >= 2 && f[0] == module {
			return f[1]
		}
	}
	t.Fatalf("%s does not require %s", file, module)
	return ""
}
