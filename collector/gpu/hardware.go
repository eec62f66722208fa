package gpu

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
)

// hardware is what the kernel says about NVIDIA GPUs, without any driver call.
type hardware struct {
	Present bool // there is a GPU, or a driver: it makes sense to start a worker
	PCI     int  // NVIDIA GPUs on the PCI bus that are not handed on to a virtual machine
	Partial bool // this container was given some GPUs only, so PCI says nothing about what it ought to see
}

// detectHardware looks below root, which is "/" but in tests. It reads some small files of sysfs.
func detectHardware(root, visibleDevices string) hardware {
	var h hardware
	devices := filepath.Join(root, "sys/bus/pci/devices")
	entries, _ := os.ReadDir(devices) // no PCI bus, no devices
	for _, e := range entries {
		dir := filepath.Join(devices, e.Name())
		if readWord(dir, "vendor") != "0x10de" {
			continue
		}
		// Class 0x0300 is a VGA controller and 0x0302 a 3D controller; a GPU's sound and USB functions have others.
		if class := readWord(dir, "class"); !strings.HasPrefix(class, "0x0300") && !strings.HasPrefix(class, "0x0302") {
			continue
		}
		if driver, err := os.Readlink(filepath.Join(dir, "driver")); err == nil && filepath.Base(driver) == "vfio-pci" {
			continue
		}
		h.PCI++
	}
	h.Present = h.PCI > 0
	// Integrated GPUs and WSL have no PCI device; a driver has these.
	for _, path := range []string{"dev/nvidiactl", "proc/driver/nvidia/version", "dev/dxg"} {
		if _, err := os.Stat(filepath.Join(root, path)); err == nil {
			h.Present = true
		}
	}
	h.Partial = visibleDevices != "" && visibleDevices != "all"
	return h
}

func readWord(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// driverUUID returns the UUID that the kernel driver gives the GPU at a PCI address; "" when it does not say. It is
// how an XID of the kernel log finds its GPU while NVML has never answered.
func driverUUID(root, pci string) string {
	f, err := os.Open(filepath.Join(root, "proc/driver/nvidia/gpus", pci, "information"))
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "GPU UUID:"); ok {
			uuid := strings.TrimSpace(value)
			if strings.HasPrefix(uuid, "GPU-") && !strings.Contains(uuid, "?") {
				return uuid
			}
		}
	}
	return ""
}

// normalPCI writes a PCI address as the kernel does: "0000:3b:00.0". NVML has "00000000:3B:00.0", the kernel log
// "0000:3b:00". It returns "" for what is no address.
func normalPCI(address string) string {
	address, function, _ := strings.Cut(strings.ToLower(strings.TrimSpace(address)), ".")
	if function == "" {
		function = "0"
	}
	parts := strings.Split(address, ":")
	if len(parts) == 2 {
		parts = append([]string{"0"}, parts...)
	}
	if len(parts) != 3 || !hexWord(parts[0], 8) || !hexWord(parts[1], 2) || !hexWord(parts[2], 2) || !hexWord(function, 1) {
		return ""
	}
	domain := strings.TrimLeft(parts[0], "0")
	return pad(domain, 4) + ":" + pad(parts[1], 2) + ":" + pad(parts[2], 2) + "." + function
}

func pad(s string, width int) string { return strings.Repeat("0", max(0, width-len(s))) + s }

// hexWord reports whether s is 1 to most lower-case hexadecimal digits.
func hexWord(s string, most int) bool {
	return s != "" && len(s) <= most && strings.Trim(s, "0123456789abcdef") == ""
}
