package overlay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"
)

// applyTimeout bounds each address: dial, handshake and reply.
const applyTimeout = 10 * time.Second

// Apply shows the request to a member in place of a hello, and returns what its
// Welcome replies: how a node that has an invitation, and neither a certificate
// nor an overlay yet, asks to be made a member. It tries one address after the
// other, and the error says how each of them failed. Private addresses are for
// a lab, as in Config.
func Apply(ctx context.Context, identity crypto.PrivKey, to peer.AddrInfo, private bool, request []byte) (reply []byte, err error) {
	if len(to.Addrs) == 0 {
		return nil, fmt.Errorf("apply to %s: no address: give one such as /ip4/192.0.2.1/tcp/4001", to.ID)
	}
	t, err := noise.New(handshakeProtocol, identity, nil)
	if err != nil {
		return nil, fmt.Errorf("apply to %s: %w", to.ID, err)
	}
	var errs []error
	for _, a := range to.Addrs {
		if reply, err = applyAt(ctx, t, to.ID, a, private, request); err == nil {
			return reply, nil
		}
		errs = append(errs, fmt.Errorf("apply to %s at %s: %w", to.ID, a, err))
	}
	return nil, errors.Join(errs...)
}

func applyAt(ctx context.Context, t *noise.Transport, to peer.ID, at multiaddr.Multiaddr, private bool, request []byte) (reply []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	if _, err := at.ValueForProtocol(multiaddr.P_TCP); err != nil {
		return nil, errors.New("members listen on TCP: give an address such as /ip4/192.0.2.1/tcp/4001")
	}
	var dialer manet.Dialer
	// Names are judged by what they resolve to.
	dialer.Dialer.Control = func(_, address string, _ syscall.RawConn) error {
		if a, err := netip.ParseAddrPort(address); !private && (err != nil || !publicAddr(a.Addr())) {
			return fmt.Errorf("%s is a private address, which this node does not dial: give a public one, or allow private addresses in a lab", address)
		}
		return nil
	}
	raw, err := dialer.DialContext(ctx, at)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	err = during(ctx, raw, func() error {
		if _, err := multistream.SelectOneOf([]protocol.ID{handshakeProtocol}, raw); err != nil {
			return fmt.Errorf("no member of a federation answers there: %w", err)
		}
		conn, err := t.SecureOutbound(ctx, raw, to)
		if err != nil {
			return err
		}
		reply, err = exchange(conn, request)
		return err
	})
	return reply, err
}
