package packet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// BenchmarkDecode decodes small frames of one kind each, and those of the captures in
// the shared data by turns, from memory; and the plain ones by gopacket's
// DecodingLayerParser for comparison.
func BenchmarkDecode(b *testing.B) {
	frames := plainFrames(b)
	for _, name := range []string{"SYN", "SYN6", "UDP", "ping", "VLAN", "extensions", "VXLAN", "GRE"} {
		b.Run(name, func(b *testing.B) { benchmarkDecode(b, []frame{frames[name]}) })
	}
	b.Run("captures", func(b *testing.B) { benchmarkDecode(b, sharedFrames(b)) })
	b.Run("SYN-DecodingLayerParser", func(b *testing.B) {
		var (
			ether layers.Ethernet
			ip4   layers.IPv4
			ip6   layers.IPv6
			tcp   layers.TCP
			udp   layers.UDP
		)
		parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &ether, &ip4, &ip6, &tcp, &udp)
		data, decoded := frames["SYN"].data, []gopacket.LayerType{}
		b.ReportAllocs()
		defer rate(b, 1)()
		for b.Loop() {
			if err := parser.DecodeLayers(data, &decoded); err != nil || len(decoded) != 3 {
				b.Fatal(err)
			}
		}
	})
}

func benchmarkDecode(b *testing.B, frames []frame) {
	var d decoder
	b.ReportAllocs()
	defer rate(b, len(frames))()
	for b.Loop() {
		for i := range frames {
			d.decode(&frames[i])
		}
	}
	if d.stats.Handed == 0 {
		b.Errorf("nothing was decoded: %+v", d.stats)
	}
}

// rate reports how many packets a second of CPU time there are from the call on to the
// end of what it returns: the machine may be busy with other things.
func rate(b *testing.B, packets int) (end func()) {
	begin := cpu(syscall.RUSAGE_SELF)
	return func() {
		used := cpu(syscall.RUSAGE_SELF) - begin
		b.ReportMetric(float64(b.N*packets)/used/1e6, "Mpackets/cpu-s")
		b.ReportMetric(used*1e9/float64(b.N*packets), "cpu-ns/packet")
	}
}

// sharedFrames are all frames of the larger captures.
func sharedFrames(b *testing.B) (frames []frame) {
	for _, pattern := range []string{"pcap/*.pcap", "synthetic/*.pcap"} {
		paths, _ := filepath.Glob(filepath.Join(shared, pattern))
		for _, path := range paths {
			capture, err := os.ReadFile(path)
			if err != nil {
				b.Fatal(err)
			}
			f, err := Open(bytes.NewReader(capture))
			if err != nil {
				b.Fatal(err)
			}
			for {
				var frame frame
				err := f.format.next(f.r, &frame)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
				frame.data = bytes.Clone(frame.data)
				frames = append(frames, frame)
			}
		}
	}
	if len(frames) == 0 {
		b.Skipf("the shared test data is absent: no %s", shared)
	}
	return frames
}

// BenchmarkFile reads a capture from memory, in every format.
func BenchmarkFile(b *testing.B) {
	const n = 10_000
	syn := plainFrames(b)["SYN"].data
	frames, ng := make([][]byte, n), [][]byte{section(le), device(le, linkEthernet, 0)}
	for i := range frames {
		frames[i] = syn
		ng = append(ng, enhanced(le, 0, uint64(i), syn))
	}
	for name, capture := range map[string][]byte{"pcap": writePcap(le, false, linkEthernet, frames...), "pcapng": bytes.Join(ng, nil)} {
		b.Run(name, func(b *testing.B) {
			defer rate(b, n)()
			for b.Loop() {
				f, err := Open(bytes.NewReader(capture))
				if err != nil {
					b.Fatal(err)
				}
				if err := f.Each(context.Background(), func(*Packet) error { return nil }); err != nil || f.Stats().Handed != n {
					b.Fatalf("%v, %+v", err, f.Stats())
				}
			}
		})
	}
}

// cpu is what this process and the children that it waited for have used, in seconds.
func cpu(who int) float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(who, &r); err != nil {
		panic(err)
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}
