package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"
)

// allowed is one beginning of URLs that may be probed on demand.
type allowed struct {
	scheme  string
	host    string       // in lower case; behind a leading *. the domain, of which the host must be a part
	below   bool         // the host began with *.
	network netip.Prefix // instead of a host, for addresses in digits
	port    string       // of the URL or of the scheme; "*" for any
	path    string       // without a slash at its end
}

// parseAllowed reads http://host:8000/v1, https://*.example.com, http://[10.0.0.0/8]:8000 or http://host:*.
func parseAllowed(text string) (*allowed, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found || scheme != "http" && scheme != "https" {
		return nil, errors.New("write scheme, host, port and path, such as http://vllm:8000/v1")
	}
	a := &allowed{scheme: scheme}
	if strings.HasPrefix(rest, "[") { // whose slash is not the path's
		inside, behind, closed := strings.Cut(rest[1:], "]")
		if !closed {
			return nil, errors.New(`the "[" is never closed`)
		}
		network, err := netip.ParsePrefix(inside)
		if address, e := netip.ParseAddr(inside); e == nil {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, errors.New("in brackets stands a network or an address, such as [10.0.0.0/8] or [fd00::1]")
		}
		if network != network.Masked() {
			return nil, fmt.Errorf("the network has bits behind its length; write [%v]", network.Masked())
		}
		a.network, rest = network, behind
	}
	authority, p, _ := strings.Cut(rest, "/")
	host, port, hasPort := strings.Cut(authority, ":")
	switch {
	case strings.ContainsAny(text, "@?# \\%"):
		return nil, errors.New("it has no user, query, fragment, space, % or \\")
	case a.network.IsValid() && host != "":
		return nil, errors.New("behind the brackets stand a port and a path alone")
	}
	a.host, a.below = strings.CutPrefix(strings.ToLower(host), "*.")
	switch {
	case strings.Contains(a.host, "*"):
		return nil, errors.New("* stands for the first part of a host alone, as in *.example.com; there is no pattern for any host")
	case a.host == "" && !a.network.IsValid():
		return nil, errors.New("the URL lacks a host")
	}
	if address, err := netip.ParseAddr(a.host); err == nil && !a.below {
		a.network, a.host = netip.PrefixFrom(address, address.BitLen()), ""
	}
	a.port = port
	if !hasPort {
		a.port = portOf(scheme)
	} else if port != "*" {
		if _, err := parseURL(scheme + "://h:" + port); err != nil {
			return nil, err
		}
	}
	a.path = strings.TrimRight("/"+p, "/")
	if p != "" && path.Clean("/"+p) != "/"+strings.TrimRight(p, "/") {
		return nil, errors.New("the path has no //, no . and no .. in it")
	}
	return a, nil
}

func portOf(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// matches reports whether a URL begins so. A name is judged by what it is, not by the address that it stands for: whoever answers for
// the names of an allowed domain says where requests go.
func (a *allowed) matches(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		port = portOf(u.Scheme)
	}
	if u.Scheme != a.scheme || a.port != "*" && port != a.port {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	address, err := netip.ParseAddr(host)
	switch {
	case a.network.IsValid():
		if err != nil || address.Zone() != "" || !a.network.Contains(address.Unmap()) && !a.network.Contains(address) {
			return false
		}
	case a.below:
		if err == nil || !strings.HasSuffix(host, "."+a.host) {
			return false
		}
	case host != a.host:
		return false
	}
	return a.path == "" || u.Path == a.path || strings.HasPrefix(u.Path, a.path+"/")
}

// Target returns the target that is probed on demand at an address, with what the template says. It has no name, and perhaps no model
// and no probes: it is to be changed, and then completed by [Config.WithTargets]. An address that is not allowed is an error.
func (d *ProbeOnDemand) Target(address string) (*Target, error) {
	u, err := parseURL(address)
	switch {
	case err != nil:
		return nil, err
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "" || strings.ContainsAny(address, "#\\"):
		return nil, errors.New("the URL has no user, query, fragment or escapes")
	case u.Path != "" && path.Clean(u.Path) != strings.TrimRight(u.Path, "/") && u.Path != "/":
		return nil, errors.New("the URL's path has no //, no . and no .. in it")
	case !d.allows(u):
		return nil, errors.New("the URL is not among those that probe_on_demand allows")
	}
	t := d.Template.Target()
	t.URL = strings.TrimRight(u.String(), "/")
	return t, nil
}

func (d *ProbeOnDemand) allows(u *url.URL) bool {
	for _, text := range d.Allow {
		if a, err := parseAllowed(text); err == nil && a.matches(u) {
			return true
		}
	}
	return false
}

// onDemand checks what may be probed by asking for it.
func (v *validator) onDemand(n *node) {
	d := v.config.ProbeOnDemand
	if n == nil || d == nil {
		return
	}
	if allow := n.get("allow"); allow != nil {
		v.must(len(allow.children) > 0, allow, "the list is empty, so that nothing could be probed; leave probe_on_demand out")
		for _, item := range allow.sound() {
			_, err := parseAllowed(item.text)
			v.must(err == nil, item, "%v", err)
		}
		v.distinct(allow, "%s is listed twice")
	}
	v.maxInFlight(n.get("max_in_flight"))
	v.templateOf(&d.Template, n.get("template"))
}
