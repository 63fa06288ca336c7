package overlay

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/x/rate"
	"github.com/multiformats/go-multiaddr"
)

// Connections are what costs memory: about 70 KiB an end. Above the high mark
// the least useful are closed down to the low one.
const (
	lowConns  = 160
	highConns = 256
)

// KeepAlive is how often each end of a connection that is silent asks whether the
// other one is there, so that members who are gone without a word are noticed.
// libp2p's 30 s would cost a member among a hundred 1.4 MB an hour.
const KeepAlive = 2 * time.Minute

// multiplexer is libp2p's yamux with our keep-alive.
func multiplexer() *yamux.Transport {
	t := *yamux.DefaultTransport
	t.KeepAliveInterval, t.MeasureRTTInterval = KeepAlive, KeepAlive
	return &t
}

// newHost makes a host with as little of libp2p as is needed: TCP with Noise
// and yamux, QUIC where Listen names it. It does not listen yet. Connections that
// are not admitted are counted in refused.
func newHost(c Config, refused *atomic.Uint64) (host.Host, error) {
	if c.Identity == nil {
		return nil, errors.New("start overlay: no identity: load one first")
	}
	if len(c.Listen) == 0 && !c.Leaf {
		return nil, errors.New("start overlay: no address to listen on: give one such as /ip4/0.0.0.0/tcp/4001")
	}
	quics := slices.IndexFunc(c.Listen, func(a multiaddr.Multiaddr) bool {
		_, err := a.ValueForProtocol(multiaddr.P_QUIC_V1)
		return err == nil
	})
	if c.Admission != nil && quics >= 0 {
		return nil, fmt.Errorf("start overlay: listen on %s: members are admitted over TCP only, as QUIC's handshake does not carry certificates: listen on an address such as /ip4/0.0.0.0/tcp/4001", c.Listen[quics])
	}
	resources, err := resourceManager(c.Private)
	if err != nil {
		return nil, fmt.Errorf("start overlay: %w", err)
	}
	conns, err := connmgr.NewConnManager(lowConns, highConns)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start overlay: %w", err), resources.Close())
	}
	options := []libp2p.Option{
		libp2p.Identity(c.Identity),
		libp2p.UserAgent("komondor"),
		libp2p.NoListenAddrs,
		libp2p.NoTransports,
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.Ping(false),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.ResourceManager(resources),
		libp2p.ConnectionManager(conns),
		libp2p.ConnectionGater(gater{c.Private, c.Admission, refused}),
		libp2p.AddrsFactory(func(addrs []multiaddr.Multiaddr) []multiaddr.Multiaddr {
			return slices.Concat(c.Announce, announced(addrs, c.Private))
		}),
		// Port reuse would let a second node share a taken port unnoticed.
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Muxer(yamux.ID, multiplexer()),
	}
	if c.Admission != nil {
		options = append(options, libp2p.Security(string(handshakeProtocol), newHandshake(c.Admission, refused)))
	} else {
		options = append(options, libp2p.Security(noise.ID, noise.New))
	}
	if quics >= 0 {
		options = append(options, libp2p.Transport(quic.NewTransport))
	}
	h, err := libp2p.New(options...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start overlay: %w", err), conns.Close(), resources.Close())
	}
	return h, nil
}

// listen opens every address, where libp2p would be content with one of them,
// and keeps the reason, which Network.Listen makes plain text of.
func listen(h host.Host, addrs []multiaddr.Multiaddr) error {
	open := func(a multiaddr.Multiaddr) error { return h.Network().Listen(a) }
	if s, ok := h.Network().(*swarm.Swarm); ok {
		open = s.AddListenAddr
	}
	for _, a := range addrs {
		err := open(a)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return fmt.Errorf("listen on %s: the port is in use, perhaps by another node: stop that, or choose another port", a)
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			return fmt.Errorf("listen on %s: this host has no such address: choose one of its own, or /ip4/0.0.0.0", a)
		case err != nil:
			return fmt.Errorf("listen on %s: %w", a, err)
		}
	}
	return nil
}

// resourceManager replaces libp2p's limits by address, which let only eight
// members of one NATed site or container host in. Loopback has no limit, and in
// a lab neither have private networks.
func resourceManager(private bool) (network.ResourceManager, error) {
	defaults := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&defaults)
	limits := rcmgr.PartialLimitConfig{
		System:      rcmgr.ResourceLimits{Conns: 600, ConnsInbound: 400, ConnsOutbound: 400, StreamsInbound: 8192, Memory: 512 << 20},
		Transient:   rcmgr.ResourceLimits{Conns: 192, ConnsInbound: 128, ConnsOutbound: 128},
		PeerDefault: rcmgr.ResourceLimits{Conns: 8, ConnsInbound: 4, StreamsInbound: 64, Memory: 32 << 20},
	}.Build(defaults.Scale(1<<30, 4096))

	free4, free6 := []string{"127.0.0.0/8"}, []string{"::1/128"}
	if private {
		free4 = append(free4, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
		free6 = append(free6, "fc00::/7", "fe80::/10")
	}
	var rates []rate.PrefixLimit
	unlimited := func(nets []string) (counts []rcmgr.NetworkPrefixLimit) {
		for _, n := range nets {
			p := netip.MustParsePrefix(n)
			counts = append(counts, rcmgr.NetworkPrefixLimit{Network: p, ConnCount: math.MaxInt})
			rates = append(rates, rate.PrefixLimit{Prefix: p})
		}
		return counts
	}
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithNetworkPrefixLimit(unlimited(free4), unlimited(free6)),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: 64}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 64, ConnCount: 64}, {PrefixLength: 48, ConnCount: 128}}),
		rcmgr.WithConnRateLimiters(&rate.Limiter{
			NetworkPrefixLimits: rates,
			SubnetRateLimiter: rate.SubnetLimiter{
				IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: rate.Limit{RPS: 4, Burst: 64}}},
				IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 64, Limit: rate.Limit{RPS: 4, Burst: 64}}},
				GracePeriod:      time.Minute,
			},
		}))
}
