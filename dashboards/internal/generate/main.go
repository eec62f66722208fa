// Command generate writes the Grafana dashboards of llm_prober, from the same constants that name the metrics.
//
// It guarantees that a dashboard names no metric that the collectors do not have (that would not compile, and its tests
// look at the labels too), and that the same code makes the same bytes. It is a module of its own, so that the product
// knows nothing of Grafana.
//
//	names of metrics ──> expressions ──> panels ──> rows on a grid ──> boards ──> ../../*.json
//	(collector/...)      expr.go        panel.go    layout.go        board.go     and the file named as the board
//
// go generate ./dashboards runs it.
package main

//lint:file-ignore SA1019 Every Grafana loads classic dashboards; the new kind is for Grafana 13 alone.

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	folder := flag.String("folder", ".", "where to write the dashboards")
	flag.Parse()
	if err := run(*folder); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run writes all boards into folder.
func run(folder string) error {
	for _, b := range boards() {
		d, err := b.build()
		if err != nil {
			return fmt.Errorf("%s: %w", b.uid, err)
		}
		text, err := marshal(d)
		if err != nil {
			return fmt.Errorf("%s: %w", b.uid, err)
		}
		if err := os.WriteFile(filepath.Join(folder, b.uid+".json"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// boards lists every dashboard.
func boards() []board {
	return []board{overview(), target(), objectives(), ramps(), hardware(), health()}
}

// marshal is a dashboard as its file holds it: legible in a diff, & < > as they are.
func marshal(d dashboard.Dashboard) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
