package gpu

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Why a GPU is lost, beside the driver's own reasons.
const (
	lostMissing = "missing" // NVML has listed it before and lists it no longer
	lostHung    = "hung"    // a call about it has hung, and it is left out for a while
)

// inventory remembers the GPUs that were seen, and what they reported, across workers.
type inventory struct {
	known map[string]Identity // by UUID
	hints map[string]string   // UUID by PCI address, from the kernel log
	xids  map[xidKey]xidTally
	heard map[string]bool // sources that have been listened to at least once
}

type xidKey struct{ device, code, source string } // device: a UUID, or "pci:" and an address

type xidTally struct {
	count uint64
	last  time.Time
}

func newInventory() inventory {
	return inventory{known: map[string]Identity{}, hints: map[string]string{}, xids: map[xidKey]xidTally{}, heard: map[string]bool{}}
}

// complete returns the devices of a snapshot with the identities that the driver no longer tells, and with those GPUs
// that it no longer lists. No two have the same index and UUID.
func (inv *inventory) complete(devices []Device) []Device {
	present := map[string]bool{}
	var out []Device
	for _, d := range devices {
		if d.UUID == "" {
			continue
		}
		if present[d.UUID] {
			continue // one GPU cannot be there twice; series would clash
		}
		present[d.UUID] = true
		if old, ok := inv.known[d.UUID]; ok && d.PCI == "" {
			d.PCI = old.PCI
		}
		inv.known[d.UUID] = d.Identity
		inv.adopt("pci:"+d.PCI, d.UUID)
		out = append(out, d)
	}
	nameless := map[int]bool{}
	for _, d := range devices {
		if d.UUID != "" || nameless[d.Index] {
			continue
		}
		nameless[d.Index] = true
		// A GPU that cannot even say who it is: it is the one that was at its index, unless that one is elsewhere.
		for _, uuid := range slices.Sorted(maps.Keys(inv.known)) {
			if id := inv.known[uuid]; id.Index == d.Index && !present[uuid] {
				present[uuid] = true
				d.Identity = id
				break
			}
		}
		out = append(out, d)
	}
	for _, uuid := range slices.Sorted(maps.Keys(inv.known)) {
		if !present[uuid] {
			out = append(out, Device{Identity: inv.known[uuid], Lost: lostMissing})
		}
	}
	slices.SortStableFunc(out, func(a, b Device) int { return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.UUID, b.UUID)) })
	return out
}

// count adds one report. The device is its UUID where that is known from anywhere, else its PCI address.
func (inv *inventory) count(x XID, source string) {
	key := xidKey{device: x.UUID, code: x.Code, source: source}
	if key.device == "" {
		key.device = inv.uuidAt(x.PCI)
	}
	if key.device == "" {
		key.device = "pci:" + x.PCI
	}
	tally := inv.xids[key]
	tally.count++
	if x.Time.After(tally.last) {
		tally.last = x.Time
	}
	inv.xids[key] = tally
}

// adopt moves what was reported about an address to the GPU that turned out to be there.
func (inv *inventory) adopt(device, uuid string) {
	for key, tally := range inv.xids {
		if key.device != device {
			continue
		}
		delete(inv.xids, key)
		key.device = uuid
		tally.count += inv.xids[key].count
		if last := inv.xids[key].last; last.After(tally.last) {
			tally.last = last
		}
		inv.xids[key] = tally
	}
}

func (inv *inventory) uuidAt(pci string) string {
	if pci == "" {
		return ""
	}
	for uuid, id := range inv.known {
		if id.PCI == pci {
			return uuid
		}
	}
	return inv.hints[pci]
}

// counts lists every tally, and zeros for the precreated codes.
func (inv *inventory) counts() []XIDCount {
	tallies := maps.Clone(inv.xids)
	for uuid := range inv.known {
		for source := range inv.heard {
			for _, code := range PrecreatedXIDs() {
				key := xidKey{device: uuid, code: code, source: source}
				if _, ok := tallies[key]; !ok {
					tallies[key] = xidTally{}
				}
			}
		}
	}
	out := make([]XIDCount, 0, len(tallies))
	for key, tally := range tallies {
		out = append(out, XIDCount{GPU: inv.identity(key.device), Code: key.code, Source: key.source, Count: tally.count, Last: tally.last})
	}
	slices.SortFunc(out, func(a, b XIDCount) int {
		return cmp.Or(cmp.Compare(a.GPU.Index, b.GPU.Index), cmp.Compare(a.GPU.UUID, b.GPU.UUID), cmp.Compare(a.GPU.PCI, b.GPU.PCI),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Source, b.Source))
	})
	return out
}

// identity resolves the device of an xidKey with what is known by now.
func (inv *inventory) identity(device string) Identity {
	if id, ok := inv.known[device]; ok {
		return id
	}
	if pci, ok := strings.CutPrefix(device, "pci:"); ok {
		return Identity{Index: -1, PCI: pci}
	}
	id := Identity{Index: -1, UUID: device}
	for pci, uuid := range inv.hints {
		if uuid == device {
			id.PCI = pci
		}
	}
	return id
}
