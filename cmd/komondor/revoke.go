package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/federation"
)

func newMemberRevoke() *cobra.Command {
	var at place
	var p printer
	var k keys
	var reason string
	var yes bool
	cmd := &cobra.Command{
		Use: "revoke NODE|ORGANISATION", Short: "Put a node or an organisation out, for good", Args: cobra.ExactArgs(1),
		Long: `Revokes the certificate of a node of this node's own organisation, signed with the
organisation's key; or that of a whole organisation, or of any node, signed with the
root's (root.key in the data directory, or --root FILE). Everybody hears of it at once:
connections end, its evidence no longer counts, and blocks end that rested on it.

A revocation cannot be taken back. A node that was revoked comes back under a new
identity only (another --data), an organisation under a new key, by a new invitation.`,
		Example: `  komondor member revoke 12D3Koo... --reason 'stolen laptop' --yes
  komondor member revoke uni-b --reason 'left the federation' --root /media/usb/root.key --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return usageError{errors.New("a revocation cannot be taken back: say --yes")}
			}
			list, err := revoke(cmd.Context(), &at, &k, args[0], reason)
			if err != nil {
				return err
			}
			did := struct {
				Revoked string `json:"revoked"`
				Issuer  string `json:"issuer,omitempty"` // the organisation; none is the root
				Number  uint64 `json:"number"`           // of the list that says so
			}{args[0], list.Issuer, list.Number}
			return p.done(cmd.OutOrStdout(), did, args[0]+" is revoked; all members are being told")
		},
	}
	at.register(cmd)
	p.register(cmd)
	k.register(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for all members to read")
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, for good")
	return cmd
}

// certified is an organisation's newest certificate, as the node tells it.
type certified struct {
	Certificate federation.Organisation `json:"certificate"`
	Admission   federation.Admission    `json:"admission"`
}

// revoke signs the next revocation list, with a node or an organisation on it.
func revoke(ctx context.Context, at *place, k *keys, name, reason string) (list federation.RevocationList, err error) {
	client := at.client()
	s, err := client.Status(ctx)
	if err != nil {
		return list, err
	}
	members, err := client.Members(ctx)
	if err != nil {
		return list, err
	}
	var lists []federation.IssuedList
	if err := client.Revocations(ctx, &lists); err != nil {
		return list, err
	}
	var entry federation.Entry
	i := slices.IndexFunc(members, func(m control.Member) bool { return m.ID == name })
	if i >= 0 {
		if members[i].State == "revoked" {
			return list, fmt.Errorf("%s is out already: %s", name, members[i].Reason)
		}
		entry = federation.RevokeNode(name, members[i].Serial, reason, time.Now())
		if members[i].Organisation == s.Federation.Organisation && k.root == "" {
			return revokeOwn(ctx, at, k, s.Federation, lists, entry)
		}
	}
	root, err := k.rootKey(at.data)
	if err != nil {
		return list, err
	}
	if i < 0 {
		var organisation certified
		if err := client.Organisation(ctx, name, &organisation); err != nil {
			return list, err
		}
		if entry, err = federation.RevokeOrganisation(public(root), organisation.Certificate, reason, time.Now()); err != nil {
			return list, err
		}
	}
	return submitRootList(ctx, client, root, lists, entry)
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// submitRootList signs and spreads the root's next list, with more entries or none.
func submitRootList(ctx context.Context, client *control.Client, root ed25519.PrivateKey, lists []federation.IssuedList,
	more ...federation.Entry) (list federation.RevocationList, err error) {
	present, ok := federation.Latest(lists, public(root))
	if !ok {
		return list, errors.New("the root's present revocation list has not arrived here yet: wait until the node has met another, so that the new one continues it")
	}
	for _, entry := range more {
		if i := slices.IndexFunc(present.Entries, func(e federation.Entry) bool { return e.Key == entry.Key }); i >= 0 {
			return list, fmt.Errorf("%s is out already, since %s: %s", entry.What, time.Unix(present.Entries[i].At, 0).UTC().Format(time.RFC3339), present.Entries[i].Reason)
		}
	}
	list = present.Next(time.Now(), more...)
	document, err := federation.SignRevocations(root, list)
	if err != nil {
		return list, err
	}
	return list, client.Submit(ctx, document)
}

// revokeOwn signs the list of this node's organisation.
func revokeOwn(ctx context.Context, at *place, k *keys, f control.Federation, lists []federation.IssuedList,
	entry federation.Entry) (list federation.RevocationList, err error) {
	key, err := k.organisationKey(at.data)
	if err != nil {
		return list, err
	}
	client := at.client()
	var own certified
	if err := client.Organisation(ctx, f.Organisation, &own); err != nil {
		return list, err
	}
	list, ok := federation.Latest(lists, public(key))
	if !ok {
		list = federation.RevocationList{Federation: f.Name, Issuer: f.Organisation}
	}
	list = list.Next(time.Now(), entry)
	document, err := federation.SignOwnRevocations(key, own.Certificate, list)
	if err != nil {
		return list, err
	}
	return list, client.Submit(ctx, document)
}

// notRevoked refuses an organisation whose key the root has put out: a new
// certificate for the same key would be worth nothing.
func notRevoked(ctx context.Context, client *control.Client, root ed25519.PrivateKey, certificate federation.Organisation) error {
	var lists []federation.IssuedList
	if err := client.Revocations(ctx, &lists); err != nil {
		return err
	}
	list, _ := federation.Latest(lists, public(root))
	entry, err := federation.RevokeOrganisation(public(root), certificate, "", time.Now())
	if err != nil {
		return err
	}
	for _, e := range list.Entries {
		if e.Key == entry.Key {
			return fmt.Errorf("%s was revoked on %s (%s), and its key with it: invite it anew, so that it makes another", e.What, time.Unix(e.At, 0).UTC().Format(time.DateOnly), e.Reason)
		}
	}
	return nil
}
