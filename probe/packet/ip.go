package packet

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/gopacket"
)

func (d *decoder) ipv4(b []byte) outcome {
	if len(b) < 20 || b[0]>>4 != 4 || d.ip4.DecodeFromBytes(b, gopacket.NilDecodeFeedback) != nil {
		return badIP
	}
	ip, p := &d.ip4, &d.packet
	p.Source = netip.AddrFrom4([4]byte(b[12:16]))
	p.Target = netip.AddrFrom4([4]byte(b[16:20]))
	p.TTL = ip.TTL
	length := int(ip.Length) - int(ip.IHL)*4
	flags := binary.BigEndian.Uint16(b[6:])
	if more, offset := flags&0x2000 != 0, int(flags&0x1fff)*8; more || offset != 0 {
		of := datagram{protocol: Protocol(ip.Protocol), id: uint32(ip.Id)}
		return d.fragment(of, piece{offset, ip.Payload}, more, Protocol(ip.Protocol), length)
	}
	return d.headers(Protocol(ip.Protocol), ip.Payload, length)
}

// ipv6 reads the fixed header itself: gopacket allocates for each hop-by-hop option,
// and refuses the length of 0 that captures before segmentation by the card have.
func (d *decoder) ipv6(b []byte) outcome {
	if len(b) < 40 || b[0]>>4 != 6 {
		return badIP
	}
	p := &d.packet
	p.Source = netip.AddrFrom16([16]byte(b[8:24]))
	p.Target = netip.AddrFrom16([16]byte(b[24:40]))
	p.TTL = b[7]
	// RFC 4942, 2.2: IPv4 addresses in IPv6's form have no place on the wire. Who
	// writes one wants the IPv4 host to be blamed.
	if p.Source.Is4In6() || p.Target.Is4In6() {
		return badIP
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	next, b := Protocol(b[6]), b[40:]
	if length == 0 {
		length = len(b)
	}
	return d.headers(next, b[:min(length, len(b))], length)
}

// The protocols that are headers on the way to another one, or carry IP.
const (
	hopByHop       Protocol = 0
	ipip           Protocol = 4
	ipv6inIP       Protocol = 41
	routing        Protocol = 43
	fragmentHeader Protocol = 44
	gre            Protocol = 47
	authentication Protocol = 51
	options        Protocol = 60
)

// headers walks the extension headers of IPv6, and IPsec's of both. length is what b
// was on the wire.
func (d *decoder) headers(next Protocol, b []byte, length int) outcome {
	six := d.packet.Source.Is6()
	for range maxHeaders {
		var size int
		switch {
		case next == authentication && len(b) >= 8:
			size = (int(b[1]) + 2) * 4
		case six && (next == hopByHop || next == routing || next == options) && len(b) >= 8:
			size = (int(b[1]) + 1) * 8
		case six && next == fragmentHeader && len(b) >= 8:
			flags := binary.BigEndian.Uint16(b[2:])
			more, offset := flags&1 != 0, int(flags&^7)
			if more || offset != 0 { // else it is whole: RFC 6946
				of := datagram{id: binary.BigEndian.Uint32(b[4:])}
				return d.fragment(of, piece{offset, b[8:]}, more, Protocol(b[0]), length-8)
			}
			size = 8
		case next == authentication, six && (next == hopByHop || next == routing || next == options || next == fragmentHeader):
			return d.cut(next, badIP)
		default:
			return d.transport(next, b, length)
		}
		if size > len(b) {
			return d.cut(next, badIP)
		}
		next, b, length = Protocol(b[0]), b[size:], length-size
	}
	return badIP
}

// cut ends the reading where a header should go on. A first fragment may end anywhere.
func (d *decoder) cut(next Protocol, o outcome) outcome {
	d.packet.Protocol = next
	if d.packet.Fragment {
		return handed
	}
	return o
}

// fragment hands on the whole datagram with its last piece, and until then each piece
// with what it shows.
func (d *decoder) fragment(of datagram, part piece, more bool, next Protocol, length int) outcome {
	if d.pieces {
		return badIP // fragments of fragments: no host sends them
	}
	d.pieces = true
	d.stats.Fragments++
	p := &d.packet
	of.source, of.target, of.vlan, of.tunnel = p.Source, p.Target, p.VLAN, p.Tunnel
	if len(part.bytes) == length { // else the capture lacks a part of it
		if whole, first := d.fragments.add(of, part, more, next, p.Time, &d.stats); whole != nil {
			d.stats.Reassembled++
			return d.headers(first, whole, len(whole))
		}
	}
	p.Fragment = true
	if part.offset == 0 {
		return d.headers(next, part.bytes, length)
	}
	p.Protocol, p.PayloadLength = next, length
	return handed
}

// transport reads the last header, or goes on inside what carries further packets.
func (d *decoder) transport(protocol Protocol, b []byte, length int) outcome {
	p := &d.packet
	p.Protocol, p.Payload, p.PayloadLength = protocol, b, length
	switch protocol {
	case TCP:
		return d.segment(b, length)
	case UDP:
		if d.udp.DecodeFromBytes(b, gopacket.NilDecodeFeedback) != nil {
			return d.portsOnly(b)
		}
		p.SourcePort, p.TargetPort = uint16(d.udp.SrcPort), uint16(d.udp.DstPort)
		p.Payload, p.PayloadLength = d.udp.Payload, length-8
		if d.udp.Length != 0 && !p.Fragment {
			p.PayloadLength = min(p.PayloadLength, int(d.udp.Length)-8)
		}
	case ICMP:
		if d.icmp4.DecodeFromBytes(b, gopacket.NilDecodeFeedback) != nil {
			return d.cut(protocol, badTransport)
		}
		d.icmp(d.icmp4.TypeCode.Type(), d.icmp4.TypeCode.Code(), b[8:], length)
		switch p.ICMPType {
		case 3, 4, 5, 11, 12: // unreachable, quench, redirect, time exceeded, parameter problem
			p.Inner = p.Payload
		}
	case ICMPv6:
		if d.icmp6.DecodeFromBytes(b, gopacket.NilDecodeFeedback) != nil {
			return d.cut(protocol, badTransport)
		}
		d.icmp(d.icmp6.TypeCode.Type(), d.icmp6.TypeCode.Code(), b[min(8, len(b)):], length)
		if p.ICMPType >= 1 && p.ICMPType <= 4 { // RFC 4443: the errors that quote
			p.Inner = p.Payload
		}
	}
	if p.Fragment {
		return handed
	}
	return d.tunnel()
}

func (d *decoder) icmp(kind, code uint8, payload []byte, length int) {
	p := &d.packet
	p.ICMPType, p.ICMPCode = kind, code
	p.Payload, p.PayloadLength = payload, max(length-8, 0)
}

// segment reads TCP's header, but for the options. gopacket refuses a segment whose
// options make no sense, and allocates to say so; Linux takes it, so a scan could hide
// behind them.
func (d *decoder) segment(b []byte, length int) outcome {
	if len(b) < 20 {
		return d.portsOnly(b)
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > length && !d.packet.Fragment {
		return d.portsOnly(b)
	}
	p := &d.packet
	p.SourcePort, p.TargetPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	p.Sequence, p.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	p.Flags = Flags(b[13]) & (FIN | SYN | RST | PSH | ACK | URG)
	p.Window = binary.BigEndian.Uint16(b[14:])
	p.Payload, p.PayloadLength = b[min(header, len(b)):], max(length-header, 0)
	return handed
}

// portsOnly is for headers that are not all there: of a first fragment the ports are
// worth handing on, of others nothing is.
func (d *decoder) portsOnly(b []byte) outcome {
	p := &d.packet
	if p.Fragment && len(b) >= 4 {
		p.SourcePort, p.TargetPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	}
	p.Payload = nil
	return d.cut(p.Protocol, badTransport)
}

// Quoted reads what an ICMP error quotes (Packet.Inner): addresses, protocol and, of
// TCP and UDP, ports, of which the first 8 bytes are enough. Whoever sent the error
// has written it, and may name anybody: it is worth something only where it agrees
// with what was seen by itself.
func Quoted(inner []byte) (p Packet, ok bool) {
	var rest []byte
	switch {
	case len(inner) >= 20 && inner[0]>>4 == 4:
		size := int(inner[0]&0xf) * 4
		if size < 20 || size > len(inner) || binary.BigEndian.Uint16(inner[6:])&0x1fff != 0 {
			return p, false
		}
		p.Source, p.Target = netip.AddrFrom4([4]byte(inner[12:16])), netip.AddrFrom4([4]byte(inner[16:20]))
		p.TTL, p.Protocol, rest = inner[8], Protocol(inner[9]), inner[size:]
	case len(inner) >= 40 && inner[0]>>4 == 6:
		p.Source, p.Target = netip.AddrFrom16([16]byte(inner[8:24])), netip.AddrFrom16([16]byte(inner[24:40]))
		p.TTL, p.Protocol, rest = inner[7], Protocol(inner[6]), inner[40:]
	default:
		return p, false
	}
	if p.Source.Is4In6() || p.Target.Is4In6() {
		return p, false
	}
	if p.Protocol == TCP || p.Protocol == UDP {
		if len(rest) < 4 {
			return p, false
		}
		p.SourcePort, p.TargetPort = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
	}
	return p, true
}
