package simulate

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/komondor/komondor/testnet/figure"
)

// Draw writes the results as SVG files into a directory: hops.svg, messages.svg,
// load.svg and coverage.svg.
func Draw(dir string, results []Result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	requests, hops := figure.Series{Name: "requests a lookup"}, figure.Series{Name: "hops"}
	first, each := figure.Series{Name: "first event of a key"}, figure.Series{Name: "an event"}
	var coverage, load []figure.Series
	for _, r := range results {
		n := float64(r.Nodes)
		point := func(s *figure.Series, y float64) { s.X, s.Y = append(s.X, n), append(s.Y, y) }
		point(&requests, r.Lookups.Mean)
		point(&hops, r.Lookups.Hops)
		point(&first, r.Lookups.Messages)
		point(&each, r.PerEvent)
		covered := figure.Series{Name: fmt.Sprint(r.Nodes, " nodes")}
		for _, c := range r.Casts {
			covered.X, covered.Y = append(covered.X, 100*c.Loss), append(covered.Y, 100*c.Coverage)
		}
		coverage = append(coverage, covered)
	}
	each.Name = fmt.Sprintf("an event, of %d", results[0].Events)
	for _, l := range results[len(results)-1].Loads {
		values := make([]float64, len(l.each))
		for i, x := range l.each {
			values[i] = float64(x)
		}
		load = append(load, figure.Ranked(l.Of, values))
	}
	for _, f := range []struct {
		name   string
		axes   figure.Axes
		series []figure.Series
	}{
		{"hops.svg", figure.Axes{Title: "Lookups", X: "nodes", Y: "requests, hops", LogX: true, FromZero: true}, []figure.Series{requests, hops}},
		{"messages.svg", figure.Axes{Title: "Messages per event", X: "nodes", Y: "messages", LogX: true, LogY: true}, []figure.Series{first, each}},
		{"load.svg", figure.Axes{Title: fmt.Sprintf("Load of %d nodes", results[len(results)-1].Nodes), X: "node, by rank", Y: "messages", LogX: true, LogY: true}, load},
		{"coverage.svg", figure.Axes{Title: "Coverage of a broadcast, before repair", X: "frames lost, %", Y: "nodes reached, %"}, coverage},
	} {
		drawn, err := figure.Lines(f.axes, f.series...)
		if err != nil {
			return fmt.Errorf("draw %s: %w", f.name, err)
		}
		if err := drawn.Save(filepath.Join(dir, f.name)); err != nil {
			return err
		}
	}
	return nil
}
