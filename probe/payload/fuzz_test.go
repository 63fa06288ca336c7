package payload

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// FuzzStream writes segments of one side in any order: a 16 bit offset and a length for each. What comes
// out begins with the bytes that came first for each place.
func FuzzStream(f *testing.F) {
	f.Add([]byte{0, 0, 10, 0, 10, 10})
	f.Add([]byte{0, 10, 10, 0, 5, 20, 0, 0, 30})
	f.Add([]byte{0, 2, 1, 0, 4, 1, 0, 6, 1, 0, 1, 9, 0, 0, 1})
	f.Add([]byte{255, 255, 255, 0, 0, 255, 0, 255, 255})
	f.Fuzz(func(t *testing.T, script []byte) {
		script = script[:min(len(script), 3*heldMost)] // more may be held for, and then there are gaps
		k := newTalk(t, Config{Builtin: true})
		heard := k.heard()
		k.handshake()
		first := make([]byte, 1<<17)
		var known [1 << 17]bool
		for n := byte(1); len(script) >= 3; n++ {
			offset, length := int(binary.BigEndian.Uint16(script)), int(script[2])
			data := bytes.Repeat([]byte{n}, length)
			for i := offset; i < offset+length; i++ {
				if !known[i] {
					known[i], first[i] = true, n
				}
			}
			k.at(0, offset, string(data))
			script = script[3:]
		}
		k.scanner.Flush(k.emit)
		want := 0
		for known[want] {
			want++
		}
		got := strings.Join(heard[0], "")
		if !strings.HasPrefix(got, string(first[:want])) {
			t.Errorf("got %.100x, want %.100x", got, first[:want])
		}
	})
}

// FuzzPackets sends anything between a few ends: nothing panics, memory keeps its bounds, whoever
// is blamed has sent a packet, and nothing is left in the end.
func FuzzPackets(f *testing.F) {
	seed := func(packets ...[]byte) { f.Add(bytes.Join(packets, nil)) }
	line := func(ends, flags byte, seq, ack uint32, length byte) []byte {
		b := []byte{ends, flags, length, 1}
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, seq), ack)
	}
	const syn, ack, fin, rst = byte(packet.SYN), byte(packet.ACK), byte(packet.FIN), byte(packet.RST)
	seed(line(0, syn, 0, 0, 0), line(1, syn|ack, 100, 1, 0), line(0, ack, 1, 101, 0), line(0, ack, 1, 101, 200), line(1, ack, 101, 201, 9),
		line(0, ack|fin, 201, 110, 0), line(1, ack|fin, 110, 202, 0))
	seed(line(0, ack, 1<<31, 7, 50), line(1, ack, 7, 1<<31, 50), line(0, ack, 1<<31+100, 50, 50), line(0, rst, 1<<31+150, 0, 0))
	seed(line(16, 0, 0, 0, 200), line(4, ack, 1<<32-10, 5, 250), line(4, ack, 100, 5, 250))
	f.Fuzz(func(t *testing.T, script []byte) {
		k := newTalk(t, Config{Builtin: true, MemoryMiB: 1, Stream: 600})
		ends := [4]netip.AddrPort{client, server, netip.MustParseAddrPort("[2001:db8::1]:7"), netip.MustParseAddrPort("[2001:db8::2]:80")}
		said := map[event.Endpoint]bool{}
		for ; len(script) >= 12; script = script[12:] {
			which := script[0]
			k.ends = [2]netip.AddrPort{ends[which&1|which>>1&2], ends[^which&1|which>>1&2]}
			data := strings.Repeat(slideAndCode, 2)[:script[2]]
			p := k.packet(0, packet.Flags(script[1]), binary.BigEndian.Uint32(script[4:]), data)
			p.Ack = binary.BigEndian.Uint32(script[8:])
			p.Time += int64(script[3]) << 32 * (1 - int64(which>>6&2)) // forward or back, by up to 18 minutes
			p.Tunnel = which&32 != 0
			if which&16 != 0 {
				p.Protocol = packet.UDP
			}
			if which&8 != 0 {
				p.PayloadLength += 1000
			}
			said[endpoint(k.ends[0])] = true
			k.send(p)
		}
		k.scanner.Flush(k.emit)
		for _, e := range k.events {
			if !said[e.Source] || e.Count != 1 || e.Kind.Severity() != e.Severity {
				t.Errorf("event %+v", e)
			}
		}
		if s := k.scanner.Stats(); s.Memory != 0 || s.Connections != 0 || k.scanner.streams.recent.Len()+k.scanner.streams.waiting.Len() != 0 {
			t.Errorf("left: %+v", s)
		}
	})
}
