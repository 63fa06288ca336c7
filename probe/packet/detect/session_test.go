package detect

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// guess is an SSH session in which a few passwords are tried; size is about what is sent.
func guess(client, server netip.Addr, clientPort, serverPort uint16, size int) []packet.Packet {
	all := handshake(client, server, clientPort, serverPort)
	all = append(all, data(client, server, clientPort, serverPort, []byte("SSH-2.0-guesser\r\n")), data(server, client, serverPort, clientPort, []byte("SSH-2.0-x\r\n")),
		data(client, server, clientPort, serverPort, make([]byte, size)), data(server, client, serverPort, clientPort, make([]byte, 1000)))
	return append(all, tcpPacket(client, server, clientPort, serverPort, packet.FIN|packet.ACK), tcpPacket(server, client, serverPort, clientPort, packet.FIN|packet.ACK))
}

func TestBruteForce(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	tests := map[string]struct {
		sessions int
		apart    time.Duration
		port     uint16
		size     func() int
		counts   []int
	}{
		"8 sessions":            {8, time.Second, 22, func() int { return 2000 + random.IntN(300) }, nil},
		"10 sessions":           {10, time.Second, 22, func() int { return 2000 + random.IntN(300) }, []int{9}},
		"40 sessions":           {40, time.Second, 22, func() int { return 2000 + random.IntN(300) }, []int{9, 9, 18}},
		"another port":          {10, time.Second, 902, func() int { return 2000 + random.IntN(300) }, []int{9}},
		"fetched each minute":   {60, 10 * time.Second, 22, func() int { return 2000 }, nil},
		"sizes as they come":    {40, time.Second, 22, func() int { return 300 << random.IntN(6) }, nil},
		"long sessions":         {40, time.Second, 22, func() int { return 100_000 }, nil},
		"greetings and no more": {40, time.Second, 22, func() int { return 10 }, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, Config{})
			for i := range test.sessions {
				w.send(test.apart/8, guess(scanner, victim, uint16(5000+i), test.port, test.size())...)
				if test.apart > 8*time.Second {
					w.wait(time.Minute)
				}
			}
			w.only(event.BruteForce)
			got := w.told(event.BruteForce)
			if len(got) != len(test.counts) {
				t.Fatalf("%d events, want %v: %+v", len(got), test.counts, got)
			}
			for i, e := range got {
				if e.Count != test.counts[i] || e.Proof != event.Handshake || e.Source.Addr != scanner || e.Target != (event.Endpoint{Addr: victim, Port: test.port}) || e.Severity != 5 {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// TestSessionWithoutEnd: who begins anew from the same port, instead of taking leave, is counted all the same.
func TestSessionWithoutEnd(t *testing.T) {
	w := newWire(t, Config{})
	for range 12 {
		packets := guess(scanner, victim, 5000, 22, 2000)
		w.send(time.Millisecond, packets[:len(packets)-2]...)
		w.wait(6 * time.Second)
	}
	w.only(event.BruteForce)
	if got := w.told(event.BruteForce); len(got) != 1 || got[0].Source.Addr != scanner {
		t.Errorf("%+v", got)
	}
}

func TestLost(t *testing.T) {
	whole := guess(scanner, victim, 5000, 22, 500)
	talk := whole[:len(whole)-2]
	reset := tcpPacket(victim, scanner, 22, 5000, packet.RST)
	blind := reset
	blind.Sequence += 1 << 24 // by somebody who guesses
	more := data(victim, scanner, 22, 5000, make([]byte, 100))
	tests := map[string]struct {
		packets []packet.Packet
		want    string
	}{
		"ended":      {whole, ""},
		"reset":      {append(talk[:len(talk):len(talk)], reset), "reset by the server"},
		"unanswered": {append(talk[:len(talk):len(talk)], more, more, more), "no answer to the last 4 packets"},
		"idle":       {talk, ""},
		"forged":     {append(talk[:len(talk):len(talk)], blind), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, Config{})
			w.send(time.Second, test.packets...)
			w.wait(time.Hour)
			w.only(event.ConnectionLost)
			got := w.told(event.ConnectionLost)
			if (len(got) == 1) != (test.want != "") {
				t.Fatalf("%+v", got)
			}
			if len(got) == 1 && (got[0].Detail != test.want || got[0].Proof != event.Handshake || got[0].Source.Addr != scanner) {
				t.Errorf("%+v", got[0])
			}
		})
	}
}

// TestChain: somebody types into a session with a host, and the host into another, so much later
// (or not at all in time with it).
func TestChain(t *testing.T) {
	stone, onward := ip("203.0.113.22"), ip("192.0.2.88")
	for name, test := range map[string]struct {
		delay func(random *rand.Rand) time.Duration
		want  bool
	}{
		"passed on":       {func(r *rand.Rand) time.Duration { return time.Duration(5+r.IntN(40)) * time.Millisecond }, true},
		"somebody else's": {func(r *rand.Rand) time.Duration { return time.Duration(100+r.IntN(900)) * time.Millisecond }, false},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(5, 6))
			w := newWire(t, Config{})
			w.send(time.Millisecond, handshake(scanner, stone, 5000, 22)...)
			w.send(time.Millisecond, handshake(stone, onward, 6000, 23)...)
			w.send(time.Millisecond, data(scanner, stone, 5000, 22, []byte("SSH-2.0-x\r\n")))
			for range 30 {
				pause := time.Duration(600+random.IntN(2000)) * time.Millisecond
				delay := test.delay(random)
				w.send(pause, data(scanner, stone, 5000, 22, make([]byte, 36)))
				w.send(delay, data(stone, onward, 6000, 23, make([]byte, 1)))
			}
			w.only(event.ConnectionChain)
			got := w.told(event.ConnectionChain)
			if (len(got) == 1) != test.want {
				t.Fatalf("%+v", got)
			}
			if test.want && (got[0].Source.Addr != scanner || got[0].Target.Addr != onward || got[0].Proof != event.Handshake || got[0].Detail != "by way of 203.0.113.22") {
				t.Errorf("%+v", got[0])
			}
		})
	}
}

// TestChainOfBytes: what is passed on without a pause is known by its lengths.
func TestChainOfBytes(t *testing.T) {
	stone, onward := ip("203.0.113.22"), ip("192.0.2.88")
	for _, same := range []bool{true, false} {
		random := rand.New(rand.NewPCG(7, 8))
		w := newWire(t, Config{})
		w.send(time.Millisecond, handshake(scanner, stone, 5000, 23)...)
		w.send(time.Millisecond, handshake(stone, onward, 6000, 23)...)
		for range 60 {
			size := 1 + random.IntN(200)
			w.send(50*time.Millisecond, data(scanner, stone, 5000, 23, make([]byte, size)))
			if !same {
				size = 1 + random.IntN(200)
			}
			w.send(5*time.Millisecond, data(stone, onward, 6000, 23, make([]byte, size)))
		}
		if got := w.told(event.ConnectionChain); (len(got) == 1) != same {
			t.Errorf("same lengths %v: %+v", same, got)
		}
	}
}

func TestWorm(t *testing.T) {
	slammer := append([]byte{4}, make([]byte, 375)...)
	request := func(text string) []packet.Packet {
		return append(handshake(scanner, victim, 5000, 80), data(scanner, victim, 5000, 80, []byte(text)))
	}
	tests := map[string]struct {
		packets       []packet.Packet
		vulnerability string
		proof         event.Proof
		found         bool
	}{
		"Slammer":          {[]packet.Packet{udpPacket(scanner, victim, 5000, 1434, slammer)}, "CVE-2002-0649", event.Spoofable, true},
		"a ping of SQL":    {[]packet.Packet{udpPacket(scanner, victim, 5000, 1434, []byte{2})}, "", 0, false},
		"Witty":            {[]packet.Packet{udpPacket(scanner, victim, 4000, 777, []byte("\x05\x00 insert witty message here "))}, "CVE-2004-0362", event.Spoofable, true},
		"Code Red":         {request("GET /default.ida?NNNNNNNNNNNN"), "CVE-2001-0500", event.Handshake, true},
		"Nimda":            {request("GET /scripts/root.exe?/c+dir HTTP/1.0"), "", event.Handshake, true},
		"a page":           {request("GET /default.html HTTP/1.0"), "", 0, false},
		"Code Red, forged": {request("GET /default.ida?NNNNNNNNNNNN")[3:], "", 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, Config{})
			w.send(time.Millisecond, test.packets...)
			w.only(event.Worm)
			got := w.told(event.Worm)
			if (len(got) == 1) != test.found {
				t.Fatalf("%+v", got)
			}
			if test.found && (got[0].Vulnerability != test.vulnerability || got[0].Proof != test.proof || got[0].Source.Addr != scanner || got[0].Severity != 10) {
				t.Errorf("%+v", got[0])
			}
		})
	}
}
