package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/federation"
)

// certified is an organisation's newest certificate, as the node tells it.
type certified struct {
	Certificate federation.Organisation `json:"certificate"`
	Admission   federation.Admission    `json:"admission"`
}

// revoke signs the next revocation list, with a node or an organisation on it.
func revoke(cmd *cobra.Command, at *place, k *keys, name, reason string) error {
	ctx, client := cmd.Context(), at.client()
	s, err := client.Status(ctx)
	if err != nil {
		return err
	}
	members, err := client.Members(ctx)
	if err != nil {
		return err
	}
	var lists []federation.RevocationList
	if err := client.Revocations(ctx, &lists); err != nil {
		return err
	}
	now := time.Now().Unix()
	entry := federation.Entry{What: name, Reason: reason, At: now}
	i := slices.IndexFunc(members, func(m control.Member) bool { return m.ID == name })
	if i >= 0 && members[i].Organisation == s.Federation.Organisation && k.root == "" {
		entry.Serial, entry.Key = members[i].Serial, name
		return revokeOwn(cmd, at, k, s.Federation, lists, entry)
	}
	root, err := k.rootKey(at.data)
	if err != nil {
		return err
	}
	if i >= 0 {
		entry.Serial, entry.Key = members[i].Serial, name
	} else {
		var organisation certified
		if err := client.Organisation(ctx, name, &organisation); err != nil {
			return err
		}
		entry.Serial = organisation.Admission.Serial
	}
	list, ok := federation.Latest(lists, "")
	if !ok {
		return errors.New("the root's present revocation list has not arrived here yet: wait until the node has met another, so that the new one continues it")
	}
	list.Number, list.Issued, list.Entries = list.Number+1, now, append(list.Entries, entry)
	document, err := federation.SignRevocations(root, list)
	if err != nil {
		return err
	}
	return submit(cmd, client, document, name)
}

// revokeOwn signs the list of this node's organisation.
func revokeOwn(cmd *cobra.Command, at *place, k *keys, f control.Federation, lists []federation.RevocationList, entry federation.Entry) error {
	key, err := k.organisationKey(at.data)
	if err != nil {
		return err
	}
	client := at.client()
	var own certified
	if err := client.Organisation(cmd.Context(), f.Organisation, &own); err != nil {
		return err
	}
	list, ok := federation.Latest(lists, f.Organisation)
	if !ok {
		list = federation.RevocationList{Federation: f.Name, Issuer: f.Organisation}
	}
	list.Number, list.Issued, list.Entries = list.Number+1, entry.At, append(list.Entries, entry)
	document, err := federation.SignOwnRevocations(key, own.Certificate, list)
	if err != nil {
		return err
	}
	return submit(cmd, client, document, entry.What)
}

func submit(cmd *cobra.Command, client *control.Client, document []byte, what string) error {
	if err := client.Submit(cmd.Context(), document); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s is revoked; all members are being told\n", what)
	return nil
}

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
