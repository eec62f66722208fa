package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckConfigMakesClients has check-config find what would keep the prober from starting.
func TestCheckConfigMakesClients(t *testing.T) {
	const (
		probes  = "probes: {a: {prompt_tokens: 20, max_output_tokens: 4, interval: 15s}}\n"
		target  = probes + "targets:\n  - {name: chat, url: 'https://127.0.0.1:1/v1', model: m, probes: [a]%s}\n"
		plain   = probes + "targets: [{name: chat, url: 'https://127.0.0.1:1/v1', model: m, probes: [a]}]\n"
		ramp    = plain + "ramps: [{name: soak, target: chat, lanes: [{name: one, mix: {a: 1}, arrivals: {process: poisson, rate: 1/s}, stages: [{hold: 1m}]%s}]}]\n"
		list    = plain + "http_sd: [{name: fleet, url: 'http://127.0.0.1:1/'%s, template: {model: m, probes: [a]%s}}]\n"
		folder  = plain + "target_files: [{name: ours, files: [none.json], template: {model: m, probes: [a]%s}}]\n"
		onAsked = plain + "probe_on_demand: {allow: ['http://127.0.0.1:1/'], template: {model: m, probes: [a]%s}}\n"
		junk    = ", http: {tls_config: {ca_file: junk.pem}}"
		says    = "http: tls_config: unable to use specified CA cert"
	)
	engine := ", engine: {metrics_url: 'http://127.0.0.1:1/metrics'%s}"
	for _, test := range []struct {
		name, text string
		says       []string // none: it is valid
	}{
		{"certificates that are none", fmt.Sprintf(target, junk), []string{"target chat: " + says}},
		{"of the engine", fmt.Sprintf(target, fmt.Sprintf(engine, junk)), []string{"target chat: engine: http: "}},
		{"of a lane", fmt.Sprintf(ramp, junk), []string{"ramp soak: lane one: " + says}},
		{"of lists", fmt.Sprintf(list, junk, junk), []string{"http_sd fleet: http: ", "http_sd fleet: template: " + says}},
		{"of files", fmt.Sprintf(folder, junk), []string{"target_files ours: template: " + says}},
		{"on demand", fmt.Sprintf(onAsked, junk), []string{"probe_on_demand: template: " + says}},
		{"a certificate and a key that are none", fmt.Sprintf(target, ", http: {tls_config: {cert_file: junk.pem, key_file: junk.pem}}"), []string{"target chat: http: tls_config: unable to use specified client cert"}},
		{"no version", fmt.Sprintf(target, ", http: {tls_config: {min_version: TLS13, max_version: TLS12}}"), []string{"bad.yml:3:", "the newest version of TLS is older than the oldest"}},
		{"no version for tokens", fmt.Sprintf(target, ", http: {oauth2: {client_id: i, client_secret: s, token_url: 'https://127.0.0.1:1/', tls_config: {min_version: TLS13, max_version: TLS12}}}"), []string{"bad.yml:3:", "the newest version of TLS is older than the oldest"}},
		// They may be where the prober runs.
		{"certificates that are not here", fmt.Sprintf(target, ", http: {tls_config: {ca_file: none.pem}}"), nil},
		{"a certificate that is not here", fmt.Sprintf(target, ", http: {tls_config: {cert_file: none.pem, key_file: none.pem}}"), nil},
		{"a key that is not here", fmt.Sprintf(target, ", http: {authorization: {credentials_file: none.key}}"+fmt.Sprintf(engine, ", http: {authorization: {credentials_file: none.key}}")), nil},
		{"one version", fmt.Sprintf(target, ", http: {tls_config: {min_version: TLS13, max_version: TLS13}}"), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "bad.yml")
			for name, text := range map[string]string{file: test.text, filepath.Join(dir, "junk.pem"): "junk\n"} {
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var stdout, stderr bytes.Buffer
			want := exitOK
			if test.says != nil {
				want = exitFailed
			}
			if code := run(t.Context(), []string{"check-config", file}, &stdout, &stderr); code != want {
				t.Errorf("check-config = %d, %s; want %d", code, stderr.String(), want)
			}
			for _, text := range test.says {
				if !strings.Contains(stderr.String(), text) {
					t.Errorf("check-config says %q; want %q in it", stderr.String(), text)
				}
			}
		})
	}
}
