package discovery

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*.json", "a.json", true}, {"*.json", ".json", false}, {"*.json", ".a.json", false}, {".*.json", ".a.json", true}, {".*", ".a.json", true},
		{"a*.json", "a.json", true}, {"a*a.json", "a.json", false}, {"a*a.json", "aa.json", true},
		{"a-*-b-*.yml", "a-1-b-2.yml", true}, {"a-*-b-*.yml", "a-b-2.yml", false}, {"a*b*b.yml", "ab.yml", false}, {"a*b*b.yml", "abb.yml", true},
		{"**.json", "a.json", true}, {"a?*.json", "ab.json", false}, {"a?*.json", "a?.json", true}, {"[a]*.json", "a.json", false}, {"*.json", "a.json.bak", false},
	} {
		if got := matches(c.pattern, c.name); got != c.want {
			t.Errorf("matches(%q, %q) = %t; want %t", c.pattern, c.name, got, c.want)
		}
	}
}

func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.json": "A", "b.json": "B", "b.yml": "C", ".hidden.json": "D", "b.json.bak": "E", "c-1.YAML": "F", "c-.yaml": "G", "[x].json": "H",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "d.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	// As Kubernetes mounts a ConfigMap.
	mounted := filepath.Join(dir, "mounted")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(mounted, "..2025"), 0o700), os.WriteFile(filepath.Join(mounted, "..2025", "k.json"), []byte("K"), 0o600),
		os.Symlink("..2025", filepath.Join(mounted, "..data")), os.Symlink("..data/k.json", filepath.Join(mounted, "k.json")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		patterns string
		want     []string
	}{
		{"a.json", []string{"a.json=A"}},
		{"*.json", []string{"[x].json=H", "a.json=A", "b.json=B"}},
		{"b*.json b.*.json *.yml b.json ./b.json", []string{"b.json=B", "b.yml=C yaml"}},
		{"c-*.YAML", []string{"c-1.YAML=F yaml"}},
		{"c-*.yaml", []string{"c-.yaml=G yaml"}},
		{"[x].json", []string{"[x].json=H"}},
		{".h*.json", []string{".hidden.json=D"}},
		{"mounted/*.json", []string{"mounted/k.json=K"}},
		{"gone.json gone-*.json gone/a.json gone/*.json", []string{}},
		{"d.json a.json", []string{"a.json=A", "d.json: not a regular file"}},
	} {
		t.Run(c.patterns, func(t *testing.T) {
			var f files
			for p := range strings.FieldsSeq(c.patterns) {
				f.patterns = append(f.patterns, dir+"/"+p)
			}
			docs, err := f.read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, d := range docs {
				line := strings.TrimPrefix(d.place, dir+"/") + "=" + string(d.data)
				if d.yaml {
					line += " yaml"
				}
				if d.err != nil {
					line = strings.TrimPrefix(d.place, dir+"/") + ": " + d.err.Error()
				}
				if !d.settle {
					line += ", and does not settle"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("in the folder of the process", func(t *testing.T) {
		t.Chdir(dir)
		docs, err := files{[]string{"a*.json", "b.json"}}.read(t.Context())
		if err != nil || len(docs) != 2 || docs[0].place != "a.json" || docs[1].place != "b.json" {
			t.Errorf("reads %v, %v; want a.json and b.json", docs, err)
		}
	})
}

func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	t.Run("a folder that is a file", func(t *testing.T) {
		write(t, dir+"/f.json", "[]")
		if docs, err := (files{[]string{dir + "/f.json/*.json"}}).read(t.Context()); err == nil {
			t.Errorf("reads %v; want an error", docs)
		}
	})
	t.Run("a pipe", func(t *testing.T) {
		if err := syscall.Mkfifo(dir+"/p.json", 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readFile(dir + "/p.json"); err == nil {
			t.Error("reads a pipe")
		}
	})
	t.Run("too large", func(t *testing.T) {
		f, err := os.Create(dir + "/large.json")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(maxDocument); err != nil {
			t.Fatal(err)
		}
		if data, err := readFile(f.Name()); err != nil || len(data) != maxDocument {
			t.Errorf("reads %d bytes, %v; want %d", len(data), err, maxDocument)
		}
		if err := f.Truncate(maxDocument + 1); err != nil {
			t.Fatal(err)
		}
		if _, err := readFile(f.Name()); err == nil {
			t.Errorf("reads more than %d bytes", maxDocument)
		}
	})
}
