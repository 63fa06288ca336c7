package overlay

import (
	"net/netip"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// sharedNet is what providers use behind carrier-grade NAT (RFC 6598).
var sharedNet = netip.MustParsePrefix("100.64.0.0/10")

// public reports whether the address can be reached from the Internet.
// Documentation ranges count as public, so that labs can use them. A name is
// judged when it has been resolved.
func public(a multiaddr.Multiaddr) bool {
	ip, err := manet.ToIP(a)
	if err != nil {
		return true
	}
	addr, ok := netip.AddrFromSlice(ip)
	return ok && publicAddr(addr)
}

func publicAddr(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && !sharedNet.Contains(addr)
}

// announced returns the addresses that others are told: loopback only where there
// is nothing else, for to others it is another host.
func announced(addrs []multiaddr.Multiaddr, private bool) []multiaddr.Multiaddr {
	addrs = usable(addrs, private)
	elsewhere := multiaddr.FilterAddrs(addrs, func(a multiaddr.Multiaddr) bool { return !manet.IsIPLoopback(a) })
	if len(elsewhere) > 0 {
		return elsewhere
	}
	return addrs
}

// usable returns the addresses worth keeping and dialling.
func usable(addrs []multiaddr.Multiaddr, private bool) []multiaddr.Multiaddr {
	if private {
		return addrs
	}
	return multiaddr.FilterAddrs(addrs, public)
}
