package birthday

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/komondor/komondor/control"
)

// Row is one alert of the sequence of Figure 4(b).
type Row struct {
	Cell string // the host's name
	control.ScenarioAlert
}

// Sequence is the alerts that cells have raised, by the time of their detection. What they have heard of
// one another is left out: each alert stands there once, with who raised it.
func Sequence(ctx context.Context, cells []*Process) (rows []Row, err error) {
	for _, p := range cells {
		known, err := p.control.Scenarios(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Host.Name, err)
		}
		for _, a := range known.Alerts {
			if a.Type != control.ExternalAlert {
				rows = append(rows, Row{p.Host.Name, a})
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return a.Time.Compare(b.Time) })
	return rows, nil
}

// Print prints the sequence as a table, numbered as in the paper.
func Print(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\tTIME\tCELL\tALERT\tSAYS\tACTION")
	for i, r := range rows {
		fmt.Fprintf(t, "t%d\t%s\t%s\t%s\t%s\t%s\n", i+1, r.Time.Format("15:04:05.000"), r.Cell, r.Type, r.Says, r.Action)
	}
	return t.Flush()
}
