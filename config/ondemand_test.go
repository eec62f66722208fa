package config

import "testing"

func TestProbeOnDemandAllows(t *testing.T) {
	d := &ProbeOnDemand{Allow: []string{
		"http://vllm:8000/v1", "https://*.example.com", "http://[10.0.0.0/8]:*", "http://[fd00::/8]:8000/llm/", "http://192.0.2.7:8000", "http://plain",
	}}
	for address, want := range map[string]bool{
		"http://vllm:8000/v1":              true,
		"http://vllm:8000/v1/":             true,
		"http://VLLM:8000/v1/a":            true,
		"http://vllm.:8000/v1":             true,
		"http://vllm:8000/v10":             false,
		"http://vllm:8000/":                false,
		"http://vllm:8000":                 false,
		"http://vllm/v1":                   false,
		"https://vllm:8000/v1":             false,
		"http://vllm:8000/v1/../admin":     false,
		"http://vllm:8000/v1/%2e%2e/admin": false,
		"http://vllm:8000//v1":             false,
		"http://vllm:8000/v1?a=b":          false,
		"http://vllm:8000/v1#a":            false,
		"http://user@vllm:8000/v1":         false,
		"http://vllm:8000@evil/v1":         false,
		"http://evil/http://vllm:8000/v1":  false,
		"https://a.example.com":            true,
		"https://a.b.example.com:443/x":    true,
		"https://example.com":              false,
		"https://badexample.com":           false,
		"https://a.example.com.evil.org":   false,
		"https://a.example.com:8443":       false,
		"http://10.1.2.3":                  true,
		"http://10.1.2.3:9999/any":         true,
		"http://11.1.2.3":                  false,
		"http://[::ffff:10.1.2.3]:80":      true,
		"http://10.evil.org":               false,
		"http://167837955":                 false, // 10.1.2.3 to some
		"http://0x0a.1.2.3":                false,
		"http://[fd00::1]:8000/llm":        true,
		"http://[fd00::1]:8000/other":      false,
		"http://[fd00::1%25eth0]:8000/llm": false,
		"http://[fe80::1]:8000/llm":        false,
		"http://192.0.2.7:8000/anything":   true,
		"http://192.0.2.8:8000":            false,
		"http://plain/":                    true,
		"http://plain:80":                  true,
		"ftp://plain":                      false,
		"plain":                            false,
		"":                                 false,
		"http://plain/a b":                 false,
		"http://plain\\@evil":              false,
	} {
		_, err := d.Target(address)
		if got := err == nil; got != want {
			t.Errorf("Target(%q) = %v; allowed: want %v", address, err, want)
		}
	}
}

func TestProbeOnDemandTarget(t *testing.T) {
	c, err := parseFile(t, "testdata/good/discovery.yml")
	if err != nil {
		t.Fatal(err)
	}
	target, err := c.ProbeOnDemand.Target("http://vllm:8000/v1/")
	if err != nil {
		t.Fatal(err)
	}
	target.Name = "on_demand"
	with, refused := c.WithTargets([]*Target{target})
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	got := with.Target("on_demand")
	if got.URL != "http://vllm:8000/v1" || got.Model != "m" || got.Protocol != "openai_chat" || got.Labels["vantage"] != "eu" || got.HTTP.Authorization == nil {
		t.Errorf("target = %v", got)
	}
	mustNotLeak(t, "a target on demand", got.String())
}
