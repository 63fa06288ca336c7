package packet

import (
	"encoding/binary"

	"github.com/google/gopacket"
)

// The ports of tunnels over UDP. Linux had its own for VXLAN before there was RFC 7348.
const (
	portVXLAN    = 4789
	portVXLANOld = 8472
	portGeneve   = 6081
)

// tunnel goes on inside a packet that carries another one, as far as that can be read.
func (d *decoder) tunnel() outcome {
	p := &d.packet
	switch b := p.Payload; p.Protocol {
	case ipip:
		return d.inside(typeIPv4, b)
	case ipv6inIP:
		return d.inside(typeIPv6, b)
	case gre:
		if kind, b, ok := readGRE(b); ok {
			return d.inside(kind, b)
		}
		return handed
	case UDP:
		switch p.TargetPort {
		case portVXLAN, portVXLANOld:
			if d.vxlan.DecodeFromBytes(b, gopacket.NilDecodeFeedback) == nil && d.vxlan.ValidIDFlag {
				return d.inside(typeBridge, d.vxlan.Payload)
			}
		case portGeneve:
			if kind, b, ok := readGeneve(b); ok {
				return d.inside(kind, b)
			}
		}
	}
	return handed
}

// inside reads on as if the inner packet had come by itself. What cannot be read, or
// is no IP, leaves the packet that carries it.
func (d *decoder) inside(kind uint16, b []byte) outcome {
	outer := d.packet
	d.depth, d.pieces = d.depth+1, false
	if d.depth <= maxDepth {
		d.packet = Packet{
			Time: outer.Time, Number: outer.Number, Length: outer.Length,
			FromDevice: outer.FromDevice, Outgoing: outer.Outgoing, VLAN: outer.VLAN, SourceMAC: outer.SourceMAC,
			Tunnel: true,
		}
		if d.network(kind, b) == handed {
			return handed
		}
	}
	d.packet = outer
	d.stats.BadTunnels++
	return handed
}

// readGRE reads the header of RFC 2784 and 2890, or of PPTP (RFC 2637), and ERSPAN's
// behind it, by which switches send copies of what they see.
func readGRE(b []byte) (kind uint16, inner []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, false
	}
	flags, kind := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	const routed, numbered, acked, version = 0x4000, 0x1000, 0x80, 0x7
	pptp := flags&version == 1 && kind == typePPP
	if flags&routed != 0 || flags&version != 0 && !pptp { // nobody uses the routes
		return 0, nil, false
	}
	size := 4
	for _, field := range [...]uint16{0x8000, 0x2000, numbered} { // checksum, key, sequence
		if flags&field != 0 {
			size += 4
		}
	}
	if pptp && flags&acked != 0 {
		size += 4
	}
	switch {
	case kind == typeERSPAN2 && flags&numbered != 0:
		kind, size = typeBridge, size+8
	case kind == typeERSPAN2:
		kind = typeBridge // type I: no header of its own
	case kind == typeERSPAN3:
		if len(b) < size+12 {
			return 0, nil, false
		}
		kind, size = typeBridge, size+12
		if b[size-1]&1 != 0 { // a subheader of its platform follows
			size += 8
		}
	}
	if len(b) < size {
		return 0, nil, false
	}
	return kind, b[size:], true
}

// readGeneve reads RFC 8926's header and leaves its options out.
func readGeneve(b []byte) (kind uint16, inner []byte, ok bool) {
	if len(b) < 8 || b[0]>>6 != 0 {
		return 0, nil, false
	}
	size := 8 + int(b[0]&0x3f)*4
	if len(b) < size {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(b[2:]), b[size:], true
}
