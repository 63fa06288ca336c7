package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/federation"
)

func newMemberRenew() *cobra.Command {
	var at place
	var p printer
	var k keys
	var tier string
	terms := federation.Terms{Validity: 365 * 24 * time.Hour}
	cmd := &cobra.Command{
		Use: "renew ORGANISATION", Short: "Renew an organisation's certificate, or change its tier or quota", Args: cobra.ExactArgs(1),
		Long: `Signs a new certificate for an organisation, with the root's key (root.key in the data
directory, or --root FILE). Nodes' certificates renew by themselves; an organisation's
lasts a year, and must be renewed before.`,
		Example: "  komondor member renew uni-b --root /media/usb/root.key\n  komondor member renew uni-b --tier anchor --quota 50 --root /media/usb/root.key",
		RunE: func(cmd *cobra.Command, args []string) error {
			client := at.client()
			var old certified
			if err := client.Organisation(cmd.Context(), args[0], &old); err != nil {
				return err
			}
			if terms.Tier = federation.Tier(tier); tier == "" {
				terms.Tier = old.Admission.Tier
			}
			if terms.Quota == 0 {
				terms.Quota = old.Admission.Quota
			}
			root, err := k.rootKey(at.data)
			if err != nil {
				return err
			}
			now := time.Now()
			if err := notRevoked(cmd.Context(), client, root, old.Certificate); err != nil {
				return err
			}
			document, err := federation.RenewOrganisation(root, old.Certificate, terms, now)
			if err != nil {
				return err
			}
			if err := client.Submit(cmd.Context(), document); err != nil {
				return err
			}
			did := struct {
				Organisation string          `json:"organisation"`
				Tier         federation.Tier `json:"tier"`
				Quota        int             `json:"quota"`
				Until        time.Time       `json:"until"`
			}{args[0], terms.Tier, terms.Quota, now.Add(terms.Validity).UTC().Truncate(time.Second)}
			return p.done(cmd.OutOrStdout(), did, fmt.Sprintf("Organisation %s is certified until %s: %s, up to %s",
				args[0], did.Until.Local().Format(time.DateOnly), terms.Tier, amount(terms.Quota, "node")))
		},
	}
	at.register(cmd)
	p.register(cmd)
	k.register(cmd)
	f := cmd.Flags()
	f.StringVar(&tier, "tier", "", "`tier`: anchor, member or probation (default: as it was)")
	f.IntVar(&terms.Quota, "quota", 0, "how many nodes it may have (default: as it was)")
	f.Var((*span)(&terms.Validity), "certificate", "how long the certificate lasts")
	return cmd
}

func newMemberRefresh() *cobra.Command {
	var at place
	var p printer
	var k keys
	cmd := &cobra.Command{
		Use: "refresh", Short: "Sign the root's revocation list anew, where no anchor can vouch for it", Args: noArgs,
		Long: `Signs the root's revocation list as it is once more, with the root's key (root.key in
the data directory, or --root FILE). Anchors do without it: each hour they state that
the list is the newest. When all of them are away for a day, evidence of others waits for
a person everywhere; this gives another day.`,
		Example: "  komondor member refresh --root /media/usb/root.key",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := at.client()
			var lists []federation.IssuedList
			if err := client.Revocations(cmd.Context(), &lists); err != nil {
				return err
			}
			root, err := k.rootKey(at.data)
			if err != nil {
				return err
			}
			list, err := submitRootList(cmd.Context(), client, root, lists)
			if err != nil {
				return err
			}
			did := struct {
				Number  uint64 `json:"number"`
				Revoked int    `json:"revoked"`
			}{list.Number, len(list.Entries)}
			return p.done(cmd.OutOrStdout(), did, fmt.Sprintf("Revocation list %d holds, with %d entries as before; all members are being told", list.Number, len(list.Entries)))
		},
	}
	at.register(cmd)
	p.register(cmd)
	k.register(cmd)
	return cmd
}
