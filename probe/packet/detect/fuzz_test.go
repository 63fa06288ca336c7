package detect

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// stranded turns bytes into packets: 24 bytes of header each, of few addresses and ports so that
// they meet, and a payload.
func stranded(b []byte) (all []packet.Packet) {
	hosts := []netip.Addr{
		scanner, victim, ip("203.0.113.53"), ip("10.0.0.1"), ip("0.0.0.0"), ip("127.0.0.1"), ip("255.255.255.255"), ip("224.0.0.1"),
		ip("::"), ip("::1"), ip("2001:db8::1"), ip("fe80::1"), ip("ff02::1"), {}, ip("2001:db8::2"), ip("240.0.0.1"),
	}
	protocols := []packet.Protocol{packet.TCP, packet.TCP, packet.UDP, packet.UDP, packet.ICMP, packet.ICMPv6, 0, 132}
	now := start
	for len(b) >= 24 {
		size := min(int(b[23]), len(b)-24)
		now += int64(int16(binary.BigEndian.Uint16(b))) << (b[2] & 31)
		p := packet.Packet{
			Time: now, Number: int64(len(all) + 1), Source: hosts[b[3]&15], Target: hosts[b[4]&15], Protocol: protocols[b[5]&7],
			SourcePort: uint16(b[6]), TargetPort: uint16(b[7]), TTL: b[8], Flags: packet.Flags(b[9]),
			Sequence: uint32(b[10] & 3), Ack: uint32(b[11]&3) + 1, Window: uint16(b[12]), ICMPType: b[13], ICMPCode: b[14],
			Fragment: b[15]&7 == 7, Tunnel: b[15]&56 == 56, Outgoing: b[15]&64 != 0, SourceMAC: [6]byte{0, 0, 0, 0, 0, b[16] & 3},
			PayloadLength: int(int16(binary.BigEndian.Uint16(b[17:]))), Payload: b[24 : 24+size],
		}
		if b[19]&1 != 0 {
			p.Inner = p.Payload
		}
		if b[20]&1 != 0 {
			p.TargetPort = []uint16{22, 53, 80, 1434}[b[20]>>1&3]
		}
		if b[21]&1 != 0 {
			p.SourcePort = []uint16{22, 53, 80, 4000}[b[21]>>1&3]
		}
		all = append(all, p)
		b = b[24+size:]
	}
	return all
}

// check runs packets through a small detector and fails if an event says what none may.
func check(t *testing.T, packets []packet.Packet) (events []event.Event) {
	d := New(Config{Home: ours, MemoryMiB: 1})
	known := map[event.Kind]bool{}
	for _, k := range event.Kinds() {
		known[k] = true
	}
	times := map[int64]bool{}
	for i := range packets {
		times[packets[i].Number] = true
	}
	emit := func(e event.Event) {
		events = append(events, e)
		a := e.Source.Addr
		if !known[e.Kind] || e.Count < 1 || e.Sensor != "packets" || e.Severity != e.Kind.Severity() || e.Detail == "" ||
			a.IsValid() && !names(a) || !times[e.Line] {
			t.Fatalf("%+v", e)
		}
	}
	for i := range packets {
		d.Packet(&packets[i], emit)
	}
	d.Tick(packets[len(packets)-1].Time+int64(time.Hour), emit)
	d.Flush(emit)
	if s := d.Stats(); s.Flows != d.flows.lists[lasting].size || s.Packets != int64(len(packets)) {
		t.Fatalf("after the end: %+v", s)
	}
	return events
}

// FuzzPackets: whatever packets come, nothing panics, and events are well formed and the same each time.
func FuzzPackets(f *testing.F) {
	random := rand.New(rand.NewPCG(9, 10))
	for range 20 {
		b := make([]byte, 2400)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		packets := stranded(b)
		if len(packets) == 0 {
			return
		}
		if first, again := check(t, packets), check(t, packets); !reflect.DeepEqual(first, again) {
			t.Fatalf("the same packets give\n%+v\nand then\n%+v", first, again)
		}
	})
}

// FuzzDNS: no message panics, and what is read of one does not depend on case.
func FuzzDNS(f *testing.F) {
	f.Add(dnsQuery(1, "www.example.org", false))
	f.Add(dnsQuery(1, "a.b", true)[:14])
	f.Add([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := readDNS(b)
		if ok && (m.labels > 128 || m.labels > len(b)) {
			t.Fatalf("%+v", m)
		}
		if ok {
			if name := questionName(b); len(name) > 253 || name != strings.ToLower(name) || strings.ContainsFunc(name, unicode.IsControl) || name != "" && strings.Count(name, ".") != m.labels-1 {
				t.Fatalf("%q of %+v", name, m)
			}
		}
	})
}

// TestDeterministic: the same capture gives the same events, whatever the hash tables' seeds, also
// where they are too small for it.
func TestDeterministic(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	b := make([]byte, 2_000_000)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	packets := stranded(b)
	first := check(t, packets)
	if again := check(t, packets); !reflect.DeepEqual(first, again) {
		t.Errorf("%d events and then %d", len(first), len(again))
	}
	if len(first) < 100 {
		t.Errorf("%d events: too few to show anything", len(first))
	}
}

// TestOrder: packets that are late by less than Wait, as several queues deliver them, make events
// that are late by no more, and change nothing of what is found in a scan.
func TestOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	packets := scan(40, 1, nothing)
	find := func(late time.Duration) (sum int) {
		d := New(Config{})
		last := int64(0)
		emit := func(e event.Event) {
			if e.Kind == event.ScanHorizontal {
				sum += e.Count
			}
			if lag := last - e.Time.UnixNano(); lag > int64(2*Wait)+int64(time.Second) {
				t.Fatalf("an event is %v late", time.Duration(lag))
			}
		}
		for i := range packets {
			at := start + int64(i)*int64(100*time.Millisecond)
			packets[i].Time, packets[i].Number = at-random.Int64N(int64(late)+1), int64(i+1)
			last = max(last, packets[i].Time)
			d.Packet(&packets[i], emit)
		}
		last += int64(Wait) + int64(time.Second)
		d.Tick(last, emit)
		return sum
	}
	if in, out := find(0), find(4*time.Second); in != 30 || out != in {
		t.Errorf("in order %d, out of order %d, want 30", in, out)
	}
}

// TestDecoderCaptures: captures made to break decoders break no detector.
func TestDecoderCaptures(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(shared, "pcap-decoder/*.pcap*"))
	if len(files) == 0 {
		t.Skip("no shared captures")
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		if capture, err := packet.Open(f); err == nil {
			d := New(Config{MemoryMiB: 1, Home: ours})
			emit := func(e event.Event) {
				if a := e.Source.Addr; a.IsValid() && !names(a) || e.Count < 1 {
					t.Errorf("%s: %+v", file, e)
				}
			}
			_ = capture.Each(context.Background(), func(p *packet.Packet) error { d.Packet(p, emit); return nil })
			d.Flush(emit)
		}
		f.Close()
	}
}
