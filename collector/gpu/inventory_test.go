package gpu

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestInventoryCompletes(t *testing.T) {
	a, b, c := Identity{0, "a", "0000:10:00.0"}, Identity{1, "b", "0000:11:00.0"}, Identity{2, "c", "0000:12:00.0"}
	lost := func(id Identity, why string) Device { return Device{Identity: id, Lost: why} }
	inv := newInventory()
	for i, step := range []struct {
		name     string
		in, want []Device
	}{
		{"all there", []Device{{Identity: a}, {Identity: b}, {Identity: c}}, []Device{{Identity: a}, {Identity: b}, {Identity: c}}},
		{"one cannot say who it is", []Device{{Identity: a}, lost(Identity{Index: 1}, "gpu_is_lost"), {Identity: c}}, []Device{{Identity: a}, lost(b, "gpu_is_lost"), {Identity: c}}},
		{"one is no longer listed", []Device{{Identity: a}, {Identity: Identity{1, "c", c.PCI}}}, []Device{{Identity: a}, lost(b, lostMissing), {Identity: Identity{1, "c", c.PCI}}}},
		{"and is listed again", []Device{{Identity: a}, {Identity: b}, {Identity: c}}, []Device{{Identity: a}, {Identity: b}, {Identity: c}}},
		{"an address is not read", []Device{{Identity: Identity{0, "a", ""}}, {Identity: b}, {Identity: c}}, []Device{{Identity: a}, {Identity: b}, {Identity: c}}},
		{"one is there twice", []Device{{Identity: a}, {Identity: Identity{1, "a", a.PCI}}, {Identity: b}, {Identity: c}}, []Device{{Identity: a}, {Identity: b}, {Identity: c}}},
		{"a stranger is lost", []Device{{Identity: a}, {Identity: b}, {Identity: c}, lost(Identity{Index: 3}, "hung")}, []Device{{Identity: a}, {Identity: b}, {Identity: c}, lost(Identity{Index: 3}, "hung")}},
	} {
		if diff := cmp.Diff(step.want, inv.complete(step.in)); diff != "" {
			t.Errorf("step %d, %s (-want +got):\n%s", i, step.name, diff)
		}
	}
}

// TestInventoryInvariants has snapshots in any order: no GPU is forgotten, and no two have the same labels.
func TestInventoryInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := newInventory()
		seen := map[string]bool{}
		reports := uint64(0)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			var devices []Device
			for range rapid.IntRange(0, 5).Draw(t, "devices") {
				id := Identity{Index: rapid.IntRange(0, 4).Draw(t, "index"), UUID: rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(t, "uuid"),
					PCI: rapid.SampledFrom([]string{"", "0000:10:00.0", "0000:11:00.0"}).Draw(t, "pci")}
				devices = append(devices, Device{Identity: id})
				if id.UUID != "" {
					seen[id.UUID] = true
				}
			}
			out := inv.complete(devices)
			labels, uuids := map[[2]any]bool{}, map[string]bool{}
			for _, d := range out {
				if key := [2]any{d.Index, d.UUID}; labels[key] {
					t.Fatalf("two devices with %v in %+v", key, out)
				} else {
					labels[key] = true
				}
				uuids[d.UUID] = true
			}
			for uuid := range seen {
				if !uuids[uuid] {
					t.Fatalf("%s is forgotten in %+v", uuid, out)
				}
			}
			inv.count(XID{UUID: rapid.SampledFrom([]string{"", "a", "z"}).Draw(t, "of"), PCI: "0000:10:00.0", Code: "79", Time: time.Unix(1, 0)}, sourceKmsg)
			reports++
			inv.heard[sourceKmsg] = true
			sum := uint64(0)
			series := map[[4]string]bool{}
			for _, c := range inv.counts() {
				sum += c.Count
				key := [4]string{c.GPU.gpuLabel(), c.GPU.UUID, c.Code, c.Source}
				if series[key] {
					t.Fatalf("two counters with %v", key)
				}
				series[key] = true
			}
			if sum != reports {
				t.Fatalf("%d reports are counted; want %d", sum, reports)
			}
		}
	})
}
