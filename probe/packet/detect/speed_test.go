package detect

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

func nobody(event.Event) {}

// cpu is how much CPU time the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ordinary is traffic of 2,000 exchanges at once, of small packets: connections of 25 packets, and
// for one in five a query to a name server and its reply.
func ordinary(packets int) []packet.Packet {
	random := rand.New(rand.NewPCG(1, 2))
	open := make([][]packet.Packet, 2000)
	var all []packet.Packet
	query, reply := dnsQuery(1, "www.example.org", false), dnsQuery(1, "www.example.org", true)
	for ongoing := 1; len(all) < packets || ongoing > 0; {
		of := &open[random.IntN(len(open))]
		if len(*of) == 0 {
			if len(all) >= packets { // all that has been begun comes to its end
				ongoing = 0
				for _, o := range open {
					ongoing += len(o)
				}
				continue
			}
			client := netip.AddrFrom4([4]byte{198, 51, byte(100 + random.IntN(4)), byte(random.IntN(250) + 1)})
			server := netip.AddrFrom4([4]byte{203, 0, 113, byte(random.IntN(40) + 1)})
			port := uint16(1024 + random.IntN(60000))
			*of = session(client, server, port, 443, 10)
			if random.IntN(5) == 0 {
				q, r := slices.Clone(query), slices.Clone(reply)
				id := uint16(random.Uint32())
				binary.BigEndian.PutUint16(q, id)
				binary.BigEndian.PutUint16(r, id)
				*of = []packet.Packet{udpPacket(client, server, port, 53, q), udpPacket(server, client, 53, port, r)}
			}
		}
		p := (*of)[0]
		*of = (*of)[1:]
		p.Number = int64(len(all) + 1)
		all = append(all, p)
	}
	return all
}

// TestNoAllocations: what is no evidence costs no memory.
func TestNoAllocations(t *testing.T) {
	packets := ordinary(50_000)
	d := New(Config{Home: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, MemoryMiB: 8})
	now, next := start, 0
	look := func() {
		p := &packets[next]
		now += int64(4 * time.Microsecond)
		p.Time, next = now, (next+1)%len(packets)
		d.Packet(p, nobody)
	}
	for range packets {
		look()
	}
	if n := testing.AllocsPerRun(len(packets), look); n != 0 {
		t.Errorf("%v allocations a packet, want none", n)
	}
}

// TestNoAllocationsOfTries: nor does what is evidence, until there is something to tell.
func TestNoAllocationsOfTries(t *testing.T) {
	d := New(Config{MemoryMiB: 8})
	packets, n := closed(scanner, victim, 4000, 80), 0
	try := func() {
		n++
		packets[0].TargetPort = uint16(n)
		packets[0].Target = host4(n % 5000)
		packets[1].Source, packets[1].SourcePort = packets[0].Target, packets[0].TargetPort
		for i := range packets {
			packets[i].Time = start + int64(n)*int64(time.Millisecond)
			d.Packet(&packets[i], nobody)
		}
	}
	for range 20_000 {
		try()
	}
	withheld := d.Stats().Withheld
	if got := testing.AllocsPerRun(20_000, try); got > 0 {
		t.Errorf("%v allocations a try, want none", got)
	}
	if d.Stats().Withheld < withheld+15_000 {
		t.Errorf("%+v: these were no tries", d.Stats())
	}
}

// TestMillionSources: forged sources fill the tables to their bound and no further.
func TestMillionSources(t *testing.T) {
	const sources = 1_000_000
	d := New(Config{MemoryMiB: 4})
	bound := Stats{Flows: len(d.flows.slots) - 1, Sources: len(d.tallies.slots) - 1}
	told := 0
	for i := range sources {
		p := syn(netip.AddrFrom4([4]byte{byte(1 + i>>24), byte(i >> 16), byte(i >> 8), byte(i)}), host4(i%2000), uint16(i), 80)
		p.Time, p.Number = start+int64(i)*int64(100*time.Microsecond), int64(i+1)
		d.Packet(&p, func(event.Event) { told++ })
		if s := d.Stats(); s.Flows > bound.Flows || s.Sources > bound.Sources {
			t.Fatalf("after %d sources: %+v, the tables hold %+v", i, s, bound)
		}
	}
	s := d.Stats()
	if s.Evicted == 0 || s.Packets != sources {
		t.Errorf("%+v: want evictions, and %d packets", s, sources)
	}
	if told > 12_500 { // 2,000 at once and 100 a second for 100 seconds
		t.Errorf("%d events of forged sources", told)
	}
}

// BenchmarkDetect is all detectors over decoded packets: ns and bytes allocated a packet.
func BenchmarkDetect(b *testing.B) {
	packets := ordinary(200_000)
	d := New(Config{Home: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
	now := int64(1_700_000_000e9)
	b.ReportAllocs()
	b.ResetTimer()
	used := cpu()
	for i := range b.N {
		p := &packets[i%len(packets)]
		now += int64(4 * time.Microsecond)
		p.Time = now
		d.Packet(p, nobody)
	}
	b.ReportMetric(float64(b.N)/(cpu()-used).Seconds()/1e6, "Mpackets/CPU-s")
}

// capture is packets as a capture file holds them: Ethernet, IPv4, and TCP or UDP.
func capture(packets []packet.Packet) []byte {
	b := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0}
	for i, p := range packets {
		header := 20
		if p.Protocol == packet.UDP {
			header = 8
		}
		size := 14 + 20 + header + len(p.Payload)
		micros := int64(i) * 4
		for _, field := range [...]int64{start/1e9 + micros/1e6, micros % 1e6, int64(size), int64(size)} {
			b = binary.LittleEndian.AppendUint32(b, uint32(field))
		}
		b = append(b, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0) // Ethernet
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(size-14))
		b = append(b, 0, 0, 0, 0, 64, byte(p.Protocol), 0, 0)
		b = append(append(b, p.Source.AsSlice()...), p.Target.AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, p.SourcePort)
		b = binary.BigEndian.AppendUint16(b, p.TargetPort)
		if p.Protocol == packet.UDP {
			b = binary.BigEndian.AppendUint16(b, uint16(8+len(p.Payload)))
			b = append(b, 0, 0)
		} else {
			b = binary.BigEndian.AppendUint32(b, p.Sequence)
			b = binary.BigEndian.AppendUint32(b, p.Ack)
			b = append(b, 0x50, byte(p.Flags), 4, 0, 0, 0, 0, 0)
		}
		b = append(b, p.Payload...)
	}
	return b
}

// BenchmarkPipeline reads, decodes and looks at a capture of ordinary traffic in small packets, and for
// comparison only decodes it.
func BenchmarkPipeline(b *testing.B) {
	all := ordinary(500_000)
	packets, file := len(all), capture(all)
	for _, detecting := range []bool{false, true} {
		b.Run(fmt.Sprintf("detecting=%v", detecting), func(b *testing.B) {
			d := New(Config{Home: ours})
			b.ReportAllocs()
			used := cpu()
			for round := range b.N {
				f, err := packet.Open(bytes.NewReader(file))
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				err = f.Each(context.Background(), func(p *packet.Packet) error {
					n++
					p.Time += int64(round*packets) * int64(4*time.Microsecond)
					if detecting {
						d.Packet(p, nobody)
					}
					return nil
				})
				if err != nil || n != packets {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(b.N*packets)/(cpu()-used).Seconds()/1e6, "Mpackets/CPU-s")
		})
	}
}

// BenchmarkSpoofed is a SYN flood in which no source comes twice, and what the heap is after it.
func BenchmarkSpoofed(b *testing.B) {
	d := New(Config{})
	p := tcpPacket(netip.AddrFrom4([4]byte{}), netip.MustParseAddr("203.0.113.80"), 0, 80, packet.SYN)
	now := int64(1_700_000_000e9)
	b.ReportAllocs()
	b.ResetTimer()
	used := cpu()
	for i := range b.N {
		now += int64(2 * time.Microsecond)
		p.Time, p.Number = now, int64(i+1)
		p.Source = netip.AddrFrom4([4]byte{byte(1 + i>>24), byte(i >> 16), byte(i >> 8), byte(i)})
		p.SourcePort = uint16(i)
		d.Packet(&p, nobody)
	}
	b.ReportMetric(float64(b.N)/(cpu()-used).Seconds()/1e6, "Mpackets/CPU-s")
	b.StopTimer()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MiB")
	runtime.KeepAlive(d)
}
