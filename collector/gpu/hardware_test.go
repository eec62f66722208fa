package gpu

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree writes files (and links, marked by a leading "->") below a new root.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(content) > 2 && content[:2] == "->" {
			err = os.Symlink(content[2:], path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestDetectHardware(t *testing.T) {
	const pci = "sys/bus/pci/devices/"
	bus := map[string]string{
		pci + "0000:00:02.0/vendor": "0x8086\n", pci + "0000:00:02.0/class": "0x030000\n", // another maker's
		pci + "0000:01:00.0/vendor": "0x10de\n", pci + "0000:01:00.0/class": "0x030000\n",
		pci + "0000:01:00.1/vendor": "0x10de\n", pci + "0000:01:00.1/class": "0x040300\n", // its sound
		pci + "0000:3b:00.0/vendor": "0x10de\n", pci + "0000:3b:00.0/class": "0x030200\n", pci + "0000:3b:00.0/driver": "->../../drivers/nvidia",
		pci + "0000:44:00.0/vendor": "0x10de\n", pci + "0000:44:00.0/class": "0x030200\n", pci + "0000:44:00.0/driver": "->../../drivers/vfio-pci",
		pci + "0000:50:00.0/vendor": "0x10de\n", pci + "0000:50:00.0/class": "0x068000\n", // NVSwitch
	}
	for name, c := range map[string]struct {
		files   map[string]string
		visible string
		want    hardware
	}{
		"nothing":           {nil, "", hardware{}},
		"two":               {bus, "", hardware{Present: true, PCI: 2}},
		"all in container":  {bus, "all", hardware{Present: true, PCI: 2}},
		"some in container": {bus, "GPU-1", hardware{Present: true, PCI: 2, Partial: true}},
		"driver, no PCI":    {map[string]string{"dev/nvidiactl": ""}, "", hardware{Present: true}},
		"driver's proc":     {map[string]string{"proc/driver/nvidia/version": ""}, "", hardware{Present: true}},
		"WSL":               {map[string]string{"dev/dxg": ""}, "", hardware{Present: true}},
		"other makers only": {map[string]string{pci + "0000:00:02.0/vendor": "0x1002\n", pci + "0000:00:02.0/class": "0x030000\n"}, "", hardware{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, detectHardware(tree(t, c.files), c.visible)); diff != "" {
				t.Errorf("detectHardware (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDriverUUID(t *testing.T) {
	root := tree(t, map[string]string{
		"proc/driver/nvidia/gpus/0000:3b:00.0/information": "Model: \t\t NVIDIA L4\nIRQ:   \t\t 100\nGPU UUID: \t GPU-5c5b8a3e-1111-4222-8333-444455556666\n",
		"proc/driver/nvidia/gpus/0000:44:00.0/information": "Model: \t\t NVIDIA L4\nGPU UUID: \t GPU-????????-????-????-????-????????????\n",
		"proc/driver/nvidia/gpus/0000:45:00.0/information": "Model: \t\t NVIDIA L4\n",
	})
	for pci, want := range map[string]string{
		"0000:3b:00.0": "GPU-5c5b8a3e-1111-4222-8333-444455556666", "0000:44:00.0": "", "0000:45:00.0": "", "0000:46:00.0": "",
	} {
		if got := driverUUID(root, pci); got != want {
			t.Errorf("driverUUID(%s) = %q; want %q", pci, got, want)
		}
	}
}

func TestNormalPCI(t *testing.T) {
	for in, want := range map[string]string{
		"00000000:3B:00.0": "0000:3b:00.0",
		"0000:3b:00":       "0000:3b:00.0",
		"0000:3b:00.1":     "0000:3b:00.1",
		"0:1b:0":           "0000:1b:00.0",
		"3b:00.0":          "0000:3b:00.0",
		"0002c1e3:00:00.0": "2c1e3:00:00.0",
		"0":                "",
		"":                 "",
		"::":               "",
		"0000:3b:xx":       "",
		"0000:3b:00.00":    "",
		"0000:3b:00:00":    "",
		"123456789:3b:00":  "",
	} {
		if got := normalPCI(in); got != want {
			t.Errorf("normalPCI(%q) = %q; want %q", in, got, want)
		}
	}
}
