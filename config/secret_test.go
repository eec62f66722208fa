package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	lookup := func(name string) (string, bool) {
		value, ok := map[string]string{"A": "a", "B_2": "${A}", "EMPTY": ""}[name]
		return value, ok
	}
	for _, tt := range []struct{ text, want, err string }{
		{text: "", want: ""},
		{text: "plain $ {A} $A", want: "plain $ {A} $A"},
		{text: "${A}", want: "a"},
		{text: "<${A}${A}>", want: "<aa>"},
		{text: "${B_2}", want: "${A}"}, // what is put in is not searched
		{text: "$${A}", want: "$a"},
		{text: "${C}", err: "environment variable C is not set"},
		{text: "${EMPTY}", err: "environment variable EMPTY is empty"},
		{text: "${}", err: `after "${"`},
		{text: "${A", err: `after "${"`},
		{text: "${2A}", err: `after "${"`},
		{text: "${A-b}", err: `after "${"`},
	} {
		got, err := expand(tt.text, lookup)
		if tt.err == "" && (err != nil || got != tt.want) {
			t.Errorf("expand(%q) = %q, %v; want %q", tt.text, got, err, tt.want)
		}
		if tt.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.err)) {
			t.Errorf("expand(%q) = %q, %v; want the error %q", tt.text, got, err, tt.err)
		}
	}
}

// However a configuration is printed, its secrets are not.
func TestPrintsHideSecrets(t *testing.T) {
	for _, path := range filesOf(t, "testdata/good/*.yml") {
		c, err := parseFile(t, path)
		if err != nil {
			t.Fatal(err)
		}
		values := []any{c, *c, c.Probes, c.Targets}
		for _, target := range c.Targets {
			values = append(values, target, *target, target.Headers, []Target{*target}, map[string]*Target{"a": target})
			for _, h := range target.Headers {
				values = append(values, h, &h)
			}
		}
		for _, f := range c.TargetFiles {
			values = append(values, f, *f, f.Template, &f.Template)
		}
		for _, h := range c.HTTPSD {
			values = append(values, h, *h, []HTTPSD{*h})
		}
		for _, r := range c.Ramps {
			values = append(values, r, *r, r.Lanes)
			for _, l := range r.Lanes {
				values = append(values, l, *l, []Lane{*l})
			}
		}
		if c.ProbeOnDemand != nil {
			values = append(values, c.ProbeOnDemand, *c.ProbeOnDemand)
		}
		for _, v := range values {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
				mustNotLeak(t, fmt.Sprintf("%T with %s", v, verb), fmt.Sprintf(verb, v))
			}
			asJSON, err := json.Marshal(v)
			if err != nil {
				t.Errorf("json.Marshal(%T): %v", v, err)
			}
			mustNotLeak(t, fmt.Sprintf("%T as JSON", v), string(asJSON))
			mustNotLeak(t, fmt.Sprintf("%T as YAML", v), encodeYAML(v))

			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
			mustNotLeak(t, fmt.Sprintf("%T in a log", v), log.String())
		}
	}
}

func TestSecretMarshals(t *testing.T) {
	s := Secret("canary")
	for what, got := range map[string]string{
		"%v": fmt.Sprintf("%v", s), "%s": fmt.Sprintf("%s", s), "YAML": strings.TrimSpace(encodeYAML(s)),
	} {
		if got != secretToken {
			t.Errorf("%s of a secret = %q; want %q", what, got, secretToken)
		}
	}
	if got, err := json.Marshal(map[string]Secret{"a": s, "b": ""}); string(got) != `{"a":"\u003csecret\u003e","b":""}` || err != nil {
		t.Errorf("json.Marshal = %s, %v", got, err)
	}
}

// No slip of the keyboard makes a fault show a secret: every place of a file with secrets is damaged in many ways.
func TestFaultsHideSecrets(t *testing.T) {
	file, err := os.ReadFile("testdata/good/secrets.yml")
	if err != nil {
		t.Fatal(err)
	}
	slips := []string{"", " ", "\n", "\t", ":", ": ", "- ", "'", `"`, "{", "}", "[", ",", "#", " # ", "&a ", "*", "!", "|", "${", "x", "<<: ", "? "}
	const step = 13 // step 1 finds no more, and takes a minute with the race detector
	faulty := 0
	for i := 0; i < len(file); i += step {
		for _, slip := range slips {
			damaged := slices.Concat(file[:i], []byte(slip), file[i:])
			if slip == "" {
				damaged = slices.Concat(file[:i], file[i+1:])
			}
			_, err := Parse("f", damaged, Options{})
			if err == nil {
				continue
			}
			faulty++
			for _, c := range canaries {
				if strings.Contains(err.Error(), c) {
					t.Fatalf("with %q at %d an error shows a secret:\n%v\n\nin\n%s", slip, i, err, damaged)
				}
			}
		}
	}
	if faulty < 1000/step {
		t.Errorf("only %d damaged files were faulty", faulty)
	}
}

// So does taking away any line, or what follows any place.
func TestFaultsOfTornFilesHideSecrets(t *testing.T) {
	for _, path := range filesOf(t, "testdata/good/*.yml") {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(file, []byte("\n"))
		var torn [][]byte
		for i := range lines {
			torn = append(torn, slices.Concat(slices.Concat(lines[:i]...), slices.Concat(lines[i+1:]...)))
		}
		for i := 0; i < len(file); i += 1 + len(file)/500 { // a long file need not be torn everywhere
			torn = append(torn, file[:i])
		}
		for _, data := range torn {
			if _, err := Parse(filepath.Base(path), data, Options{LookupEnv: environment}); err != nil {
				mustNotLeak(t, "an error", err.Error())
				if _, ok := errors.AsType[ErrorList](err); !ok {
					t.Errorf("%T: %v; want an ErrorList", err, err)
				}
			}
		}
	}
}
