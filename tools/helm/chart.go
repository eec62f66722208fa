// Command helm writes the manifests that the chart makes of a file of values, as `helm template` does.
//
//	go -C tools/helm run . CHART VALUES.yaml [NAME [NAMESPACE]]
package main

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

func main() {
	if len(os.Args) < 3 || len(os.Args) > 5 {
		fmt.Fprintln(os.Stderr, "usage: helm CHART VALUES.yaml [NAME [NAMESPACE]]")
		os.Exit(2)
	}
	args := append(slices.Clone(os.Args[1:]), "", "")
	if err := run(args[0], args[1], cmp.Or(args[2], "llm-prober"), cmp.Or(args[3], "llm-prober")); err != nil {
		fmt.Fprintf(os.Stderr, "helm: %v\n", err)
		os.Exit(1)
	}
}

func run(dir, valuesFile, name, namespace string) error {
	c, err := loader.Load(dir)
	if err != nil {
		return err
	}
	values, err := chartutil.ReadValuesFile(valuesFile)
	if err != nil {
		return err
	}
	files, err := render(c, values, name, namespace)
	if err != nil {
		return err
	}
	for _, f := range files {
		for _, document := range f.documents {
			fmt.Printf("---\n# Source: %s\n%s\n", f.name, document)
		}
	}
	return nil
}

// rendered is what one template made.
type rendered struct {
	name      string // of the template's file
	documents []string
}

// texts are what all templates make as an installation would, by their file; the schema of the values is checked.
func texts(c *chart.Chart, values chartutil.Values, name, namespace string) (map[string]string, error) {
	release := chartutil.ReleaseOptions{Name: name, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(c, values, release, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.Render(c, all)
}

// render makes the manifests.
func render(c *chart.Chart, values chartutil.Values, name, namespace string) ([]rendered, error) {
	texts, err := texts(c, values, name, namespace)
	if err != nil {
		return nil, err
	}
	var files []rendered
	for file, text := range texts {
		if path.Ext(file) != ".yaml" {
			continue
		}
		f := rendered{name: path.Base(file)}
		for document := range strings.SplitSeq("\n"+text, "\n---\n") {
			if document = strings.TrimSpace(document); document != "" {
				f.documents = append(f.documents, document)
			}
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b rendered) int { return strings.Compare(a.name, b.name) })
	return files, nil
}
