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
	var lists []federation.IssuedList
	if err := client.Revocations(ctx, &lists); err != nil {
		return err
	}
	now := time.Now()
	i := slices.IndexFunc(members, func(m control.Member) bool { return m.ID == name })
	if i >= 0 && members[i].Organisation == s.Federation.Organisation && k.root == "" {
		return revokeOwn(cmd, at, k, s.Federation, lists, federation.RevokeNode(name, members[i].Serial, reason, now), now)
	}
	root, err := k.rootKey(at.data)
	if err != nil {
		return err
	}
	var entry federation.Entry
	if i >= 0 {
		entry = federation.RevokeNode(name, members[i].Serial, reason, now)
	} else {
		var organisation certified
		if err := client.Organisation(ctx, name, &organisation); err != nil {
			return err
		}
		if entry, err = federation.RevokeOrganisation(public(root), organisation.Certificate, reason, now); err != nil {
			return err
		}
	}
	if err := signList(ctx, client, root, lists, now, entry); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s is revoked; all members are being told\n", name)
	return nil
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// signList signs the root's next list and has it told to everybody.
func signList(ctx context.Context, client *control.Client, root ed25519.PrivateKey, lists []federation.IssuedList, now time.Time, more ...federation.Entry) error {
	list, ok := federation.Latest(lists, public(root))
	if !ok {
		return errors.New("no revocation list of this root's key has arrived here yet: wait until the node has met another, so that the new one continues it")
	}
	document, err := federation.SignRevocations(root, list.Next(now, more...))
	if err != nil {
		return err
	}
	return client.Submit(ctx, document)
}

// revokeOwn signs the list of this node's organisation.
func revokeOwn(cmd *cobra.Command, at *place, k *keys, f control.Federation, lists []federation.IssuedList, entry federation.Entry, now time.Time) error {
	key, err := k.organisationKey(at.data)
	if err != nil {
		return err
	}
	client := at.client()
	var own certified
	if err := client.Organisation(cmd.Context(), f.Organisation, &own); err != nil {
		return err
	}
	list, ok := federation.Latest(lists, public(key))
	if !ok {
		list = federation.RevocationList{Federation: f.Name, Issuer: f.Organisation}
	}
	document, err := federation.SignOwnRevocations(key, own.Certificate, list.Next(now, entry))
	if err != nil {
		return err
	}
	if err := client.Submit(cmd.Context(), document); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s is revoked; all members are being told\n", entry.What)
	return nil
}
