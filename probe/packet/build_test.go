package packet

import (
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// build writes layers one around the other, with right lengths and checksums.
func build(t testing.TB, parts ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var (
	clientMAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	serverMAC = net.HardwareAddr{2, 0, 0, 0, 0, 2}
)

func etherTo(kind layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: clientMAC, DstMAC: serverMAC, EthernetType: kind}
}

func ip4(protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Id: 7, Protocol: protocol, SrcIP: net.IP{203, 0, 113, 9}, DstIP: net.IP{198, 51, 100, 1}}
}

func ip6(protocol layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: net.ParseIP("2001:db8::9"), DstIP: net.ParseIP("2001:db8:1::1")}
}

// outer4 and outer6 are what tunnels go through.
func outer4(protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 9, Id: 8, Protocol: protocol, SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 2}}
}

func outer6(protocol layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 9, NextHeader: protocol, SrcIP: net.ParseIP("2001:db8:f::1"), DstIP: net.ParseIP("2001:db8:f::2")}
}

func tcpOver(ip gopacket.NetworkLayer) *layers.TCP {
	t := &layers.TCP{SrcPort: 40000, DstPort: 22, SYN: true, Seq: 1000, Window: 1024, Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}}}}
	t.SetNetworkLayerForChecksum(ip)
	return t
}

func udpOver(ip gopacket.NetworkLayer, port layers.UDPPort) *layers.UDP {
	u := &layers.UDP{SrcPort: 40000, DstPort: port}
	u.SetNetworkLayerForChecksum(ip)
	return u
}

func text(s string) gopacket.Payload { return gopacket.Payload(s) }
