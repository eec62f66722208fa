package gpu

import "strings"

// workerEnvironment is what a worker is given of our environment: what finds NVIDIA's library and steers it and Go's
// runtime. The rest stays here: keys of model servers among it, which a driver has no use for, and which anybody could read
// in a second place.
func workerEnvironment(ours []string) []string {
	given := []string{} // not nil, which would be everything
	for _, variable := range ours {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case "PATH", "HOME", "TMPDIR", "LANG", "TZ", "GODEBUG", "GOTRACEBACK", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOCOVERDIR":
			given = append(given, variable)
			continue
		}
		for _, prefix := range []string{"LD_", "LC_", "NVIDIA_", "CUDA_", "__NV"} {
			if strings.HasPrefix(name, prefix) {
				given = append(given, variable)
				break
			}
		}
	}
	return given
}
