package config

import (
	"net/http"
	"slices"
	"strings"

	commoncfg "github.com/prometheus/common/config"
)

// reservedHeaders are set by the prober, the protocol or the HTTP client. Each has who sets it or what to use.
func reservedHeaders() map[string]string {
	const ours = "the prober sets it"
	return map[string]string{
		"Accept":              "the protocol sets it",
		"Accept-Encoding":     ours + "; a compressed stream cannot be timed",
		"Authorization":       "use http.authorization, http.basic_auth or http.oauth2",
		"Connection":          "use the probe's connection",
		"Content-Encoding":    ours,
		"Content-Length":      ours,
		"Content-Type":        "the protocol sets it",
		"Expect":              ours,
		"Host":                "it is the url's; for TLS see http.tls_config.server_name",
		"Keep-Alive":          "use the probe's connection",
		"Proxy-Authenticate":  "use http.proxy_connect_header",
		"Proxy-Authorization": "use http.proxy_connect_header",
		"Proxy-Connection":    "use the probe's connection",
		"Te":                  ours,
		"Trailer":             ours,
		"Transfer-Encoding":   ours,
		"Upgrade":             ours,
		"User-Agent":          ours,
		"X-Request-Id":        ours + ", different for each request",
	}
}

// checkHeaders checks what is sent with each request: a target's own headers, those of its HTTP client and of its engine's.
// It is done before decoding, in which Prometheus' types would refuse some headers without saying where.
func checkHeaders(target *node) (found faults) {
	lines := map[string]int{} // of each header
	for _, value := range target.get("headers").sound() {
		found.header(value, reservedHeaders(), lines)
		found.headerValue(value)
	}
	found.clientHeaders(target.get("http"), lines, "; use headers")
	found.clientHeaders(target.get("engine").get("http"), map[string]int{}, "")
	return found
}

// header checks the name of a header. lines has those that are set already.
func (f *faults) header(value *node, reserved map[string]string, lines map[string]int) {
	key, name := value.key, http.CanonicalHeaderKey(value.key.text)
	cure, isReserved := reserved[name]
	line, again := lines[name]
	lines[name] = key.line
	switch {
	case !isToken(name):
		f.add(key, "a header's name has only letters, digits and hyphens")
	case isReserved:
		f.add(key, "the header %s cannot be set here: %s", name, cure)
	case again:
		f.add(key, "the header %s is already set in line %d", name, line)
	}
	value.bad = key.bad
}

// clientHeaders checks the headers of Prometheus' HTTP client. cure is the way around what it reserves.
func (f *faults) clientHeaders(client *node, lines map[string]int, cure string) {
	reserved := reservedHeaders()
	for name := range commoncfg.ReservedHeaders {
		if _, ours := reserved[name]; !ours {
			reserved[name] = "Prometheus' HTTP client reserves it" + cure
		}
	}
	for _, header := range client.get("http_headers").sound() {
		f.header(header, reserved, lines)
		for _, value := range slices.Concat(header.get("values").sound(), header.get("secrets").sound()) {
			f.headerValue(value)
		}
	}
	for _, value := range []*node{client.get("authorization").get("credentials"), client.get("bearer_token")} {
		if value != nil {
			f.headerValue(value)
		}
	}
}

// headerValue reports what would make every request fail, such as the line end that a file or a variable often has.
func (f *faults) headerValue(n *node) {
	for _, c := range []byte(n.text) {
		if c < ' ' && c != '\t' || c == 0x7f {
			f.note(n, "the value has a line end or another control character, which no header can carry")
			return
		}
	}
}

// http checks what Prometheus' types do not check by themselves.
func (v *validator) http(n *node) {
	v.proxy(n)
	v.proxy(n.get("oauth2"))
	v.oauthURL(n.get("oauth2").get("token_url"))
	v.tlsVersions(n.get("tls_config"))
	v.tlsVersions(n.get("oauth2").get("tls_config"))
}

// tlsVersions checks that there is a version to speak. Their names are in the order of the versions.
func (v *validator) tlsVersions(n *node) {
	oldest, newest := n.get("min_version"), n.get("max_version")
	if oldest != nil && newest != nil && !oldest.bad && !newest.bad {
		v.must(oldest.text <= newest.text, newest, "the newest version of TLS is older than the oldest, min_version: %s", oldest.text)
	}
}

func (v *validator) oauthURL(n *node) {
	if n == nil {
		return
	}
	u, err := parseURL(n.text)
	switch {
	case err != nil:
		v.must(false, n, "%v", err)
	case u.Scheme != "http" && u.Scheme != "https":
		v.must(false, n, "tokens are fetched over http:// or https://")
	case u.User != nil:
		v.must(false, n, "credentials do not belong into the URL; they are client_id and client_secret")
	}
}

func (v *validator) proxy(n *node) {
	p := n.get("proxy_url")
	if p == nil {
		return
	}
	if u, err := parseURL(p.text); err == nil {
		schemes := []string{"http", "https", "socks5", "socks5h"}
		v.must(slices.Contains(schemes, u.Scheme), p, "a proxy is spoken to over http, https, socks5 or socks5h")
	}
}

// isToken reports whether a header can have this name (RFC 9110, 5.6.2).
func isToken(name string) bool {
	const signs = "!#$%&'*+-.^_`|~"
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(signs, r)) {
			return false
		}
	}
	return name != ""
}
