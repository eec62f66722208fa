package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// All requests and streams end well; how late they were is for a quiet machine to say.
func TestLoadIsSent(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--rate=100", "--streams=20", "--duration=1s", "--output=json"}, &out); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Sent != r.Planned || r.Sent < 50 || r.Failed != 0 || r.Shed != 0 || r.StreamFailed != 0 || r.LatenessMax <= 0 || r.TTFTP99 <= 0 {
		t.Errorf("report = %+v; want about 100 requests sent and 20 streams open, none failed", r)
	}
	// It is a mean over some two seconds: those are missing that a machine which stood still opened late.
	if r.OpenStreams < 5 || r.OpenStreams > 20 {
		t.Errorf("%d streams were open; want 20, or those that were opened late missing for a while", r.OpenStreams)
	}
}
