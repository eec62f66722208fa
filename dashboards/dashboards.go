// Package dashboards holds the Grafana dashboards of llm_prober, as they are imported or provisioned: JSON files, one for each
// dashboard, named by its uid.
//
//	Overview ──> Target ──> Objectives, Ramps, GPU and engine      by the links in tables, and by the menu at the top
//	Prober health: whether the numbers on the others can be trusted
//
// It guarantees that the files are what dashboards/internal/generate writes, from the same constants that name the metrics,
// and that they stand alone: they name no data source, only the variable datasource, and need no rules but where a panel says so.
package dashboards

import (
	"embed"
	"io/fs"
)

//go:generate go -C internal/generate run . -folder ../..

//go:embed *.json
var files embed.FS

// Files holds the dashboards, one JSON file each, in the top folder: uid.json. It is read-only.
func Files() fs.FS { return files }
