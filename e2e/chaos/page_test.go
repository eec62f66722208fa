//go:build linux

package chaos

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// page is /metrics at a time.
type page struct {
	at     time.Time
	values map[string]float64 // by series, written as on the page: names and labels are sorted there
	grows  map[string]bool    // the series that must never step back: counters, and all of histograms and summaries but quantiles
}

// scraper reads /metrics. Each scrape has a connection of its own, as the first one of a Prometheus has.
type scraper struct {
	url    string
	client *http.Client
}

// refusedError says that the prober answered, but not with a page: there are too many readers.
type refusedError struct{ status string }

func (e *refusedError) Error() string { return "/metrics: " + e.status }

func newScraper(address string) *scraper {
	return &scraper{"http://" + address + "/metrics", &http.Client{
		Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
	}}
}

func (s *scraper) scrape() (*page, error) {
	resp, err := s.client.Get(s.url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &refusedError{resp.Status}
	}
	return readPage(resp.Body)
}

// readPage reads what client_golang writes as text: a line of the family's type before its series, no times after the values.
func readPage(r io.Reader) (*page, error) {
	p := &page{at: time.Now(), values: map[string]float64{}, grows: map[string]bool{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	grows := false
	for lines.Scan() {
		line := lines.Text()
		if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			grows = !strings.HasSuffix(kind, " gauge") && !strings.HasSuffix(kind, " untyped")
		}
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if i < 0 || err != nil {
			return nil, fmt.Errorf("line %q is no sample", line)
		}
		p.values[line[:i]] = v
		if grows && !strings.Contains(line[:i], "quantile=") {
			p.grows[line[:i]] = true
		}
	}
	return p, lines.Err()
}

// sum adds the series of a family that have all of the labels, each written as NAME="VALUE".
func (p *page) sum(family string, labels ...string) (total float64) {
	for key, v := range p.values {
		if matches(key, family, labels...) {
			total += v
		}
	}
	return total
}

// count counts them.
func (p *page) count(family string, labels ...string) (n int) {
	for key := range p.values {
		if matches(key, family, labels...) {
			n++
		}
	}
	return n
}

func matches(key, family string, labels ...string) bool {
	name, set, _ := strings.Cut(key, "{")
	if name != family {
		return false
	}
	for _, l := range labels {
		if !strings.Contains(","+set, ","+l) {
			return false
		}
	}
	return true
}
