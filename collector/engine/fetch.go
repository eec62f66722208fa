package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/llmprober/llm_prober/prober/printable"
	"github.com/llmprober/llm_prober/prober/transport"
	"github.com/llmprober/llm_prober/prober/wire"
)

// maxPage bounds what is read of an answer. A vLLM with 64 data-parallel ranks writes about 6 MiB.
const maxPage = 16 << 20

// accept asks for the text format: it is what all engines have, and what their OpenMetrics says beyond it is not needed.
const accept = "text/plain;version=0.0.4;q=1,*/*;q=0.1"

// fetch reads the page at url into buf. Its error is a failure, but for one that ctx's parent caused.
func fetch(ctx context.Context, client *http.Client, url string, buf *bytes.Buffer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fail(reasonConnect, "%w", err)
	}
	req.Header.Set("Accept", accept)
	// Compressing would cost the engine's processor, often that of the thread which serves requests, to spare a network that has plenty.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "llm_prober")

	resp, err := client.Do(req)
	if err != nil {
		switch {
		case timedOut(err):
			return fail(reasonTimeout, "%w", err)
		case transport.IsShortage(err):
			return fail(reasonUnsent, "%w", err)
		}
		return fail(reasonConnect, "%w", err)
	}
	defer resp.Body.Close()
	switch s := resp.StatusCode; {
	case s == http.StatusOK:
	case s >= 500:
		return fail(reasonServerError, "HTTP status %s%s", resp.Status, said(resp))
	case s >= 400:
		return fail(reasonClientError, "HTTP status %s%s", resp.Status, said(resp))
	case s >= 300:
		return fail(reasonRedirect, "HTTP status %s%s", resp.Status, leads(resp))
	default:
		return fail(reasonMalformed, "HTTP status %s", resp.Status)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, maxPage+1))
	switch {
	case timedOut(err):
		return fail(reasonTimeout, "after %d bytes: %w", n, err)
	case err != nil:
		return fail(reasonCut, "after %d bytes: %w", n, err)
	case n > maxPage:
		return fail(reasonTooLarge, "the page is above %d bytes", maxPage)
	}
	return nil
}

// said is what an answer that failed says of it, for people: llama.cpp names the flag that it wants. It is empty where the answer
// says nothing, or not in time.
func said(resp *http.Response) string {
	const enough, shown = 4 << 10, 300
	body, _ := io.ReadAll(io.LimitReader(resp.Body, enough)) // the status is the failure, whatever becomes of the text
	if text := printable.Line(wire.ErrorFrom(resp.StatusCode, body).Error(), shown); text != "" {
		return ": " + text
	}
	return ""
}

// leads says where a redirect leads, as the cure: often a slash at the end is all that lacks. Credentials and a query, which metrics_url
// cannot have, are left out. The path is shown decoded, so that a secret in it is recognised however the answer wrote it.
func leads(resp *http.Response) string {
	const shown = 300
	to, err := resp.Location()
	if err != nil {
		return ""
	}
	text := ": this redirect is not followed"
	if to.Host != "" && (to.Scheme == "http" || to.Scheme == "https") {
		text += "; if the metrics are at " + printable.Line(to.Scheme+"://"+to.Host+to.Path, shown) + ", write that as metrics_url"
	}
	return text
}

func timedOut(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
