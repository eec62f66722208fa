//go:build linux && cgo

package gpu

import (
	"fmt"
	"math"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// field is an NVML field id and its scope.
type field struct{ id, scope uint32 }

// allLinks is the scope of the sum over a GPU's links.
const allLinks = math.MaxUint32

// The fields that keep their number in all versions of nvml.h from 11.3 to 13.3. (For the others see clockEventFields.)
const (
	fieldECCCorrectedVolatile    = 3
	fieldECCUncorrectedVolatile  = 4
	fieldECCCorrectedAggregate   = 5
	fieldECCUncorrectedAggregate = 6
	fieldRetiredSingleBit        = 29
	fieldRetiredDoubleBit        = 30
	fieldRetiredPending          = 31
	fieldMemoryTemperature       = 82
	fieldPCIeReplays             = 94
	fieldNVLinkDataTx            = 138 // KiB
	fieldNVLinkDataRx            = 139
	fieldNVLinkReplays           = 161
	fieldNVLinkRecoveries        = 162
	fieldNVLinkCRCErrors         = 163
	fieldPowerInstant            = 186 // mW; scope 0 is the GPU alone
	fieldPCIeTxBytes             = 197
	fieldPCIeRxBytes             = 198
	fieldNVLink5TxBytes          = 202
	fieldNVLink5RxBytes          = 204
	fieldRecoveryAction          = 230
)

// fields asks for many fields in one call: the driver serves related ones together. Only those that have a value are
// in the answer.
func (s *nvmlSource) fields(g *nvmlGPU, wanted []field) map[field]number {
	const function = "nvmlDeviceGetFieldValues"
	name := func(f field) string { return fmt.Sprintf("%s(%d,%d)", function, f.id, f.scope) }
	var batch []nvml.FieldValue
	for _, f := range wanted {
		if s.may(g, g.Index, name(f)) {
			batch = append(batch, nvml.FieldValue{FieldId: f.id, ScopeId: f.scope})
		}
	}
	if len(batch) == 0 { // go-nvml takes the address of the first one
		return nil
	}
	if _, ok := read(s, g, function, func() (struct{}, nvml.Return) { return struct{}{}, g.handle.GetFieldValues(batch) }); !ok {
		return nil
	}
	out := make(map[field]number, len(batch))
	for _, v := range batch {
		f := field{v.FieldId, v.ScopeId}
		if !s.judge(g, g.Index, name(f), int(v.NvmlReturn)) {
			continue
		}
		if n, ok := decodeField(v.ValueType, v.Value); ok {
			out[f] = n
		}
	}
	return out
}

func (s *nvmlSource) fieldReadings(g *nvmlGPU, d *Device) {
	wanted := []field{
		{id: fieldECCCorrectedVolatile}, {id: fieldECCUncorrectedVolatile}, {id: fieldECCCorrectedAggregate}, {id: fieldECCUncorrectedAggregate},
		{id: fieldRetiredSingleBit}, {id: fieldRetiredDoubleBit}, {id: fieldRetiredPending},
		{id: fieldMemoryTemperature}, {id: fieldPowerInstant}, {id: fieldRecoveryAction},
		{id: fieldPCIeReplays}, {id: fieldPCIeTxBytes}, {id: fieldPCIeRxBytes},
	}
	events := clockEventFields(s.branch)
	for id := range events {
		wanted = append(wanted, field{id: id})
	}
	if d.NVLink != nil {
		wanted = append(wanted, field{fieldNVLinkDataTx, allLinks}, field{fieldNVLinkDataRx, allLinks})
		for _, link := range g.links { // NVLink 5 counts bytes, by link
			wanted = append(wanted, field{fieldNVLink5TxBytes, uint32(link)}, field{fieldNVLink5RxBytes, uint32(link)})
		}
	}
	values := s.fields(g, wanted)
	integer := func(id uint32) *uint64 {
		if n, ok := values[field{id: id}]; ok && n.exact {
			return &n.integer
		}
		return nil
	}

	ecc := ECC{
		Enabled:              g.ecc,
		CorrectedVolatile:    integer(fieldECCCorrectedVolatile),
		UncorrectedVolatile:  integer(fieldECCUncorrectedVolatile),
		CorrectedAggregate:   integer(fieldECCCorrectedAggregate),
		UncorrectedAggregate: integer(fieldECCUncorrectedAggregate),
	}
	if ecc != (ECC{}) {
		d.ECC = &ecc
	}
	pages := Pages{SingleBit: integer(fieldRetiredSingleBit), DoubleBit: integer(fieldRetiredDoubleBit)}
	if pending := integer(fieldRetiredPending); pending != nil {
		pages.Pending = new(*pending != 0)
	}
	if pages != (Pages{}) {
		d.Pages = &pages
	}
	if n, ok := values[field{id: fieldMemoryTemperature}]; ok {
		d.MemoryTemperature = &n.float
	}
	if n, ok := values[field{id: fieldPowerInstant}]; ok {
		d.PowerInstant = new(n.float / 1e3)
	}
	if action := integer(fieldRecoveryAction); action != nil && *action <= math.MaxInt32 {
		d.RecoveryAction = new(int(*action))
	}
	d.PCIe.Replays = integer(fieldPCIeReplays)
	d.PCIe.Transmitted = wide(values[field{id: fieldPCIeTxBytes}])
	d.PCIe.Received = wide(values[field{id: fieldPCIeRxBytes}])

	d.ClockEventSeconds = Pairs{}
	for id, reason := range events {
		if n, ok := values[field{id: id}]; ok {
			d.ClockEventSeconds[reason] = n.float / 1e9
		}
	}
	if d.NVLink != nil {
		d.NVLink.Transmitted = linkBytes(values, fieldNVLinkDataTx, fieldNVLink5TxBytes, g.links)
		d.NVLink.Received = linkBytes(values, fieldNVLinkDataRx, fieldNVLink5RxBytes, g.links)
	}
}

// wide is the value of a counter of 64 bits. A counter of bytes that has 32 wraps several times between two samplings
// on a busy link, so what could be read from it is not true.
func wide(n number) *uint64 {
	if !n.exact || !n.wide {
		return nil
	}
	return &n.integer
}

// linkBytes is the bytes over all links: from the sum in KiB, or from all the links' own counters.
func linkBytes(values map[field]number, kib, bytes uint32, links []int) *uint64 {
	if n := wide(values[field{kib, allLinks}]); n != nil && *n < maxCount>>10 {
		return new(*n << 10)
	}
	if len(links) == 0 {
		return nil
	}
	var sum uint64
	for _, link := range links {
		n := wide(values[field{bytes, uint32(link)}])
		if n == nil {
			return nil // a sum without one of the links would fall and rise
		}
		sum += *n
	}
	return &sum
}

// linkErrors adds up the errors of all links. A kind that one link does not tell is absent.
func (s *nvmlSource) linkErrors(g *nvmlGPU) map[string]uint64 {
	kinds := map[uint32]string{fieldNVLinkReplays: "replay", fieldNVLinkRecoveries: "recovery", fieldNVLinkCRCErrors: "crc"}
	var wanted []field
	for id := range kinds {
		for _, link := range g.links {
			wanted = append(wanted, field{id, uint32(link)})
		}
	}
	values := s.fields(g, wanted)
	out := map[string]uint64{}
	for id, kind := range kinds {
		sum, told := uint64(0), len(g.links) > 0
		for _, link := range g.links {
			n, ok := values[field{id, uint32(link)}]
			told = told && ok && n.exact
			sum += n.integer
		}
		if told {
			out[kind] = sum
		}
	}
	return out
}
