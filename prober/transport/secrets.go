package transport

import (
	"io"
	"net/url"
	"os"
	"strings"

	commoncfg "github.com/prometheus/common/config"
)

// maxSecretFile bounds what is read of a file with a secret, to look for it in a text: none is longer.
const maxSecretFile = 64 << 10

// Secrets are the credentials of a configuration, those in files as they are now, for what must be kept out of texts.
// A file that cannot be read has none.
func Secrets(cfg commoncfg.HTTPClientConfig) []string {
	var found []string
	add := func(text, file string) {
		found = append(found, text)
		if file != "" {
			found = append(found, head(file))
		}
	}
	if a := cfg.Authorization; a != nil {
		add(string(a.Credentials), a.CredentialsFile)
	}
	if b := cfg.BasicAuth; b != nil {
		add(string(b.Password), b.PasswordFile)
	}
	add(string(cfg.BearerToken), cfg.BearerTokenFile)
	if o := cfg.OAuth2; o != nil {
		add(string(o.ClientSecret), o.ClientSecretFile)
		add(string(o.ClientCertificateKey), o.ClientCertificateKeyFile)
		if u, err := url.Parse(o.TokenURL); err == nil {
			for _, values := range u.Query() {
				found = append(found, values...)
			}
		}
		for _, value := range o.EndpointParams {
			add(value, "")
		}
		for _, value := range o.Claims {
			if text, ok := value.(string); ok {
				add(text, "")
			}
		}
		found = append(found, proxySecrets(&o.ProxyConfig)...)
	}
	if cfg.HTTPHeaders != nil {
		for _, h := range cfg.HTTPHeaders.Headers {
			for _, s := range h.Secrets {
				add(string(s), "")
			}
			for _, f := range h.Files {
				add("", f)
			}
		}
	}
	return append(found, proxySecrets(&cfg.ProxyConfig)...)
}

// proxySecrets are what a proxy is told. Of a header "Basic dXNlcjpwYXNz" each word may be echoed alone.
func proxySecrets(p *commoncfg.ProxyConfig) []string {
	var found []string
	if p.ProxyURL.URL != nil {
		if password, ok := p.ProxyURL.User.Password(); ok {
			found = append(found, password, p.ProxyURL.User.Username()+":"+password)
		}
	}
	for _, values := range p.ProxyConnectHeader {
		for _, value := range values {
			found = append(found, string(value))
			if _, credentials, ok := strings.Cut(string(value), " "); ok {
				found = append(found, credentials)
			}
		}
	}
	return found
}

// head is the beginning of a file.
func head(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile))
	if err != nil {
		return ""
	}
	return string(text)
}

// Secrets are the client's credentials; see the function of this name.
func (c *Client) Secrets() []string { return Secrets(c.opts.HTTP) }
