package gpu

// The reasons for which a driver holds clocks down, with their bits in nvmlDeviceGetCurrentClocksEventReasons.
var clockReasons = []struct {
	bit  uint64
	name string
}{
	{0x001, "gpu_idle"},
	{0x002, "applications_clocks"},
	{0x004, "sw_power_cap"},
	{0x008, "hw_slowdown"},
	{0x010, "sync_boost"},
	{0x020, "sw_thermal"},
	{0x040, "hw_thermal"},
	{0x080, "hw_power_brake"},
	{0x100, "display_clocks"},
}

// clockEvents returns the state of every reason; nil when mask is a reserved value. Bits without a name are "other".
func clockEvents(mask uint64) map[string]bool {
	if mask >= maxCount {
		return nil
	}
	out := make(map[string]bool, len(clockReasons)+1)
	for _, r := range clockReasons {
		out[r.name] = mask&r.bit != 0
		mask &^= r.bit
	}
	out["other"] = mask != 0
	return out
}

// clockEventFields returns the field ids of the times for which each reason has held the clocks down. Three of them
// have no fixed number:
//
//	NVML (driver)            thermal and power brake    251 means
//	12.8 (570) and older     no field                   power smoothing on/off (12.8), nothing (older)
//	12.9 to 13.0 (575, 580)  251, 252, 253              software thermal slowdown
//	13.1 (590) and newer     269, 270, 271              power smoothing on/off
//
// (nvml.h of these versions, as published with go-nvml). All are in nanoseconds: nvml.h 12.9, "All counters are in
// nanoseconds". A wrong choice would export a setting as a time, so an unknown driver gets none of the three.
func clockEventFields(branch int) map[uint32]string {
	fields := map[uint32]string{74: "sw_power_cap", 76: "sync_boost"}
	first := uint32(0)
	switch {
	case branch >= 590:
		first = 269
	case branch >= 575:
		first = 251
	default:
		return fields
	}
	fields[first], fields[first+1], fields[first+2] = "sw_thermal", "hw_thermal", "hw_power_brake"
	return fields
}
