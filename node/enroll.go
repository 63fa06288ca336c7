package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/overlay"
	"github.com/komondor/komondor/store"
)

// enrollTimeout bounds the redemption of an invitation.
const enrollTimeout = 30 * time.Second

// enroll redeems the configuration's invitation: the node whose addresses it
// names gives a certificate for it. Keys are on disk before they are shown to
// anybody, so that a redemption that was cut off can be repeated.
func enroll(ctx context.Context, c Config, identity crypto.PrivKey, s *store.Store) error {
	invitation, err := federation.ParseInvitation(c.Invitation)
	if err != nil {
		return err
	}
	if now := time.Now(); invitation.Expired(now) {
		return fmt.Errorf("the invitation ended at %s: ask for a new one", time.Unix(invitation.Expires, 0).UTC().Format(time.RFC3339))
	}
	var key ed25519.PrivateKey
	if path := filepath.Join(c.Data, organisationFile); invitation.Founds {
		if key, err = organisationKey(path, c.Passphrase); err != nil {
			return err
		}
	} else if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("the invitation is to a further node of organisation %s, and there is the key of one at %s: use another --data", invitation.Organisation, path)
	}
	applicant, err := federation.NewApplicant(invitation, identity, key)
	if err != nil {
		return err
	}
	request, err := applicant.Request()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, enrollTimeout)
	defer cancel()
	var failed []error
	for _, address := range invitation.Addresses {
		info, err := peer.AddrInfoFromString(address)
		if err != nil {
			failed = append(failed, fmt.Errorf("address %q of the invitation: %w", address, err))
			continue
		}
		reply, err := overlay.Apply(ctx, identity, *info, true, request)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		ms, documents, err := applicant.Accept(time.Now(), reply)
		if err != nil {
			return fmt.Errorf("redeem the invitation: %w", err)
		}
		c.Log.Info("invitation redeemed", "federation", ms.Federation, "organisation", invitation.Organisation)
		return settle(c.Data, ms, identity, key, documents, s)
	}
	return fmt.Errorf("redeem the invitation at %d addresses: %w (the node that it was made on has to run, and must be reachable from here)",
		len(invitation.Addresses), errors.Join(failed...))
}

// settle keeps what makes a node a member: the first documents, and the
// membership last, because without it nothing else counts.
func settle(data string, ms federation.Membership, identity crypto.PrivKey, organisation ed25519.PrivateKey, documents [][]byte, s *store.Store) error {
	member, err := federation.NewMember(ms, identity, organisation, kept{s.Federation}, nil, time.Now())
	if err != nil {
		return err
	}
	for _, document := range documents {
		if _, err := member.Add(time.Now(), document); err != nil {
			return err
		}
	}
	if err := member.Keep(); err != nil {
		return err
	}
	return ms.Save(filepath.Join(data, membershipFile))
}

// organisationKey reads the key of a new organisation, and makes it where there is
// none yet.
func organisationKey(path, passphrase string) (ed25519.PrivateKey, error) {
	key, err := federation.LoadKey(path, passphrase)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	return key, federation.SaveKey(path, key, passphrase)
}

// Found founds a federation: the root's key, its first organisation and its first
// node, all in a data directory. It returns the root's fingerprint.
func Found(data, name, organisation, passphrase string) (fingerprint string, err error) {
	path := filepath.Join(data, membershipFile)
	switch _, err := os.Stat(path); {
	case err == nil:
		return "", fmt.Errorf("%s belongs to a federation already: use another --data", data)
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("data directory %s: %w: it must be a directory of yours, or not be there yet", data, err)
	}
	identity, err := federation.LoadIdentity(filepath.Join(data, identityFile), passphrase)
	if err != nil {
		return "", err
	}
	founded, err := federation.Found(time.Now(), name, organisation, identity)
	if err != nil {
		return "", err
	}
	if err := federation.SaveKey(filepath.Join(data, rootFile), founded.Root, passphrase); err != nil {
		return "", err
	}
	if err := federation.SaveKey(filepath.Join(data, organisationFile), founded.Organisation, passphrase); err != nil {
		return "", err
	}
	s, err := store.Open(filepath.Join(data, "komondor.db"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return federation.Fingerprint(founded.Membership.Root), settle(data, founded.Membership, identity, founded.Organisation, founded.Documents, s)
}
