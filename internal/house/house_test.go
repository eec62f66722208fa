package house

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// rule is one promise about the tree: what breaks it, and how to mend that.
type rule struct {
	name  string
	check func(*tree) []string // one line for each breach, beginning with where it is
	cure  string
}

// rules are all of them; sleepers are the tests that may sleep.
func rules(sleepers map[string]string) []rule {
	return []rule{
		{"prober knows no metrics", proberKnowsNoMetrics,
			"hand a prober.Result to a prober.Sink and count it in collector; of ours, prober/... may import prober/... and config"},
		{"prober/wire stands alone", standsAlone("prober/wire"),
			"prober/wire turns bytes into events: let the caller bring the rest"},
		{"config stands alone", standsAlone("config"),
			"declare the type in config, or let the package that needs both read its part of the config"},
		{"collector is for cmd", importedBy("collector", "cmd"),
			"let cmd pass what is needed as an interface of the package that uses it"},
		{"simulator is for cmd, bench and tests", importedBy("internal/simulator", "cmd", "bench"),
			"move the code into a _test.go file: the product must not be able to tell the simulator from a server"},
		{"folders have no cycle", foldersHaveNoCycle,
			"move the shared type down to the folder that both may import"},
		{"folders are nouns", foldersAreNouns,
			"name the folder after what it holds"},
		{"main.go is short", mainIsShort(60),
			"main.go turns flags into run(ctx, args, stdout, stderr): move the rest beside it, one file per command"},
		{"no init", noInit,
			"make it a function that the caller calls"},
		{"packages are documented", packagesAreDocumented,
			"say in doc.go, or in the file named as the package, what the package guarantees"},
		{"exported names are documented", exportedIsDocumented,
			"say what the caller may rely on: units, ranges, what zero and nil mean"},
		{"tests do not sleep", testsDoNotSleep(sleepers),
			"use testing/synctest, a channel or a count; what must be real time is listed, with its reason, in internal/house/goroutines_test.go"},
		{"goroutines are counted", goroutinesAreCounted,
			"func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }"},
		{"the text speaks of the product", textSpeaksOfTheProduct,
			"say it of the product, or leave it out; cite a specification, an issue or a measurement itself"},
		{"links lead somewhere", linksLeadSomewhere,
			"mend the path, which is relative to the document"},
	}
}

func TestHouse(t *testing.T) {
	house, err := load(os.DirFS(root(t)))
	if err != nil {
		t.Fatal(err)
	}
	if len(house.packages) < 5 {
		t.Fatalf("%d packages in the tree: the rules look at the wrong one", len(house.packages))
	}
	for _, r := range rules(sleepers()) {
		t.Run(r.name, func(t *testing.T) {
			if found := r.check(house); len(found) > 0 {
				t.Errorf("\n%s\ncure: %s", strings.Join(found, "\n"), r.cure)
			}
		})
	}
}

// root is the folder of go.mod.
func root(t *testing.T) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above this package")
		}
	}
}

// TestRules breaks each rule in a small tree, beside what keeps it.
func TestRules(t *testing.T) {
	const doc = "// Package p is.\npackage p\n"
	importing := func(paths ...string) string {
		return "package p\nimport (\n_ \"" + strings.Join(paths, "\"\n_ \"") + "\"\n)\n"
	}
	for _, tt := range []struct {
		rule string
		tree map[string]string
		want []string
	}{
		{"prober knows no metrics", map[string]string{
			"prober/p.go":           importing("m/prober/wire", "m/config", "time", "m/internal/web"),
			"prober/ramp/p.go":      importing("m/collector", "github.com/NVIDIA/go-nvml/pkg/nvml"),
			"prober/ramp/p_test.go": importing("m/collector"),
			"prober/transport/p.go": importing("github.com/prometheus/common/config", "github.com/prometheus/client_golang/prometheus"),
			"proberly/p.go":         importing("github.com/prometheus/common/config"),
			"tools/go.mod":          "module tools\n",
			"prober/wire/p.go":      importing("github.com/prometheus/common/config"),
		}, []string{
			"prober/p.go:6: prober imports m/internal/web",
			"prober/ramp/p.go:3: prober/ramp imports m/collector",
			"prober/ramp/p.go:4: prober/ramp imports github.com/NVIDIA/go-nvml/pkg/nvml",
			"prober/transport/p.go:4: prober/transport imports github.com/prometheus/client_golang/prometheus",
			"prober/wire/p.go:3: prober/wire imports github.com/prometheus/common/config",
		}},
		{"prober/wire stands alone", map[string]string{
			"prober/wire/p.go":      importing("strings", "m/prober"),
			"prober/wire/p_test.go": importing("m/prober"),
		}, []string{"prober/wire/p.go:4: prober/wire imports m/prober"}},
		{"config stands alone", map[string]string{
			"config/p.go":            importing("github.com/prometheus/common/config", "github.com/prometheus/client_golang/prometheus", "m/prober"),
			"config/internal/x/p.go": importing("m/config", "m/collector"),
		}, []string{
			"config/p.go:4: config imports github.com/prometheus/client_golang/prometheus",
			"config/p.go:5: config imports m/prober",
			"config/internal/x/p.go:4: config/internal/x imports m/collector",
		}},
		{"collector is for cmd", map[string]string{
			"cmd/m/p.go":           importing("m/collector"),
			"collector/p.go":       importing("m/collector/gpu"),
			"internal/web/p.go":    importing("m/collector/gpu", "m/collectors"),
			"internal/web/_x/p.go": importing("m/collector"),
		}, []string{"internal/web/p.go:3: internal/web imports collector/gpu"}},
		{"simulator is for cmd, bench and tests", map[string]string{
			"bench/accuracy/p.go":      importing("m/internal/simulator"),
			"internal/web/p.go":        importing("m/internal/simulator"),
			"internal/web/p_test.go":   importing("m/internal/simulator"),
			"internal/web/gen.go":      "//go:build ignore\n\n" + importing("m/internal/simulator"),
			"prober/testdata/x/p.go":   importing("m/internal/simulator"),
			"internal/simulator/p.go":  importing("m/internal/simulator/gpu"),
			"internal/simulator2/p.go": importing("time"),
		}, []string{"internal/web/p.go:3: internal/web imports internal/simulator"}},
		{"folders have no cycle", map[string]string{
			"cmd/m/p.go":           importing("m/a", "m/internal/b"),
			"a/p.go":               importing("m/internal/b/deep"),
			"internal/b/deep/p.go": importing("m/c"),
			"internal/b/p.go":      importing("time"),
			"c/p.go":               importing("m/a/sub"),
			"a/sub/p.go":           importing("time"),
		}, []string{"a -> internal/b (a/p.go:3), internal/b -> c (internal/b/deep/p.go:3), c -> a (c/p.go:3)"}},
		{"folders are nouns", map[string]string{
			"internal/util/p.go": doc, "pkg/a/p.go": doc, "a/p.go": "package helpers\n", "commons/p.go": doc,
		}, []string{
			"a: a package or folder called helpers",
			"internal/util: a package or folder called util",
			"pkg/a: a package or folder called pkg",
		}},
		{"main.go is short", map[string]string{
			"cmd/a/main.go": "package main\n" + strings.Repeat("\n", 59),
			"cmd/b/main.go": "package main\n" + strings.Repeat("\n", 60),
			"cmd/c/run.go":  "package main\n",
		}, []string{"cmd/b/main.go: 61 lines", "cmd/c: no main.go"}},
		{"no init", map[string]string{
			"a/p.go": "package p\n\nfunc init() {}\n\nfunc (t T) init() {}\n",
		}, []string{"a/p.go:3: func init"}},
		{"packages are documented", map[string]string{
			"good/p.go":      doc,
			"good/q.go":      "//go:build linux\n\n// A licence.\n\npackage p\n",
			"none/p.go":      "package p\n",
			"twice/p.go":     doc,
			"twice/q.go":     doc,
			"form/p.go":      "// package p is.\npackage p\n",
			"cmd/x/a.go":     "// Command x probes.\npackage main\n",
			"cmd/y/a.go":     "// Flags.\npackage main\n",
			"t/only_test.go": "package t\n",
		}, []string{
			`cmd/y/a.go: the package comment does not begin with "Command y "`,
			`form/p.go: the package comment does not begin with "Package p "`,
			"none: no package comment",
			"twice: 2 package comments: twice/p.go, twice/q.go",
		}},
		{"exported names are documented", map[string]string{
			"a/p.go": `package p

func F() {}

// G is.
func G() {}

type T[K any] struct{}

func (t *T[K]) M() {}
func (t *T[K]) String() string { return "" }
func (t t) M() {}

const (
	A = 1 // one
	B = 2
	b = 3
)

// The group.
var (
	C = 1
	D = 2
)
`,
			"cmd/x/main.go": "package main\nfunc F() {}\n",
		}, []string{
			"a/p.go:3: p.F has no comment",
			"a/p.go:8: p.T has no comment",
			"a/p.go:10: p.T.M has no comment",
			"a/p.go:16: p.B has no comment",
		}},
		{"tests do not sleep", map[string]string{
			"a/p.go": "package p\nfunc f() { time.Sleep(1) }\n",
			"a/p_test.go": `package p
func TestA(t *testing.T) { time.Sleep(1) }
func TestB(t *testing.T) { synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }
func TestC(t *testing.T) { synctest.Test(t, testC) }
func testC(t *testing.T) { time.Sleep(1) }
func TestD(t *testing.T) {
	<-time.After(1)
	select { case <-time.After(1): }
}
func TestE(t *testing.T) { time.Sleep(1) }
`,
		}, []string{
			"a/p_test.go:2: TestA sleeps",
			"a/p_test.go:7: TestD sleeps",
			"a/p_test.go TestF: is listed as one that may sleep, and does not",
		}},
		{"goroutines are counted", map[string]string{
			"a/p.go":      "package p\nfunc f() {\n\tgo g()\n}\n",
			"b/p.go":      "package p\nfunc f() { wg.Go(g) }\n",
			"b/p_test.go": importing("testing"),
			"c/p.go":      "package p\nfunc f() { go g() }\n",
			"c/p_test.go": importing("go.uber.org/goleak"),
			"d/p.go":      "package p\nfunc Go() { Go() }\n",
		}, []string{
			"a/p.go:3: a starts goroutines here, and no test of it uses goleak",
			"b/p.go:2: b starts goroutines here, and no test of it uses goleak",
		}},
		{"the text speaks of the product", map[string]string{
			"a/p.go":        "package p\n\n// See /wo" + "rk/main.\n",
			"docs/a.md":     "A TLS session, context.TO" + "DO() and a helper.\nAs done in this ses" + "sion.\n",
			"Makefile":      "export GO" + "PROXY=https://proxy.golang" + ".org\n",
			"tools/x.sh":    "# TO" + "DO: more\n",
			"bin/x.sh":      "# TO" + "DO: more\n",
			"docs/logo.png": "\x00 TO" + "DO",
		}, []string{
			"Makefile:1: a registry's address: \"proxy.golang" + ".org\"",
			"a/p.go:3: a path of one machine: \"/wo" + "rk/\"",
			"docs/a.md:2: talk about the work on it: \"this ses" + "sion\"",
			"tools/x.sh:1: something left to be done: \"TO" + "DO\"",
		}},
		{"links lead somewhere", map[string]string{
			"README.md":     "[a](docs/a.md#part) [b](docs) [c](https://example.com/x) [d](#here) [e](docs/b.md)\n",
			"docs/a.md":     "[up](../README.md) [root](..) ![img](logo.svg)\n```\n[x](nowhere)\n```\n[no](README.md)\n",
			"docs/logo.svg": "<svg/>",
		}, []string{"README.md:1: docs/b.md", "docs/a.md:5: README.md"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			fsys := fstest.MapFS{"go.mod": {Data: []byte("module m\n")}}
			for path, content := range tt.tree {
				fsys[path] = &fstest.MapFile{Data: []byte(content)}
			}
			bad, err := load(fsys)
			if err != nil {
				t.Fatal(err)
			}
			// TestE and TestF are of the tree of "tests do not sleep".
			for _, r := range rules(map[string]string{"a/p_test.go TestE": "the real clock", "a/p_test.go TestF": "was deleted"}) {
				if r.name == tt.rule {
					if diff := cmp.Diff(tt.want, r.check(bad)); diff != "" {
						t.Errorf("check(tree) = got; want (-want +got):\n%s", diff)
					}
					return
				}
			}
			t.Fatalf("no rule %q", tt.rule)
		})
	}
}
