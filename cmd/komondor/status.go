package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
)

func newStatus() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "status", Short: "Show the running node", Args: noArgs,
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
	acted, now := "blocked", s.Block.Live
	if s.Block.Mode == "observe" {
		acted, now = "observed", s.Block.Observed
	}
	rows := [][]string{
		{"version", s.Version},
		{"up", short(time.Since(s.Started))},
		{"federation", mode},
		{"safety", f.Safety},
		{"quorum", amount(f.Quorum, "organisation")},
		{"peers", strconv.Itoa(s.Peers)},
		{"role", role(s)},
		{"collects", collects(s.Collecting)},
		{"blocks by", fmt.Sprintf("%s; on evidence of others: %s", blocking, s.Block.Network)},
		{acted + " now", fmt.Sprintf("%d, %d new in the last hour; %s hit the never-block set", now, s.Block.LastHour, amount(s.Block.NeverHits, "proposal"))},
	}
	if s.Block.Flows > 0 {
		rows = append(rows, []string{"flows " + acted, strconv.Itoa(s.Block.Flows)})
	}
	if s.Block.Mode != "observe" && s.Block.Observed > 0 {
		rows = append(rows, []string{"observed", fmt.Sprintf("%d, which others' evidence asks for: komondor blocks", s.Block.Observed)})
	}
	if s.Block.Waiting > 0 {
		rows = append(rows, []string{"waiting", fmt.Sprintf("%d for a person: komondor blocks, approve, reject", s.Block.Waiting)})
	}
	rows = append(rows, []string{"responds by", units(s.Respond.Units)})
	if r := s.Respond; r.Waiting+r.Done+r.Failed > 0 {
		rows = append(rows, []string{"responses", fmt.Sprintf("%d done, %d failed, %d waiting for a person: komondor responses", r.Done, r.Failed, r.Waiting)})
	}
	if f.Warning != "" {
		rows = append(rows, []string{"WARNING", f.Warning})
	}
	if f.Unrenewed != "" {
		rows = append(rows, []string{"WARNING", "certificates are not renewed: " + f.Unrenewed})
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
			rows = append(rows, []string{src.Path, src.Format, src.State, count(src.Lines), count(src.Events), lastEvent(src), count(src.Malformed), count(src.Lost), note(src)})
		}
		fmt.Fprintln(w)
		if err := table(w, bold(w, "SOURCE")+"\tFORMAT\tSTATE\tREAD\tEVENTS\tLAST EVENT\tMALFORMED\tLOST\tNOTE", rows); err != nil {
			return err
		}
	}
	c := s.Counters
	fmt.Fprintln(w)
	rows = [][]string{
		{"events", fmt.Sprintf("%d (%d too old to count, %d with a clock ahead)", c.Events, c.EventsOld, c.EventsFuture)},
		{"reports", fmt.Sprintf("%d, sent in %s, %d acknowledged", c.Reports, amount(c.ReportMessages, "message"), c.Acknowledged)},
		{"lookups", fmt.Sprintf("%d, in %s", c.Lookups, amount(c.LookupMessages, "message"))},
		{"messages an event", perEvent(c)},
		{"collected", fmt.Sprintf("%s on %s, %d refused, %d turned away under load", amount(c.Collected, "report"), amount(c.KeysCollected, "key"), c.Refused, c.Shed)},
		{"alerts", fmt.Sprintf("%d with their updates, %d raised here, %d refused, %s", c.Alerts, c.AlertsRaised, c.AlertsInvalid, amount(c.AlertMessages, "message"))},
		{"blocks", fmt.Sprintf("%d, %d refused, %d withdrawn", c.Blocks, c.BlocksRefused, c.Withdrawn)},
		{"scenarios", fmt.Sprintf("%d under way, %s seen (%d given up); %s, %d told, %s reached", s.Scenarios.Open, amount(s.Scenarios.Bound, "step"), s.Scenarios.Evicted,
			amount(s.Scenarios.Assessments, "assessment"), s.Scenarios.Cooperative, amount(s.Scenarios.Reached, "objective"))},
		{"turned away", amount(c.Turned, "connection") + " of strangers"},
	}
	for _, trouble := range []struct {
		n    uint64
		what string
	}{
		{c.StoreFailures, "writes that the store did not take: is the disk full?"},
		{c.EventsUnarchived, "events judged and not archived while it did not"},
		{c.KeysEvicted, "keys of evidence given up, the least telling first: more sources than there is memory for"},
		{c.RelationsForgotten, "events or chains that others could still have joined given up, the oldest first: more comes at once than there is memory for"},
		{c.Missing, "consequences did not come: `komondor alerts`, and the log, say of what"},
		{c.WordsEvicted, "times what an organisation said on a key was given up, of the one that says most: others report more than there is memory for"},
	} {
		if trouble.n > 0 {
			rows = append(rows, []string{"TROUBLE", fmt.Sprintf("%d %s", trouble.n, trouble.what)})
		}
	}
	return table(w, bold(w, "COUNTED")+"\t", rows)
}

// note is what there is to say of a source: what it does not tell of, and its own notice.
func note(s control.Source) string {
	var all notes
	all.add(!s.SilentSince.IsZero(), "SILENT since %s: has it been stopped?", s.SilentSince.Local().Format(time.DateTime))
	all.add(s.ClockOffset != 0, "its clock is off by %s, and corrected", time.Duration(s.ClockOffset)*time.Second)
	all.add(s.Truncated > 0, "%d lines over 1 MiB were cut", s.Truncated)
	all = append(all, losses(s)...)
	if len(s.Examples) > 0 {
		all = append(all, s.Examples[0])
	}
	all.add(s.Notice != "", "%s", s.Notice)
	all.add(len(all) == 0 && s.Doubtful && s.Lines >= 1000 && s.Events == 0, "no evidence in any line: is it really %s?", s.Format)
	return strings.Join(all, "; ")
}

// losses is what a source that cannot wait, or that has bounds, does not tell of.
func losses(s control.Source) (all notes) {
	all.add(s.Dropped > 0, "%d events were dropped: more came than could be worked on", s.Dropped)
	all.add(s.Unread > 0, "%d packets are of a kind of link that is not read", s.Unread)
	all.add(s.Forgotten > 0, "%d connections or tries were forgotten early: no room (--packet-memory)", s.Forgotten)
	all.add(s.Withheld > 0, "%d refused connections were too many to tell of each", s.Withheld)
	all.add(s.Unscanned > 0, "%d KiB of payload were not looked into: no time", (s.Unscanned+1023)>>10)
	all.add(s.GivenUp > 0, "%d scans of payload were given up: is a YARA rule too slow?", s.GivenUp)
	return all
}

type notes []string

func (n *notes) add(wanted bool, format string, args ...any) {
	if wanted {
		*n = append(*n, fmt.Sprintf(format, args...))
	}
}

func lastEvent(s control.Source) string {
	if s.LastEvent.IsZero() {
		return "-"
	}
	return ago(s.LastEvent, time.Now())
}

// units lists units with their modes: "block observe, flow auto".
func units(modes map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(modes)) {
		all = append(all, name+" "+modes[name])
	}
	return strings.Join(all, ", ")
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
