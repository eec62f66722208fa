package gpu

import "math"

// Drivers hand out reserved values (all ones, the largest signed number) where they mean "unknown", and now and then
// nonsense. A reading that the hardware cannot have is removed: absent is right, and a wrong number is not.

// Bounds of what can be true, generous against hardware to come.
const (
	minCelsius = -60
	maxCelsius = 250
	maxWatts   = 50_000        // a whole rack today
	maxHertz   = 20e9          //
	maxBytes   = 1 << 50       // 1 PiB of memory on one GPU
	maxJoules  = 50_000 * 1e10 // at maxWatts for 300 years
	maxSeconds = 1e10          // 300 years
	maxCount   = 1 << 62       // a counter that has got there is a reserved value
)

// plausible removes from s what cannot be true.
func (s *Snapshot) plausible() {
	for i := range s.Devices {
		s.Devices[i].plausible()
	}
}

func (d *Device) plausible() {
	for _, v := range []**float64{&d.Utilization, &d.MemoryUtilization} {
		ratio(v)
	}
	d.Activity.plausible()
	for _, v := range []**float64{&d.Temperature, &d.MemoryTemperature} {
		within(v, minCelsius, maxCelsius)
	}
	within(&d.Margin, -maxCelsius, maxCelsius)
	pairsWithin(d.Thresholds, 1, maxCelsius)
	for _, v := range []**float64{&d.Power, &d.PowerInstant, &d.PowerLimit, &d.PowerDefault, &d.PowerMax} {
		within(v, 0, maxWatts)
	}
	within(&d.Energy, 0, maxJoules)
	pairsWithin(d.Clocks, 0, maxHertz)
	pairsWithin(d.ClocksMax, 1, maxHertz)
	pairsWithin(d.ClockEventSeconds, 0, maxSeconds)
	within(&d.PerformanceState, 0, 15)
	within(&d.RecoveryAction, 0, 31)
	within(&d.ComputeMode, 0, 15)
	if e := d.ECC; e != nil {
		for _, v := range []**uint64{&e.CorrectedVolatile, &e.UncorrectedVolatile, &e.CorrectedAggregate, &e.UncorrectedAggregate} {
			count(v)
		}
	}
	if r := d.Rows; r != nil && (r.Corrected > math.MaxInt32 || r.Uncorrected > math.MaxInt32) {
		d.Rows = nil
	}
	if p := d.Pages; p != nil {
		count(&p.SingleBit)
		count(&p.DoubleBit)
	}
	for _, v := range []**int{&d.PCIe.Generation, &d.PCIe.MaxGeneration} {
		within(v, 1, 15)
	}
	for _, v := range []**int{&d.PCIe.Width, &d.PCIe.MaxWidth} {
		within(v, 1, 64)
	}
	for _, v := range []**uint64{&d.PCIe.Replays, &d.PCIe.Transmitted, &d.PCIe.Received} {
		count(v)
	}
	if n := d.NVLink; n != nil {
		within(&n.Active, 0, 1024)
		count(&n.Transmitted)
		count(&n.Received)
		for kind, v := range n.Errors {
			if v >= maxCount {
				delete(n.Errors, kind)
			}
		}
	}
	memory(&d.Memory)
	for i := range d.MIG {
		memory(&d.MIG[i].Memory)
		d.MIG[i].Activity.plausible()
	}
	if p := d.Processes; p != nil {
		kept := p.Memory[:0]
		for _, m := range p.Memory {
			if m.Bytes < maxBytes {
				kept = append(kept, m)
			}
		}
		p.Memory = kept
	}
}

func (a *Activity) plausible() {
	for _, v := range []**float64{&a.Graphics, &a.SM, &a.Occupancy, &a.Tensor, &a.DRAM} {
		ratio(v)
	}
}

// ratio keeps 0..1. Sampled ratios overshoot by rounding: up to 1 % over counts as 1.
func ratio(v **float64) {
	within(v, 0, 1.01)
	if *v != nil && **v > 1 {
		*v = new(1.0)
	}
}

// within removes *v where it lies outside of min..max, or is no number.
func within[N int | float64](v **N, lowest, highest N) {
	if *v != nil && !(**v >= lowest && **v <= highest) {
		*v = nil
	}
}

func pairsWithin(p Pairs, lowest, highest float64) {
	for name, v := range p {
		if !(v >= lowest && v <= highest) {
			delete(p, name)
		}
	}
}

func count(v **uint64) {
	if *v != nil && **v >= maxCount {
		*v = nil
	}
}

// memory removes *m unless its parts fit into its total.
func memory(m **Memory) {
	if *m == nil {
		return
	}
	total := (*m).Total
	if total == 0 || total > maxBytes || (*m).Used > total || (*m).Free > total {
		*m = nil
		return
	}
	if r := (*m).Reserved; r != nil && *r > total {
		(*m).Reserved = nil
	}
}
