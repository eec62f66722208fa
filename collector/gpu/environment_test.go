package gpu

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Keys of model servers stay in the prober.
func TestWorkerEnvironment(t *testing.T) {
	got := workerEnvironment([]string{
		"PATH=/bin", "OPENAI_API_KEY=canary", "LD_LIBRARY_PATH=/usr/lib/nvidia", "NVIDIA_VISIBLE_DEVICES=all", "CUDA_VISIBLE_DEVICES=0",
		"HTTPS_PROXY=http://user:canary@proxy", "KUBERNETES_SERVICE_HOST=10.0.0.1", "GOTRACEBACK=all", "PATHS=canary", "=canary",
	})
	want := []string{"PATH=/bin", "LD_LIBRARY_PATH=/usr/lib/nvidia", "NVIDIA_VISIBLE_DEVICES=all", "CUDA_VISIBLE_DEVICES=0", "GOTRACEBACK=all"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("workerEnvironment (-want +got):\n%s", diff)
	}
	if none := workerEnvironment(nil); none == nil {
		t.Error("workerEnvironment(nil) = nil, which hands on everything")
	}
	if selfCommand().Env == nil {
		t.Error("a worker is given the whole environment")
	}
}
