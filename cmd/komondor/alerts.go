package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
)

func newAlerts() *cobra.Command {
	var at place
	var p printer
	var follow bool
	cmd := &cobra.Command{
		Use: "alerts", Short: "List the alerts that the node knows, or follow new ones", Args: cobra.NoArgs,
		Long:    "Lists the alerts that the node knows, oldest first; --json prints one array.\nWith --follow it prints alerts as they come, with --json one a line, until interrupted.",
		Example: "  komondor alerts\n  komondor alerts --follow --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := cmd.OutOrStdout()
			if follow {
				return at.client().Follow(cmd.Context(), func(a control.Alert) error {
					return p.value(w, a, func(w io.Writer) error {
						_, err := fmt.Fprintf(w, "%s  %s  %s  %s  score %d from %d observations at %d sensors: %s\n",
							a.Raised.Local().Format(time.TimeOnly), scope(a), a.Rule, printable(a.Key.String()), a.Score, a.Count, len(a.Sensors), printable(a.Action))
						return err
					})
				})
			}
			alerts, err := at.client().Alerts(cmd.Context())
			if err != nil {
				return err
			}
			return p.value(w, alerts, func(w io.Writer) error { return printAlerts(w, alerts) })
		},
	}
	at.register(cmd)
	p.register(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "print alerts as they come")
	return cmd
}

// scope marks what others without certificates have said.
func scope(a control.Alert) string {
	if a.Open {
		return a.Scope + " (open)"
	}
	return a.Scope
}

func printAlerts(w io.Writer, alerts []control.Alert) error {
	if len(alerts) == 0 {
		_, err := fmt.Fprintln(w, "No alerts.")
		return err
	}
	var rows [][]string
	for _, a := range alerts {
		rows = append(rows, []string{a.Last.Local().Format(time.DateTime), a.Level, a.Rule, a.Key.String(), scope(a),
			strconv.Itoa(a.Score), strconv.FormatUint(a.Count, 10), strconv.Itoa(len(a.Sensors)), a.Action})
	}
	return table(w, bold(w, "LAST")+"\tLEVEL\tRULE\tKEY\tSCOPE\tSCORE\tCOUNT\tSENSORS\tACTION", rows)
}
