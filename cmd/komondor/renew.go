package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/federation"
)

func newMemberRenew() *cobra.Command {
	var at place
	var k keys
	var tier string
	var terms federation.Terms
	cmd := &cobra.Command{
		Use: "renew ORGANISATION", Short: "Renew an organisation's certificate, or change its tier or quota", Args: cobra.ExactArgs(1),
		Long: `Signs a new certificate for an organisation, with the root's key. Nodes' certificates
renew by themselves; an organisation's lasts a year.`,
		Example: "  komondor member renew uni-b --root /media/usb/root.key\n  komondor member renew uni-b --tier member --quota 50",
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
			document, err := federation.RenewOrganisation(root, old.Certificate, terms, time.Now())
			if err != nil {
				return err
			}
			if err := client.Submit(cmd.Context(), document); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Organisation %s is certified until %s: %s, up to %d nodes\n", args[0],
				time.Now().Add(terms.Validity).Local().Format(time.DateOnly), terms.Tier, terms.Quota)
			return nil
		},
	}
	at.register(cmd)
	k.register(cmd)
	f := cmd.Flags()
	f.StringVar(&tier, "tier", "", "anchor, member or probation (default: as it was)")
	f.IntVar(&terms.Quota, "quota", 0, "how many nodes it may have (default: as it was)")
	f.DurationVar(&terms.Validity, "certificate", 365*24*time.Hour, "how long the certificate lasts")
	return cmd
}

func newMemberRefresh() *cobra.Command {
	var at place
	var k keys
	cmd := &cobra.Command{
		Use: "refresh", Short: "State with the root's key that the revocation list is still the newest", Args: cobra.NoArgs,
		Long: `Signs the root's revocation list anew, as it is. The first nodes of anchor organisations
state each hour that it is the newest; only when none of them has run for 24 hours, and
evidence of others therefore blocks nobody, does the root have to say so.`,
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
			if err := signList(cmd.Context(), client, root, lists, time.Now()); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The revocation list is fresh again; all members are being told")
			return nil
		},
	}
	at.register(cmd)
	k.register(cmd)
	return cmd
}
