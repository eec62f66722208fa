package process

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// GPULibrary compiles into dir the stand-in for NVIDIA's library that the tests of collector/gpu use, and returns its path.
// Root is the repository's. What it answers is in file, whenever that changes.
func GPULibrary(t testing.TB, root, dir, file string) string {
	t.Helper()
	list := exec.Command(cmp.Or(os.Getenv("GO"), "go"), "list", "-m", "-f", "{{.Dir}}", "github.com/NVIDIA/go-nvml")
	list.Dir = root
	module, err := list.Output()
	if err != nil {
		t.Fatalf("find nvml.h: %v", err)
	}
	path := filepath.Join(dir, "libnvidia-ml.so.1")
	out, err := exec.Command("gcc", "-shared", "-fPIC", "-O1", "-w", "-D_GNU_SOURCE", "-DNVML_NO_UNVERSIONED_FUNC_DEFS=1",
		"-DLLM_PROBER_NVML_FILE="+strconv.Quote(file),
		"-I"+filepath.Join(strings.TrimSpace(string(module)), "pkg/nvml"), "-Wl,-soname,libnvidia-ml.so.1", "-o", path,
		filepath.Join(root, "collector/gpu/testdata/nvml/nvml.c"), "-lpthread").CombinedOutput()
	if err != nil {
		t.Fatalf("build the stand-in: %v\n%s", err, out)
	}
	return path
}
