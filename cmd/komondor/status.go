package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
)

func newStatus() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "status", Short: "Show the running node", Args: cobra.NoArgs,
		Long:    "Shows the running node: who it is, whom it knows, what it reads and what it has done.\nFails (exit code 3) while no node answers on the control socket.",
		Example: "  komondor status\n  komondor status --json --control /tmp/k/control.sock | jq .counters",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := at.client().Status(cmd.Context())
			if err != nil {
				return err
			}
			return p.value(cmd.OutOrStdout(), s, func(w io.Writer) error { return printStatus(w, s) })
		},
	}
	at.register(cmd)
	p.register(cmd)
	return cmd
}

func printStatus(w io.Writer, s control.Status) error {
	f := s.Federation
	mode := fmt.Sprintf("%s, organisation %s, certificate until %s, policy %d", f.Name, f.Organisation, f.Until.Local().Format(time.DateTime), f.Policy)
	if f.Open {
		mode = "none: OPEN lab overlay without certificates, anybody may speak"
	}
	blocking := s.Block.Mode
	if s.Block.Table != "" && s.Block.Mode == "nft" {
		blocking += ", table inet " + s.Block.Table
	}
	rows := [][]string{
		{"version", s.Version},
		{"up", short(time.Since(s.Started))},
		{"federation", mode},
		{"safety", f.Safety},
		{"quorum", fmt.Sprintf("%d organisations", f.Quorum)},
		{"peers", strconv.Itoa(s.Peers)},
		{"role", role(s)},
		{"collects", collects(s.Collecting)},
		{"blocks by", fmt.Sprintf("%s; on evidence of others: %s", blocking, s.Block.Network)},
		{"blocked now", fmt.Sprintf("%d, %d new in the last hour; %d proposals hit the never-block set", s.Block.Live, s.Block.LastHour, s.Block.NeverHits)},
	}
	if s.Block.Waiting > 0 {
		rows = append(rows, []string{"waiting", fmt.Sprintf("%d for a person: komondor blocks, approve, reject", s.Block.Waiting)})
	}
	if f.Warning != "" {
		rows = append(rows, []string{"WARNING", f.Warning})
	}
	if s.Block.Breaker {
		rows = append(rows, []string{"WARNING", "many proposals hit the never-block set: somebody has bad evidence, or bad intentions. What others' evidence asks for waits for a person"})
	}
	if s.Block.Warning != "" {
		rows = append(rows, []string{"WARNING", s.Block.Warning})
	}
	for _, a := range s.Node.Addresses {
		rows = append(rows, []string{"address", a})
	}
	if err := table(w, bold(w, "NODE")+"\t"+s.Node.ID, rows); err != nil {
		return err
	}
	if len(s.Sources) > 0 {
		rows = nil
		for _, src := range s.Sources {
			note := src.Notice
			if len(src.Examples) > 0 {
				note = src.Examples[0]
			}
			if src.Truncated > 0 {
				note = fmt.Sprintf("%d lines over 1 MiB were cut. %s", src.Truncated, note)
			}
			if src.Dropped > 0 {
				note = fmt.Sprintf("%d were dropped: more came than could be worked on. %s", src.Dropped, note)
			}
			if note == "" && src.Lines >= 1000 && src.Events == 0 {
				note = "no evidence in any line: is it really " + src.Format + "?"
			}
			rows = append(rows, []string{src.Path, src.Format, count(src.Lines), count(src.Events), count(src.Malformed), note})
		}
		fmt.Fprintln(w)
		if err := table(w, bold(w, "SOURCE")+"\tFORMAT\tLINES\tEVENTS\tMALFORMED\tNOTE", rows); err != nil {
			return err
		}
	}
	c := s.Counters
	fmt.Fprintln(w)
	rows = [][]string{
		{"events", fmt.Sprintf("%d (%d too old to count, %d with a clock ahead)", c.Events, c.EventsOld, c.EventsFuture)},
		{"reports", fmt.Sprintf("%d, sent in %d messages, %d acknowledged", c.Reports, c.ReportMessages, c.Acknowledged)},
		{"lookups", fmt.Sprintf("%d, in %d messages", c.Lookups, c.LookupMessages)},
		{"messages an event", perEvent(c)},
		{"collected", fmt.Sprintf("%d reports on %d keys, %d refused, %d turned away under load", c.Collected, c.KeysCollected, c.Refused, c.Shed)},
		{"alerts", fmt.Sprintf("%d with their updates, %d raised here, %d refused, %d messages", c.Alerts, c.AlertsRaised, c.AlertsInvalid, c.AlertMessages)},
		{"blocks", fmt.Sprintf("%d, %d refused, %d withdrawn", c.Blocks, c.BlocksRefused, c.Withdrawn)},
		{"turned away", fmt.Sprintf("%d connections of strangers", c.Turned)},
	}
	for _, trouble := range []struct {
		n    uint64
		what string
	}{
		{c.StoreFailures, "writes that the store did not take: is the disk full?"},
		{c.EventsUnarchived, "events judged and not archived while it did not"},
		{c.KeysEvicted, "keys of evidence given up, the least telling first: more sources than there is memory for"},
		{c.WordsEvicted, "times what an organisation said on a key was given up, of the one that says most: others report more than there is memory for"},
	} {
		if trouble.n > 0 {
			rows = append(rows, []string{"TROUBLE", fmt.Sprintf("%d %s", trouble.n, trouble.what)})
		}
	}
	return table(w, bold(w, "COUNTED")+"\t", rows)
}

func role(s control.Status) string {
	if s.Role == "leaf" {
		return fmt.Sprintf("leaf, full nodes that it hangs on: %d", s.Attached)
	}
	return fmt.Sprintf("full node, leaves that hang on it: %d", s.Attached)
}

func collects(c control.Collecting) string {
	switch {
	case c.Reason != "":
		return fmt.Sprintf("nothing since %s: %s", c.Since.Local().Format(time.TimeOnly), c.Reason)
	case !c.Now:
		return "nothing"
	case c.Capacity == "1":
		return "all keys that it is near to"
	}
	return fmt.Sprintf("%s of the keys that it is near to", c.Capacity)
}

func perEvent(c control.Counters) string {
	if c.Events == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", float64(c.ReportMessages+c.LookupMessages)/float64(c.Events))
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }
