package detect

import (
	"net/netip"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

var scanner, victim = ip("198.51.100.9"), ip("203.0.113.7")

func TestRefused(t *testing.T) {
	unreachable := icmpPacket(victim, scanner, 3)
	unreachable.ICMPCode = 3
	unreachable.Inner = quote(scanner, victim, 17, 4000, 161)
	forged := unreachable
	forged.Inner = quote(ip("198.51.100.66"), victim, 17, 4000, 161) // who never sent anything
	tests := map[string]struct {
		packets []packet.Packet
		wait    time.Duration
		want    int
		detail  string
	}{
		"closed":                   {[]packet.Packet{syn(scanner, victim, 4000, 22), refusal(scanner, victim, 4000, 22)}, 0, 1, "refused"},
		"closed, asked thrice":     {[]packet.Packet{syn(scanner, victim, 4000, 22), refusal(scanner, victim, 4000, 22), syn(scanner, victim, 4001, 22), refusal(scanner, victim, 4001, 22)}, 0, 1, "refused"},
		"silent":                   {[]packet.Packet{syn(scanner, victim, 4000, 22)}, 6 * time.Second, 1, "no answer in 5s"},
		"not yet silent":           {[]packet.Packet{syn(scanner, victim, 4000, 22)}, 4 * time.Second, 0, ""},
		"answered":                 {handshake(scanner, victim, 4000, 22), 6 * time.Second, 0, ""},
		"unreachable":              {[]packet.Packet{udpPacket(scanner, victim, 4000, 161, []byte("x")), unreachable}, 0, 1, "unreachable"},
		"unreachable, forged":      {[]packet.Packet{udpPacket(scanner, victim, 4000, 161, []byte("x")), forged}, 0, 0, ""},
		"reset by whoever":         {[]packet.Packet{syn(scanner, victim, 4000, 22), tcpPacket(victim, scanner, 22, 4000, packet.RST)}, 0, 0, ""}, // acknowledges nothing
		"outside, not ours to say": {[]packet.Packet{syn(victim, scanner, 4000, 22), refusal(victim, scanner, 4000, 22)}, 0, 0, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, Config{Home: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
			w.send(time.Millisecond, test.packets...)
			if test.wait > 0 {
				w.wait(test.wait)
			}
			w.only(event.ConnectionRefused)
			got := w.told(event.ConnectionRefused)
			if len(got) != test.want {
				t.Fatalf("%d events, want %d", len(got), test.want)
			}
			for _, e := range got {
				if e.Source.Addr != scanner || e.Target.Addr != victim || e.Detail != test.detail || e.Proof != event.Spoofable ||
					e.Sensor != "packets" || e.Line != 1 || e.Severity != 1 || !e.Time.Equal(time.Unix(0, start+int64(time.Millisecond))) {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// quote is the beginning of an IPv4 packet, as an ICMP error has it.
func quote(source, target netip.Addr, protocol byte, sourcePort, targetPort uint16) []byte {
	b := make([]byte, 28)
	b[0], b[9] = 0x45, protocol
	copy(b[12:], source.AsSlice())
	copy(b[16:], target.AsSlice())
	b[20], b[21], b[22], b[23] = byte(sourcePort>>8), byte(sourcePort), byte(targetPort>>8), byte(targetPort)
	return b
}

// scan has a source try ports of hosts, and the hosts answer as given.
func scan(hosts, ports int, answer func(client, server netip.Addr, clientPort, serverPort uint16) []packet.Packet) (all []packet.Packet) {
	for h := range hosts {
		for p := range ports {
			all = append(all, answer(scanner, host4(1+h), uint16(40000+h*ports+p), uint16(20+p))...)
		}
	}
	return all
}

func nothing(client, server netip.Addr, clientPort, serverPort uint16) []packet.Packet {
	return []packet.Packet{syn(client, server, clientPort, serverPort)}
}

func closed(client, server netip.Addr, clientPort, serverPort uint16) []packet.Packet {
	return append(nothing(client, server, clientPort, serverPort), refusal(client, server, clientPort, serverPort))
}

// halfOpen is what nmap -sS does at an open port.
func halfOpen(client, server netip.Addr, clientPort, serverPort uint16) []packet.Packet {
	reset := tcpPacket(client, server, clientPort, serverPort, packet.RST)
	reset.Sequence = 1001
	return append(handshake(client, server, clientPort, serverPort)[:2], reset)
}

// connected is what nmap -sT does at an open port.
func connected(client, server netip.Addr, clientPort, serverPort uint16) []packet.Packet {
	return append(handshake(client, server, clientPort, serverPort), tcpPacket(client, server, clientPort, serverPort, packet.RST|packet.ACK))
}

func used(client, server netip.Addr, clientPort, serverPort uint16) []packet.Packet {
	return session(client, server, clientPort, serverPort, 1)
}

func TestScan(t *testing.T) {
	udpScan := func(client, server netip.Addr, clientPort, serverPort uint16) []packet.Packet {
		closed := icmpPacket(server, client, 3)
		closed.ICMPCode = 3
		closed.Inner = quote(client, server, 17, clientPort, serverPort)
		return []packet.Packet{udpPacket(client, server, clientPort, serverPort, nil), closed}
	}
	ping := func(client, server netip.Addr, _, _ uint16) []packet.Packet {
		return []packet.Packet{icmpPacket(client, server, 8), icmpPacket(server, client, 0)}
	}
	tests := map[string]struct {
		packets []packet.Packet
		apart   time.Duration
		kind    event.Kind
		counts  []int
		proof   event.Proof
	}{
		"14 hosts":               {scan(14, 1, closed), time.Millisecond, event.ScanHorizontal, nil, event.Spoofable},
		"15 hosts":               {scan(15, 1, closed), time.Millisecond, event.ScanHorizontal, []int{15}, event.Spoofable},
		"15 silent hosts":        {scan(15, 1, nothing), time.Millisecond, event.ScanHorizontal, []int{15}, event.Spoofable},
		"15 hosts, half open":    {scan(15, 1, halfOpen), time.Millisecond, event.ScanHorizontal, []int{15}, event.Spoofable},
		"15 hosts, connected":    {scan(15, 1, connected), time.Millisecond, event.ScanHorizontal, []int{15}, event.Handshake},
		"15 hosts in five hours": {scan(15, 1, closed), 10 * time.Minute, event.ScanHorizontal, []int{15}, event.Spoofable},
		"15 hosts in two days":   {scan(15, 1, closed), 100 * time.Minute, event.ScanHorizontal, nil, event.Spoofable},
		"100 hosts":              {scan(100, 1, closed), time.Millisecond, event.ScanHorizontal, []int{15, 15, 30}, event.Spoofable},
		"9 ports":                {scan(1, 9, closed), time.Millisecond, event.ScanVertical, nil, event.Spoofable},
		"10 ports":               {scan(1, 10, closed), time.Millisecond, event.ScanVertical, []int{10}, event.Spoofable},
		"10 ports, connected":    {scan(1, 10, connected), time.Millisecond, event.ScanVertical, []int{10}, event.Handshake},
		"10 ports over UDP":      {scan(1, 10, udpScan), time.Millisecond, event.ScanVertical, []int{10}, event.Spoofable},
		"15 hosts over UDP":      {scan(15, 1, udpScan), time.Millisecond, event.ScanHorizontal, []int{15}, event.Spoofable},
		"6 ports of 5 hosts":     {scan(5, 6, closed), time.Millisecond, event.ScanMixed, []int{25}, event.Spoofable},
		"10 hosts by ICMP":       {scan(10, 1, ping), time.Millisecond, event.ScanSweep, []int{10}, event.Spoofable},
		"9 hosts by ICMP":        {scan(9, 1, ping), time.Millisecond, event.ScanSweep, nil, event.Spoofable},
		"40 sessions":            {scan(40, 1, used), time.Millisecond, event.ScanHorizontal, nil, event.Spoofable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, Config{})
			w.send(test.apart, test.packets...)
			w.wait(6 * time.Second)
			w.only(test.kind, event.ConnectionRefused)
			var counts []int
			for _, e := range w.told(test.kind) {
				counts = append(counts, e.Count)
				if e.Source.Addr != scanner || e.Proof != test.proof || e.Severity != test.kind.Severity() || e.Detail == "" {
					t.Errorf("%+v", e)
				}
			}
			if len(counts) != len(test.counts) {
				t.Fatalf("counts %v, want %v", counts, test.counts)
			}
			for i := range counts {
				if counts[i] != test.counts[i] {
					t.Fatalf("counts %v, want %v", counts, test.counts)
				}
			}
		})
	}
}

// TestBusyClient: who mostly meets services may meet some that are gone.
func TestBusyClient(t *testing.T) {
	w := newWire(t, Config{Home: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	for n := range 400 {
		if n%4 == 0 {
			w.send(time.Second, closed(scanner, host4(n), uint16(20000+n), 443)...)
		} else {
			w.send(time.Second, used(scanner, host4(n), uint16(20000+n), 443)...)
		}
	}
	w.only()
}

// TestPeers: a peer-to-peer client calls many that are gone, each at a port of its own.
func TestPeers(t *testing.T) {
	w := newWire(t, Config{Home: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	for n := range 500 {
		w.send(100*time.Millisecond, nothing(scanner, host4(n), 50000, uint16(20000+37*n))...)
		w.send(100*time.Millisecond, udpPacket(scanner, host4(n), 6881, uint16(20000+37*n), []byte("ping")))
	}
	w.wait(time.Minute)
	w.only()
}

// TestInfected: a host of ours that scans is named, and whom it calls is not ours to tell.
func TestInfected(t *testing.T) {
	w := newWire(t, Config{Home: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	w.send(time.Millisecond, scan(20, 1, closed)...)
	w.only(event.ScanHorizontal)
	if got := w.told(event.ScanHorizontal); len(got) != 1 || got[0].Source.Addr != scanner {
		t.Errorf("%+v", got)
	}
}

// TestBackscatter: a victim's answers to forged packets are no scan of those whose name was used.
func TestBackscatter(t *testing.T) {
	w := newWire(t, Config{})
	for n := range 1000 {
		answer := tcpPacket(victim, ip("198.51.100.1"), 80, uint16(1024+n), packet.SYN|packet.ACK)
		if n%2 == 0 {
			answer.Flags = packet.RST | packet.ACK
		}
		answer.Target = host4(512 + n)
		w.send(time.Millisecond, answer)
	}
	w.wait(time.Minute)
	w.only()
}

// TestTunnel: a handshake that came in a tunnel was written by one hand.
func TestTunnel(t *testing.T) {
	w := newWire(t, Config{})
	packets := scan(15, 1, connected)
	for i := range packets {
		packets[i].Tunnel = true
	}
	w.send(time.Millisecond, packets...)
	if got := w.told(event.ScanHorizontal); len(got) != 1 || got[0].Proof != event.Spoofable {
		t.Errorf("%+v", got)
	}
}

// TestWrongAcknowledgement: who has not received the server's number has not completed anything.
func TestWrongAcknowledgement(t *testing.T) {
	w := newWire(t, Config{})
	for n := range 15 {
		packets := connected(scanner, host4(n), uint16(3000+n), 22)
		packets[2].Ack = 4711
		w.send(time.Millisecond, packets...)
	}
	if got := w.told(event.ScanHorizontal); len(got) != 1 || got[0].Proof != event.Spoofable {
		t.Errorf("%+v", got)
	}
}

func TestStealth(t *testing.T) {
	for name, test := range map[string]struct {
		flags packet.Flags
		want  int
	}{
		"NULL": {0, 1}, "FIN": {packet.FIN, 1}, "XMAS": {packet.FIN | packet.PSH | packet.URG, 1},
		"SYN FIN": {packet.SYN | packet.FIN, 1}, "SYN RST": {packet.SYN | packet.RST, 1},
		"ACK": {packet.ACK, 0}, "FIN ACK": {packet.FIN | packet.ACK, 0}, "RST": {packet.RST, 0}, "SYN ACK": {packet.SYN | packet.ACK, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, Config{})
			for port := range uint16(5) {
				w.send(time.Millisecond, tcpPacket(scanner, victim, 4000, port+1, test.flags))
			}
			fragment := tcpPacket(scanner, victim, 4000, 9, 0)
			fragment.Fragment = true
			w.send(time.Millisecond, fragment, fragment, fragment)
			w.only(event.ScanStealth)
			if got := w.told(event.ScanStealth); len(got) != test.want || test.want > 0 && got[0].Count != 3 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestRefusedBound: a source's evidence is told to a bound, and the rest counted.
func TestRefusedBound(t *testing.T) {
	w := newWire(t, Config{})
	w.send(time.Millisecond, scan(1, 1000, closed)...)
	told := len(w.told(event.ConnectionRefused))
	if told < 30 || told > 40 || int64(told)+w.Stats().Withheld != 1000 {
		t.Errorf("%d told and %d withheld of 1000", told, w.Stats().Withheld)
	}
}

// TestClockSetBack: a capture clock that is set back by a day stops nothing.
func TestClockSetBack(t *testing.T) {
	w := newWire(t, Config{})
	w.send(time.Millisecond, closed(scanner, victim, 4000, 22)...)
	w.now -= int64(24 * time.Hour)
	w.send(time.Millisecond, syn(scanner, victim, 4000, 23))
	w.wait(6 * time.Second)
	got := w.told(event.ConnectionRefused)
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	if want := time.Unix(0, start).Add(-24 * time.Hour); got[1].Time.Sub(want).Abs() > time.Second {
		t.Errorf("told of %v, want the packet's own time %v", got[1].Time, want)
	}
}
