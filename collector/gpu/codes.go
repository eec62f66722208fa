package gpu

import "strconv"

// codeClass is what follows from a return code of NVML.
type codeClass int

const (
	codeOK        codeClass = iota
	codeAbsent              // this call will not work on this GPU for now: asked again after a minute (MIG mode changes what works)
	codeNoValue             // nothing to report at this moment
	codeDenied              // the permissions do not allow it: as codeAbsent, but a failure
	codeLost                // this GPU cannot be used any more
	codeGone                // the driver cannot be used any more by this process
	codeTransient           // failed; the next sampling may work
)

// codes lists the return codes of nvml.h 13.3. The names are ours: the library's own function for them is in the
// library, and its strings live in the library's memory.
var codes = map[int]struct {
	name  string
	class codeClass
}{
	0:   {"success", codeOK},
	1:   {"uninitialized", codeGone},
	2:   {"invalid_argument", codeAbsent}, // a field or an enumerator that is younger than the driver
	3:   {"not_supported", codeAbsent},
	4:   {"no_permission", codeDenied},
	5:   {"already_initialized", codeOK},
	6:   {"not_found", codeNoValue}, // an empty MIG slot, a process that has ended
	7:   {"insufficient_size", codeTransient},
	8:   {"insufficient_power", codeLost},
	9:   {"driver_not_loaded", codeGone},
	10:  {"timeout", codeNoValue},
	11:  {"irq_issue", codeLost},
	12:  {"library_not_found", codeGone},
	13:  {"function_not_found", codeAbsent},
	14:  {"corrupted_inforom", codeAbsent},
	15:  {"gpu_is_lost", codeLost},
	16:  {"reset_required", codeLost},
	17:  {"operating_system", codeDenied}, // blocked by cgroups
	18:  {"lib_rm_version_mismatch", codeGone},
	19:  {"in_use", codeTransient},
	20:  {"memory", codeTransient},
	21:  {"no_data", codeNoValue},
	22:  {"vgpu_ecc_not_supported", codeAbsent},
	23:  {"insufficient_resources", codeTransient},
	24:  {"freq_not_supported", codeAbsent},
	25:  {"argument_version_mismatch", codeAbsent},
	26:  {"deprecated", codeAbsent},
	27:  {"not_ready", codeTransient},
	28:  {"gpu_not_found", codeGone},
	29:  {"invalid_state", codeTransient},
	30:  {"reset_type_not_supported", codeAbsent},
	999: {"unknown", codeTransient},
}

// codeName returns a label value for a return code.
func codeName(code int) string {
	if c, ok := codes[code]; ok {
		return c.name
	}
	return "other"
}

func classify(code int) codeClass {
	if c, ok := codes[code]; ok {
		return c.class
	}
	return codeTransient
}

// driverBranch is the N of driver N.x, from NVML's version ("13.580.159.03") or else the driver's ("580.159.03");
// 0 when neither tells.
func driverBranch(nvmlVersion, driverVersion string) int {
	if parts := splitVersion(nvmlVersion); len(parts) > 1 && parts[1] >= 100 {
		return parts[1]
	}
	if parts := splitVersion(driverVersion); len(parts) > 0 && parts[0] >= 100 {
		return parts[0]
	}
	return 0
}

func splitVersion(v string) []int {
	var parts []int
	for v != "" {
		end := 0
		for end < len(v) && v[end] != '.' {
			end++
		}
		n, err := strconv.Atoi(v[:end])
		if err != nil {
			return parts
		}
		parts = append(parts, n)
		v = v[min(end+1, len(v)):]
	}
	return parts
}
