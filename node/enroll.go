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
func enroll(ctx context.Context, c Config, identity crypto.PrivKey) error {
	invitation, err := federation.ParseInvitation(c.Invitation)
	if err != nil {
		return err
	}
	if now := time.Now(); invitation.Expired(now) {
		return fmt.Errorf("the invitation ended at %s: ask for a new one", invitation.Expires.UTC().Format(time.RFC3339))
	}
	id, err := peer.IDFromPrivateKey(identity)
	if err != nil {
		return err
	}
	key, err := organisationKey(filepath.Join(c.Data, organisationFile), c.Passphrase)
	if err != nil {
		return err
	}
	applicant := federation.NewApplicant(invitation, id.String(), key)
	ctx, cancel := context.WithTimeout(ctx, enrollTimeout)
	defer cancel()
	var failed []error
	for _, address := range invitation.Addresses {
		info, err := peer.AddrInfoFromString(address)
		if err != nil {
			failed = append(failed, fmt.Errorf("address %q of the invitation: %w", address, err))
			continue
		}
		reply, err := overlay.Apply(ctx, identity, *info, true, applicant.Request())
		if err != nil {
			failed = append(failed, err)
			continue
		}
		ms, err := applicant.Accept(time.Now(), reply)
		if err != nil {
			return fmt.Errorf("redeem the invitation: %w", err)
		}
		c.Log.Info("invitation redeemed", "federation", ms.Federation, "organisation", invitation.Organisation)
		return ms.Save(filepath.Join(c.Data, membershipFile))
	}
	return fmt.Errorf("redeem the invitation at %d addresses: %w (the node that it was made on has to run, and must be reachable from here)",
		len(invitation.Addresses), errors.Join(failed...))
}

// organisationKey reads the key of an organisation, and makes it where there is
// none. A node that is invited into an organisation which exists has no use for
// it, and learns that from the reply only.
func organisationKey(path, passphrase string) (ed25519.PrivateKey, error) {
	key, err := federation.LoadKey(path, passphrase)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if _, key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return key, federation.SaveKey(path, key, passphrase)
}

// Found founds a federation: the root's key, its first organisation and its first
// node, all in a data directory. It returns the root's fingerprint.
func Found(data, name, organisation, passphrase string) (fingerprint string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("found federation %q: %w", name, err)
		}
	}()
	path := filepath.Join(data, membershipFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return "", errors.Join(fmt.Errorf("%s belongs to a federation already: use another --data", data), err)
	}
	identity, err := federation.LoadIdentity(filepath.Join(data, identityFile), passphrase)
	if err != nil {
		return "", err
	}
	root, key, ms, documents, err := federation.Found(time.Now(), name, organisation, identity)
	if err != nil {
		return "", err
	}
	s, err := store.Open(filepath.Join(data, "komondor.db"))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	member, err := federation.NewMember(ms, identity, key, s.Federation, time.Now())
	if err != nil {
		return "", err
	}
	for _, document := range documents {
		if _, err := member.Add(time.Now(), document); err != nil {
			return "", err
		}
	}
	if err := federation.SaveKey(filepath.Join(data, rootFile), root, passphrase); err != nil {
		return "", err
	}
	if err := federation.SaveKey(filepath.Join(data, organisationFile), key, passphrase); err != nil {
		return "", err
	}
	// The membership is last: without it none of this counts.
	return federation.Fingerprint(ms.Root), ms.Save(path)
}
