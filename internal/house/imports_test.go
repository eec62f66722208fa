package house

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// proberKnowsNoMetrics: a prober measures and hands its results to a Sink; who counts them is not its business.
func proberKnowsNoMetrics(t *tree) (found []string) {
	for _, p := range t.packages {
		if !within(p.dir, "prober") {
			continue
		}
		for _, i := range t.imports(p) {
			switch {
			case p.dir == "prober/transport" && i.path == "github.com/prometheus/common/config":
			case within(i.path, "github.com/prometheus"), within(i.path, "github.com/NVIDIA"),
				i.ours != "" && !within(i.ours, "prober") && i.ours != "config":
				found = append(found, fmt.Sprintf("%s: %s imports %s", i.at, p.dir, i.path))
			}
		}
	}
	return found
}

// standsAlone: what lies in dir imports nothing of ours that lies elsewhere.
func standsAlone(dir string) func(*tree) []string {
	return func(t *tree) (found []string) {
		for _, p := range t.packages {
			if !within(p.dir, dir) {
				continue
			}
			for _, i := range t.imports(p) {
				if i.ours != "" && !within(i.ours, dir) || within(i.path, "github.com/prometheus/client_golang") {
					found = append(found, fmt.Sprintf("%s: %s imports %s", i.at, p.dir, i.path))
				}
			}
		}
		return found
	}
}

// importedBy: what lies in dir is imported by what lies in dir or in the folders of by, and by no other.
func importedBy(dir string, by ...string) func(*tree) []string {
	return func(t *tree) (found []string) {
		for _, p := range t.packages {
			if slices.ContainsFunc(append(by, dir), func(folder string) bool { return within(p.dir, folder) }) {
				continue
			}
			for _, i := range t.imports(p) {
				if within(i.ours, dir) {
					found = append(found, fmt.Sprintf("%s: %s imports %s", i.at, p.dir, i.ours))
				}
			}
		}
		return found
	}
}

// folder is the part of a package's path that the import rules speak of: prober, collector, internal/web.
func folder(dir string) string {
	parts := strings.Split(dir, "/")
	if parts[0] == "internal" && len(parts) > 1 {
		return path.Join(parts[:2]...)
	}
	return parts[0]
}

// foldersHaveNoCycle: Go forbids packages to import each other in a circle; so do we, of folders.
func foldersHaveNoCycle(t *tree) (found []string) {
	edges := map[string]map[string]string{} // from, to, the first import between them
	for _, p := range t.packages {
		for _, i := range t.imports(p) {
			from, to := folder(p.dir), folder(i.ours)
			if i.ours == "" || from == to {
				continue
			}
			if edges[from] == nil {
				edges[from] = map[string]string{}
			}
			if edges[from][to] == "" {
				edges[from][to] = i.at
			}
		}
	}
	done := map[string]bool{}
	var visit func(way []string)
	visit = func(way []string) {
		last := way[len(way)-1]
		if begin := slices.Index(way[:len(way)-1], last); begin >= 0 {
			var steps []string
			for n := begin; n < len(way)-1; n++ {
				steps = append(steps, fmt.Sprintf("%s -> %s (%s)", way[n], way[n+1], edges[way[n]][way[n+1]]))
			}
			found = append(found, strings.Join(steps, ", "))
			return
		}
		if done[last] {
			return
		}
		for _, next := range slices.Sorted(maps.Keys(edges[last])) {
			visit(append(slices.Clone(way), next))
		}
		done[last] = true
	}
	for _, from := range slices.Sorted(maps.Keys(edges)) {
		visit([]string{from})
	}
	return found
}
