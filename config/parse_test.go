package config

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// canaries are in the files of testdata wherever a secret may stand, and in the environment. None may ever be printed.
var canaries = []string{"canary", "proxy-password", "proxy-user"}

// environment is what the files of testdata refer to.
func environment(name string) (string, bool) {
	value, ok := map[string]string{
		"API_KEY":       "canary-api-key",
		"TENANT":        "canary",
		"PASSWORD":      "canary-${API_KEY}",
		"PROXY_KEY":     "canary-proxy",
		"CLIENT_SECRET": "canary-client",
		"EMPTY":         "",
		"WITH_LINE_END": "canary\n",
	}[name]
	return value, ok
}

func parseFile(t *testing.T, path string) (*Config, error) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(filepath.Base(path), data, Options{LookupEnv: environment, Dir: "/etc/llm_prober"})
}

func filesOf(t testing.TB, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) == 0 {
		t.Fatalf("Glob(%q) = %v, %v", pattern, list, err)
	}
	return list
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update accepts it):\n%s", path, diff)
	}
}

func mustNotLeak(t *testing.T, what, text string) {
	t.Helper()
	for _, c := range canaries {
		if strings.Contains(text, c) {
			t.Errorf("%s shows the secret %q:\n%s", what, c, text)
		}
	}
}

// One bad file per rule; beside it what is said about it.
func TestBad(t *testing.T) {
	for _, path := range filesOf(t, "testdata/bad/*.yml") {
		name := strings.TrimSuffix(path, ".yml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			c, err := parseFile(t, path)
			if c != nil || err == nil {
				t.Fatalf("Parse(%s) = %v, %v; want nil and an error", path, c, err)
			}
			list, ok := errors.AsType[ErrorList](err)
			if !ok || len(list) == 0 {
				t.Fatalf("Parse(%s) gave a %T: %v; want an ErrorList", path, err, err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			checkPlaces(t, list, filepath.Base(path), data)
			mustNotLeak(t, "error", list.Error())
			golden(t, name+".err", list.Error()+"\n")
		})
	}
}

// checkPlaces holds what is true of every error: it has a place in the file, and an excerpt with its caret; the list is sorted, without doubles.
func checkPlaces(t *testing.T, list ErrorList, file string, data []byte) {
	t.Helper()
	lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + strings.Count(string(data), "\u0085") +
		strings.Count(string(data), "\u2028") + strings.Count(string(data), "\u2029") + 1
	for i, e := range list {
		if e.File != file || e.Line < 1 || e.Line > lines || e.Column < 1 || e.Message == "" {
			t.Errorf("error %d has no place: %#v", i, *e)
		}
		line, caret, ok := strings.Cut(e.Excerpt, "\n")
		if i >= maxShown {
			ok, caret = e.Excerpt == "", "^"
		}
		if !ok || strings.TrimLeft(caret, " ") != "^" || len(caret) > widest+1 || len([]rune(line)) > widest {
			t.Errorf("error %d has no caret, or a wide one: %q", i, e.Excerpt)
		}
		if i > 0 && (list[i-1].Line > e.Line || list[i-1].Line == e.Line && list[i-1].Column > e.Column) {
			t.Errorf("error %d is out of order: %v after %v", i, e, list[i-1])
		}
	}
	distinct := map[string]bool{}
	for _, e := range list {
		if distinct[e.Error()] {
			t.Errorf("twice: %v", e)
		}
		distinct[e.Error()] = true
	}
}

// No bad file is without its error, and none is left of a file that went.
func TestBadFilesArePaired(t *testing.T) {
	for _, path := range filesOf(t, "testdata/bad/*.err") {
		if _, err := os.Stat(strings.TrimSuffix(path, ".err") + ".yml"); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s has no file", path)
		}
	}
}

func TestGood(t *testing.T) {
	for _, path := range append(filesOf(t, "testdata/good/*.yml"), "llm_prober.example.yml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c, err := parseFile(t, path)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata/good", strings.TrimSuffix(filepath.Base(path), ".yml")+".loaded"), c.String())

			// What is shown, less its masks, is a configuration again: the same one, but for global's labels, which are the targets' by now.
			again, err := Parse("again", []byte(c.String()), Options{Dir: "/elsewhere"})
			if err != nil {
				t.Fatalf("Parse of what is shown: %v", err)
			}
			if diff := cmp.Diff(c.String(), again.String()); diff != "" {
				t.Errorf("what is shown is another configuration (-shown +read again):\n%s", diff)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "prober.yml")
	file, err := os.ReadFile("testdata/good/complete.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"API_KEY", "TENANT", "PASSWORD", "PROXY_KEY", "CLIENT_SECRET"} {
		value, _ := environment(name)
		t.Setenv(name, value)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Targets[2].HTTP.Authorization.CredentialsFile, filepath.Join(dir, "secrets/key"); got != want {
		t.Errorf("credentials_file = %q; want %q", got, want)
	}
	if got, want := string(c.Targets[0].Headers["Tenant"]), "tenant-canary-a"; got != want {
		t.Errorf("header Tenant = %q; want %q", got, want)
	}
	// What a variable holds is not searched for variables.
	if got, want := string(c.Targets[0].HTTP.BasicAuth.Password), "canary-${API_KEY}"; got != want {
		t.Errorf("password = %q; want %q", got, want)
	}

	if err := os.WriteFile(path, []byte("probes: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Load(path); err == nil || !strings.HasPrefix(err.Error(), path+":2:1: ") && !strings.HasPrefix(err.Error(), path+":1:") {
		t.Errorf("Load of half a file = %v; want an error with its place", err)
	}
	if _, err = Load(filepath.Join(dir, "none.yml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of no file = %v; want %v", err, fs.ErrNotExist)
	}
}

func TestNoEnvironment(t *testing.T) {
	data, err := os.ReadFile("testdata/good/anchors.yml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse("f", data, Options{})
	list, _ := errors.AsType[ErrorList](err)
	if len(list) != 1 || !strings.Contains(list[0].Message, "API_KEY is not set") {
		t.Errorf("Parse without environment = %v; want one error about API_KEY, though three aliases lead to it", err)
	}
}

func TestErrorListIsSortedAndUnwraps(t *testing.T) {
	_, err := parseFile(t, "testdata/bad/all_at_once.yml")
	first, ok := errors.AsType[*Error](err)
	if !ok || first.Line != 1 {
		t.Errorf("errors.AsType[*Error] = %v, %v; want the first fault", first, ok)
	}
	list, _ := errors.AsType[ErrorList](err)
	if !slices.IsSortedFunc(list, func(a, b *Error) int { return a.Line - b.Line }) {
		t.Errorf("not in the order of the file: %v", err)
	}
}

// A reload may poll: reading the example again is cheap.
func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile("llm_prober.example.yml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Parse("f", data, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
