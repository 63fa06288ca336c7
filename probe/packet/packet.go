// Package packet reads packets, from capture files and from interfaces, down to the
// transport layer. What they mean is for probe/packet/detect and probe/payload to say.
package packet

import "net/netip"

// Packet is one packet as its innermost IP header describes it. It is only valid
// during the call that hands it on: Payload points into the reader's buffer.
type Packet struct {
	Time   int64 // nanoseconds since 1970, by whoever captured it
	Number int64 // its place in the capture, counts from 1
	Length int   // bytes on the wire, of the whole frame; what was captured may be less

	Source, Target         netip.Addr // never zoned, never IPv4 in IPv6
	SourcePort, TargetPort uint16     // of TCP and UDP, else 0
	Protocol               Protocol
	TTL                    uint8

	// Of TCP.
	Flags    Flags
	Sequence uint32
	Ack      uint32
	Window   uint16

	ICMPType, ICMPCode uint8
	// Inner is what an ICMP error quotes of the packet that caused it, from its IP
	// header on; nil otherwise.
	Inner []byte

	// Payload is what follows the transport header, as far as it was captured. Of a
	// fragment that is not the first it is nil, and there are no ports.
	Payload []byte
	// PayloadLength is how long the payload was on the wire, by the IP header.
	PayloadLength int

	// Fragment: part of a datagram that was not put together. The first one has ports,
	// and the rest of TCP's header only where all of it is in the fragment. The last one
	// to come is handed on as the whole datagram, and is no Fragment.
	Fragment bool
	VLAN     uint16 // of the innermost tag
	// Tunnel: it came inside GRE, VXLAN, Geneve or IP in IP. Whoever wrote the packet
	// around it wrote all of it, and can write both directions of a session between two
	// others: no tunnelled handshake proves a source.
	Tunnel     bool
	Outgoing   bool    // of live captures and Linux cooked ones: this host sent it
	SourceMAC  [6]byte // of the frame as it was captured; zero where links have none
	FromDevice int     // of live captures and pcapng: the interface's index
}

// Protocol is IP's protocol number.
type Protocol uint8

// The protocols whose headers are read; others are handed on without ports.
const (
	ICMP   Protocol = 1
	TCP    Protocol = 6
	UDP    Protocol = 17
	ICMPv6 Protocol = 58
)

// String is the name that events use: "tcp", "udp", "icmp" (of both versions), else "".
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMP, ICMPv6:
		return "icmp"
	}
	return ""
}

// Flags are TCP's, as bits of the header's 14th byte.
type Flags uint8

// The flags.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)
