package config

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// parseURL reads an absolute URL with a host. Its errors do not quote it: it may hold a password.
func parseURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		return nil, errors.New("a URL begins with a scheme, such as http://")
	}
	u, err := url.Parse(text)
	switch {
	case strings.ContainsAny(text, " \t\n"):
		return nil, errors.New("a URL has no spaces")
	case err != nil:
		return nil, errors.New("not a URL; write one such as http://host:8000/v1")
	case u.Hostname() == "":
		return nil, errors.New("the URL lacks a host")
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, errors.New("the URL's port is not between 1 and 65535")
		}
	}
	return u, nil
}

// checkMetricsURL returns what is wrong with the URL of a page of metrics.
func checkMetricsURL(text string) error {
	u, err := parseURL(text)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("metrics are fetched over http:// or https://")
	case u.User != nil:
		return errors.New("credentials do not belong into the URL; put them under http, as basic_auth or authorization")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return errors.New("the URL of the metrics has no query (?) and no fragment (#)")
	case u.Path == "" || u.Path == "/":
		return errors.New("the URL lacks the path of the metrics, which is mostly /metrics")
	}
	return nil
}

// checkTargetURL returns what is wrong with the base URL of a target.
func checkTargetURL(text string, t *Target) error {
	u, err := parseURL(text)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("a target is spoken to over http:// or https://")
	case u.User != nil:
		return errors.New("credentials do not belong into the URL; put them under http, as basic_auth or authorization")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return errors.New("the base URL has no query (?) and no fragment (#)")
	}
	path := strings.TrimRight(u.Path, "/")
	for _, p := range protocols() {
		for _, end := range p.ends {
			if p.name == t.Protocol && strings.HasSuffix(path, strings.ReplaceAll(end, "{model}", t.Model)) {
				return errors.New("the base URL ends before " + p.path + ", which requests add to it")
			}
		}
	}
	return nil
}
