package main

import (
	"errors"
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
		Use: "alerts", Short: "List the alerts that the node knows, or follow new ones", Args: noArgs,
		Long:    "Lists the alerts that the node knows, oldest first; --json prints one array. An attack\nis one alert: it grows, is calm when ten minutes have brought nothing new, and ends\nwhen the rule's timespan has. ID are the first digits of the alert's id.\nWith --follow it prints alerts as they come, with --json one a line, until interrupted.",
		Example: "  komondor alerts\n  komondor alerts --follow --json\n  komondor alerts false 3f9a21 --reason 'our own scanner'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := cmd.OutOrStdout()
			if follow {
				return at.client().Follow(cmd.Context(), func(a control.Alert) error {
					return p.value(w, a, func(w io.Writer) error {
						_, err := fmt.Fprintf(w, "%s  %s  %s  %s  score %d from %s at %s: %s\n",
							a.Raised.Local().Format(time.TimeOnly), scope(a), a.Rule, printable(a.Key.String()), a.Score, amount(a.Count, "observation"), amount(len(a.Sensors), "sensor"), printable(action(a)))
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
	cmd.AddCommand(newAlertsFalse())
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
		rows = append(rows, []string{a.Last.Local().Format(time.DateTime), short8(a.ID), a.State, a.Level, a.Rule, a.Key.String(), scope(a),
			strconv.Itoa(a.Score), strconv.FormatUint(a.Count, 10), strconv.Itoa(len(a.Sensors)), strconv.Itoa(len(a.Offenders)), action(a)})
	}
	return table(w, bold(w, "LAST")+"\tID\tSTATE\tLEVEL\tRULE\tKEY\tSCOPE\tSCORE\tCOUNT\tSENSORS\tSOURCES\tACTION", rows)
}

// printReplayed prints alerts of a replay, which have no id, and of which nothing becomes.
func printReplayed(w io.Writer, alerts []control.Alert) error {
	if len(alerts) == 0 {
		_, err := fmt.Fprintln(w, "No alerts.")
		return err
	}
	var rows [][]string
	for _, a := range alerts {
		rows = append(rows, []string{a.Last.Local().Format(time.DateTime), a.Level, a.Rule, a.Key.String(), a.Scope,
			strconv.Itoa(a.Score), strconv.FormatUint(a.Count, 10), strconv.Itoa(len(a.Sensors)), strconv.Itoa(len(a.Offenders))})
	}
	return table(w, bold(w, "LAST")+"\tLEVEL\tRULE\tKEY\tSCOPE\tSCORE\tCOUNT\tSENSORS\tSOURCES", rows)
}

// short8 is how much of an id people need.
func short8(id string) string { return id[:min(len(id), 8)] }

// action is what was done, and who says that it is false.
func action(a control.Alert) string {
	text := a.Action
	for _, o := range a.Opinions {
		text += fmt.Sprintf(" [false, says %s: %s]", o.Organisation, o.Reason)
	}
	return text
}

func newAlertsFalse() *cobra.Command {
	var at place
	var p printer
	var reason string
	var withdraw bool
	cmd := &cobra.Command{
		Use: "false ID", Short: "Say that an alert is false, to all members, and lift its blocks here", Args: cobra.ExactArgs(1),
		Long: `Says to all members, signed by this node, that the alert is false, and why. Blocks that
stand on it end here at once, and nothing more is done about the attack until it has
ended; what others do is for them to say (komondor join --opinions). What a person has
blocked by hand stays. ID may be the beginning of the alert's id.
With --withdraw it is taken back, and what the evidence still says is done again.`,
		Example: "  komondor alerts false 3f9a21 --reason 'the monitoring host of our provider'\n  komondor alerts false 3f9a21 --withdraw",
		RunE: func(cmd *cobra.Command, args []string) error {
			if withdraw == (reason != "") {
				return usageError{errors.New("say either --reason TEXT or --withdraw")}
			}
			var a control.Alert
			var err error
			if withdraw {
				a, err = at.client().MarkTrue(cmd.Context(), args[0])
			} else {
				a, err = at.client().MarkFalse(cmd.Context(), args[0], reason)
			}
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			return p.value(w, a, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s  %s on %s: %s\n", short8(a.ID), a.Rule, printable(a.Key.String()), printable(a.Action))
				return err
			})
		},
	}
	at.register(cmd)
	p.register(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why it is false, for all members to read: a `text` of up to 200 bytes")
	cmd.Flags().BoolVar(&withdraw, "withdraw", false, "take back what was said")
	return cmd
}
