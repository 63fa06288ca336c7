package respond

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"
)

func connOf(client, server string, isn uint32) Conn {
	return Conn{netip.MustParseAddrPort(client), netip.MustParseAddrPort(server), isn, time.Time{}}
}

func TestReset(t *testing.T) {
	for _, c := range []Conn{connOf("192.0.2.7:4711", "198.51.100.80:80", 0xffffffff), connOf("[2001:db8:2::7]:4711", "[2001:db8:1::80]:443", 0x01020304)} {
		first := gopacket.Decoder(layers.LayerTypeIPv4)
		if c.Server.Addr().Is6() {
			first = layers.LayerTypeIPv6
		}
		b := resetOf(c)
		p := gopacket.NewPacket(b, first, gopacket.Default)
		tcp, _ := p.TransportLayer().(*layers.TCP)
		if tcp == nil || p.ErrorLayer() != nil {
			t.Fatalf("%s", p)
		}
		source, target := p.NetworkLayer().NetworkFlow().Endpoints()
		if source.String() != c.Client.Addr().String() || target.String() != c.Server.Addr().String() || uint16(tcp.SrcPort) != c.Client.Port() ||
			uint16(tcp.DstPort) != c.Server.Port() || tcp.Seq != c.ISN+1 || !tcp.RST || tcp.ACK || tcp.SYN {
			t.Errorf("%s", p)
		}
		// As another library would have written it.
		options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
		network := p.NetworkLayer().(gopacket.SerializableLayer)
		if err := tcp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
			t.Fatal(err)
		}
		again := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(again, options, network, tcp); err != nil {
			t.Fatal(err)
		}
		if string(again.Bytes()) != string(b) {
			t.Errorf("it is\n%x, want\n%x", b, again.Bytes())
		}
	}
}

func TestChoose(t *testing.T) {
	now := time.Unix(1000, 0)
	flood, completed, calling, later := connOf("192.0.2.7:1", "198.51.100.80:80", 1), connOf("192.0.2.1:2", "198.51.100.80:80", 1),
		connOf("192.0.2.1:3", "198.51.100.80:80", 1), connOf("192.0.2.1:4", "198.51.100.80:80", 1)
	later.Begun = now.Add(1)
	seen := func(yield func(Conn) bool) {
		for _, c := range []Conn{flood, completed, calling, later, flood} {
			if !yield(c) {
				return
			}
		}
	}
	of := func(c Conn, state byte) socket { return socket{local: c.Client, remote: c.Server, state: state} }
	unseen := connOf("192.0.2.1:5", "198.51.100.80:80", 1)
	got := choose(now, seen, []socket{of(completed, 1), of(calling, synSent), of(later, synSent), of(unseen, synSent)})
	if len(got.conns) != 2 || got.conns[0] != flood || got.conns[1] != calling {
		t.Errorf("resets for %+v", got.conns)
	}
	if len(got.calling) != 2 || got.calling[0].local != calling.Client || got.calling[1].local != unseen.Client {
		t.Errorf("sockets to close: %+v", got.calling)
	}
}

// FuzzSocket feeds the reader of the kernel's answers.
func FuzzSocket(f *testing.F) {
	message := make([]byte, 72)
	message[0], message[1] = unix.AF_INET, synSent
	binary.BigEndian.PutUint16(message[4:], 4711)
	f.Add(message)
	message[0] = unix.AF_INET6
	f.Add(message)
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parseSocket(b); ok && (!s.local.IsValid() || !s.remote.IsValid() || s.local.Addr().Is4In6()) {
			t.Errorf("%+v of %x", s, b)
		}
	})
}
