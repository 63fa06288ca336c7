package packet_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
	"github.com/komondor/komondor/probe/packet/detect"
)

// peer is a program that reads a capture, in this process or in its own.
type peer struct {
	name    string
	packets int // of the capture, as many as it gets
	// read reads a capture and returns the CPU seconds that it took.
	read func(path string) (cpu float64, err error)

	rates   []float64 // packets a CPU second, by round
	missing error
}

// within reads a capture in this process, with a new handler each time.
func within(ctx context.Context, handler func() func(*packet.Packet) error) func(path string) (float64, error) {
	return func(path string) (float64, error) {
		file, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		defer file.Close()
		start := cpuSeconds()
		capture, err := packet.Open(file)
		if err != nil {
			return 0, err
		}
		err = capture.Each(ctx, handler())
		return cpuSeconds() - start, err
	}
}

// BenchmarkPeers has our reader, tcpdump and tshark read one capture by turns, and logs
// a table of packets a CPU second: medians over the rounds, of the ratios too. Other
// programs on the machine then slow down all alike. What a program takes for an empty
// capture, to start, does not count; tshark, the slowest by far, gets the first packets
// only.
func BenchmarkPeers(b *testing.B) {
	const all, few = 500_000, 20_000
	captures, size := map[int]string{}, int64(0)
	for _, n := range []int{0, few, all} {
		captures[n] = filepath.Join(b.TempDir(), fmt.Sprintf("%d.pcap", n))
		size = writeMix(b, captures[n], n)
	}
	peers := []*peer{
		{name: "Komondor", packets: all, read: within(b.Context(), func() func(*packet.Packet) error {
			return func(*packet.Packet) error { return nil }
		})},
		{name: "Komondor, with all detectors", packets: all, read: within(b.Context(), func() func(*packet.Packet) error {
			d := detect.New(detect.Config{})
			return func(p *packet.Packet) error { d.Packet(p, func(event.Event) {}); return nil }
		})},
		{name: "tcpdump -w", packets: all, read: outside("tcpdump", "-w", "/dev/null", "-r")},
		{name: "tcpdump -n, as text", packets: few, read: outside("tcpdump", "-n", "-r")},
		{name: "tshark -z conv,tcp", packets: few, read: outside("tshark", "-n", "-q", "-z", "conv,tcp", "-r")},
	}
	for b.Loop() {
		for _, p := range peers {
			start, err := p.read(captures[0])
			if err != nil {
				p.missing = err
				continue
			}
			cpu, err := p.read(captures[p.packets])
			if err != nil {
				b.Fatal(p.name, ": ", err)
			}
			p.rates = append(p.rates, float64(p.packets)/max(cpu-start, 1e-6))
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%d rounds, %d bytes a packet\n", b.N, size/all)
	fmt.Fprintln(&table, "| program | packets | packets a CPU second | ns a packet | Komondor reads |\n| --- | --- | --- | --- | --- |")
	for _, p := range peers {
		if p.missing != nil {
			fmt.Fprintf(&table, "| %s | missing: %v | | | |\n", p.name, p.missing)
			continue
		}
		var ratios []float64
		for i := range p.rates {
			ratios = append(ratios, peers[0].rates[i]/p.rates[i])
		}
		fmt.Fprintf(&table, "| %s | %d | %.3g M | %.0f | %.3g times as many |\n", p.name, p.packets, median(p.rates)/1e6, 1e9/median(p.rates), median(ratios))
	}
	b.Log(&table)
	b.ReportMetric(median(peers[0].rates), "packets/cpu-s")
}

// writeMix writes a capture of n packets: those of the shared data over and over, or a
// SYN where that is not.
func writeMix(b *testing.B, path string, n int) (size int64) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	buffered := bufio.NewWriter(file)
	w := pcapgo.NewWriter(buffered)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		b.Fatal(err)
	}
	for frames, i := mix(b), 0; i < n; i++ {
		frame := frames[i%len(frames)]
		if err := w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(frame), Length: len(frame)}, frame); err != nil {
			b.Fatal(err)
		}
		size += int64(len(frame))
	}
	if err := buffered.Flush(); err != nil {
		b.Fatal(err)
	}
	return size
}

func mix(b *testing.B) (frames [][]byte) {
	paths, _ := filepath.Glob("../../../shared/data/pcap/*.pcap")
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer file.Close()
		r, err := pcapgo.NewReader(file)
		if err != nil || r.LinkType() != layers.LinkTypeEthernet {
			continue
		}
		for {
			frame, _, err := r.ReadPacketData()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			frames = append(frames, frame)
		}
	}
	if len(frames) > 0 {
		return frames
	}
	b.Log("the shared test data is absent: the capture is of SYNs")
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: []byte{203, 0, 113, 9}, DstIP: []byte{198, 51, 100, 1}}
	tcp := &layers.TCP{SrcPort: 40000, DstPort: 22, SYN: true}
	_ = tcp.SetNetworkLayerForChecksum(ip)
	syn := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(syn, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}, ip, tcp); err != nil {
		b.Fatal(err)
	}
	return [][]byte{syn.Bytes()}
}

// outside runs another program over a capture, whose name goes last.
func outside(program string, arguments ...string) func(path string) (float64, error) {
	return func(path string) (float64, error) {
		cmd := exec.Command(program, append(arguments, path)...)
		if _, err := cmd.Output(); err != nil {
			return 0, err
		}
		return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
	}
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func median(of []float64) float64 {
	return slices.Sorted(slices.Values(of))[len(of)/2]
}
