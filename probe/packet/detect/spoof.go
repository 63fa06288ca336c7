package detect

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// station is what is known of a sender on the link, by its hardware address: which kind
// of sources its packets bear.
type station struct {
	own, foreign int32 // exchanges begun with a source of the watched networks, and with another
	last         host  // the own source that it used last
	several      bool  // it has used more than one: it forwards for others
}

// A station must have begun this many exchanges from one side, and less than one in a
// hundred from the other, before a packet from the other side is held against it.
const (
	knownStation = 50
	onePercent   = 100
)

// martian are sources that no packet on a network bears rightly (RFC 6890, where neither
// source nor forwardable is allowed); link-local ones are right on their own link.
var martian = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("ff00::/8"),
}

// local are sources that may be right within a network and never come from outside.
var local = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fc00::/7"),
}

func within(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// names tells whether an address can be a host's.
func names(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !within(martian, a)
}

// forgedSource looks at the first packet of an exchange, since whoever forges a source begins
// one, and tells whether the source cannot be where it is said to be.
func (d *Detector) forgedSource(p *packet.Packet) bool {
	loopback := p.SourceMAC == [6]byte{} // a host's talk with itself is seen there, and bears its own addresses
	switch {
	case p.Source == p.Target:
		return !loopback && d.tellForged(p, "the source is the target itself")
	case p.Source.IsUnspecified() && (p.Target == broadcast || p.Target.IsMulticast() || p.Target.IsLinkLocalUnicast()):
		return false // a host that has no address yet asks for one
	case within(martian, p.Source):
		return !(loopback && p.Source.IsLoopback()) && d.tellForged(p, "the source is nobody's")
	case len(d.config.Home) == 0 || p.Tunnel || p.Source.IsLinkLocalUnicast():
		return false
	}
	own := d.home(p.Source)
	if !own && d.home(p.Target) && within(local, p.Source) && !d.private() {
		return d.tellForged(p, "the source is a private network's, and ours is not private")
	}
	if loopback || !own && (within(local, p.Source) || !d.judges(p.Source)) {
		return false
	}
	return d.station(p, own)
}

// judges tells whether the watched networks say anything about addresses of this family.
func (d *Detector) judges(a netip.Addr) bool {
	return slices.ContainsFunc(d.config.Home, func(p netip.Prefix) bool { return p.Addr().Is4() == a.Is4() })
}

// private tells whether the watched networks are private ones, whose neighbours may be as well.
func (d *Detector) private() bool {
	return slices.ContainsFunc(d.config.Home, func(p netip.Prefix) bool { return within(local, p.Addr()) })
}

// station learns on which side a sender is, and holds it against a packet that it bears the
// other side's source: a gateway that has only brought strangers brings one of us, or a
// host that was always one of us is a stranger.
func (d *Detector) station(p *packet.Packet, own bool) (forged bool) {
	k := number(binary.BigEndian.Uint64(append(make([]byte, 2, 8), p.SourceMAC[:]...)))
	i := d.stations.find(k)
	if i == 0 {
		i = d.stations.add(k, passing)
	} else {
		d.stations.renew(i, passing)
	}
	s := d.stations.value(i)
	source := hostOf(p.Source)
	if own {
		if s.foreign >= knownStation && s.own < s.foreign/onePercent+1 {
			s.own++ // when it has done so for long, it was no gateway to the outside
			return d.tellForged(p, "the source is one of ours, and the packet comes from outside")
		}
		s.several = s.several || s.own > 0 && s.last != source
		s.last = source
		s.own++
		return false
	}
	if s.own >= knownStation && s.foreign < s.own/onePercent+1 {
		d.tellEgress(p, s)
		s.foreign++ // when it has done so for long, it forwards for others
		return true
	}
	s.foreign++
	return false
}

// tellForged reports, and is true: a source that cannot be where it is said to be. It is named only
// if it may be a host's that is not ours. Forged sources are many, so it is by their targets that
// they are counted.
func (d *Detector) tellForged(p *packet.Packet, why string) bool {
	news := d.notify(noticeKey{target: hostOf(p.Target), kind: forged}, 1)
	if news == 0 {
		return true
	}
	e := event.Event{Time: d.at(d.now), Kind: event.SpoofSource, Count: news, Protocol: p.Protocol.String(), Detail: why + ": " + p.Source.String()}
	e.Source, e.Target = ends(p)
	if p.Source == p.Target || d.home(p.Source) {
		e.Source = event.Endpoint{}
	}
	d.tell(e, p.Number)
	return true
}

// tellEgress reports a packet that leaves with a source which is not ours. It names the host
// that sent it, if its station has never sent for anybody else, and never the source.
func (d *Detector) tellEgress(p *packet.Packet, s *station) {
	sender := host{}
	if !s.several {
		sender = s.last
	}
	news := d.notify(noticeKey{source: sender, target: hostOf(p.Target), kind: forgedEgress}, 1)
	if news == 0 {
		return
	}
	e := event.Event{
		Time: d.at(d.now), Kind: event.SpoofEgress, Count: news, Protocol: p.Protocol.String(),
		Target: event.Endpoint{Addr: p.Target, Port: p.TargetPort}, Detail: "sent with the source " + p.Source.String(),
	}
	if !s.several {
		e.Source.Addr = sender.addr()
	}
	d.tell(e, p.Number)
}
