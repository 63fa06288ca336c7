package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
)

func newMember() *cobra.Command {
	cmd := &cobra.Command{
		Use: "member", Short: "Show the federation's members, put one out, renew one", Args: noArgs,
		Example: "  komondor member list\n  komondor member show 12D3Koo...\n  komondor member revoke 12D3Koo... --reason 'stolen laptop' --yes",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(newMemberList(), newMemberShow(), newMemberRevoke(), newMemberRenew(), newMemberRefresh())
	return cmd
}

func newMemberList() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "list", Short: "List all nodes that are known, those that are out too", Args: noArgs,
		Example: "  komondor member list --json | jq -r '.[] | select(.state == \"valid\") | .id'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			members, err := at.client().Members(cmd.Context())
			if err != nil {
				return err
			}
			return p.value(cmd.OutOrStdout(), members, func(w io.Writer) error { return printMembers(w, members) })
		},
	}
	at.register(cmd)
	p.register(cmd)
	return cmd
}

func printMembers(w io.Writer, members []control.Member) error {
	var rows [][]string
	for _, m := range members {
		var notes []string
		if m.Self {
			notes = append(notes, "this node")
		}
		if m.Issuer {
			notes = append(notes, "certifies its organisation's nodes")
		}
		rows = append(rows, []string{m.Organisation, m.Tier, m.ID, m.State, m.Until.Local().Format(time.DateTime), strings.Join(notes, "; ")})
	}
	return table(w, bold(w, "ORGANISATION")+"\tTIER\tNODE\tSTATE\tCERTIFICATE UNTIL\tNOTE", rows)
}

func newMemberShow() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "show NODE|ORGANISATION", Short: "Show a node, or all nodes of an organisation", Args: cobra.ExactArgs(1),
		Example: "  komondor member show uni-b\n  komondor member show 12D3Koo... --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			members, err := at.client().Members(cmd.Context())
			if err != nil {
				return err
			}
			members = slices.DeleteFunc(members, func(m control.Member) bool { return m.ID != args[0] && m.Organisation != args[0] })
			if len(members) == 0 {
				return unknownMember(args[0])
			}
			return p.value(cmd.OutOrStdout(), members, func(w io.Writer) error {
				for i, m := range members {
					if i > 0 {
						fmt.Fprintln(w)
					}
					rows := [][]string{
						{"organisation", m.Organisation + ", " + m.Tier},
						{"state", m.State},
						{"votes", yes(m.Votes)},
						{"certifies nodes", yes(m.Issuer)},
						{"member since", m.Since.Local().Format(time.DateTime)},
						{"certificate", fmt.Sprintf("serial %d, until %s", m.Serial, m.Until.Local().Format(time.DateTime))},
					}
					if m.Reason != "" {
						rows = append(rows, []string{"why", m.Reason})
					}
					if err := table(w, bold(w, "NODE")+"\t"+m.ID, rows); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	at.register(cmd)
	p.register(cmd)
	return cmd
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func unknownMember(name string) error {
	return fmt.Errorf("no node and no organisation %q is known here; `komondor member list` shows them", name)
}
