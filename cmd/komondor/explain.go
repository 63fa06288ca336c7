package main

import (
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/node"
)

func newExplain() *cobra.Command {
	var at place
	var p printer
	var format string
	var read sensors
	cmd := &cobra.Command{
		Use: "explain LINE|ADDRESS|ALERT", Short: "Say what becomes of a log line, why an address is or isn't blocked, or what is known of an alert", Args: cobra.ExactArgs(1),
		Long: `For a log line: which parser reads it, which event it is, which keys its evidence
meets at and which rules count it. This needs no node, so the rules are the
built-in ones and the place is that in an open overlay; a federation has others.
For an address, or a prefix as ` + "`komondor blocks`" + ` shows it: what the running node knows
of it (of a prefix, its first address), how far that is from every threshold, and why it
is or isn't blocked, or waits for a person. A port behind it is left out.
For an alert, by its id or the first digits of it: how it grew, what rests on it, and
who says that it is false.`,
		Example: "  komondor explain 'Nov 22 03:15:12 host sshd[18754]: Invalid user admin from 203.0.113.10 port 39445'\n  komondor explain 203.0.113.10\n  komondor explain 3f9a21c0",
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			text := strings.TrimSpace(args[0])
			if addr, ok := addressOf(text); ok {
				x, err := at.client().Explain(cmd.Context(), addr)
				if err != nil {
					return err
				}
				return p.value(w, x, func(w io.Writer) error { return printAddress(w, x) })
			}
			if id := strings.ToLower(text); alertID.MatchString(id) {
				return explainAlert(cmd, at, p, id)
			}
			rules, err := read.loaded(0)
			if err != nil {
				return err
			}
			formats, err := read.formats(cmd)
			if err != nil {
				return err
			}
			x, err := node.ExplainLine(rules, formats, format, []byte(args[0]), time.Now())
			if err != nil && format == "auto" && word.MatchString(text) {
				return usageError{fmt.Errorf("%q is no address, no alert's id (six of its digits at least) and no log line; names of hosts are not looked up: say the address", text)}
			}
			if err != nil {
				return err
			}
			return p.value(w, x, func(w io.Writer) error { return printLine(w, x) })
		},
	}
	at.register(cmd)
	p.register(cmd)
	read.register(cmd)
	read.registerRules(cmd)
	cmd.Flags().StringVar(&format, "format", "auto", "the line's `format` (komondor formats)")
	return cmd
}

// addressOf is the address that text is, alone or with a port, or the first one of a prefix.
func addressOf(text string) (addr netip.Addr, ok bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr, true
	}
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Masked().Addr(), true
	}
	both, err := netip.ParseAddrPort(text)
	return both.Addr(), err == nil
}

func printLine(w io.Writer, x node.Line) error {
	fmt.Fprintf(w, "parser  %s\n", x.Format)
	fmt.Fprintf(w, "event   %s\n", printable(x.Why))
	for _, k := range x.Keys {
		fmt.Fprintf(w, "key     %s\n        at %s… today, in an open overlay\n", printable(k.Key.String()), k.Hash[:16])
		for _, r := range k.Rules {
			fmt.Fprintf(w, "  rule  %s: adds %s; needs %s at home, %s over the federation\n", r.Name, r.Adds, r.Home, r.Federation)
		}
	}
	for _, r := range x.Relations {
		fmt.Fprintf(w, "belongs %s, a %s: it can be %s\n", r.Name, r.Type, r.Stage)
	}
	return nil
}

func printAddress(w io.Writer, x control.Explanation) error {
	fmt.Fprintf(w, "%s  %s\n", bold(w, x.Address.String()), printable(x.Verdict))
	if x.Never != "" && !strings.Contains(x.Verdict, x.Never) {
		fmt.Fprintf(w, "never blocked: %s\n", x.Never)
	}
	if x.Waiting != nil {
		fmt.Fprintf(w, "decide: komondor approve %[1]s, or komondor reject %[1]s\n", x.Waiting.Prefix)
	}
	var rows [][]string
	add := func(who string, kinds []control.Evidence) {
		for _, e := range kinds {
			rows = append(rows, []string{who, string(e.Kind), count(e.Count), ago(e.First, time.Now()), ago(e.Last, time.Now())})
		}
	}
	add("this node", x.Own)
	for _, t := range x.Gathered {
		add(t.Organisation+", "+t.Member, t.Kinds)
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		if err := table(w, bold(w, "SEEN BY")+"\tKIND\tCOUNT\tFIRST\tLAST", rows); err != nil {
			return err
		}
	}
	rows = nil
	for _, s := range x.Rules {
		state := "below"
		if s.Crossed {
			state = "CROSSED"
		}
		if s.Elsewhere {
			rows = append(rows, []string{s.Rule, s.Scope, "not collected here", fmt.Sprintf("of %d", s.Quorum), ""})
			continue
		}
		score := fmt.Sprintf("%d of %d", s.Counted, s.Threshold)
		if s.Score > s.Counted && s.Counted < s.Threshold {
			score += fmt.Sprintf(" (%d seen)", s.Score)
		}
		rows = append(rows, []string{s.Rule, s.Scope, score, fmt.Sprintf("%d of %d", s.Organisations, s.Quorum), state})
	}
	fmt.Fprintln(w)
	if err := table(w, bold(w, "RULE")+"\tSCOPE\tSCORE\tORGANISATIONS\t", rows); err != nil {
		return err
	}
	if len(x.Alerts) > 0 {
		fmt.Fprintln(w)
		return printAlerts(w, x.Alerts)
	}
	return nil
}

// alertID is what an alert's id, or the beginning of one, looks like. No log line does; hardly any is one word.
var (
	alertID = regexp.MustCompile(`^[0-9a-f]{6,32}$`)
	word    = regexp.MustCompile(`^[\w.:/-]+$`)
)

func explainAlert(cmd *cobra.Command, at place, p printer, id string) error {
	alerts, err := at.client().Alerts(cmd.Context())
	if err != nil {
		return err
	}
	blocks, err := at.client().Blocks(cmd.Context())
	if err != nil {
		return err
	}
	alerts = slices.DeleteFunc(alerts, func(a control.Alert) bool {
		return !strings.HasPrefix(a.ID, id) && !strings.HasPrefix(a.Latest, id)
	})
	if len(alerts) == 0 {
		return fmt.Errorf("there is no alert %q; `komondor alerts` lists them", id)
	}
	return p.value(cmd.OutOrStdout(), alerts, func(w io.Writer) error {
		for _, a := range alerts {
			printAlert(w, a, blocks, time.Now())
		}
		return nil
	})
}

func printAlert(w io.Writer, a control.Alert, blocks []control.Block, now time.Time) {
	fmt.Fprintf(w, "%s  %s on %s: %s, %s\n", bold(w, a.ID), a.Rule, printable(a.Key.String()), a.Level, a.State)
	fmt.Fprintf(w, "seen    from %s to %s, %s\n", ago(a.First, now), ago(a.Last, now), amount(a.Updates, "update"))
	fmt.Fprintf(w, "says    score %d from %s at %s, %s\n", a.Score, amount(a.Count, "observation"), amount(len(a.Sensors), "sensor"), scope(a))
	if a.Targets > 0 {
		fmt.Fprintf(w, "targets %d\n", a.Targets)
	}
	for _, o := range a.Offenders {
		fmt.Fprintf(w, "source  %s\n", o)
	}
	for _, o := range a.Opinions {
		fmt.Fprintf(w, "false   says %s, %s: %s\n", o.Organisation, ago(o.Said, now), printable(o.Reason))
	}
	for _, b := range blocks {
		if b.Alert == a.ID {
			fmt.Fprintf(w, "block   %s, %s until %s\n", b.Prefix, b.State, b.Until.Local().Format(time.DateTime))
		}
	}
	fmt.Fprintf(w, "done    %s\n", printable(a.Action))
}
