package payload

import (
	"net/netip"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

var (
	client = netip.MustParseAddrPort("203.0.113.9:40000")
	server = netip.MustParseAddrPort("198.51.100.2:80")
)

// talk makes the packets of one connection, and has a scanner look at them.
type talk struct {
	t       testing.TB
	scanner *Scanner
	events  []event.Event
	now     time.Time
	number  int64

	ends [2]netip.AddrPort // client, server
	next [2]uint32         // sequence numbers
	mac  [2][6]byte
}

func newTalk(t testing.TB, config Config) *talk {
	t.Helper()
	scanner, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(scanner.Close)
	return &talk{
		t: t, scanner: scanner, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		ends: [2]netip.AddrPort{client, server}, next: [2]uint32{1000, 1<<32 - 500}, // the server's numbers begin anew soon
		mac: [2][6]byte{{2, 1}, {2, 2}},
	}
}

func (k *talk) emit(e event.Event) { k.events = append(k.events, e) }

// packet makes what side sends.
func (k *talk) packet(side int, flags packet.Flags, seq uint32, data string) *packet.Packet {
	k.number++
	k.now = k.now.Add(time.Millisecond)
	return &packet.Packet{
		Time: k.now.UnixNano(), Number: k.number, Protocol: packet.TCP,
		Source: k.ends[side].Addr(), SourcePort: k.ends[side].Port(), Target: k.ends[1-side].Addr(), TargetPort: k.ends[1-side].Port(),
		Flags: flags, Sequence: seq, Ack: k.next[1-side], Payload: []byte(data), PayloadLength: len(data), SourceMAC: k.mac[side],
	}
}

// send has the scanner look at a packet, whose bytes are gone afterwards.
func (k *talk) send(p *packet.Packet) {
	k.scanner.Packet(p, k.emit)
	for i := range p.Payload {
		p.Payload[i] = 0xAA
	}
	if used, most := k.scanner.Stats().Memory, int64(k.scanner.config.MemoryMiB<<20); used > most || used < 0 {
		k.t.Fatalf("%d bytes are used, of %d", used, most)
	}
}

func (k *talk) handshake() {
	k.send(k.packet(0, packet.SYN, k.next[0], ""))
	k.next[0]++
	k.send(k.packet(1, packet.SYN|packet.ACK, k.next[1], ""))
	k.next[1]++
	k.send(k.packet(0, packet.ACK, k.next[0], ""))
}

// say is data in order, acknowledged.
func (k *talk) say(side int, data string) {
	k.send(k.packet(side, packet.ACK|packet.PSH, k.next[side], data))
	k.next[side] += uint32(len(data))
	k.send(k.packet(1-side, packet.ACK, k.next[1-side], ""))
}

// at is data at an offset from where side is; it does not move on.
func (k *talk) at(side, offset int, data string) {
	k.send(k.packet(side, packet.ACK|packet.PSH, k.next[side]+uint32(offset), data))
}

func (k *talk) close() {
	for side := range 2 {
		k.send(k.packet(side, packet.ACK|packet.FIN, k.next[side], ""))
		k.next[side]++
	}
}

// heard notes what the streams hand on, in place of a search in it.
func (k *talk) heard() *[2][]string {
	var pieces [2][]string
	k.scanner.streams.scan = func(c *connection, side int) {
		if c.client == 1 || c.client < 0 && c.ends[0] != k.ends[0] {
			side, c = 1-side, &connection{sides: [2]direction{c.sides[1], c.sides[0]}}
		}
		d := &c.sides[side]
		pieces[side] = append(pieces[side], string(d.piece[d.old:]))
	}
	return &pieces
}
