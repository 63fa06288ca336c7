package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/komondor/komondor/federation"
)

// The files of a data directory beside the store.
const (
	identityFile     = "identity"         // this node's key
	organisationFile = "organisation.key" // where this node issues certificates for its organisation
	rootFile         = "root.key"         // where the federation was founded, until it is taken offline
	membershipFile   = "membership"       // the federation, and this node's certificates
)

// self is who this node is.
type self struct {
	identity   crypto.PrivKey
	member     membership
	federation *federation.Member // nil in an open overlay
	bootstrap  []string           // members that the membership names
}

// identify finds out who this node is: a member of the federation that its data
// directory names, or that it has an invitation to, or a node of an open overlay.
func (n *Node) identify(ctx context.Context) (self, error) {
	c := n.config
	if c.Member != nil {
		return self{member: c.Member, federation: c.Member}, nil
	}
	path := filepath.Join(c.Data, membershipFile)
	_, err := os.Stat(path)
	joined := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return self{}, fmt.Errorf("membership: %w", err)
	case joined && c.Open:
		return self{}, fmt.Errorf("%s belongs to a federation: leave --open away, or use another --data", c.Data)
	case !joined && c.Invitation == "" && !c.Open:
		return self{}, fmt.Errorf("%s is no member of a federation: redeem an invitation (`komondor join INVITATION`), found one (`komondor init`), "+
			"or say --open for a lab overlay, in which every node that connects is believed to be an organisation of its own", c.Data)
	}
	me := self{}
	if me.identity, err = federation.LoadIdentity(filepath.Join(c.Data, identityFile), c.Passphrase); err != nil {
		return me, err
	}
	if c.Open {
		me.member, err = federation.NewOpen(me.identity)
		return me, err
	}
	if !joined {
		if err := enroll(ctx, c, me.identity, n.store); err != nil {
			return me, err
		}
	}
	ms, err := federation.LoadMembership(path)
	if err != nil {
		return me, err
	}
	organisation, err := federation.LoadKey(filepath.Join(c.Data, organisationFile), c.Passphrase)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return me, err
	}
	save := func(ms federation.Membership) error { return ms.Save(path) }
	if me.federation, err = federation.NewMember(ms, me.identity, organisation, kept{n.store.Federation}, save, n.started); err != nil {
		return me, err
	}
	me.member, me.bootstrap = me.federation, ms.Bootstrap
	if joined && c.Invitation != "" {
		err = n.superfluous(ms, me.federation.Organisation(me.federation.Member()))
	}
	return me, err
}

// superfluous looks at the invitation of a node that is a member already. It may
// be the one that made it a member: a service is started with it again and again.
func (n *Node) superfluous(ms federation.Membership, organisation string) error {
	invitation, err := federation.ParseInvitation(n.config.Invitation)
	if err != nil {
		return err
	}
	if !bytes.Equal(invitation.Root, ms.Root) || invitation.Organisation != organisation {
		return fmt.Errorf("the invitation is to organisation %s of federation %s, and %s belongs to organisation %s of federation %s: use another --data",
			invitation.Organisation, invitation.Federation, n.config.Data, organisation, ms.Federation)
	}
	n.config.Log.Info("this node is a member already: the invitation was not used")
	return nil
}

// public reports whether the node listens at an address that the Internet
// reaches. One that does has no use for private addresses of others.
func public(listen []string) bool {
	for _, l := range listen {
		addr, err := multiaddr.NewMultiaddr(l)
		if err != nil {
			continue // refused elsewhere
		}
		ip, err := manet.ToIP(addr)
		if err != nil {
			return true // a name
		}
		all := []net.Addr{&net.IPNet{IP: ip}}
		if ip.IsUnspecified() {
			all, _ = net.InterfaceAddrs() // none: nobody reaches it
		}
		for _, a := range all {
			if own, ok := a.(*net.IPNet); ok {
				if addr, ok := netip.AddrFromSlice(own.IP); ok && !private(addr.Unmap()) {
					return true
				}
			}
		}
	}
	return false
}
