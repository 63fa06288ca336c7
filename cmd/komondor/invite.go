package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// manyOrganisations is from how many on a quorum of two is too small
// (docs/trust.md): the admission of this one raises it.
const (
	manyOrganisations = 10
	largerQuorum      = 3
)

func newInvite() *cobra.Command {
	var at place
	var p printer
	var k keys
	var organisation, tier string
	terms, valid := federation.Terms{Validity: 365 * 24 * time.Hour}, 24*time.Hour
	cmd := &cobra.Command{
		Use: "invite", Short: "Invite an organisation, or a further node of your own", Args: noArgs,
		Long: `Makes an invitation and prints it, alone, on standard output. It is good once, until
its time is over, at the node that runs here: keep that running and reachable, and
hand the invitation over by a way that nobody else reads.

A new organisation is admitted by the root, which takes its key: root.key in the
data directory, or --root FILE. Inviting it once more takes an invitation back that
nobody has redeemed. A further node of this node's own organisation takes nothing,
where this node holds the organisation's key.

The tenth organisation raises a quorum of two to three.`,
		Example: `  komondor invite --organisation uni-b
  komondor invite --organisation uni-b --tier probation --valid 2h --root /media/usb/root.key`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if organisation == "" {
				return usageError{errors.New("say whom to invite: --organisation NAME")}
			}
			terms.Tier = federation.Tier(tier)
			return invite(cmd, &at, &p, &k, organisation, terms, valid)
		},
	}
	at.register(cmd)
	p.register(cmd)
	k.register(cmd)
	f := cmd.Flags()
	f.StringVar(&organisation, "organisation", "", "the `name` of the organisation")
	f.StringVar(&tier, "tier", string(federation.TierMember), "`tier` of a new organisation: member, anchor (its word keeps the revocation list fresh) or probation (no vote)")
	f.IntVar(&terms.Quota, "quota", 20, "how many nodes a new organisation may have")
	f.Var((*span)(&terms.Validity), "certificate", "how long a new organisation's certificate lasts")
	f.Var((*span)(&valid), "valid", "how long the invitation can be redeemed")
	return cmd
}

func invite(cmd *cobra.Command, at *place, p *printer, k *keys, organisation string, terms federation.Terms, valid time.Duration) error {
	ctx, client, now := cmd.Context(), at.client(), time.Now()
	s, err := client.Status(ctx)
	switch {
	case err != nil:
		return err
	case s.Federation.Open:
		return errors.New("the node here runs in an open lab overlay, which is joined without an invitation: komondor join --open " + strings.Join(s.Node.Addresses, " "))
	case len(s.Node.Addresses) == 0:
		return errors.New("the node here has no address that others could reach: run it with another --listen")
	}
	ms, err := federation.LoadMembership(filepath.Join(at.data, "membership"))
	if err != nil {
		return fmt.Errorf("%w (the --data of the node that runs here is needed)", err)
	}
	invitation := federation.Invitation{Federation: ms.Federation, Organisation: organisation, Founds: organisation != s.Federation.Organisation,
		Root: ms.Root, Addresses: s.Node.Addresses[:min(len(s.Node.Addresses), 16)], Expires: now.Add(valid).Unix()}
	var offer federation.Offer
	var root ed25519.PrivateKey
	if invitation.Founds {
		if err := unknown(ctx, client, organisation); err != nil {
			return err
		}
		if root, err = k.rootKey(at.data); err != nil {
			return err
		}
		offer, invitation.Token, err = federation.Invite(root, ms.Federation, organisation, terms, valid, now)
	} else {
		offer, invitation.Token, err = federation.InviteNode(organisation, valid, now)
	}
	if err != nil {
		return err
	}
	data, err := event.Encode(offer)
	if err != nil {
		return err
	}
	if err := client.Deposit(ctx, data); err != nil {
		return err
	}
	did := struct {
		Invitation   string    `json:"invitation"`
		Organisation string    `json:"organisation"`
		Founds       bool      `json:"founds"` // a new organisation, or a further node of one
		Expires      time.Time `json:"expires"`
	}{invitation.String(), organisation, invitation.Founds, time.Unix(invitation.Expires, 0).UTC()}
	if err := p.done(cmd.OutOrStdout(), did, did.Invitation); err != nil {
		return err
	}
	what := "a further node of " + organisation
	if invitation.Founds {
		what = fmt.Sprintf("organisation %s (%s, up to %s)", organisation, terms.Tier, amount(terms.Quota, "node"))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Good once, for %s, until %s. There: komondor join INVITATION\n", what, time.Unix(invitation.Expires, 0).Local().Format(time.DateTime))
	if invitation.Founds && s.Federation.Organisations+1 >= manyOrganisations && s.Federation.Quorum < largerQuorum {
		return raiseQuorum(cmd, client, root)
	}
	return nil
}

// unknown refuses to admit an organisation a second time: its own nodes invite
// further ones.
func unknown(ctx context.Context, client *control.Client, organisation string) error {
	members, err := client.Members(ctx)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Organisation == organisation && m.State == "valid" {
			return fmt.Errorf("organisation %s is admitted already: a further node of it is invited on its own first node, which has its key", organisation)
		}
	}
	return nil
}

func raiseQuorum(cmd *cobra.Command, client *control.Client, root ed25519.PrivateKey) error {
	var p federation.Policy
	if err := client.Policy(cmd.Context(), &p); err != nil {
		return err
	}
	p.Version, p.Issued, p.Quorum = p.Version+1, time.Now().Unix(), largerQuorum
	document, err := federation.SignPolicy(root, p)
	if err != nil {
		return err
	}
	if err := client.Submit(cmd.Context(), document); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "The federation now has %d organisations or more: policy %d raises the quorum to %d.\n", manyOrganisations, p.Version, p.Quorum)
	return nil
}
