package gpu

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector exports a View. It reads memory only, so a scrape takes the same time whatever the driver does.
type Collector struct {
	view  func() View
	descs map[string]desc
}

type desc struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

// NewCollector returns a Collector of what view returns, which is the View method of a Manager.
func NewCollector(view func() View) *Collector {
	c := &Collector{view: view, descs: map[string]desc{}}
	for _, f := range Families() {
		if f.Name != MetricTargetInfo {
			c.descs[f.Name] = f.desc()
		}
	}
	return c
}

func (f Family) desc() desc {
	kind := prometheus.GaugeValue
	if f.Counter {
		kind = prometheus.CounterValue
	}
	return desc{prometheus.NewDesc(f.Name, f.Help, f.Labels, nil), kind}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range Families() {
		if d, ok := c.descs[f.Name]; ok {
			ch <- d.Desc
		}
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	v := c.view()
	e := &exposition{descs: c.descs, ch: ch, seen: map[string]bool{}}
	e.collector(v)
	e.xids(v)
	if v.Snapshot == nil {
		return
	}
	e.driver(v.Snapshot.Driver)
	for i := range v.Snapshot.Devices {
		e.device(&v.Snapshot.Devices[i])
	}
}

// exposition writes one answer.
type exposition struct {
	descs map[string]desc
	ch    chan<- prometheus.Metric
	seen  map[string]bool
}

// put exports one value. Label values come from a driver: they are made UTF-8, and a series that is there already is
// left out, because one bad series would cost the whole page.
func (e *exposition) put(name string, value float64, labels ...string) {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "�")
	}
	key := name + "\xff" + strings.Join(labels, "\xff")
	if e.seen[key] {
		return
	}
	e.seen[key] = true
	d, ok := e.descs[name]
	if !ok {
		panic("gpu: no family " + name) // a mistake in this file, which every test of it finds
	}
	m, err := prometheus.NewConstMetric(d.Desc, d.kind, value, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(d.Desc, fmt.Errorf("export %s: %w", name, err))
	}
	e.ch <- m
}

// optional exports a value that is there.
func optional[N int | float64 | uint64](e *exposition, name string, value *N, labels ...string) {
	if value != nil {
		e.put(name, float64(*value), labels...)
	}
}

func yesno(e *exposition, name string, value *bool, labels ...string) {
	if value != nil {
		e.put(name, truth(*value), labels...)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (e *exposition) collector(v View) {
	for _, s := range States() {
		e.put(MetricCollectorState, truth(s == v.State), string(s))
	}
	switch v.State {
	case StateDisabled, StateNotInBuild, StateNoHardware: // nothing to succeed at
		return
	}
	optional(e, MetricDevicesExpected, v.Expected)
	optional(e, MetricDevicesVisible, v.Visible)
	e.put(MetricCollectorSuccess, truth(v.Snapshot != nil))
	e.put(MetricCallStuck, truth(v.Stuck != nil))
	if v.Age >= 0 {
		e.put(MetricSnapshotAge, v.Age.Seconds())
		e.put(MetricCollectorLast, float64(v.LastSuccess.UnixMilli())/1e3)
	}
	if v.Snapshot != nil {
		e.put(MetricCollectorDuration, v.Snapshot.Duration.Seconds())
	}
	for _, reason := range slices.Sorted(maps.Keys(v.Restarts)) {
		e.put(MetricCollectorRestarts, float64(v.Restarts[reason]), reason)
	}
	for _, f := range v.Errors {
		e.put(MetricCollectorErrors, float64(f.Count), f.Call, f.Code)
	}
}

// xids are exported whatever the state of the worker: the kernel log is heard without it.
func (e *exposition) xids(v View) {
	for _, source := range slices.Sorted(maps.Keys(v.Sources)) {
		e.put(MetricXIDSourceUp, truth(v.Sources[source]), source)
	}
	for _, x := range v.XIDs {
		e.put(MetricXIDErrors, float64(x.Count), x.GPU.gpuLabel(), x.GPU.UUID, x.Code, x.Source)
		if !x.Last.IsZero() {
			e.put(MetricXIDLast, float64(x.Last.UnixMilli())/1e3, x.GPU.gpuLabel(), x.GPU.UUID, x.Code, x.Source)
		}
	}
}

func (e *exposition) driver(d Driver) {
	e.put(MetricDriverInfo, 1, d.Version, d.NVML, d.CUDA)
}

func (e *exposition) device(d *Device) {
	gpu, uuid := d.gpuLabel(), d.UUID
	e.put(MetricUp, truth(d.Lost == ""), gpu, uuid)
	if d.Lost != "" {
		return
	}
	e.put(MetricInfo, 1, gpu, uuid, d.Info.Name, d.PCI, d.Info.Architecture, d.Info.ComputeCapability, d.Info.VBIOS, d.Info.Minor)

	optional(e, MetricUtilization, d.Utilization, gpu, uuid)
	optional(e, MetricMemoryUtilization, d.MemoryUtilization, gpu, uuid)
	if m := d.Memory; m != nil {
		e.put(MetricMemoryTotal, float64(m.Total), gpu, uuid)
		e.put(MetricMemoryUsed, float64(m.Used), gpu, uuid)
		e.put(MetricMemoryFree, float64(m.Free), gpu, uuid)
		optional(e, MetricMemoryReserved, m.Reserved, gpu, uuid)
	}

	optional(e, MetricTemperature, d.Temperature, gpu, uuid, "gpu")
	optional(e, MetricTemperature, d.MemoryTemperature, gpu, uuid, "memory")
	e.pairs(MetricTemperatureThreshold, d.Thresholds, gpu, uuid)
	optional(e, MetricTemperatureMargin, d.Margin, gpu, uuid)

	optional(e, MetricPower, d.Power, gpu, uuid)
	optional(e, MetricPowerInstant, d.PowerInstant, gpu, uuid)
	optional(e, MetricPowerLimit, d.PowerLimit, gpu, uuid)
	optional(e, MetricPowerLimitDefault, d.PowerDefault, gpu, uuid)
	optional(e, MetricPowerLimitMax, d.PowerMax, gpu, uuid)
	optional(e, MetricEnergy, d.Energy, gpu, uuid)

	e.pairs(MetricClock, d.Clocks, gpu, uuid)
	e.pairs(MetricClockMax, d.ClocksMax, gpu, uuid)
	for _, reason := range slices.Sorted(maps.Keys(d.ClockEvents)) {
		e.put(MetricClockEventActive, truth(d.ClockEvents[reason]), gpu, uuid, reason)
	}
	e.pairs(MetricClockEventSeconds, d.ClockEventSeconds, gpu, uuid)
	optional(e, MetricPerformanceState, d.PerformanceState, gpu, uuid)

	e.health(d, gpu, uuid)
	e.links(d, gpu, uuid)

	optional(e, MetricGraphicsActive, d.Activity.Graphics, gpu, uuid)
	optional(e, MetricSMActive, d.Activity.SM, gpu, uuid)
	optional(e, MetricSMOccupancy, d.Activity.Occupancy, gpu, uuid)
	optional(e, MetricTensorActive, d.Activity.Tensor, gpu, uuid)
	optional(e, MetricDRAMActive, d.Activity.DRAM, gpu, uuid)

	yesno(e, MetricPersistenceMode, d.Persistence, gpu, uuid)
	optional(e, MetricComputeMode, d.ComputeMode, gpu, uuid)
	yesno(e, MetricMIGMode, d.MIGMode, gpu, uuid)
	for i := range d.MIG {
		e.mig(&d.MIG[i], gpu, uuid)
	}
	if p := d.Processes; p != nil {
		e.put(MetricProcesses, float64(p.Count), gpu, uuid)
		for _, m := range p.Memory {
			e.put(MetricProcessMemory, float64(m.Bytes), gpu, uuid, m.Name)
		}
	}
}

func (e *exposition) health(d *Device, gpu, uuid string) {
	if c := d.ECC; c != nil {
		yesno(e, MetricECCEnabled, c.Enabled, gpu, uuid)
		optional(e, MetricECCErrors, c.CorrectedVolatile, gpu, uuid, "corrected", "volatile")
		optional(e, MetricECCErrors, c.UncorrectedVolatile, gpu, uuid, "uncorrected", "volatile")
		optional(e, MetricECCErrors, c.CorrectedAggregate, gpu, uuid, "corrected", "aggregate")
		optional(e, MetricECCErrors, c.UncorrectedAggregate, gpu, uuid, "uncorrected", "aggregate")
	}
	if r := d.Rows; r != nil {
		e.put(MetricRemappedRows, float64(r.Corrected), gpu, uuid, "corrected")
		e.put(MetricRemappedRows, float64(r.Uncorrected), gpu, uuid, "uncorrected")
		e.put(MetricRowRemapPending, truth(r.Pending), gpu, uuid)
		e.put(MetricRowRemapFailed, truth(r.Failed), gpu, uuid)
	}
	if p := d.Pages; p != nil {
		optional(e, MetricRetiredPages, p.SingleBit, gpu, uuid, "single_bit")
		optional(e, MetricRetiredPages, p.DoubleBit, gpu, uuid, "double_bit")
		yesno(e, MetricRetiredPagesPending, p.Pending, gpu, uuid)
	}
	optional(e, MetricRecoveryAction, d.RecoveryAction, gpu, uuid)
}

func (e *exposition) links(d *Device, gpu, uuid string) {
	optional(e, MetricPCIeGeneration, d.PCIe.Generation, gpu, uuid)
	optional(e, MetricPCIeGenerationMax, d.PCIe.MaxGeneration, gpu, uuid)
	optional(e, MetricPCIeWidth, d.PCIe.Width, gpu, uuid)
	optional(e, MetricPCIeWidthMax, d.PCIe.MaxWidth, gpu, uuid)
	optional(e, MetricPCIeReplays, d.PCIe.Replays, gpu, uuid)
	optional(e, MetricPCIeTransmit, d.PCIe.Transmitted, gpu, uuid)
	optional(e, MetricPCIeReceive, d.PCIe.Received, gpu, uuid)
	if n := d.NVLink; n != nil {
		optional(e, MetricNVLinkActive, n.Active, gpu, uuid)
		optional(e, MetricNVLinkTransmit, n.Transmitted, gpu, uuid)
		optional(e, MetricNVLinkReceive, n.Received, gpu, uuid)
		for _, kind := range slices.Sorted(maps.Keys(n.Errors)) {
			e.put(MetricNVLinkErrors, float64(n.Errors[kind]), gpu, uuid, kind)
		}
	}
}

func (e *exposition) mig(m *MIGInstance, gpu, uuid string) {
	id := strconv.Itoa(m.GPUInstance)
	e.put(MetricMIGInfo, 1, gpu, uuid, id, strconv.Itoa(m.ComputeInstance), m.UUID, m.Profile)
	if mem := m.Memory; mem != nil {
		e.put(MetricMIGMemoryTotal, float64(mem.Total), gpu, uuid, id)
		e.put(MetricMIGMemoryUsed, float64(mem.Used), gpu, uuid, id)
		e.put(MetricMIGMemoryFree, float64(mem.Free), gpu, uuid, id)
		optional(e, MetricMIGMemoryReserved, mem.Reserved, gpu, uuid, id)
	}
	optional(e, MetricMIGGraphicsActive, m.Activity.Graphics, gpu, uuid, id)
	optional(e, MetricMIGSMActive, m.Activity.SM, gpu, uuid, id)
	optional(e, MetricMIGSMOccupancy, m.Activity.Occupancy, gpu, uuid, id)
	optional(e, MetricMIGTensorActive, m.Activity.Tensor, gpu, uuid, id)
	optional(e, MetricMIGDRAMActive, m.Activity.DRAM, gpu, uuid, id)
}

func (e *exposition) pairs(name string, p Pairs, gpu, uuid string) {
	for _, label := range slices.Sorted(maps.Keys(p)) {
		e.put(name, p[label], gpu, uuid, label)
	}
}
