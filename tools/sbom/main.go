// Command sbom writes a bill of materials of a Go program: CycloneDX 1.6, of what the linker itself wrote into the binary.
//
//	go -C tools run ./sbom BINARY > BINARY.cdx.json
//
// The same binary makes the same bytes: there is neither a time nor a random number in it.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
)

type document struct {
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		fmt.Fprintln(os.Stderr, "usage: sbom BINARY [VERSION]")
		os.Exit(2)
	}
	version := ""
	if len(os.Args) == 3 {
		version = os.Args[2]
	}
	if err := run(os.Stdout, os.Args[1], version); err != nil {
		fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

func run(w io.Writer, file, version string) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return err
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(binary)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(bill(info, filepath.Base(file), version, hex.EncodeToString(sum[:])))
}

// bill lists the program, the standard library and every module that was linked. version is the program's, where the
// linker does not know it.
func bill(info *debug.BuildInfo, name, version, sha256 string) document {
	if version == "" {
		version = info.Main.Version
	}
	main := component{
		Type: "application", Name: name, Version: version, PURL: purl(info.Main.Path, version),
		Hashes: []hash{{"SHA-256", sha256}},
	}
	main.Ref = main.PURL
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED", "-tags":
			main.Properties = append(main.Properties, property{"go:build:" + s.Key, s.Value})
		}
	}
	standard := component{Type: "library", Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}
	standard.PURL = purl("std", standard.Version)
	standard.Ref = standard.PURL

	d := document{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{main}, Components: []component{standard},
	}
	of := dependency{Ref: main.Ref, DependsOn: []string{standard.Ref}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := component{Type: "library", Name: m.Path, Version: m.Version, PURL: purl(m.Path, m.Version)}
		c.Ref = c.PURL
		// Go's own sum is of the module's tree, not of a file: no hash in the sense of CycloneDX.
		if encoded, ok := strings.CutPrefix(m.Sum, "h1:"); ok {
			if _, err := base64.StdEncoding.DecodeString(encoded); err == nil {
				c.Properties = []property{{"go:sum", m.Sum}}
			}
		}
		d.Components = append(d.Components, c)
		of.DependsOn = append(of.DependsOn, c.Ref)
	}
	d.Dependencies = []dependency{of}
	return d
}

// purl is a package URL: the name after the last slash, and each part escaped by itself.
func purl(module, version string) string {
	var parts []string
	for part := range strings.SplitSeq(path.Clean(module), "/") {
		parts = append(parts, url.PathEscape(part))
	}
	u := "pkg:golang/" + strings.Join(parts, "/")
	if version != "" {
		u += "@" + strings.ReplaceAll(url.QueryEscape(version), "%3A", ":")
	}
	return u
}
