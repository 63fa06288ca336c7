package node

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// slammer is a datagram as the worm sends it.
func slammer() []byte { return append([]byte{4}, bytes.Repeat([]byte{1}, 375)...) }

// capture is a capture of one datagram of the worm's from 203.0.113.66.
func capture(t *testing.T) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 60, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{203, 0, 113, 66}, DstIP: net.IP{198, 51, 100, 7}}
	udp := &layers.UDP{SrcPort: 4000, DstPort: 1434}
	_ = udp.SetNetworkLayerForChecksum(ip)
	frame := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(frame, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, udp, gopacket.Payload(slammer())); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	n := len(frame.Bytes())
	if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Now(), CaptureLength: n, Length: n}, frame.Bytes()); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// A capture is known by its first bytes, and read as events.
func TestReadCapture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "worm.pcap")
	if err := os.WriteFile(path, capture(t), 0o600); err != nil {
		t.Fatal(err)
	}
	var seen []event.Event
	state, err := Read(t.Context(), Source{Format: "auto", Path: path}, func(e event.Event) error { seen = append(seen, e); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if state.Format != Pcap || state.Lines != 1 || state.Events != uint64(len(seen)) || len(seen) == 0 {
		t.Errorf("state %+v, events %v", state, seen)
	}
	for _, e := range seen {
		if e.Source.Addr != netip.MustParseAddr("203.0.113.66") || e.File != path || e.Line != 1 || e.Proof != event.Spoofable {
			t.Errorf("event %+v", e)
		}
	}
}

// sightings runs a source until one event of a kind has come from it.
func sightings(t *testing.T, s Source, kind event.Kind, attack func(i int)) event.Event {
	t.Helper()
	found := make(chan event.Event, 1)
	src := newSource(s, slog.New(slog.DiscardHandler), func(_ context.Context, seen sighting, _ bool) error {
		if seen.event != nil && seen.event.Kind == kind {
			select {
			case found <- *seen.event:
			default:
			}
		}
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = src.run(ctx, nil) })
	defer running.Wait()
	defer stop()
	for i := range 200 {
		attack(i)
		select {
		case e := <-found:
			return e
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("no %s; the source says %+v", kind, src.status())
	return event.Event{}
}

// A node watches the packets that another program pipes to it.
func TestPipeOfPackets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes with names here: ", err)
	}
	s := Source{Format: Pcap, Path: path}
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	var writer *os.File
	e := sightings(t, s, event.Worm, func(i int) {
		if i > 0 {
			return
		}
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(capture(t)); err != nil {
			t.Fatal(err)
		}
		writer = w // it stays open: the source must end without its end
	})
	defer writer.Close()
	if e.Source.Addr.String() != "203.0.113.66" || e.File != path {
		t.Errorf("event %+v", e)
	}
}

// What comes by a pipe is counted while it comes.
func TestPipeIsCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes with names here: ", err)
	}
	src := newSource(Source{Format: Pcap, Path: path}, slog.New(slog.DiscardHandler), func(context.Context, sighting, bool) error { return nil })
	var running sync.WaitGroup
	running.Go(func() { _ = src.run(t.Context(), nil) })
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(capture(t)); err != nil {
		t.Fatal(err)
	}
	for tries := 0; src.status().Lines == 0; tries++ {
		if tries == 1000 {
			t.Fatalf("nothing after ten seconds: %+v", src.status())
		}
		time.Sleep(10 * time.Millisecond)
	}
	if state := src.status(); state.State != control.Reading || state.Events == 0 || state.LastEvent.IsZero() {
		t.Errorf("state %+v", state)
	}
	w.Close()
	running.Wait()
	if state := src.status(); state.State != control.Ended || state.Lines != 1 {
		t.Errorf("at its end: %+v", state)
	}
}

// A node watches an interface of its own.
func TestLivePackets(t *testing.T) {
	s := Source{Format: Live, Path: "lo"}
	if err := s.check(); err != nil {
		t.Skip("cannot capture here: ", err)
	}
	conn, err := net.Dial("udp", "127.0.0.1:1434")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	e := sightings(t, s, event.Worm, func(int) { _, _ = conn.Write(slammer()) })
	if e.Target.Addr.String() != "127.0.0.1" || e.Target.Port != 1434 || e.File != "lo" {
		t.Errorf("event %+v", e)
	}
}

// What a node cannot watch is said before it runs, and what to do instead.
func TestCheckPackets(t *testing.T) {
	for _, s := range []Source{{Format: Pcap, Path: "packets_test.go"}, {Format: Live, Path: "no-such-device"}} {
		if err := s.check(); err == nil {
			t.Errorf("%s=%s is let pass", s.Format, s.Path)
		}
	}
}

// What the kernel, the reader and the detectors give up is shown, and goes on growing after a panic.
func TestLossesOfPacketsAreCounted(t *testing.T) {
	src := newSource(Source{Format: Live, Path: "eth0", Watch: Watch{MemoryMiB: 1}}, slog.New(slog.DiscardHandler), nil)
	var last control.Source
	for round := range uint64(2) {
		s, err := src.newSniffer(0, func(event.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		p := packet.Packet{Protocol: packet.TCP, Flags: packet.SYN, SourcePort: 4000}
		for i := range 100_000 { // as many sources, who call as many ports of others
			p.Number, p.Time = int64(i+1), 1e18+int64(i)*1e6
			p.Source = netip.AddrFrom4([4]byte{9, byte(i >> 16), byte(i >> 8), byte(i)})
			p.Target = netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
			p.TargetPort = uint16(i)
			s.packet(&p)
		}
		s.end()
		s.count(packet.Stats{Read: 100, Dropped: 10, UnknownLink: 5, BadIP: 2, BadTransport: 1})
		state := src.status()
		if n := round + 1; state.Lines != n*100 || state.Lost != n*10 || state.Unread != n*5 || state.Malformed != n*3 {
			t.Errorf("round %d: %+v", n, state)
		}
		if state.Forgotten <= last.Forgotten || state.Withheld <= last.Withheld {
			t.Errorf("round %d: %d forgotten and %d withheld, before %d and %d", round+1, state.Forgotten, state.Withheld, last.Forgotten, last.Withheld)
		}
		last = state
	}
}

// Payload that there was no time for is counted, and logged once.
func TestUnscannedPayloadIsCounted(t *testing.T) {
	var log bytes.Buffer
	src := newSource(Source{Format: Pcap, Path: "x.pcap"}, slog.New(slog.NewTextHandler(&log, nil)), nil)
	s, err := src.newSniffer(1e-9, func(event.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	p := packet.Packet{
		Number: 1, Protocol: packet.UDP, Source: netip.MustParseAddr("203.0.113.9"), SourcePort: 4000,
		Target: netip.MustParseAddr("198.51.100.7"), TargetPort: 9, Payload: []byte("hello"), PayloadLength: 5,
	}
	for n := 0; src.status().Unscanned == 0; n++ { // a second of scans may be used at once, and a scan counts as a microsecond at least
		if n == 3_000_000 {
			t.Fatal("all payload is looked into, whatever time it takes")
		}
		s.packet(&p)
		p.Time += 1e6
		if n%1000 == 0 {
			s.count(packet.Stats{})
		}
	}
	s.count(packet.Stats{})
	if told := strings.Count(log.String(), "payload is not looked into"); told != 1 {
		t.Errorf("told %d times:\n%s", told, log.String())
	}
}
