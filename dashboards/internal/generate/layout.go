package main

//lint:file-ignore SA1019 Every Grafana loads classic dashboards; the new kind is for Grafana 13 alone.

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// gridWidth is Grafana's.
const gridWidth = 24

// row is a headline with panels under it.
type row struct {
	title     string
	repeat    string // a variable: the row is there once for each of its values
	collapsed bool
	panels    []panel
}

// place numbers the rows and panels, and places them: from left to right, and below the tallest of the line when it is full.
// A row without a title is panels alone.
func place(rows []row) ([]dashboard.PanelOrRowPanel, error) {
	var placed []dashboard.PanelOrRowPanel
	id, y := uint32(0), uint32(0)
	next := func() uint32 { id++; return id }
	for _, r := range rows {
		var head *dashboard.RowPanel
		if r.title != "" {
			head = dashboard.NewRowPanel()
			head.Id, head.Title, head.Collapsed = next(), &r.title, r.collapsed
			head.GridPos = &dashboard.GridPos{H: 1, W: gridWidth, Y: y}
			if r.repeat != "" {
				head.Repeat = &r.repeat
			}
			placed = append(placed, dashboard.PanelOrRowPanel{RowPanel: head})
			y++
		}
		x, tallest, top := uint32(0), uint32(0), y
		for _, p := range r.panels {
			if p.width == 0 || p.width > gridWidth || p.height == 0 {
				return nil, fmt.Errorf("panel %q: %d wide and %d tall", p.title, p.width, p.height)
			}
			if x+p.width > gridWidth {
				x, top, tallest = 0, top+tallest, 0
			}
			built, err := p.build(next(), dashboard.GridPos{H: p.height, W: p.width, X: x, Y: top})
			if err != nil {
				return nil, err
			}
			x, tallest = x+p.width, max(tallest, p.height)
			if r.collapsed {
				head.Panels = append(head.Panels, built)
			} else {
				placed = append(placed, dashboard.PanelOrRowPanel{Panel: &built})
			}
		}
		if !r.collapsed {
			y = top + tallest
		}
	}
	return placed, nil
}
