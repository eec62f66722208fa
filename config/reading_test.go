//go:build unix

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// oddities makes what may stand in the place of a file, and returns the paths by name.
func oddities(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	paths := map[string]string{"folder": dir, "pipe": filepath.Join(dir, "pipe"), "endless": "/dev/zero", "image": filepath.Join(dir, "image"), "none": filepath.Join(dir, "none")}
	if err := syscall.Mkfifo(paths["pipe"], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(paths["image"], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(paths["image"], 1<<30); err != nil { // of which no block is on the disk
		t.Fatal(err)
	}
	return paths
}

// Whatever stands in the place of a configuration: an answer at once, with the place and the cure, for little memory.
func TestLoadOfWhatIsNoConfiguration(t *testing.T) {
	paths := oddities(t)
	for name, want := range map[string]string{
		"folder":  "it is a folder; name the file in it",
		"pipe":    "it is a pipe that nobody writes to; name a file, which can be read again",
		"endless": "it is longer than 2 MiB, which no configuration is; name the right file, or put lists of targets into target_files",
		"image":   "it is longer than 2 MiB, which no configuration is; name the right file, or put lists of targets into target_files",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c, err := Load(paths[name])
			runtime.ReadMemStats(&after)
			if want := "load configuration: " + paths[name] + ": " + want; c != nil || err == nil || err.Error() != want {
				t.Errorf("Load(%s) = %v, %v; want the error %q", paths[name], c, err, want)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 16*maxSize {
				t.Errorf("Load(%s) took %d bytes of memory; want %d at most", paths[name], took, 16*maxSize)
			}
		})
	}
	if _, err := Load(paths["none"]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of nothing = %v; want %v", err, fs.ErrNotExist)
	}
}

// A pipe that is written to is a configuration, as in check-config <(make-config); one whose writer hangs is not waited for.
func TestLoadFromPipe(t *testing.T) {
	data, err := os.ReadFile("testdata/good/minimal.yml")
	if err != nil {
		t.Fatal(err)
	}
	written := func() (name string, w *os.File) {
		t.Helper()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("/dev/fd/%d", r.Fd()), w
	}
	name, _ := written()
	if got, err := readFile(name, maxSize, time.Millisecond); err == nil || !strings.HasSuffix(err.Error(), "its end has not come within 1ms; write it into a file first") {
		t.Errorf("while it is written to: readFile() = %q, %v; want that its end has not come", got, err)
	}
	name, w := written() // another one: how much of the first was read is a matter of the millisecond
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(name); err != nil {
		t.Errorf("Load(%s) = %v; want the configuration that was written", name, err)
	}
}

// Files that others read later, again and again, are held against being files at all.
func TestFilesThatCannotBeRead(t *testing.T) {
	paths := oddities(t)
	places := map[string]string{ // by what names the file
		"prompts":     "probes: {p: {prompts: {file: FILE}, max_output_tokens: 1, interval: 1s}}\ntargets: [TARGET}]",
		"credentials": "PROBES\ntargets: [TARGET, http: {authorization: {credentials_file: FILE}}}]",
		"authorities": "PROBES\ntargets: [TARGET, http: {tls_config: {ca_file: FILE}}}]",
		"header":      "PROBES\ntargets: [TARGET, http: {http_headers: {X-Key: {files: [FILE]}}}}]",
		"engine":      "PROBES\ntargets: [TARGET, engine: {metrics_url: 'http://127.0.0.1/metrics', http: {basic_auth: {username: u, password_file: FILE}}}}]",
		"list":        "PROBES\ntargets: [TARGET}]\nhttp_sd: [{url: 'http://127.0.0.1/list', http: {bearer_token_file: FILE}}]",
		"template":    "PROBES\ntargets: [TARGET}]\ntarget_files: [{files: [none.yml], template: {model: m, http: {bearer_token_file: FILE}}}]",
		"lane":        "PROBES\ntargets: [TARGET}]\nramps: [{name: r, target: t, mix: {p: 1}, lanes: [{stages: [{to: 1}], http: {bearer_token_file: FILE}}]}]",
	}
	says := map[string]string{
		"folder":  "the file cannot be used: it is a folder; name the file in it",
		"pipe":    "the file cannot be used: it is a pipe, which cannot be read again and again; name a file",
		"endless": "the file cannot be used: it is a device, which cannot be read again and again; name a file",
		"image":   "the file cannot be used: it has 1024 MiB, and a file of keys or certificates 1 MiB at most; name the right one",
		"none":    "", // it may be there when it is needed
	}
	for place, text := range places {
		for name, want := range says {
			t.Run(place+"/"+name, func(t *testing.T) {
				if place == "prompts" && (name == "image" || name == "none") {
					t.Skip("what is in it is read elsewhere, and it must be there")
				}
				text := strings.NewReplacer(
					"PROBES", "probes: {p: {prompt_tokens: 1, max_output_tokens: 1, interval: 1s}}",
					"TARGET", "{name: t, url: 'http://127.0.0.1/v1', model: m, probes: [p]", "FILE", paths[name],
				).Replace(text)
				file := filepath.Join(t.TempDir(), "prober.yml")
				if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				_, err := Load(file)
				list, _ := errors.AsType[ErrorList](err)
				switch {
				case want == "":
					if err != nil {
						t.Errorf("Load() = %v; want no error", err)
					}
				case len(list) != 1 || list[0].Message != want:
					t.Errorf("Load() = %v; want one error, %q", err, want)
				}
			})
		}
	}
}
