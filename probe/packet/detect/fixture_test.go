package detect

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// start is when tests begin.
const start = int64(1_700_000_000) * int64(time.Second)

// wire is a network that a test sends packets over: a clock, and what the detector told.
type wire struct {
	*Detector
	t      *testing.T
	now    int64
	number int64
	events []event.Event
}

func newWire(t *testing.T, config Config) *wire {
	return &wire{Detector: New(config), t: t, now: start}
}

func (w *wire) emit(e event.Event) { w.events = append(w.events, e) }

// send sends packets, each so long after the one before.
func (w *wire) send(apart time.Duration, packets ...packet.Packet) {
	for i := range packets {
		w.now += int64(apart)
		w.number++
		packets[i].Time, packets[i].Number = w.now, w.number
		w.Packet(&packets[i], w.emit)
	}
}

// wait lets time pass.
func (w *wire) wait(d time.Duration) {
	w.now += int64(d)
	w.Tick(w.now, w.emit)
}

// told returns the events of a kind, in order.
func (w *wire) told(kind event.Kind) (found []event.Event) {
	for _, e := range w.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// only fails the test if there are events of other kinds.
func (w *wire) only(kinds ...event.Kind) {
	w.t.Helper()
next:
	for _, e := range w.events {
		for _, k := range kinds {
			if e.Kind == k {
				continue next
			}
		}
		w.t.Errorf("unexpected %s of %s to %s:%d: %s", e.Kind, e.Source.Addr, e.Target.Addr, e.Target.Port, e.Detail)
	}
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// host4 is the n-th host of 203.0.113.0 and the networks above it.
func host4(n int) netip.Addr {
	a := ip("203.0.113.0").As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(n))
	return netip.AddrFrom4(a)
}

// tcpPacket is a segment in the middle of what handshake begins.
func tcpPacket(source, target netip.Addr, sourcePort, targetPort uint16, flags packet.Flags) packet.Packet {
	p := packet.Packet{
		Length: 60, Source: source, Target: target, SourcePort: sourcePort, TargetPort: targetPort, Protocol: packet.TCP,
		TTL: 60, Flags: flags, Window: 1024, SourceMAC: [6]byte{2, 0, 0, 0, 0, 1}, Sequence: 1001,
	}
	if sourcePort < 1024 {
		p.Sequence = 5001 // a server's
	}
	return p
}

func udpPacket(source, target netip.Addr, sourcePort, targetPort uint16, payload []byte) packet.Packet {
	return packet.Packet{
		Length: 42 + len(payload), Source: source, Target: target, SourcePort: sourcePort, TargetPort: targetPort, Protocol: packet.UDP,
		TTL: 60, Payload: payload, PayloadLength: len(payload), SourceMAC: [6]byte{2, 0, 0, 0, 0, 1},
	}
}

func icmpPacket(source, target netip.Addr, icmpType uint8) packet.Packet {
	return packet.Packet{
		Length: 60, Source: source, Target: target, Protocol: packet.ICMP, TTL: 60, ICMPType: icmpType, SourceMAC: [6]byte{2, 0, 0, 0, 0, 1},
	}
}

// syn is the first packet of a connection; its number is 1000.
func syn(client, server netip.Addr, clientPort, serverPort uint16) packet.Packet {
	p := tcpPacket(client, server, clientPort, serverPort, packet.SYN)
	p.Sequence = 1000
	return p
}

// refusal is the answer of a closed port to syn.
func refusal(client, server netip.Addr, clientPort, serverPort uint16) packet.Packet {
	p := tcpPacket(server, client, serverPort, clientPort, packet.RST|packet.ACK)
	p.Ack = 1001
	return p
}

// handshake is the three packets that begin a connection; the server's number is 5000.
func handshake(client, server netip.Addr, clientPort, serverPort uint16) []packet.Packet {
	synack := tcpPacket(server, client, serverPort, clientPort, packet.SYN|packet.ACK)
	synack.Sequence, synack.Ack = 5000, 1001
	ack := tcpPacket(client, server, clientPort, serverPort, packet.ACK)
	ack.Sequence, ack.Ack = 1001, 5001
	return []packet.Packet{syn(client, server, clientPort, serverPort), synack, ack}
}

// data is a segment with payload.
func data(source, target netip.Addr, sourcePort, targetPort uint16, payload []byte) packet.Packet {
	p := tcpPacket(source, target, sourcePort, targetPort, packet.ACK|packet.PSH)
	p.Payload, p.PayloadLength, p.Length = payload, len(payload), 54+len(payload)
	return p
}

// session is a whole connection, in which each side sends so many segments of 100 bytes.
func session(client, server netip.Addr, clientPort, serverPort uint16, segments int) []packet.Packet {
	all := handshake(client, server, clientPort, serverPort)
	for range segments {
		all = append(all, data(client, server, clientPort, serverPort, make([]byte, 100)), data(server, client, serverPort, clientPort, make([]byte, 100)))
	}
	return append(all, tcpPacket(client, server, clientPort, serverPort, packet.FIN|packet.ACK), tcpPacket(server, client, serverPort, clientPort, packet.FIN|packet.ACK))
}

// dnsQuery is a message with one question.
func dnsQuery(id uint16, name string, reply bool) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	flags := uint16(0x0100)
	if reply {
		flags = 0x8180
	}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = append(b, 0, 1, 0, 0, 0, 0, 0, 0)
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0, 0, 1, 0, 1)
}
