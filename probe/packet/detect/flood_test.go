package detect

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// many makes n packets.
func many(n int, make func(i int) packet.Packet) (all []packet.Packet) {
	for i := range n {
		all = append(all, make(i))
	}
	return all
}

// stranger is the i-th of many sources.
func stranger(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(100 + i>>16), byte(i >> 8), byte(i), 7})
}

func TestFlood(t *testing.T) {
	tests := map[string]struct {
		packets []packet.Packet
		apart   time.Duration
		kind    event.Kind
		sources int // that are named; 0: there is no flood
		says    string
	}{
		"SYN from one": {many(1000, func(i int) packet.Packet { return syn(scanner, victim, uint16(i), 80) }),
			time.Millisecond, event.FloodSYN, 1, "most of them from 198.51.100.9"},
		"SYN repeated": {many(1000, func(i int) packet.Packet { return syn(scanner, victim, 999, 80) }),
			time.Millisecond, event.FloodSYN, 1, "most of them from 198.51.100.9"},
		"SYN from 151 and no more": {many(151, func(i int) packet.Packet { return syn(stranger(i), victim, uint16(i), 80) }),
			time.Microsecond, event.FloodSYN, 16, "sources"},
		"SYN slowly": {many(1000, func(i int) packet.Packet { return syn(scanner, victim, uint16(i), 80) }),
			60 * time.Millisecond, event.FloodSYN, 0, ""},
		"UDP": {many(5000, func(i int) packet.Packet { return udpPacket(scanner, victim, uint16(i), 9999, make([]byte, 20)) }),
			100 * time.Microsecond, event.FloodUDP, 1, "most of them from"},
		"UDP, answered": {many(5000, func(i int) packet.Packet {
			if i == 1 {
				return udpPacket(victim, scanner, 9999, 555, make([]byte, 20))
			}
			return udpPacket(scanner, victim, 555, 9999, make([]byte, 20))
		}), 100 * time.Microsecond, event.FloodUDP, 0, ""},
		"ICMP": {many(1000, func(i int) packet.Packet { return icmpPacket(scanner, victim, 8) }),
			time.Millisecond, event.FloodICMP, 1, "most of them from"},
		"ICMP replies that nobody asked for": {many(1000, func(i int) packet.Packet { return icmpPacket(stranger(i), victim, 0) }),
			time.Millisecond, event.FloodICMP, 16, "sources"},
		"a ping each second": {many(1000, func(i int) packet.Packet { return icmpPacket(scanner, victim, 8) }),
			time.Second, event.FloodICMP, 0, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, Config{})
			w.send(test.apart, test.packets...)
			w.only(test.kind, event.ConnectionRefused)
			named := map[netip.Addr]bool{}
			got := w.told(test.kind)
			for _, e := range got {
				named[e.Source.Addr] = true
				if e.Target.Addr != victim || e.Proof != event.Spoofable || e.Severity != 5 || !strings.Contains(e.Detail, test.says) {
					t.Errorf("%+v", e)
				}
			}
			if test.sources == 0 && len(got) > 0 || test.sources > 0 && len(named) < test.sources || test.sources == 1 && len(named) > 1 {
				t.Errorf("%d events name %d sources, want %d", len(got), len(named), test.sources)
			}
			if len(got) > 16*10 {
				t.Errorf("%d events are a flood themselves", len(got))
			}
		})
	}
}

// TestSpoofedFlood: 20,000 sources are counted, sixteen an event named, none blamed for most of it,
// and none for tries in vain.
func TestSpoofedFlood(t *testing.T) {
	w := newWire(t, Config{})
	w.send(500*time.Microsecond, many(20_000, func(i int) packet.Packet { return syn(stranger(i), victim, uint16(i), 80) })...)
	w.wait(6 * time.Second)
	w.only(event.FloodSYN)
	got := w.told(event.FloodSYN)
	var n, sources int
	if _, err := fmt.Sscanf(got[len(got)-1].Detail, "%d connections begun and not completed from about %d sources", &n, &sources); err != nil {
		t.Fatalf("%q: %v", got[len(got)-1].Detail, err)
	}
	if n < 5000 || sources < n*9/10 || sources > n*11/10 {
		t.Errorf("%d sources of %d packets, all different", sources, n)
	}
}

// TestBusyServer: connections that are completed are no flood, however many.
func TestBusyServer(t *testing.T) {
	w := newWire(t, Config{})
	for i := range 5000 {
		w.send(100*time.Microsecond, session(stranger(i), victim, uint16(i), 80, 1)...)
	}
	w.only()
}

// TestFloodEnds: when a flood is over, tries count again.
func TestFloodEnds(t *testing.T) {
	w := newWire(t, Config{})
	w.send(time.Millisecond, many(2000, func(i int) packet.Packet { return syn(stranger(i), victim, uint16(i), 80) })...)
	w.wait(time.Minute)
	if n := len(w.told(event.ConnectionRefused)); n > 0 {
		t.Errorf("%d sources of the flood are said to have tried in vain", n)
	}
	w.send(time.Millisecond, closed(scanner, victim, 4000, 80)...)
	if n := len(w.told(event.ConnectionRefused)); n != 1 {
		t.Errorf("%d refused connections after it, want 1", n)
	}
}

// TestNobody: packets without a source are counted, and nobody is named.
func TestNobody(t *testing.T) {
	w := newWire(t, Config{})
	w.send(50*time.Microsecond, many(10_000, func(i int) packet.Packet {
		return udpPacket(netip.IPv4Unspecified(), broadcast, 68, 67, make([]byte, 200))
	})...)
	w.only()
	if w.Stats().Nobodies == 0 {
		t.Error("the flood is not counted")
	}
}

func TestDNSFlood(t *testing.T) {
	resolver, server := ip("203.0.113.53"), ip("192.0.2.53")
	query := func(client netip.Addr, i int, name string) packet.Packet {
		return udpPacket(client, resolver, 4000, 53, dnsQuery(uint16(i), name, false))
	}
	reply := func(from, to netip.Addr, i int, name string, code byte) packet.Packet {
		b := dnsQuery(uint16(i), name, true)
		b[3] |= code
		return udpPacket(from, to, 53, 4000, b)
	}
	random := func(i int) string { return fmt.Sprintf("x%x.victim.example", i*7919) }
	asked := func(n int, name func(i int) string, code byte) (all []packet.Packet) {
		for i := range n {
			all = append(all, query(scanner, i, name(i)), reply(resolver, scanner, i, name(i), code))
		}
		return all
	}
	tests := map[string]struct {
		packets []packet.Packet
		kind    event.Kind
		source  netip.Addr
		name    string
	}{
		"random names":                  {many(1000, func(i int) packet.Packet { return query(scanner, i, random(i)) }), event.DNSFloodQuery, scanner, ""},
		"random names, none exists":     {asked(1000, random, 3), event.DNSFloodQuery, scanner, ""},
		"many names, all exist":         {asked(1000, random, 0), "", netip.Addr{}, ""},
		"one name":                      {many(500, func(i int) packet.Packet { return query(scanner, i, "WWW.bank.example") }), event.DNSFloodQuery, scanner, "www.bank.example"},
		"one name, by many":             {many(2000, func(i int) packet.Packet { return query(stranger(i), i, "www.bank.example") }), "", netip.Addr{}, ""},
		"replies that nobody asked for": {many(100, func(i int) packet.Packet { return reply(server, resolver, i, "www.bank.example", 0) }), event.DNSFloodReply, server, "www.bank.example"},
		"replies, late":                 {many(100, func(i int) packet.Packet { return reply(server, resolver, i, fmt.Sprintf("n%d.example", i), 0) }), "", netip.Addr{}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, Config{})
			w.send(time.Millisecond, test.packets...)
			w.only(test.kind)
			got := w.told(test.kind)
			if (len(got) > 0) != (test.kind != "") {
				t.Fatalf("%+v", got)
			}
			for _, e := range got {
				if e.Source.Addr != test.source || e.Proof != event.Spoofable || e.Protocol != "udp" || e.Name != test.name {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// TestBirthday is the attack of paper 000: queries for a name, which the resolver passes on, and
// forged replies in the name of the server that should know.
func TestBirthday(t *testing.T) {
	resolver, server := ip("203.0.113.53"), ip("192.0.2.53")
	w := newWire(t, Config{Home: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
	for i := range 500 {
		w.send(time.Millisecond,
			udpPacket(scanner, resolver, 4000, 53, dnsQuery(uint16(i), "www.bank.example", false)),
			udpPacket(resolver, server, 3046, 53, dnsQuery(uint16(7*i), "www.bank.example", false)),
			udpPacket(server, resolver, 53, 3046, dnsQuery(uint16(20000+i), "www.bank.example", true)))
	}
	w.only(event.DNSFloodQuery, event.DNSFloodReply)
	for _, e := range w.told(event.DNSFloodQuery) {
		if e.Source.Addr != scanner || e.Target.Addr != resolver {
			t.Errorf("%+v", e)
		}
	}
	for _, e := range w.told(event.DNSFloodReply) {
		if e.Source.Addr != server || e.Target.Addr != resolver || !strings.Contains(e.Detail, "forged") {
			t.Errorf("%+v", e)
		}
	}
	if len(w.told(event.DNSFloodQuery)) == 0 || len(w.told(event.DNSFloodReply)) == 0 {
		t.Errorf("%+v", w.events)
	}
}

func TestReadDNS(t *testing.T) {
	good := dnsQuery(7, "www.example.org", true)
	m, ok := readDNS(good)
	if !ok || m.id != 7 || !m.reply || m.labels != 3 {
		t.Errorf("%+v %v", m, ok)
	}
	if other, _ := readDNS(dnsQuery(8, "WWW.Example.ORG", false)); other.name != m.name || other.zone != m.zone || other.reply {
		t.Error("case makes a difference")
	}
	if zone, _ := readDNS(dnsQuery(8, "example.org", false)); zone.name != m.zone {
		t.Error("the zone is not the name without its first label")
	}
	for name, b := range map[string][]byte{
		"empty": nil, "header": good[:12], "cut": good[:20], "no question": append([]byte{0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, good[12:]...),
		"compressed": append(append([]byte(nil), good[:12]...), 0xc0, 12, 0, 1, 0, 1), "long": dnsQuery(1, strings.Repeat("abcdefgh.", 30)+"x", false),
	} {
		if m, ok := readDNS(b); ok {
			t.Errorf("%s is read as %+v", name, m)
		}
	}
	for asked, want := range map[string]string{
		"www.example.org": "www.example.org", "WWW.Example.ORG": "www.example.org", "_sip._udp.x-1.example": "_sip._udp.x-1.example",
		"a\nb.example": "", "a b.example": "", "\u212aelvin.example": "", "b\xfccher.example": "",
	} {
		if b := dnsQuery(7, asked, false); questionName(b) != want {
			t.Errorf("%q is asked for as %q", asked, questionName(b))
		}
	}
	dotted := dnsQuery(7, "wwwxexample", false)
	dotted[16] = '.' // within a label
	if questionName(dotted) != "" || questionName(append(good[:12:12], 0, 0, 1, 0, 1)) != "" {
		t.Error("a label with a dot, or none, is a name")
	}
	if binary.BigEndian.Uint16(good) != 7 {
		t.Error("the payload was changed")
	}
}
