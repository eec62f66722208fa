package gpu

// The names of all metrics. Dashboards, rules and documentation are made from these and from Families.
const (
	MetricUp   = "llm_gpu_up"
	MetricInfo = "llm_gpu_info"

	MetricUtilization       = "llm_gpu_utilization_ratio"
	MetricMemoryUtilization = "llm_gpu_memory_utilization_ratio"
	MetricMemoryTotal       = "llm_gpu_memory_total_bytes"
	MetricMemoryUsed        = "llm_gpu_memory_used_bytes"
	MetricMemoryFree        = "llm_gpu_memory_free_bytes"
	MetricMemoryReserved    = "llm_gpu_memory_reserved_bytes"

	MetricTemperature          = "llm_gpu_temperature_celsius"
	MetricTemperatureThreshold = "llm_gpu_temperature_threshold_celsius"
	MetricTemperatureMargin    = "llm_gpu_temperature_margin_celsius"

	MetricPower             = "llm_gpu_power_watts"
	MetricPowerInstant      = "llm_gpu_power_instant_watts"
	MetricPowerLimit        = "llm_gpu_power_limit_watts"
	MetricPowerLimitDefault = "llm_gpu_power_limit_default_watts"
	MetricPowerLimitMax     = "llm_gpu_power_limit_max_watts"
	MetricEnergy            = "llm_gpu_energy_joules_total"

	MetricClock             = "llm_gpu_clock_hertz"
	MetricClockMax          = "llm_gpu_clock_max_hertz"
	MetricClockEventActive  = "llm_gpu_clock_event_active"
	MetricClockEventSeconds = "llm_gpu_clock_event_seconds_total"
	MetricPerformanceState  = "llm_gpu_performance_state"

	MetricECCEnabled          = "llm_gpu_ecc_enabled"
	MetricECCErrors           = "llm_gpu_ecc_errors_total"
	MetricRemappedRows        = "llm_gpu_remapped_rows_total"
	MetricRowRemapPending     = "llm_gpu_row_remap_pending"
	MetricRowRemapFailed      = "llm_gpu_row_remap_failed"
	MetricRetiredPages        = "llm_gpu_retired_pages"
	MetricRetiredPagesPending = "llm_gpu_retired_pages_pending"
	MetricRecoveryAction      = "llm_gpu_recovery_action"

	MetricXIDErrors   = "llm_gpu_xid_errors_total"
	MetricXIDLast     = "llm_gpu_xid_last_timestamp_seconds"
	MetricXIDSourceUp = "llm_gpu_xid_source_up"

	MetricPCIeGeneration    = "llm_gpu_pcie_link_generation"
	MetricPCIeGenerationMax = "llm_gpu_pcie_link_generation_max"
	MetricPCIeWidth         = "llm_gpu_pcie_link_width"
	MetricPCIeWidthMax      = "llm_gpu_pcie_link_width_max"
	MetricPCIeReplays       = "llm_gpu_pcie_replays_total"
	MetricPCIeTransmit      = "llm_gpu_pcie_transmit_bytes_total"
	MetricPCIeReceive       = "llm_gpu_pcie_receive_bytes_total"

	MetricNVLinkActive   = "llm_gpu_nvlink_links_active"
	MetricNVLinkTransmit = "llm_gpu_nvlink_transmit_bytes_total"
	MetricNVLinkReceive  = "llm_gpu_nvlink_receive_bytes_total"
	MetricNVLinkErrors   = "llm_gpu_nvlink_errors_total"

	MetricGraphicsActive = "llm_gpu_graphics_active_ratio"
	MetricSMActive       = "llm_gpu_sm_active_ratio"
	MetricSMOccupancy    = "llm_gpu_sm_occupancy_ratio"
	MetricTensorActive   = "llm_gpu_tensor_active_ratio"
	MetricDRAMActive     = "llm_gpu_dram_active_ratio"

	MetricPersistenceMode = "llm_gpu_persistence_mode"
	MetricComputeMode     = "llm_gpu_compute_mode"
	MetricMIGMode         = "llm_gpu_mig_mode"

	MetricMIGInfo           = "llm_gpu_mig_info"
	MetricMIGMemoryTotal    = "llm_gpu_mig_memory_total_bytes"
	MetricMIGMemoryUsed     = "llm_gpu_mig_memory_used_bytes"
	MetricMIGMemoryFree     = "llm_gpu_mig_memory_free_bytes"
	MetricMIGMemoryReserved = "llm_gpu_mig_memory_reserved_bytes"
	MetricMIGGraphicsActive = "llm_gpu_mig_graphics_active_ratio"
	MetricMIGSMActive       = "llm_gpu_mig_sm_active_ratio"
	MetricMIGSMOccupancy    = "llm_gpu_mig_sm_occupancy_ratio"
	MetricMIGTensorActive   = "llm_gpu_mig_tensor_active_ratio"
	MetricMIGDRAMActive     = "llm_gpu_mig_dram_active_ratio"

	MetricProcesses     = "llm_gpu_processes"
	MetricProcessMemory = "llm_gpu_process_memory_bytes"

	MetricDriverInfo      = "llm_gpu_driver_info"
	MetricDevicesExpected = "llm_gpu_devices_expected"
	MetricDevicesVisible  = "llm_gpu_devices_visible"

	MetricCollectorState    = "llm_gpu_collector_state"
	MetricCollectorSuccess  = "llm_gpu_collector_success"
	MetricCollectorLast     = "llm_gpu_collector_last_success_timestamp_seconds"
	MetricCollectorDuration = "llm_gpu_collector_duration_seconds"
	MetricCollectorRestarts = "llm_gpu_collector_restarts_total"
	MetricCollectorErrors   = "llm_gpu_collector_errors_total"
	MetricSnapshotAge       = "llm_gpu_snapshot_age_seconds"
	MetricCallStuck         = "llm_gpu_call_stuck"

	MetricTargetInfo = "llm_target_gpu_info"
)

// Family describes one metric. Counter is false for gauges. Labels stand in the order in which values are given.
type Family struct {
	Name    string
	Counter bool
	Labels  []string
	Help    string
}

// Families describes every metric that Collector and Targets can export, in the order of the documentation.
func Families() []Family {
	gauge := func(name, help string, labels ...string) Family {
		return Family{Name: name, Labels: labels, Help: help}
	}
	counter := func(name, help string, labels ...string) Family {
		return Family{Name: name, Counter: true, Labels: labels, Help: help}
	}
	// of one GPU, and of one GPU instance of it
	device := func(more ...string) []string { return append([]string{"gpu", "uuid"}, more...) }
	instance := device("gpu_instance_id")
	return []Family{
		gauge(MetricUp, "Whether the GPU can be read. 0: lost, hung, or no longer listed; its readings are absent then.", device()...),
		gauge(MetricInfo, "What the GPU is; always 1.", device("name", "pci_bus_id", "architecture", "compute_capability", "vbios_version", "minor_number")...),

		gauge(MetricUtilization, "Share of the driver's last sample period (1/6 s to 1 s) with at least one kernel resident. It says nothing about how much of the GPU was used.", device()...),
		gauge(MetricMemoryUtilization, "Share of the driver's last sample period with device memory being read or written. Not how full memory is.", device()...),
		gauge(MetricMemoryTotal, "Device memory.", device()...),
		gauge(MetricMemoryUsed, "Device memory allocated; without the reserved part where that is exported.", device()...),
		gauge(MetricMemoryFree, "Device memory not allocated.", device()...),
		gauge(MetricMemoryReserved, "Device memory kept by driver and firmware.", device()...),

		gauge(MetricTemperature, "Temperature, by sensor: gpu or memory.", device("sensor")...),
		gauge(MetricTemperatureThreshold, "Temperature at which the GPU slows down, shuts down, or leaves its operating range, by threshold.", device("threshold")...),
		gauge(MetricTemperatureMargin, "How far the GPU is from the temperature at which it slows down.", device()...),

		gauge(MetricPower, "Power drawn, as the driver averages it (over 1 s on most GPUs since Ampere).", device()...),
		gauge(MetricPowerInstant, "Power drawn at the moment of sampling.", device()...),
		gauge(MetricPowerLimit, "Power limit in force.", device()...),
		gauge(MetricPowerLimitDefault, "Power limit with which the GPU boots.", device()...),
		gauge(MetricPowerLimitMax, "Highest power limit that can be set.", device()...),
		counter(MetricEnergy, "Energy used since the driver was loaded. Its rate is the true mean power.", device()...),

		gauge(MetricClock, "Clock frequency, by domain.", device("domain")...),
		gauge(MetricClockMax, "Highest clock frequency, by domain.", device("domain")...),
		gauge(MetricClockEventActive, "Whether this reason holds the clocks below what was asked for, at the moment of sampling.", device("reason")...),
		counter(MetricClockEventSeconds, "Time for which this reason has held the clocks down. Counted by the driver, so it sees what happens between samplings.", device("reason")...),
		gauge(MetricPerformanceState, "Performance state: 0 is the fastest, 15 the slowest.", device()...),

		gauge(MetricECCEnabled, "Whether memory errors are detected and corrected.", device()...),
		counter(MetricECCErrors, "ECC errors: volatile ones are since the driver was loaded, aggregate ones over the life of the board.", device("type", "lifetime")...),
		counter(MetricRemappedRows, "Memory rows replaced by spare ones, by the errors that caused it.", device("cause")...),
		gauge(MetricRowRemapPending, "Whether a row remapping waits for the next reset of the GPU.", device()...),
		gauge(MetricRowRemapFailed, "Whether a row could not be remapped: the board is to be replaced.", device()...),
		gauge(MetricRetiredPages, "Memory pages taken out of use, by the errors that caused it (GPUs before Ampere).", device("cause")...),
		gauge(MetricRetiredPagesPending, "Whether a page retirement waits for the next reset of the GPU.", device()...),
		gauge(MetricRecoveryAction, "What the driver says is needed to bring the GPU back to health: 0 nothing, 1 reset, 2 reboot, 3 drain P2P, 4 drain and reset, 5 recover the IMEX domain.", device()...),

		counter(MetricXIDErrors, "XID errors since the prober started, by code and by the source that heard them: nvml or kmsg (the kernel log). One error is in both.", device("xid", "source")...),
		gauge(MetricXIDLast, "When the XID was last heard, Unix time.", device("xid", "source")...),
		gauge(MetricXIDSourceUp, "Whether this source of XIDs is being listened to.", "source"),

		gauge(MetricPCIeGeneration, "PCIe generation in use. It falls while the GPU is idle.", device()...),
		gauge(MetricPCIeGenerationMax, "Highest PCIe generation that GPU and slot can use.", device()...),
		gauge(MetricPCIeWidth, "PCIe lanes in use.", device()...),
		gauge(MetricPCIeWidthMax, "Most PCIe lanes that GPU and slot can use.", device()...),
		counter(MetricPCIeReplays, "PCIe packets that had to be sent again.", device()...),
		counter(MetricPCIeTransmit, "Bytes sent by the GPU over PCIe.", device()...),
		counter(MetricPCIeReceive, "Bytes received by the GPU over PCIe.", device()...),

		gauge(MetricNVLinkActive, "NVLink links that are up.", device()...),
		counter(MetricNVLinkTransmit, "Payload bytes sent over all NVLink links.", device()...),
		counter(MetricNVLinkReceive, "Payload bytes received over all NVLink links.", device()...),
		counter(MetricNVLinkErrors, "NVLink errors of all links, by kind.", device("kind")...),

		gauge(MetricGraphicsActive, "Share of the time between two samplings in which any engine was busy (GPM; Hopper and newer).", device()...),
		gauge(MetricSMActive, "Share of the streaming multiprocessors that were busy, between two samplings (GPM; Hopper and newer).", device()...),
		gauge(MetricSMOccupancy, "Share of the possible warps that were resident, between two samplings (GPM; Hopper and newer).", device()...),
		gauge(MetricTensorActive, "Share of the time between two samplings in which the tensor pipes were busy (GPM; Hopper and newer).", device()...),
		gauge(MetricDRAMActive, "Share of the memory bandwidth that was used, between two samplings (GPM; Hopper and newer).", device()...),

		gauge(MetricPersistenceMode, "Whether the driver keeps the GPU initialised without clients.", device()...),
		gauge(MetricComputeMode, "Who may compute on the GPU: 0 everybody, 2 nobody, 3 one process.", device()...),
		gauge(MetricMIGMode, "Whether the GPU is in MIG mode.", device()...),

		gauge(MetricMIGInfo, "What the MIG device is; always 1.", device("gpu_instance_id", "compute_instance_id", "mig_uuid", "profile")...),
		gauge(MetricMIGMemoryTotal, "Memory of the GPU instance.", instance...),
		gauge(MetricMIGMemoryUsed, "Memory of the GPU instance that is allocated.", instance...),
		gauge(MetricMIGMemoryFree, "Memory of the GPU instance that is not allocated.", instance...),
		gauge(MetricMIGMemoryReserved, "Memory of the GPU instance kept by driver and firmware.", instance...),
		gauge(MetricMIGGraphicsActive, "As "+MetricGraphicsActive+", of one GPU instance.", instance...),
		gauge(MetricMIGSMActive, "As "+MetricSMActive+", of one GPU instance.", instance...),
		gauge(MetricMIGSMOccupancy, "As "+MetricSMOccupancy+", of one GPU instance.", instance...),
		gauge(MetricMIGTensorActive, "As "+MetricTensorActive+", of one GPU instance.", instance...),
		gauge(MetricMIGDRAMActive, "As "+MetricDRAMActive+", of one GPU instance.", instance...),

		gauge(MetricProcesses, "Processes that use the GPU (opt-in).", device()...),
		gauge(MetricProcessMemory, "Device memory held by all processes of one name: the 16 largest, and other (opt-in).", device("process")...),

		gauge(MetricDriverInfo, "Versions of driver, library and highest CUDA; always 1.", "driver_version", "nvml_version", "cuda_version"),
		gauge(MetricDevicesExpected, "GPUs that ought to be there: as configured, or as many as are on the PCI bus."),
		gauge(MetricDevicesVisible, "GPUs that the driver lists, lost ones included."),

		gauge(MetricCollectorState, "What the GPU collector is doing: 1 for its state, 0 for the others.", "state"),
		gauge(MetricCollectorSuccess, "Whether there are fresh readings."),
		gauge(MetricCollectorLast, "When the last successful sampling began, Unix time."),
		gauge(MetricCollectorDuration, "What the last sampling of all GPUs took."),
		counter(MetricCollectorRestarts, "Replacements of the worker process, by reason.", "reason"),
		counter(MetricCollectorErrors, "Failed driver calls, by call and by the driver's code. What a GPU does not support is no error.", "call", "code"),
		gauge(MetricSnapshotAge, "Time since the last successful sampling began. After 10 s, or 5 intervals, readings are withdrawn."),
		gauge(MetricCallStuck, "Whether a driver call has been under way for so long that the driver seems to hang."),

		gauge(MetricTargetInfo, "GPUs that serve a target, as configured; always 1.", "target", "uuid"),
	}
}
