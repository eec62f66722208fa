package main

import (
	commoncfg "github.com/prometheus/common/config"
)

type httpClientConfig = commoncfg.HTTPClientConfig

// httpKeys describes the keys of Prometheus' HTTP client configuration, by the name of their type.
func httpKeys() map[string]string {
	const alternative = " Instead of the value itself."
	return map[string]string{
		"HTTPClientConfig.basic_auth":        "User and password. At most one of `basic_auth`, `authorization` and `oauth2` may be set.",
		"HTTPClientConfig.authorization":     "The `Authorization` header, as with API keys.",
		"HTTPClientConfig.oauth2":            "OAuth 2: a token is fetched and renewed.",
		"HTTPClientConfig.bearer_token":      "The older way to write `authorization.credentials`.",
		"HTTPClientConfig.bearer_token_file": "The older way to write `authorization.credentials_file`.",
		"HTTPClientConfig.tls_config":        "TLS, for `https` URLs.",
		"HTTPClientConfig.follow_redirects":  "Whether redirects of an engine's page and of a list of targets are followed, within the same origin: scheme, host and port. Probes follow none. Off, unlike in Prometheus: a redirect could carry credentials to another host, and its time would be counted as the server's.",
		"HTTPClientConfig.enable_http2":      "Whether HTTP/2 may be spoken. Off, unlike in Prometheus: with HTTP/1.1 a connection carries one stream, and each event has its exact time of arrival.",
		"HTTPClientConfig.http_headers":      "More headers, whose values may be shown or come from files. For secrets `headers` of the target is shorter.",

		"ProxyConfig.proxy_url":              "The proxy: http, https or socks5. A user and password in it are never shown.",
		"ProxyConfig.no_proxy":               "Hosts, domains and networks that are reached without the proxy, between commas.",
		"ProxyConfig.proxy_from_environment": "Take the proxy from `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.",
		"ProxyConfig.proxy_connect_header":   "Headers for the proxy itself, each with a list of values.",

		"Authorization.type":             "The scheme. `Bearer` if it is left out.",
		"Authorization.credentials":      "The credentials.",
		"Authorization.credentials_file": "A file that holds the credentials." + alternative,

		"BasicAuth.username":      "The user.",
		"BasicAuth.username_file": "A file that holds the user." + alternative,
		"BasicAuth.password":      "The password.",
		"BasicAuth.password_file": "A file that holds the password." + alternative,

		"OAuth2.client_id":                   "The client's id. Required.",
		"OAuth2.client_secret":               "The client's secret.",
		"OAuth2.client_secret_file":          "A file that holds the client's secret." + alternative,
		"OAuth2.client_certificate_key_id":   "The id of the key that signs, with `grant_type` jwt-bearer.",
		"OAuth2.client_certificate_key":      "The key that signs, with `grant_type` jwt-bearer.",
		"OAuth2.client_certificate_key_file": "A file that holds the key that signs." + alternative,
		"OAuth2.grant_type":                  "`client_credentials`, which is the default, or `urn:ietf:params:oauth:grant-type:jwt-bearer`.",
		"OAuth2.signature_algorithm":         "RS256, which is the default, RS384 or RS512, with `grant_type` jwt-bearer.",
		"OAuth2.iss":                         "The issuer, with `grant_type` jwt-bearer. The client's id if it is left out.",
		"OAuth2.audience":                    "The audience, with `grant_type` jwt-bearer. `token_url` if it is left out.",
		"OAuth2.claims":                      "More claims, with `grant_type` jwt-bearer. They are never shown.",
		"OAuth2.scopes":                      "The scopes to ask for.",
		"OAuth2.token_url":                   "Where the token comes from. Required.",
		"OAuth2.endpoint_params":             "More parameters for `token_url`. Their values are never shown.",
		"OAuth2.tls_config":                  "TLS for `token_url`.",

		"TLSConfig.ca":                   "The certificates, as PEM, of the authorities that the server's certificate may come from. The system's if it is left out.",
		"TLSConfig.cert":                 "The client's certificate, as PEM.",
		"TLSConfig.key":                  "The key of the client's certificate, as PEM.",
		"TLSConfig.ca_file":              "A file that holds the authorities' certificates." + alternative,
		"TLSConfig.cert_file":            "A file that holds the client's certificate." + alternative,
		"TLSConfig.key_file":             "A file that holds the key." + alternative,
		"TLSConfig.server_name":          "The name in the server's certificate, if it is not the URL's host.",
		"TLSConfig.insecure_skip_verify": "Accept any certificate of the server.",
		"TLSConfig.min_version":          "The oldest version of TLS: TLS12, which it is if it is left out, or TLS13.",
		"TLSConfig.max_version":          "The newest version of TLS.",

		"Header.values":  "Values of the header, which are shown.",
		"Header.secrets": "Secret values of the header.",
		"Header.files":   "Files, each of which holds a value of the header.",
	}
}
