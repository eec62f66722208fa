package main

import (
	"crypto/tls"
	"errors"
	"net/http"
	"regexp"

	commoncfg "github.com/prometheus/common/config"

	"github.com/llmprober/llm_prober/prober/redaction"
	"github.com/llmprober/llm_prober/prober/transport"
)

// newHTTPClient makes the client that asks the URL to for something other than a probe: metrics, a verdict. Its credentials
// go nowhere else, whatever redirects say. The name is for go-conntrack.
func newHTTPClient(cfg commoncfg.HTTPClientConfig, name, to string) (*http.Client, error) {
	if err := checkTLS(cfg); err != nil {
		return nil, err
	}
	client, err := commoncfg.NewClientFromConfig(cfg, name,
		commoncfg.WithUserAgent(userAgent()), commoncfg.WithDialContextFunc(transport.KeepTokenOrigin(cfg, to, nil)))
	if err != nil {
		return nil, err
	}
	transport.KeepOrigin(client)
	return client, nil
}

// loadHTTPConfig reads a file with a client's credentials, as Prometheus' HTTP clients have them.
func loadHTTPConfig(file string) (*commoncfg.HTTPClientConfig, error) {
	cfg, _, err := commoncfg.LoadHTTPConfigFile(file)
	if err != nil {
		return nil, errors.New(quotation.ReplaceAllString(err.Error(), redaction.Shown)) // it quotes values, which may be secrets
	}
	return cfg, nil
}

// quotation is what stands in quotes of some kind.
var quotation = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`")

// hideSecrets is err without the credentials of cfg, which whoever was asked may have echoed.
func hideSecrets(cfg *commoncfg.HTTPClientConfig, err error) error {
	return redaction.Of(transport.Secrets(*cfg)...).Error(err)
}

// checkTLS refuses what is older than TLS 1.2. The prober's own configuration cannot say it; Prometheus' files can.
func checkTLS(cfg commoncfg.HTTPClientConfig) error {
	configs := []commoncfg.TLSConfig{cfg.TLSConfig}
	if cfg.OAuth2 != nil {
		configs = append(configs, cfg.OAuth2.TLSConfig)
	}
	for _, c := range configs {
		for _, version := range []commoncfg.TLSVersion{c.MinVersion, c.MaxVersion} {
			if version != 0 && version < tls.VersionTLS12 {
				return errors.New("tls_config: TLS before 1.2 is not spoken: leave min_version and max_version out, or write TLS12 or TLS13")
			}
		}
	}
	return nil
}
