package transport

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"

	commoncfg "github.com/prometheus/common/config"
)

// KeepOrigin has client follow redirects within the origin alone that was asked: scheme, host and port. Any other redirect
// is the answer, as it came. A configuration's credentials go out with every request of its client, and net/http takes
// away no header of the user's own, nor any between the ports of a host, nor on the way from https to http.
//
// A client that follows none is left as it is.
func KeepOrigin(client *http.Client) {
	if client.CheckRedirect != nil {
		return
	}
	const most = 10 // as net/http has it
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) >= most || originOf(req.URL) != originOf(via[0].URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}
}

// originOf is scheme and address.
func originOf(u *url.URL) string { return u.Scheme + "://" + address(u) }

// address is host and port.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// DialFunc makes connections, as net.Dialer's DialContext does.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// KeepTokenOrigin returns dial for the client of a configuration that asks the URL to: one that connects to nobody but
// the host of to and that of the configuration's OAuth 2.0 tokens, for the client that fetches these follows redirects,
// and sends the client's secret along. Without OAuth 2.0 it is dial itself; so it is where there is a proxy, which is all
// that is connected to: what it may reach is for the proxy to say. A nil dial is a net.Dialer's, with an ErrShortage where a
// lookup fails for one.
func KeepTokenOrigin(cfg commoncfg.HTTPClientConfig, to string, dial DialFunc) DialFunc {
	if dial == nil {
		dial = newDial(new(net.Resolver))
	}
	if cfg.OAuth2 == nil || cfg.Proxy() != nil || cfg.OAuth2.Proxy() != nil {
		return dial
	}
	allowed := map[string]bool{}
	for _, text := range []string{to, cfg.OAuth2.TokenURL} {
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			allowed[address(u)] = true
		}
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !allowed[addr] {
			return nil, fmt.Errorf("a redirect to %s was not followed: the client's secret is not for it", addr)
		}
		return dial(ctx, network, addr)
	}
}
