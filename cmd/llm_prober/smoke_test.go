//go:build smoke

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/llmprober/llm_prober/collector"
)

// binary is the built llm_prober, as `make smoke` names it.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("LLM_PROBER_BINARY")
	if path == "" {
		t.Fatal("LLM_PROBER_BINARY is not set: run `make smoke`")
	}
	return path
}

// start runs the binary until the test ends or interrupt is called, and returns what the first match of address in its
// log says. interrupt ends it as Ctrl-C does, and returns how it exited.
func start(t *testing.T, address string, args ...string) (found string, interrupt func() error) {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func(signal os.Signal) error {
		if ended {
			return nil
		}
		ended = true
		cmd.Process.Signal(signal)
		io.Copy(io.Discard, stderr)
		return cmd.Wait()
	}
	t.Cleanup(func() { end(syscall.SIGKILL) })
	pattern := regexp.MustCompile(address)
	for log := bufio.NewReader(stderr); ; {
		line, err := log.ReadString('\n')
		if m := pattern.FindStringSubmatch(line); m != nil {
			return m[1], func() error { return end(os.Interrupt) }
		}
		if err != nil {
			t.Fatalf("%v ended before it served: %s", args, line)
		}
	}
}

// page reads /metrics.
func page(t *testing.T, address string) map[string]*dto.MetricFamily {
	t.Helper()
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// counts gives the sum of a family's counts or counters for each probe, restricted to the outcome ok where it has one.
func counts(f *dto.MetricFamily) map[string]float64 {
	sums := map[string]float64{}
	for _, m := range f.GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if o, ok := labels["outcome"]; ok && o != "ok" {
			continue
		}
		sums[labels["probe"]] += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sums
}

// TestDemo runs the demo of the built binary for at most two minutes and reads its numbers back.
func TestDemo(t *testing.T) {
	address, interrupt := start(t, `msg="Listening on" address=(\S+)`, "demo", "--web.listen-address=127.0.0.1:0")
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	spoken, whole := []string{"interactive", "rag", "story"}, []string{"batch"} // spoken: their tokens are counted one by one
	streaming := append([]string{"medium", "heavy", "prefix", "chat", "wake_up", "reasoning", "json", "tools"}, spoken...)
	asked := map[string][]string{ // what only some kinds have
		collector.NameTurnTTFT: {"chat"}, collector.NameBurstSpread: {"wake_up"}, collector.NameUserTTFT: {"medium"},
	}
	for missing := "everything"; missing != ""; {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("after two minutes there is nothing of %s", missing)
		}
		families := page(t, address)
		missing = ""
		wanted := map[string][]string{
			collector.NameRequests: append(whole, streaming...), collector.NameDuration: append(whole, streaming...),
			collector.NameTimeToFirstToken: streaming, collector.NameInterTokenLatency: spoken,
		}
		maps.Copy(wanted, asked)
		for name, probes := range wanted {
			for _, probe := range probes {
				if counts(families[name])[probe] == 0 {
					missing = name + " of " + probe
				}
			}
		}
		for _, probe := range whole {
			if _, ok := counts(families[collector.NameTimeToFirstToken])[probe]; ok {
				t.Fatalf("%s is not streamed, but has a TTFT series", probe)
			}
		}
	}
	response, err := http.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("interactive")) {
		t.Errorf("status page: %v, HTTP %d, %d bytes", err, response.StatusCode, len(body))
	}
	if err := interrupt(); err != nil {
		t.Errorf("Ctrl-C: %v; want a clean end", err)
	}
}

// truth asks the simulated server when, since their request arrived, its tokens were due and when they were sent.
func truth(t *testing.T, url, id string) (due, sent []time.Duration) {
	t.Helper()
	response, err := http.Get(strings.TrimSuffix(url, "/v1") + "/ground_truth?request_id=" + id)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var told struct {
		Tokens []struct {
			Due  time.Duration `json:"due_ns"`
			Sent time.Duration `json:"sent_ns"`
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&told); err != nil {
		t.Fatal(err)
	}
	for _, token := range told.Tokens {
		due, sent = append(due, token.Due), append(sent, token.Sent)
	}
	return due, sent
}

// TestDemoOfProbe measures a server of known times with the built binary: 100 ms to the first token within 5 ms, 20 ms between
// tokens within 1 ms. What disturbs one measurement of a busy machine does not disturb three of them, one after the other.
func TestDemoOfProbe(t *testing.T) {
	url, _ := start(t, ` url=(\S+)`, "simulate", "--listen-address=127.0.0.1:0", "--first-token=100ms", "--per-token=20ms")
	var tries []string
	for range 3 {
		ttft, itl := knownTimes(t, url)
		if math.Abs(ttft-0.100) <= 0.005 && math.Abs(itl-0.020) <= 0.001 {
			return
		}
		tries = append(tries, fmt.Sprintf("median TTFT = %v s, ITL = %v s", ttft, itl))
	}
	t.Errorf("%s; want 0.1 s within 5 ms, and 0.02 s within 1 ms", strings.Join(tries, "; "))
}

// knownTimes measures it once, and returns both medians in seconds. What the machine adds must be in them, neither more nor less.
func knownTimes(t *testing.T, url string) (ttft, itl float64) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(binary(t), "probe", "--url="+url, "--model=sim", "-n", "15", "--max-output-tokens=50", "--output=json")
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var last struct {
		Summary struct {
			Requests int
			Outcomes map[string]int
			TTFT     description `json:"ttft_seconds"`
			ITL      description `json:"itl_seconds"`
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	s := last.Summary
	if s.Requests != 15 || s.Outcomes["ok"] != 15 || s.TTFT.N != 15 || s.ITL.N != 15*49 {
		t.Fatalf("summary = %+v; want 15 requests, all ok, with 49 inter-token latencies each", s)
	}
	var ttfts, off, gaps []float64 // off: by how much a TTFT is above what the server made it; gaps: as it made them
	for _, line := range lines[:15] {
		var r requestJSON
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.OutputTokens != 50 || r.OutputSource != "usage" {
			t.Errorf("%d output tokens by %s; want 50 by usage", r.OutputTokens, r.OutputSource)
		}
		due, sent := truth(t, url, r.RequestID)
		if len(due) != 50 || due[0] != 100*time.Millisecond || due[49] != 1080*time.Millisecond {
			t.Fatalf("the server had tokens at %v; want 50, the first after 100 ms, each further one 20 ms later", due)
		}
		ttfts, off = append(ttfts, *r.TTFT), append(off, *r.TTFT-sent[0].Seconds())
		for i := range sent[1:] {
			gaps = append(gaps, (sent[i+1] - sent[i]).Seconds())
		}
	}
	slices.Sort(ttfts)
	if got, want := *s.TTFT.P50, ttfts[7]; got != want {
		t.Errorf("median TTFT = %v s; want %v s, as the requests have it", got, want)
	}
	// How late a token was sent, the server knows; not how late a request got to it, which only adds, and not to all.
	if least := slices.Min(off); least < -0.001 || least > 0.005 {
		t.Errorf("TTFT is above what the server made it by %v s at least; want 0 to 5 ms", least)
	}
	// Tokens that were late to leave, or that the kernel took together, shift the median; what the gaps add up to they do not.
	sum := 0.0
	for _, gap := range gaps {
		sum += gap
	}
	if got, want := *s.ITL.Mean, sum/float64(len(gaps)); math.Abs(got-want) > 0.001 {
		t.Errorf("mean ITL = %v s; want %v s within 1 ms, as the server made it", got, want)
	}
	return *s.TTFT.P50, *s.ITL.P50
}
