package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
)

func newMember() *cobra.Command {
	cmd := &cobra.Command{
		Use: "member", Short: "Show the federation's members, and put one out", Args: cobra.NoArgs,
		Example: "  komondor member list\n  komondor member show 12D3Koo...\n  komondor member revoke 12D3Koo... --reason 'stolen laptop'",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(newMemberList(), newMemberShow(), newMemberRevoke(), newMemberRenew(), newMemberRefresh())
	return cmd
}

func newMemberList() *cobra.Command {
	var at place
	var p printer
	cmd := &cobra.Command{
		Use: "list", Short: "List all nodes that are known, those that are out too", Args: cobra.NoArgs,
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
		note := ""
		if m.Issuer {
			note = "certifies its organisation's nodes"
		}
		if m.Self {
			note = "this node; " + note
		}
		rows = append(rows, []string{m.Organisation, m.Tier, m.ID, m.State, m.Until.Local().Format(time.DateTime), note})
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
				for _, m := range members {
					rows := [][]string{
						{"organisation", m.Organisation + ", " + m.Tier},
						{"state", m.State},
						{"votes", fmt.Sprint(m.Votes)},
						{"issuer", fmt.Sprint(m.Issuer)},
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

func unknownMember(name string) error {
	return fmt.Errorf("no node and no organisation %q is known here; `komondor member list` shows them", name)
}

func newMemberRevoke() *cobra.Command {
	var at place
	var k keys
	var reason string
	var yes bool
	cmd := &cobra.Command{
		Use: "revoke NODE|ORGANISATION", Short: "Put a node or an organisation out, for good", Args: cobra.ExactArgs(1),
		Long: `Revokes the certificate of a node of this node's own organisation, signed with the
organisation's key; or that of a whole organisation, or of any node, signed with the
root's (root.key in the data directory, or --root FILE). Everybody hears of it at once: connections
end, its evidence no longer counts, and blocks end that rested on it.

A revocation cannot be taken back. A node that was revoked comes back under a new
identity only, by a new invitation.`,
		Example: `  komondor member revoke 12D3Koo... --reason 'stolen laptop' --yes
  komondor member revoke uni-b --reason 'left the federation' --root /media/usb/root.key --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return usageError{errors.New("a revocation cannot be taken back: say --yes")}
			}
			return revoke(cmd, &at, &k, args[0], reason)
		},
	}
	at.register(cmd)
	k.register(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for all members to read")
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, for good")
	return cmd
}
