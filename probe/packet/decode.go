package packet

import (
	"encoding/binary"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// decoder reads frames down to the transport layer. gopacket's decoding layers read
// the headers that they read well, into variables of their own, so that a packet costs
// no allocation; they are called directly, as DecodingLayerParser would call them, for
// it knows no bound on depth. Version 1.1.19 panics on short GRE and cooked headers,
// keeps the options of all Geneve packets it ever saw, allocates for IPv6's hop-by-hop
// options, and refuses TCP's that it does not understand: those headers are read here.
type decoder struct {
	packet    Packet
	stats     Stats
	fragments fragments
	depth     int  // of tunnels
	pieces    bool // it is a fragment that is being read

	ethernet layers.Ethernet
	dot1q    layers.Dot1Q
	loopback layers.Loopback
	ip4      layers.IPv4
	udp      layers.UDP
	icmp4    layers.ICMPv4
	icmp6    layers.ICMPv6
	vxlan    layers.VXLAN
}

// frame is what a capture says of one frame.
type frame struct {
	link     link
	kind     uint16 // of linkCooked: what follows, as Ethernet's type
	time     int64
	length   int // on the wire
	header   int // of length, what data does not begin with: the kernel has read it
	data     []byte
	device   int
	outgoing bool
	twice    bool // it has been, or will be, captured once more
	vlan     uint16
	mac      [6]byte
}

// The bounds: of tunnels in tunnels, of tags and labels of one frame, and of extension
// headers of one packet. Honest ones stay below.
const (
	maxDepth   = 4
	maxTags    = 8
	maxHeaders = 8
)

// decode returns what is to be handed on of a frame, if anything; it is valid until the
// next call.
func (d *decoder) decode(f *frame) (p *Packet) {
	d.stats.Read++
	if f.twice {
		d.stats.Twice++
		return nil
	}
	d.packet = Packet{
		Time: f.time, Number: d.stats.Read, Length: f.length,
		FromDevice: f.device, Outgoing: f.outgoing, VLAN: f.vlan, SourceMAC: f.mac,
	}
	d.depth, d.pieces = 0, false
	defer func() {
		if reason := recover(); reason != nil {
			d.stats.panicked(d.packet.Number, reason)
			p = nil
		}
	}()
	o := d.link(f)
	d.stats.count(o, &d.packet, f.header+len(f.data))
	if o != handed {
		return nil
	}
	return &d.packet
}

// link is a capture's link type, by www.tcpdump.org/linktypes.html.
type link uint16

const (
	linkNull     link = 0
	linkEthernet link = 1
	linkPPP      link = 9
	linkRawBSD   link = 12 // raw IP by its name of old, on most systems
	linkRawOpen  link = 14 // and on OpenBSD
	linkPPPHDLC  link = 50
	linkRaw      link = 101
	linkHDLC     link = 104
	linkLoop     link = 108
	linkSLL      link = 113
	linkIPv4     link = 228
	linkIPv6     link = 229
	linkNFLOG    link = 239
	linkSLL2     link = 276

	// linkCooked is no file's: the kernel has read the link header (see frame.kind).
	linkCooked link = 0xffff
)

// link reads the link header.
func (d *decoder) link(f *frame) outcome {
	switch b := f.data; f.link {
	case linkCooked:
		return d.network(f.kind, b)
	case linkEthernet:
		return d.ether(b)
	case linkNull, linkLoop:
		if d.loopback.DecodeFromBytes(b, gopacket.NilDecodeFeedback) != nil {
			return badLink
		}
		switch d.loopback.Family { // the BSDs do not agree on IPv6's
		case layers.ProtocolFamilyIPv4:
			return d.network(typeIPv4, d.loopback.Payload)
		case layers.ProtocolFamilyIPv6Linux, layers.ProtocolFamilyIPv6BSD, layers.ProtocolFamilyIPv6FreeBSD, layers.ProtocolFamilyIPv6Darwin:
			return d.network(typeIPv6, d.loopback.Payload)
		}
		return notIP
	case linkRaw, linkRawBSD, linkRawOpen, linkIPv4, linkIPv6:
		return d.raw(b)
	case linkSLL:
		if len(b) < 16 {
			return badLink
		}
		d.station(b[4:6], b[6:14])
		d.packet.Outgoing = binary.BigEndian.Uint16(b) == outgoing
		return d.network(binary.BigEndian.Uint16(b[14:]), b[16:])
	case linkSLL2:
		if len(b) < 20 {
			return badLink
		}
		d.station([]byte{0, b[11]}, b[12:20])
		d.packet.Outgoing = b[10] == outgoing
		return d.network(binary.BigEndian.Uint16(b), b[20:])
	case linkPPP, linkPPPHDLC:
		return d.ppp(b)
	case linkHDLC:
		if len(b) < 4 {
			return badLink
		}
		return d.network(binary.BigEndian.Uint16(b[2:]), b[4:])
	case linkNFLOG:
		return d.nflog(b)
	}
	return unknownLink
}

// outgoing is PACKET_OUTGOING of packet(7).
const outgoing = 4

// station takes the sender's address from a cooked header.
func (d *decoder) station(length, address []byte) {
	if binary.BigEndian.Uint16(length) == 6 {
		d.packet.SourceMAC = [6]byte(address)
	}
}

// raw reads a packet without a link header: its first four bits tell what it is.
func (d *decoder) raw(b []byte) outcome {
	if len(b) == 0 {
		return badIP
	}
	switch b[0] >> 4 {
	case 4:
		return d.ipv4(b)
	case 6:
		return d.ipv6(b)
	}
	return badIP
}

// ppp reads RFC 1661's header, with or without HDLC's address and with its protocol
// field compressed or not, and Cisco's HDLC in its place.
func (d *decoder) ppp(b []byte) outcome {
	if len(b) >= 4 && (b[0] == 0x0f || b[0] == 0x8f) && b[1] == 0 {
		return d.network(binary.BigEndian.Uint16(b[2:]), b[4:])
	}
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	if len(b) < 2 {
		return badLink
	}
	protocol := uint16(b[0])
	if b[0]&1 != 0 {
		b = b[1:]
	} else {
		protocol, b = binary.BigEndian.Uint16(b), b[2:]
	}
	switch protocol {
	case 0x21:
		return d.network(typeIPv4, b)
	case 0x57:
		return d.network(typeIPv6, b)
	case 0x281:
		return d.network(typeMPLS, b)
	}
	return notIP
}

// nflog reads what the kernel's packet filter logs: attributes, of which one is the
// packet from its IP header on.
func (d *decoder) nflog(b []byte) outcome {
	const payload = 9
	if len(b) < 4 || b[1] != 0 {
		return badLink
	}
	for b = b[4:]; len(b) >= 4; {
		length, kind := int(binary.LittleEndian.Uint16(b)), binary.LittleEndian.Uint16(b[2:])
		if length < 4 {
			return badLink
		}
		if kind == payload {
			return d.raw(b[4:min(length, len(b))])
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return notIP
}

// The Ethernet types that lead to IP.
const (
	typeIPv4     uint16 = 0x0800
	typeBridge   uint16 = 0x6558 // transparent Ethernet bridging: inside tunnels
	typeVLAN     uint16 = 0x8100
	typeIPv6     uint16 = 0x86dd
	typePPP      uint16 = 0x880b
	typeMPLS     uint16 = 0x8847
	typeMPLSMore uint16 = 0x8848
	typePPPoE    uint16 = 0x8864
	typeERSPAN2  uint16 = 0x88be
	typeQinQ     uint16 = 0x88a8
	typeQinQOld  uint16 = 0x9100
	typeERSPAN3  uint16 = 0x22eb

	// Below it stands a length, and LLC follows.
	leastType = 0x600
)

func (d *decoder) ether(b []byte) outcome {
	if d.ethernet.DecodeFromBytes(b, gopacket.NilDecodeFeedback) != nil {
		return badLink
	}
	if d.depth == 0 {
		d.packet.SourceMAC = [6]byte(b[6:12])
	}
	return d.network(binary.BigEndian.Uint16(b[12:]), d.ethernet.Payload)
}

// network peels tags and labels off, down to IP.
func (d *decoder) network(kind uint16, b []byte) outcome {
	for range maxTags {
		switch kind {
		case typeIPv4:
			return d.ipv4(b)
		case typeIPv6:
			return d.ipv6(b)
		case typeVLAN, typeQinQ, typeQinQOld:
			if d.dot1q.DecodeFromBytes(b, gopacket.NilDecodeFeedback) != nil {
				return badLink
			}
			d.packet.VLAN = d.dot1q.VLANIdentifier
			kind, b = uint16(d.dot1q.Type), d.dot1q.Payload
		case typeMPLS, typeMPLSMore:
			if len(b) < 5 {
				return badLink
			}
			if last := b[2]&1 != 0; last {
				switch b[4] >> 4 { // no label says what follows
				case 4:
					kind = typeIPv4
				case 6:
					kind = typeIPv6
				default:
					return notIP
				}
			}
			b = b[4:]
		case typePPPoE:
			if len(b) < 6 || b[0] != 0x11 || b[1] != 0 {
				return badLink
			}
			return d.ppp(b[6:])
		case typePPP:
			return d.ppp(b)
		case typeBridge:
			return d.ether(b)
		default:
			snap := []byte{0xaa, 0xaa, 0x03, 0, 0, 0}
			if kind >= leastType || len(b) < 8 || string(b[:6]) != string(snap) {
				return notIP
			}
			kind, b = binary.BigEndian.Uint16(b[6:]), b[8:]
		}
	}
	return badLink
}
