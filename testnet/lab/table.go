package lab

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Table prints the outcomes for people.
func Table(w io.Writer, outcomes []Outcome) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\tCONNECTIONS\t\t\tREPORT\t\tLINE AFTER\tALERT\tIN KERNEL SETS\tPACKETS\t")
	fmt.Fprintln(t, "PATTERN\tMADE\tSTOPPED\tEVENTS\tMESSAGES\tLOOKUPS\tFIRST CONN.\tAFTER LINE\tMIN / MEDIAN / MAX\tSTOPPED\tRESULT")
	for _, o := range outcomes {
		detected, alerted, blocked := "-", "-", "-"
		if o.Alerts > 0 {
			detected, alerted = short(o.Detected), short(o.Alerted)
		}
		if n := len(o.Blocked); n > 0 {
			blocked = short(o.Blocked[0]) + " / " + short(o.Blocked[n/2]) + " / " + short(o.Blocked[n-1])
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%d\t%s\n", o.Pattern, o.Connections, o.Stopped, o.Events, o.Messages,
			o.Lookups, detected, alerted, blocked, o.Packets, o.Result)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nLINE: the log line with which the evidence of all participants together crosses the threshold. PACKETS: counted by the participants' kernels.")
	for _, o := range outcomes {
		fmt.Fprintf(w, "%s: %s\n", o.Pattern, o.About)
	}
	for _, o := range outcomes {
		if len(o.Failures) > 0 {
			if _, err := fmt.Fprintf(w, "FAILED %s: %s\n", o.Pattern, strings.Join(o.Failures, "; ")); err != nil {
				return err
			}
		}
	}
	return nil
}

func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// Row is what status shows of a participant.
type Row struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Observation
}

// PrintStatus prints the participants for people.
func PrintStatus(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tADDRESS\tPEERS\tLOG LINES\tEVENTS\tREPORTS\tCOLLECTED\tALERTS\tBLOCKED NOW\tPACKETS STOPPED")
	for _, r := range rows {
		var lines, packets uint64
		for _, s := range r.Status.Sources {
			lines += s.Lines
		}
		var blocked []string
		for _, b := range r.Blocks {
			packets += b.Packets
			blocked = append(blocked, b.Prefix.Addr().String())
		}
		if len(blocked) == 0 {
			blocked = []string{"-"}
		}
		c := r.Status.Counters
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%d\n", r.Name, r.Address, r.Status.Peers, lines, c.Events,
			c.Reports, c.Collected, len(r.Alerts), strings.Join(blocked, " "), packets)
	}
	return t.Flush()
}

// Status asks every participant.
func Status(ctx context.Context, l Lab, nodes []string) ([]Row, error) {
	seen, err := observeAll(ctx, l, nodes)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for i, o := range seen {
		a, err := Address(nodes[i])
		if err != nil {
			return nil, err
		}
		rows = append(rows, Row{nodes[i], a.String(), o})
	}
	return rows, nil
}
