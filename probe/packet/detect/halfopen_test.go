package detect

import (
	"net/netip"
	"testing"
	"time"

	"github.com/komondor/komondor/probe/packet"
)

// leaving marks the packets of a client as this host's.
func leaving(client netip.Addr, packets ...packet.Packet) []packet.Packet {
	for i := range packets {
		packets[i].Time = start
		packets[i].Outgoing = packets[i].Source == client
	}
	return packets
}

func TestHalfOpen(t *testing.T) {
	server, now := ip("198.51.100.80"), time.Unix(0, start)
	repeated := []packet.Packet{syn(ip("192.0.2.9"), server, 4000, 80), syn(ip("192.0.2.9"), server, 4000, 80)}
	begun, refused := handshake(ip("192.0.2.9"), server, 4000, 80)[:2], refusal(ip("192.0.2.9"), server, 4000, 80)
	forged := refused
	forged.Ack = 7
	given := tcpPacket(ip("192.0.2.9"), server, 4000, 80, packet.RST)
	old := leaving(ip("192.0.2.9"), syn(ip("192.0.2.9"), server, 4000, 80))
	old[0].Time = start - int64(forgotten) - 1
	for name, test := range map[string]struct {
		packets []packet.Packet
		want    int
	}{
		"begun, and said once more":    {leaving(ip("192.0.2.9"), repeated...), 1},
		"answered":                     {leaving(ip("192.0.2.9"), begun...), 1},
		"completed":                    {leaving(ip("192.0.2.9"), handshake(ip("192.0.2.9"), server, 4000, 80)...), 0},
		"refused":                      {leaving(ip("192.0.2.9"), begun[0], refused), 0},
		"refused by a guess":           {leaving(ip("192.0.2.9"), begun[0], forged), 1},
		"given up, or undone":          {leaving(ip("192.0.2.9"), begun[0], given), 0},
		"begun by somebody else":       {leaving(server, begun[0]), 0},
		"too long ago":                 {old, 0},
		"of another server":            {leaving(ip("192.0.2.9"), syn(ip("192.0.2.9"), ip("198.51.100.81"), 4000, 80)), 0},
		"over IPv6, of another server": {leaving(ip("2001:db8::9"), syn(ip("2001:db8::9"), ip("2001:db8::80"), 4000, 80)), 0},
	} {
		h := NewHalfOpen()
		for i := range test.packets {
			h.Packet(&test.packets[i])
		}
		for port, want := range map[uint16]int{0: test.want, 80: test.want, 443: 0} {
			got := h.To(netip.AddrPortFrom(server, port), now)
			if len(got) != want {
				t.Errorf("%s, port %d: %v, want %d", name, port, got, want)
			}
			if len(got) > 0 && got[0] != (Call{netip.MustParseAddrPort("192.0.2.9:4000"), netip.AddrPortFrom(server, 80), 1000, now}) {
				t.Errorf("%s: %+v", name, got[0])
			}
		}
	}
}

// TestHalfOpenIsBounded: of a flood in many names the newest are known.
func TestHalfOpenIsBounded(t *testing.T) {
	h, server := NewHalfOpen(), ip("198.51.100.80")
	room := len(h.calls.slots) - 1
	for i := range 2 * room {
		p := syn(host4(i), server, uint16(i), 80)
		p.Outgoing, p.Time = true, start+int64(i)
		h.Packet(&p)
	}
	open := h.To(netip.AddrPortFrom(server, 0), time.Unix(0, start))
	if len(open) != room || room < 30_000 || open[0].Client.Addr() != host4(room) {
		t.Errorf("%d are known, of %d; the oldest is %v", len(open), room, open[0])
	}
}

// TestHalfOpenAllocatesNothing: neither ordinary packets nor a flood cost memory.
func TestHalfOpenAllocatesNothing(t *testing.T) {
	h, n := NewHalfOpen(), 0
	packets := ordinary(10_000)
	for i := range packets {
		packets[i].Outgoing = packets[i].Source.As4()[0] == 198
	}
	flood := syn(host4(0), ip("198.51.100.80"), 0, 80)
	flood.Outgoing = true
	if got := testing.AllocsPerRun(50_000, func() {
		n++
		h.Packet(&packets[n%len(packets)])
		flood.Source, flood.SourcePort = host4(n), uint16(n)
		h.Packet(&flood)
	}); got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}

// BenchmarkHalfOpen is a packet of ordinary traffic, one while a flood is remembered, and one of a flood.
func BenchmarkHalfOpen(b *testing.B) {
	packets := ordinary(200_000)
	for i := range packets {
		packets[i].Outgoing = packets[i].Source.As4()[0] == 198
	}
	spoofed := func(h *HalfOpen, i int) {
		p := syn(host4(i), ip("198.51.100.80"), uint16(i), 80)
		p.Outgoing = true
		h.Packet(&p)
	}
	for _, flooded := range []int{0, 40_000} {
		b.Run(map[bool]string{false: "ordinary", true: "ordinary-after-flood"}[flooded > 0], func(b *testing.B) {
			h := NewHalfOpen()
			for i := range flooded {
				spoofed(h, i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				h.Packet(&packets[i%len(packets)])
			}
		})
	}
	b.Run("flood", func(b *testing.B) {
		h := NewHalfOpen()
		b.ReportAllocs()
		for i := range b.N {
			spoofed(h, i)
		}
	})
}
