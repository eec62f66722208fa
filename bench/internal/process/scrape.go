package process

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/common/expfmt"
)

// Format is what a scraper asks for.
type Format string

// The formats, as Prometheus asks for them with and without scrape_native_histograms: its Accept headers, since version 3.0.
const (
	OpenMetrics Format = "openmetrics"
	Protobuf    Format = "protobuf"
)

func (f Format) accept() string {
	const text = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.%d," +
		"application/openmetrics-text;version=0.0.1;q=0.%d,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.%d,text/plain;version=0.0.4;q=0.%d,*/*;q=0.%d"
	if f == Protobuf {
		return "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6," +
			fmt.Sprintf(text, 5, 4, 3, 2, 1)
	}
	return fmt.Sprintf(text, 6, 5, 4, 3, 2)
}

// Scrape is one answer to a scraper.
type Scrape struct {
	Took     time.Duration // from the request to the last byte, which is not unpacked meanwhile
	Bytes    int64         // as sent
	Unpacked []byte
	format   expfmt.Format
}

// Scraper scrapes as Prometheus does: gzip, over a connection that stays open. Close it.
type Scraper struct {
	url    string
	client *http.Client
	idle   *http.Transport
}

// NewScraper scrapes /metrics of a host and port.
func NewScraper(address string) *Scraper {
	t := &http.Transport{DisableCompression: true} // the header is set, and the answer unpacked, by hand
	return &Scraper{url: "http://" + address, client: &http.Client{Transport: t}, idle: t}
}

// Close lets the connection go.
func (s *Scraper) Close() { s.idle.CloseIdleConnections() }

// Scrape scrapes once.
func (s *Scraper) Scrape(ctx context.Context, f Format) (*Scrape, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", f.accept())
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "10")
	began := time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("scrape: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	took := time.Since(began)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", resp.Status, body)
	}
	if err != nil {
		return nil, fmt.Errorf("scrape: %w", err)
	}
	scrape := &Scrape{Took: took, Bytes: int64(len(body)), Unpacked: body, format: expfmt.ResponseFormat(resp.Header)}
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("scrape: %w", err)
		}
		if scrape.Unpacked, err = io.ReadAll(z); err != nil {
			return nil, fmt.Errorf("scrape: %w", err)
		}
	}
	return scrape, nil
}

// Answers returns nil once path is answered with 200, and asks again and again until then or until ctx ends.
func (s *Scraper) Answers(ctx context.Context, path string) error {
	retry := time.NewTicker(2 * time.Millisecond)
	defer retry.Stop()
	for {
		err := s.get(ctx, path)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last: %w", context.Cause(ctx), err)
		case <-retry.C:
		}
	}
}

func (s *Scraper) get(ctx context.Context, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return nil
}
