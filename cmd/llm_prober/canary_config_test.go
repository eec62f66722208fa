package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// site is where a prober under test lives, with a secret in every place that can hold one.
type site struct {
	*canaries
	t         *testing.T
	dir       string
	witness   string // the name of a target and a ramp: no secret, and to be found everywhere
	parrot    *parrot
	questions string // file of a user's own

	certificate, key string // files: the key has a secret before it, where PEM lets anything stand
}

func newSite(t *testing.T, c *canaries, p *parrot) *site {
	s := &site{canaries: c, t: t, dir: t.TempDir(), witness: "witness-zzqy", parrot: p}
	if s.plant("web password") != webPassword {
		t.Fatalf("the password of the web is %s; want it to be the one of webHash", s.plant("web password"))
	}
	s.cores["web hash"] = webHash[10:40]
	cert, key := newAuthority(t).issue("client", x509.ExtKeyUsageClientAuth)
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	s.certificate, s.key = cert, s.write("client.key", s.plant("tls key")+"\n"+string(text))
	s.questions = s.write("questions.jsonl", fmt.Sprintf(`{"messages":[{"role":"system","content":%[2]s},{"role":"user","content":%[1]s}],"max_output_tokens":8}
{"messages":[{"role":"user","content":%[1]s}]}
`, quote(c.plant("private question")+" and so on"), quote(c.plant("private system prompt"))))
	return s
}

// data is the directory of records.
func (s *site) data() string { return filepath.Join(s.dir, "data-of-"+s.witness) }

func (s *site) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// secret is a secret in YAML.
func (s *site) secret(name string) string { return "'" + s.plant(name) + "'" }

// file is a file with a secret in it.
func (s *site) file(name string) string {
	return s.write(strings.ReplaceAll(name, " ", "_"), s.plant(name)+"\n")
}

// environment is what the prober is given beside its configuration.
func (s *site) environment() []string {
	return []string{"PROBER_KEY=" + s.plant("environment"), "PROBER_OTHER=" + s.plant("environment unused")}
}

// credentials are the ways in which a target is told who asks, by name.
func (s *site) credentials() map[string]string {
	proxy := strings.TrimPrefix(s.parrot.URL, "http://")
	return map[string]string{
		"inline": "headers: {X-Api-Key: " + s.secret("target header") + ", X-Tenant: 'tenant " + s.plant("header of two words") + "'}, http: {authorization: {credentials: " + s.secret("authorization inline") +
			"}, http_headers: {X-File: {files: [" + s.file("header file") + "]}, X-Secret: {secrets: [" + s.secret("header secret") + "]}}}",
		"file":     "http: {authorization: {type: Key, credentials_file: " + s.file("authorization file") + "}}",
		"env":      `headers: {X-Tenant: "tenant-${PROBER_KEY}"}, http: {authorization: {credentials: "${PROBER_KEY}"}}`,
		"basic":    "http: {basic_auth: {username: me, password: " + s.secret("basic password") + "}}",
		"password": "http: {basic_auth: {username: me, password_file: " + s.file("basic password file") + "}}",
		"oauth": fmt.Sprintf("http: {oauth2: {client_id: me, client_secret: %s, token_url: '%s/token/good', endpoint_params: {password: %s}}}",
			s.secret("oauth2 secret"), s.parrot.URL, s.secret("oauth2 parameter")),
		"oauthbad": fmt.Sprintf("http: {oauth2: {client_id: me, client_secret_file: %s, token_url: '%s/token/bad?key=%s', endpoint_params: {password: %s}}}",
			s.file("oauth2 secret file"), s.parrot.URL, s.core("token url"), s.secret("oauth2 bad parameter")),
		"proxy": fmt.Sprintf("http: {proxy_url: 'http://me:%s@%s'}", s.core("proxy password"), proxy),
		"tunnel": fmt.Sprintf("http: {proxy_url: 'http://%s', proxy_connect_header: {Proxy-Authorization: [%s]}, tls_config: {cert_file: %s, key_file: %s, insecure_skip_verify: true}}",
			proxy, s.secret("proxy header"), s.certificate, s.key),
	}
}

// config is a configuration that is valid.
func (s *site) config() string {
	var b strings.Builder
	fmt.Fprintf(&b, `
global: {degraded_after: 1s}
probes:
  spoken: {prompt_tokens: 20, max_output_tokens: 5, interval: 5s, timeout: 4s}
  whole: {prompt_tokens: 20, max_output_tokens: 5, interval: 5s, timeout: 4s, stream: false}
  checked: {prompt_tokens: 20, max_output_tokens: 5, interval: 5s, timeout: 4s, expect: {contains: [%s-is-not-in-it]}}
  talk: {prompt_tokens: 20, max_output_tokens: 5, interval: 5s, timeout: 4s, turns: 2}
  again: {prompt_tokens: 20, max_output_tokens: 5, interval: 5s, timeout: 4s, retry: {attempts: 2, on: [429, http_4xx], backoff: 100ms}}
  own: {prompts: {file: %s}, max_output_tokens: 5, interval: 5s, timeout: 4s}
  own_checked: {prompts: {file: %[2]s}, max_output_tokens: 5, interval: 5s, timeout: 4s, expect: {contains: [nothing-of-it]}}
  silent: {prompt_tokens: 20, max_output_tokens: 5, interval: 5s, timeout: 4s, first_token_timeout: 300ms}
targets:
  - {name: %[1]s, url: "%[3]s/ok/v1", model: %[1]s-model, probes: [spoken, whole, checked, talk], labels: {zone: %[1]s-label}, %[4]s}
  - {name: own, url: "%[3]s/ok/v1", model: m, probes: [own, own_checked], headers: {X-Api-Key: %[5]s}}
`, s.witness, s.questions, s.parrot.URL, s.credentials()["inline"], s.secret("own header"))
	for name, how := range s.credentials() {
		for _, manner := range manners() {
			if name == "proxy" || name == "tunnel" || name == "oauthbad" {
				if manner != "ok" { // they do not get that far
					continue
				}
			}
			url := s.parrot.URL
			if name == "tunnel" {
				url = "https://127.0.0.1:1"
			}
			probes := "spoken, again"
			if manner == "hang" {
				probes = "silent"
			}
			fmt.Fprintf(&b, "  - {name: %s-%s, url: \"%s/%s/v1\", model: m, probes: [%s], %s}\n", name, manner, url, manner, probes, how)
		}
	}
	for _, manner := range []string{"refuse", "limit"} {
		fmt.Fprintf(&b, "  - {name: own-%s, url: \"%s/%[1]s/v1\", model: m, probes: [own]}\n", manner, s.parrot.URL)
	}
	for i, page := range []string{"good", "status", "redirect", "away", "garbage", "json"} {
		follow := i%2 == 1
		fmt.Fprintf(&b, "  - {name: engine-%[1]s, url: \"%[2]s/ok/v1\", model: m, probes: [], engine: {metrics_url: \"%[2]s/engine/%[1]s/metrics\", interval: 1s, timeout: 1s, "+
			"http: {follow_redirects: %[3]t, authorization: {credentials: %[4]s}, http_headers: {X-Api-Key: {secrets: [%[5]s]}}}}}\n",
			page, s.parrot.URL, follow, s.secret("engine authorization"), s.secret("engine header"))
	}
	fmt.Fprintf(&b, "  - {name: engine-oauth, url: \"%[1]s/ok/v1\", model: m, probes: [], engine: {metrics_url: \"%[1]s/engine/good/metrics\", interval: 1s, timeout: 1s, "+
		"http: {oauth2: {client_id: me, client_secret: %[2]s, token_url: '%[1]s/token/bad'}}}}\n", s.parrot.URL, s.secret("engine oauth2 secret"))

	fmt.Fprintf(&b, "target_files:\n  - {files: [%s], template: {model: m, probes: [spoken], http: {authorization: {credentials: %s}}}}\n",
		s.write("targets.json", fmt.Sprintf(`[{"targets":["%s/refuse/v1"],"labels":{"__name":"listed"}}]`, s.parrot.URL)), s.secret("target file template"))
	fmt.Fprintf(&b, "  - {files: [%s], template: {model: m, probes: [spoken]}}\n",
		s.write("bad_targets.json", fmt.Sprintf(`[{"targets":["http://me:%s@127.0.0.1:1/v1?key=%s"],"labels":{"__name":"leaky"}}]`, s.core("listed password"), s.core("listed query"))))
	b.WriteString("http_sd:\n")
	for _, page := range []string{"good", "status", "kind", "label", "redirect", "garbage"} {
		fmt.Fprintf(&b, "  - {name: sd-%[1]s, url: '%[2]s/targets/%[1]s?key=%[3]s', refresh_interval: 1s, http: {follow_redirects: true, authorization: {credentials: %[4]s}, "+
			"http_headers: {X-Api-Key: {secrets: [%[5]s]}}}, template: {model: m, probes: [spoken], headers: {X-Api-Key: %[6]s}}}\n",
			page, s.parrot.URL, s.core("http_sd query"), s.secret("http_sd authorization"), s.secret("http_sd header"), s.secret("http_sd template"))
	}
	fmt.Fprintf(&b, "probe_on_demand: {allow: [\"%s\"], template: {model: m, http: {authorization: {credentials: %s}}}}\n", s.parrot.URL, s.secret("on demand"))
	fmt.Fprintf(&b, `objectives: [{name: %[1]s, target: %[1]s, probe: spoken, indicator: availability, goal: 0.9}]
ramps:
  - name: %[1]s
    target: %[1]s
    seed: 7
    lanes:
      - {name: a, mix: {spoken: 1, own: 1}, arrivals: {process: constant, rate: 20/s}, stages: [{hold: 2s}]}
      - {name: b, mix: {spoken: 1, own_checked: 1}, headers: {X-Tenant: %[2]s}, http: {authorization: {credentials: %[3]s}}, arrivals: {process: constant, rate: 10/s}, stages: [{hold: 2s}]}
      - {name: c, target: inline-refuse, mix: {spoken: 1, own: 1}, headers: {X-Tenant: %[2]s}, http: {basic_auth: {username: me, password: %[4]s}}, arrivals: {process: constant, rate: 5/s}, stages: [{hold: 2s}]}
    objectives: [{indicator: availability, threshold: 0.01}]
    abort: {error_share: 1}
    drain: 2s
`, s.witness, s.secret("lane header"), s.secret("lane authorization"), s.secret("lane password"))
	return b.String()
}

// bad are configurations with a mistake beside, or in, a secret.
func (s *site) bad() []string {
	head := "probes: {a: {prompt_tokens: 1, max_output_tokens: 1, interval: 1s}}\ntargets:\n"
	target := func(rest string) string {
		return head + "  - name: t\n    model: m\n    probes: [a]\n    url: http://x/v1\n" + rest
	}
	return []string{
		head + "  - {name: t, model: m, probes: [a], url: 'http://me:" + s.core("url password") + "@x/v1'}\n",
		head + "  - {name: t, model: m, probes: [a], url: 'http://x/v1?key=" + s.core("url query") + "'}\n",
		head + "  - {name: t, model: m, probes: [a], url: 'http://x:" + s.core("url port") + "/v1'}\n",
		target("    api_key: " + s.secret("unknown key") + "\n"),
		target("    headers: [" + s.secret("list of headers") + "]\n"),
		target("    headers: {X-Api-Key: [" + s.secret("header as a list") + "]}\n"),
		target("    headers: {Authorization: " + s.secret("reserved header") + "}\n"),
		target("    http: {authorization: " + s.secret("authorization as a text") + "}\n"),
		target("    http: {authorization: {credential: " + s.secret("misspelt key") + "}}\n"),
		target("    http: {authorization: {credentials: " + s.secret("twice") + ", credentials_file: /x}}\n"),
		target("    http: {basic_auth: {username: me, password: {x: " + s.secret("password as a mapping") + "}}}\n"),
		target("    http: {proxy_url: 'ftp://me:" + s.core("bad proxy") + "@x'}\n"),
		target("    http: {proxy_url: 'http://me:" + s.core("worse proxy") + "@x:y'}\n"),
		target("    http: {tls_config: {key: " + s.secret("key as a text") + ", cert: x}}\n"),
		target("    http: {oauth2: {client_id: me, client_secret: " + s.secret("bad oauth2") + ", token_url: 'nonsense " + s.core("bad token url") + "'}}\n"),
		target("    engine: {metrics_url: 'http://me:" + s.core("metrics password") + "@x/metrics?key=" + s.core("metrics query") + "'}\n"),
		target("    http: {authorization: {credentials: \"" + s.core("torn") + "}}\n"),
		target("    http: {authorization: {credentials: " + s.core("colon") + ": x}}\n"),
		target("    http:\n  authorization: {credentials: " + s.secret("wrong indentation") + "}\n"),
		target("    headers: {X-Api-Key: \"${" + strings.ToUpper(s.core("variable")) + "} " + s.core("beside a variable") + "\"}\n"),
		target("    headers: {X-Api-Key: \"" + s.core("control character") + "\\n\"}\n"),
		s.core("nothing but a key"),
		"\t" + s.core("a tab first"),
	}
}
