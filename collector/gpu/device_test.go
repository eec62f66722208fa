//go:build linux && cgo

package gpu

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// volatile are the metrics that differ from run to run.
var volatile = []string{MetricSnapshotAge, MetricCollectorLast, MetricCollectorDuration}

// stable is a page without them.
func stable(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if end := strings.IndexAny(name, "{ "); !slices.Contains(volatile, name[:max(0, end)]) {
			out.WriteString(line)
		}
	}
	return out.String()
}

// TestDevices compares the whole page for four kinds of GPU, each read by a real worker through the real bindings.
func TestDevices(t *testing.T) {
	library := buildLibrary(t)
	for _, device := range []string{"h100", "h200", "l4", "consumer"} {
		t.Run(device, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, library, readFile(t, "testdata/devices/"+device+".nvml"), Options{ExpectedDevices: 1}).start()
			p := r.wait("XIDs and GPM, where there are any", func(p page) bool {
				xids := device == "consumer" || p.is(`llm_gpu_xid_source_up{source="nvml"}`, 1)
				gpm := !strings.HasPrefix(device, "h") || len(p.family(MetricSMActive)) > 0 // compares two samples
				return p.is(MetricCollectorSuccess, 1) && xids && gpm
			})
			golden := filepath.Join("testdata", device+".metrics")
			got := stable(p.text)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(readFile(t, golden), got); diff != "" {
				t.Errorf("metrics of %s (-want +got; -update writes them):\n%s", device, diff)
			}
			problems, err := testutil.GatherAndLint(r.metrics)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range problems {
				t.Errorf("promlint: %s: %s", problem.Metric, problem.Text)
			}
		})
	}
}
