package simulator

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// partial reads a body that may break off.
func partial(resp *http.Response) (string, error) {
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// contents is the number of content events in a stream.
func contents(body string) int { return strings.Count(body, `"delta":{"content":"`) }

func TestFaultsInStreams(t *testing.T) {
	const all = `"stream":true,"max_tokens":6,"stream_options":{"include_usage":true},`
	type seen struct {
		tokens              int
		finish, usage, done bool
		broken              bool // the body broke off
	}
	for _, test := range []struct {
		fault string
		want  seen
	}{
		{"slow=2", seen{6, true, true, true, false}},
		{"cut=3", seen{3, false, false, false, false}},
		{"cut=0", seen{0, false, false, false, false}},
		{"cut=6", seen{6, true, false, false, false}},
		{"cut=7", seen{6, true, true, true, false}},
		{"close=3", seen{3, false, false, false, true}},
		{"reset=3", seen{3, false, false, false, true}}, // over a pipe a reset is a close: see TestReset
		{"error=3", seen{3, false, false, true, false}},
		{"no_usage", seen{6, true, false, true, false}},
		{"no_done", seen{6, true, true, false, false}},
		{"no_finish", seen{6, false, true, true, false}},
		{"empty", seen{1, true, true, true, false}},
		{"chunk=4", seen{2, true, true, true, false}},
		{"chunk=4,cut=2", seen{1, false, false, false, false}},
		{"no_usage,no_done,no_finish", seen{6, false, false, false, false}},
	} {
		t.Run(test.fault, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
				resp := ask(t, client, "r", hello(all), faultHeader, test.fault)
				body, err := partial(resp)
				got := seen{
					tokens: contents(body),
					finish: strings.Contains(body, `"finish_reason":"`),
					usage:  strings.Contains(body, `"usage":{`),
					done:   strings.Contains(body, "[DONE]"),
					broken: err != nil,
				}
				if got != test.want || resp.StatusCode != http.StatusOK {
					t.Errorf("got %d %+v; want 200 %+v", resp.StatusCode, got, test.want)
				}
				if tr, _ := s.Truth("r"); tr.Fault != test.fault {
					t.Errorf("the truth names the fault %q; want %q", tr.Fault, test.fault)
				}
				synctest.Wait() // a handler gives its place back after its last byte
				if got := s.engine.load(); got != (load{}) {
					t.Errorf("afterwards load() = %+v; want nothing", got)
				}
			})
		})
	}
}

func TestFaultErrorIsCounted(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
		readAll(t, ask(t, client, "r", hello(`"stream":true,"max_tokens":6,`), faultHeader, "error=3"))
		wantMetric(t, get(t, client, "/metrics"), "vllm:request_success_total", `finished_reason="error"`, 1)
	})
}

func TestFaultTimes(t *testing.T) {
	// A hello's first token comes after 12 ms, the others 11 ms apart.
	for _, test := range []struct {
		fault string
		want  []time.Duration
	}{
		{"", []time.Duration{12 * ms, 23 * ms, 34 * ms, 45 * ms}},
		{"slow=3", []time.Duration{36 * ms, 69 * ms, 102 * ms, 135 * ms}},
		{"stall=100ms", []time.Duration{12 * ms, 112 * ms, 112 * ms, 112 * ms}},
		{"stall=15ms@2", []time.Duration{12 * ms, 23 * ms, 38 * ms, 45 * ms}},
		{"chunk=2", []time.Duration{23 * ms, 45 * ms}},
		{"keep_alive=4ms", []time.Duration{12 * ms, 23 * ms, 34 * ms, 45 * ms}},
	} {
		t.Run(test.fault, func(t *testing.T) {
			inBubble(t, roundEngine(), func(t *testing.T, s *Server, client *http.Client) {
				begin := time.Now()
				got := contentTimes(readEvents(t, ask(t, client, "r", hello(`"stream":true,"max_tokens":4,`), faultHeader, test.fault), begin))
				if d := cmp.Diff(test.want, got); d != "" {
					t.Errorf("tokens came at (-want +got):\n%s", d)
				}
				tr, _ := s.Truth("r")
				if len(tr.Tokens) != 4 || tr.Tokens[3].Sent != int64(test.want[len(test.want)-1]) {
					t.Errorf("the truth of the tokens is %+v; want the last of 4 sent at %v", tr.Tokens, test.want[len(test.want)-1])
				}
			})
		})
	}
}

func TestFaultKeepAlive(t *testing.T) {
	inBubble(t, Options{FirstToken: 100 * ms, PerToken: 100 * ms}, func(t *testing.T, s *Server, client *http.Client) {
		body := readAll(t, ask(t, client, "r", hello(`"stream":true,"max_tokens":3,`), faultHeader, "keep_alive=30ms"))
		if n := strings.Count(body, ": keep-alive\n\n"); n != 3 || !strings.HasPrefix(body, ": keep-alive\n\n") {
			t.Errorf("%d comments in %s; want 3, all before the first token", n, body)
		}
	})
}

func TestFaultHangs(t *testing.T) {
	for _, fault := range []string{"hang_before_headers", "hang_after_headers", "endless", "stall=1h"} {
		for _, fields := range []string{`"stream":true,"max_tokens":5,`, `"max_tokens":5,`} {
			t.Run(fault+fields, func(t *testing.T) {
				inBubble(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
					impatient := &http.Client{Transport: client.Transport, Timeout: 10 * time.Second}
					req, err := http.NewRequest(http.MethodPost, "http://sim/v1/chat/completions", strings.NewReader(hello(fields)))
					if err != nil {
						t.Fatal(err)
					}
					req.Header.Set(faultHeader, fault)
					resp, err := impatient.Do(req)
					headers := fault != "hang_before_headers" && (strings.Contains(fields, "stream") || fault == "hang_after_headers")
					if got := err == nil; got != headers {
						t.Fatalf("headers came: %v (%v); want %v", got, err, headers)
					}
					if err != nil {
						return
					}
					body, err := partial(resp)
					if err == nil {
						t.Errorf("the answer ended; want it to hang")
					}
					switch n := contents(body); {
					case fault == "endless" && n < 1000:
						t.Errorf("an endless stream gave %d tokens in 10 s; want about 1100", n)
					case fault == "stall=1h" && n != 1, fault == "hang_after_headers" && n != 0:
						t.Errorf("%d tokens came", n)
					}
				})
			})
		}
	}
}

func TestFaultGiantLine(t *testing.T) {
	const size = 3_000_000
	inBubble(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
		all := readEvents(t, ask(t, client, "r", hello(`"stream":true,"max_tokens":4,`), faultHeader, "giant_line=3000000"), time.Now())
		if len(all) != 6 {
			t.Fatalf("%d events came; want 6", len(all))
		}
		for i, e := range all {
			if giant := len(e.data) > size; giant != (i == 2) {
				t.Errorf("event %d has %d bytes", i, len(e.data))
			}
			if i < 5 && !json.Valid([]byte(e.data)) {
				t.Errorf("event %d is not JSON", i)
			}
		}
		body := readAll(t, ask(t, client, "r", hello(`"max_tokens":4,`), faultHeader, "giant_line=3000000"))
		if len(body) < size || !json.Valid([]byte(body)) {
			t.Errorf("the whole answer has %d bytes, JSON: %v; want valid JSON of more than %d", len(body), json.Valid([]byte(body)), size)
		}
	})
}

func TestFaultBadBytes(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
		for i, e := range readEvents(t, ask(t, client, "r", hello(`"stream":true,"max_tokens":4,`), faultHeader, "invalid_utf8=2"), time.Now()) {
			if got := utf8.ValidString(e.data); got != (i != 3) {
				t.Errorf("event %d is UTF-8: %v", i, got)
			}
		}
		for i, e := range readEvents(t, ask(t, client, "r", hello(`"stream":true,"max_tokens":4,`), faultHeader, "malformed_json"), time.Now()) {
			if got := json.Valid([]byte(e.data)); got != (i != 2) && e.data != "[DONE]" {
				t.Errorf("event %d is JSON: %v: %s", i, got, e.data)
			}
		}
		if body := readAll(t, ask(t, client, "r", hello(`"max_tokens":4,`), faultHeader, "invalid_utf8")); utf8.ValidString(body) || !json.Valid([]byte(strings.ToValidUTF8(body, "?"))) {
			t.Errorf("the whole answer is %s; want JSON but for its UTF-8", body)
		}
		if body := readAll(t, ask(t, client, "r", hello(`"max_tokens":4,`), faultHeader, "malformed_json")); json.Valid([]byte(body)) {
			t.Errorf("the whole answer is %s; want it malformed", body)
		}
	})
}

func TestFaultsInWholeAnswers(t *testing.T) {
	for _, test := range []struct {
		fault string
		want  func(status int, body string, err error) bool
	}{
		{"cut=0", func(status int, body string, err error) bool {
			return status == 200 && err == nil && !json.Valid([]byte(body))
		}},
		{"close=0", func(status int, body string, err error) bool {
			return status == 200 && errors.Is(err, io.ErrUnexpectedEOF)
		}},
		{"error=0", func(status int, body string, err error) bool { return status == 500 && err == nil }},
		{"no_usage", func(status int, body string, err error) bool {
			return json.Valid([]byte(body)) && !strings.Contains(body, "usage")
		}},
		{"no_finish", func(status int, body string, err error) bool { return strings.Contains(body, `"finish_reason":null`) }},
		{"empty", func(status int, body string, err error) bool { return strings.Contains(body, `"content":""`) }},
		{"rate_limited", func(status int, body string, err error) bool { return status == 429 }},
	} {
		t.Run(test.fault, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, s *Server, client *http.Client) {
				resp := ask(t, client, "r", hello(`"max_tokens":4,`), faultHeader, test.fault)
				if body, err := partial(resp); !test.want(resp.StatusCode, body, err) {
					t.Errorf("got %d, %v, %s", resp.StatusCode, err, body)
				}
			})
		})
	}
}

func TestFaultControl(t *testing.T) {
	inBubble(t, Options{Faults: []Fault{{"overloaded", 1}}, FirstToken: ms}, func(t *testing.T, s *Server, client *http.Client) {
		status := func(headers ...string) int {
			resp := ask(t, client, "r", hello(`"max_tokens":1,`), headers...)
			readAll(t, resp)
			return resp.StatusCode
		}
		control := func(body string) (int, string) {
			resp, err := client.Post("http://sim/control/faults", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, readAll(t, resp)
		}
		if got := status(); got != 503 {
			t.Errorf("with the options' fault: %d; want 503", got)
		}
		if got := status(faultHeader, "rate_limited"); got != 429 {
			t.Errorf("with the header's fault: %d; want 429", got)
		}
		for _, bad := range []string{`[{"fault":"unheard_of","share":1}]`, `[{"fault":"cut","share":1}]`, `[{"fault":"empty","share":1.5}]`, `[{"fault":"empty=1","share":1}]`, `[{"fault":"stall=0s","share":1}]`, `[{"fault":"slow=0.5","share":1}]`, `[{"foult":"empty"}]`, `{`} {
			if got, text := control(bad); got != 400 {
				t.Errorf("control(%s) = %d %s; want 400", bad, got, text)
			}
		}
		if got := status(faultHeader, "unheard_of"); got != 400 {
			t.Errorf("with an unknown fault: %d; want 400", got)
		}
		if got, text := control(`[{"fault":"internal_error","share":0.25}]`); got != 200 || text != `[{"fault":"internal_error","share":0.25}]`+"\n" {
			t.Errorf("control() = %d %s; want 200 and the list", got, text)
		}
		counts := map[int]int{}
		for range 400 {
			counts[status()]++
		}
		if counts[500] < 70 || counts[500] > 130 || counts[200]+counts[500] != 400 {
			t.Errorf("statuses %v; want about 100 of 400 to be 500", counts)
		}
		if got, text := control(`[]`); got != 200 || text != "[]\n" {
			t.Errorf("control([]) = %d %s; want 200 and []", got, text)
		}
		if got := status(); got != 200 {
			t.Errorf("without faults: %d; want 200", got)
		}
	})
}
