package packet

import "fmt"

// Stats counts what became of the packets. Every packet that was read is either handed
// on or counted once under a reason why not.
type Stats struct {
	Read   int64 // frames, of whatever protocol
	Handed int64

	// Not handed on.
	UnknownLink  int64 // of link types that are not read, 802.11 for instance
	NotIP        int64 // ARP, spanning tree, …
	BadLink      int64 // link headers that are cut or contradict themselves
	BadIP        int64 // likewise IPv4 and IPv6 with their extension headers
	BadTransport int64 // likewise TCP, UDP and ICMP
	Twice        int64 // on the loopback, where each packet is seen as it leaves and as it comes
	Panics       int64 // our own mistakes: see Panic

	// Handed on, the worse for wear.
	Truncated  int64 // captured in part
	Tunnels    int64 // told of by what they carry
	BadTunnels int64 // told of by what carries them, as their inside cannot be read

	Fragments     int64 // all, including those that completed a datagram
	Reassembled   int64 // datagrams
	BadFragments  int64 // datagrams given up: fragments overlap or contradict one another
	LostFragments int64 // datagrams given up: incomplete after 30 seconds, or no room for them

	Dropped int64 // by the kernel, as they came faster than they were read: they are not in Read
	// Panic says which packet the last panic was about.
	Panic string
}

// outcome says whether a packet is handed on, and if not, why.
type outcome uint8

const (
	handed outcome = iota
	unknownLink
	notIP
	badLink
	badIP
	badTransport
)

func (s *Stats) count(o outcome, p *Packet, captured int) {
	switch o {
	case handed:
		s.Handed++
		if captured < p.Length {
			s.Truncated++
		}
		if p.Tunnel {
			s.Tunnels++
		}
	case unknownLink:
		s.UnknownLink++
	case notIP:
		s.NotIP++
	case badLink:
		s.BadLink++
	case badIP:
		s.BadIP++
	case badTransport:
		s.BadTransport++
	}
}

func (s *Stats) panicked(number int64, reason any) {
	s.Panics++
	s.Panic = fmt.Sprintf("packet %d: %v", number, reason)
}
