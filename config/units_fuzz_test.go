package config

import (
	"math"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"
)

// Whatever stands in the place of a number with a unit, a range, a time or a schedule: what is taken is within its bounds, and
// reads as the same when it is written again.
func FuzzUnits(f *testing.F) {
	for _, seed := range []string{
		"10/s", "0.5/m", "100/h", "8", "1e6/s", "1e7/s", "-0/s", "NaN/s", "0x1p4", "400", "20-60", "60-20", "010", "10%", "0.1%", "1e400%", ".5%", "08:00", "24:00", "24:01", "7:60",
		"0 2 * * *", "*/0 * * * *", "@daily", "@every 1h", "TZ=UTC 0 2 * * *", "0 0 30 2 *", "0-70/5 * * * *", "1s", "1.5", "1m30s", "999999y", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if l, err := ParseLevel(text); err == nil {
			if again, err := ParseLevel(l.String()); err != nil || again != l {
				t.Errorf("ParseLevel(%q) = %+v; read again %+v, %v", text, l, again, err)
			}
			if v := l.Value(); !(v >= 0 && v <= maxLevel) || l.InFlight() < 0 || l.IsRate() == (l.InFlight() > 0) && l.Number > 0 {
				t.Errorf("ParseLevel(%q) = %+v", text, l)
			}
		}
		if r, err := ParseRange(text); err == nil {
			if again, err := ParseRange(r.String()); err != nil || again != r {
				t.Errorf("ParseRange(%q) = %+v; read again %+v, %v", text, r, again, err)
			}
			if r.Min < 1 || r.Max < r.Min || r.Max > maxTokens {
				t.Errorf("ParseRange(%q) = %+v", text, r)
			}
		}
		if p, err := ParsePercent(text); err == nil {
			again, err := ParsePercent(p.String())
			if err != nil || math.Abs(float64(again-p)) > 1e-9*math.Abs(float64(p)) {
				t.Errorf("ParsePercent(%q) = %v; read again %v, %v", text, p, again, err)
			}
		}
		if c, err := ParseTimeOfDay(text); err == nil {
			if again, err := ParseTimeOfDay(c.String()); err != nil || again != c || c < 0 || time.Duration(c) > 24*time.Hour {
				t.Errorf("ParseTimeOfDay(%q) = %v; read again %v, %v", text, c, again, err)
			}
		}
		var threshold, again Threshold
		if threshold.UnmarshalText([]byte(text)) == nil {
			if err := again.UnmarshalText([]byte(threshold.String())); err != nil || again != threshold || math.IsNaN(threshold.Value()) {
				t.Errorf("Threshold %q is %+v; read again %+v, %v", text, threshold, again, err)
			}
		}
		if s, err := parseSchedule(text); err == nil {
			now := time.Unix(1_795_305_600, 0)
			if next := s.Next(now); !next.IsZero() && !next.After(now) {
				t.Errorf("the next time of %q is %v, which is not after %v", text, next, now)
			}
		}
	})
}

// Whatever address is asked for: what is let through is one of those that are allowed, as net/url and net/netip read them, and
// no other once it is read again.
func FuzzProbeOnDemandTarget(f *testing.F) {
	for _, address := range []string{
		"http://vllm:8000/v1", "http://VLLM.:8000/v1/a", "http://vllm:8000/v1/../admin", "http://vllm:8000@evil/v1", "http://[::ffff:10.1.2.3]:80", "http://10.1.2.3:9999/any",
		"http://167837955", "http://[fd00::1%25eth0]:8000/llm", "https://a.example.com.evil.org", "https://a.example.com:443/x", "http://vllm\\@evil:8000/v1", "http://vllm:8000/v1%2f..",
		"http://vllm:08000/v1", "http://ｖllm:8000/v1", "HTTP://vllm:8000/v1",
	} {
		f.Add(address)
	}
	d := &ProbeOnDemand{Allow: []string{"http://vllm:8000/v1", "https://*.example.com", "http://[10.0.0.0/8]:*"}}
	f.Fuzz(func(t *testing.T, address string) {
		target, err := d.Target(address)
		if err != nil {
			return
		}
		u, err := url.Parse(target.URL)
		if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && path.Clean(u.Path) != u.Path {
			t.Fatalf("Target(%q) has the URL %q, %v", address, target.URL, err)
		}
		host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		ip, noAddress := netip.ParseAddr(host)
		switch {
		case u.Scheme == "http" && host == "vllm" && u.Port() == "8000" && (u.Path == "/v1" || strings.HasPrefix(u.Path, "/v1/")):
		case u.Scheme == "https" && strings.HasSuffix(host, ".example.com") && (u.Port() == "" || u.Port() == "443"):
		case u.Scheme == "http" && noAddress == nil && netip.MustParsePrefix("10.0.0.0/8").Contains(ip.Unmap()):
		default:
			t.Fatalf("Target(%q) has the URL %q, which is not allowed", address, target.URL)
		}
		if again, err := d.Target(target.URL); err != nil || again.URL != target.URL {
			t.Fatalf("Target(%q) = %q; read again %v, %v", address, target.URL, again, err)
		}
	})
}
