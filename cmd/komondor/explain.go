package main

import (
	"fmt"
	"io"
	"net/netip"
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
	cmd := &cobra.Command{
		Use: "explain LINE|ADDRESS", Short: "Say what becomes of a log line, or why an address is or isn't blocked", Args: cobra.ExactArgs(1),
		Long: `For a log line: which parser reads it, which event it is, which keys its evidence
meets at and which rules count it. This needs no node, so the rules are the
built-in ones and the place is that in an open overlay; a federation has others.
For an address: what the running node knows of it, how far that is from every
threshold, and why it is or isn't blocked, or waits for a person.`,
		Example: "  komondor explain 'Nov 22 03:15:12 host sshd[18754]: Invalid user admin from 203.0.113.10 port 39445'\n  komondor explain 203.0.113.10",
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			if addr, err := netip.ParseAddr(strings.TrimSpace(args[0])); err == nil {
				x, err := at.client().Explain(cmd.Context(), addr)
				if err != nil {
					return err
				}
				return p.value(w, x, func(w io.Writer) error { return printAddress(w, x) })
			}
			rules, err := node.Rules(0)
			if err != nil {
				return err
			}
			x, err := node.ExplainLine(rules, format, []byte(args[0]), time.Now())
			if err != nil {
				return err
			}
			return p.value(w, x, func(w io.Writer) error { return printLine(w, x) })
		},
	}
	at.register(cmd)
	p.register(cmd)
	cmd.Flags().StringVar(&format, "format", "auto", "the line's `format`")
	return cmd
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
