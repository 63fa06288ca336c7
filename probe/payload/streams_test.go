package payload

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/probe/packet"
)

func TestStreams(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", pieceSize/16)
	tests := []struct {
		name   string
		play   func(k *talk)
		client []string // pieces
		server []string
		stats  func(s Stats) bool
	}{
		{name: "in order", play: func(k *talk) {
			k.handshake()
			k.say(0, "GET / ")
			k.say(0, "HTTP/1.0\r\n")
			k.say(1, "200 ")
			k.say(1, "OK")
			k.close()
		}, client: []string{"GET / HTTP/1.0\r\n"}, server: []string{"200 OK"}},
		{name: "out of order", play: func(k *talk) {
			k.handshake()
			k.at(0, 6, "three ")
			k.at(0, 3, "wo ")
			k.at(0, 12, "four")
			k.at(0, 0, "1 t")
		}, client: []string{"1 two three four"}},
		{name: "the first bytes count", play: func(k *talk) {
			k.handshake()
			k.at(0, 4, "EFGH")
			k.at(0, 2, "cdefghij") // around what is held
			k.at(0, 0, "ABCDxxxx") // and once more
			k.at(0, 0, "yyyyyyyyyyKL")
		}, client: []string{"ABcdEFGHijKL"}},
		{name: "sent again", play: func(k *talk) {
			k.handshake()
			k.say(0, "hello")
			k.at(0, -5, "HELLO")
			k.at(0, -3, "LLO, world")
		}, client: []string{"hello, world"}},
		{name: "a byte at a time, backwards", play: func(k *talk) {
			k.handshake()
			for i := 99; i >= 0; i-- {
				k.at(0, i, string(rune('0'+i%10)))
			}
		}, client: []string{strings.Repeat("0123456789", 10)}},
		{name: "a gap that was received is the capture's", play: func(k *talk) {
			k.handshake()
			k.say(0, "first ")
			k.next[0] += 10
			k.say(0, "third")
		}, client: []string{"first ", "third"}, stats: func(s Stats) bool { return s.Gaps == 1 }},
		{name: "a gap that was not received is waited for", play: func(k *talk) {
			k.handshake()
			k.at(0, 6, "third")
			k.now = k.now.Add(time.Minute)
			k.say(1, "what?")
			k.at(0, 0, "first ")
		}, client: []string{"first third"}, server: []string{"what?"}, stats: func(s Stats) bool { return s.Gaps == 0 }},
		{name: "a gap at the end", play: func(k *talk) {
			k.handshake()
			k.say(0, "first")
			k.at(0, 10, "third")
			k.at(0, 30, "fifth")
			k.next[0] += 35
			k.close()
		}, client: []string{"first", "third", "fifth"}, stats: func(s Stats) bool { return s.Gaps == 2 }},
		{name: "too many wait", play: func(k *talk) {
			k.handshake()
			for i := range heldMost + 1 {
				k.at(0, 1+2*i, "x")
			}
		}, client: slices.Repeat([]string{"x"}, heldMost+1), stats: func(s Stats) bool { return s.Gaps == 1 }},
		{name: "large, in pieces", play: func(k *talk) {
			k.handshake()
			for i := 0; i < len(long); i += 1000 {
				k.say(0, long[i:min(i+1000, len(long))])
			}
			k.say(0, "rest")
		}, client: []string{long, "rest"}},
		{name: "the limit", play: func(k *talk) {
			k.handshake()
			for range 10 {
				k.say(0, long)
			}
			k.say(0, "more")
			k.say(1, "thanks")
		}, client: []string{long, long, long, long}, server: []string{"thanks"}, stats: func(s Stats) bool { return s.Refused == 0 && s.Memory < pieceSize }},
		{name: "a silent stream is looked at after two seconds", play: func(k *talk) {
			k.handshake()
			k.say(0, "now")
			k.scanner.Advance(k.now.Add(time.Second), k.emit)
			k.say(0, " or")
			k.now = k.now.Add(2 * time.Second)
			k.scanner.Advance(k.now, k.emit)
			k.say(0, " never")
		}, client: []string{"now or", " never"}},
		{name: "the beginning was not seen", play: func(k *talk) {
			k.say(0, "in the ")
			k.say(0, "middle")
			k.say(1, "answer")
		}, client: []string{"in the middle"}, server: []string{"answer"}},
		{name: "a reset by somebody who does not know the numbers", play: func(k *talk) {
			k.handshake()
			k.say(0, "to be ")
			k.send(k.packet(0, packet.RST, k.next[0]+1, ""))
			k.say(0, "continued")
		}, client: []string{"to be continued"}},
		{name: "a reset", play: func(k *talk) {
			k.handshake()
			k.say(0, "the end")
			k.send(k.packet(0, packet.RST, k.next[0], ""))
		}, client: []string{"the end"}, stats: func(s Stats) bool { return s.Connections == 0 && s.Memory == 0 }},
		{name: "an acknowledgement that nobody can know", play: func(k *talk) {
			k.handshake()
			k.say(0, "mine ")
			forged := k.packet(0, packet.ACK, k.next[0], "not mine")
			forged.Ack += 7
			k.send(forged)
			forged = k.packet(0, packet.ACK, k.next[0], "not mine")
			forged.Ack -= ackSpan + 1
			k.send(forged)
			forged = k.packet(0, packet.PSH, k.next[0], "not mine")
			k.send(forged)
			k.say(0, "again")
		}, client: []string{"mine again"}, stats: func(s Stats) bool { return s.Refused == 3 }},
		{name: "an acknowledgement of long ago", play: func(k *talk) {
			k.handshake()
			for range 6 {
				k.say(1, long)
			}
			old := k.packet(0, packet.ACK, k.next[0], "not mine")
			old.Ack -= ackSpan + 1
			k.send(old)
			k.say(0, "mine")
		}, client: []string{"mine"}, server: []string{long, long, long, long}, stats: func(s Stats) bool { return s.Refused == 1 }},
		{name: "acknowledgements alone leave nothing", play: func(k *talk) {
			k.send(k.packet(0, packet.ACK, k.next[0], ""))
			k.send(k.packet(1, packet.ACK|packet.FIN, k.next[1], ""))
		}, stats: func(s Stats) bool { return s.Streams == 0 && s.Memory == 0 }},
		{name: "a number from elsewhere", play: func(k *talk) {
			k.handshake()
			k.say(0, "here ")
			k.at(0, ackSpan+100, "elsewhere")
			k.say(0, "again")
			k.say(0, "")
		}, client: []string{"here again"}, stats: func(s Stats) bool { return s.Refused == 1 }},
		{name: "many numbers from elsewhere: that is where it is", play: func(k *talk) {
			k.handshake()
			k.say(0, "here ")
			k.next[0] += 1 << 30
			for range straysFor {
				k.at(0, 0, "there")
			}
		}, client: []string{"here ", "there"}, stats: func(s Stats) bool { return s.Refused == straysFor-1 && s.Gaps == 1 }},
		{name: "the same ends again", play: func(k *talk) {
			k.handshake()
			k.say(0, "one")
			k.now = k.now.Add(2 * time.Minute)
			k.next = [2]uint32{77, 99}
			k.handshake()
			k.say(0, "two")
		}, client: []string{"one", "two"}, stats: func(s Stats) bool { return s.Streams == 2 }},
		{name: "a forged answer does not begin it anew", play: func(k *talk) {
			k.handshake()
			k.say(0, "one ")
			k.send(k.packet(1, packet.SYN|packet.ACK, 12345, ""))
			k.say(0, "stream")
		}, client: []string{"one stream"}, stats: func(s Stats) bool { return s.Streams == 1 && s.Refused == 1 }},
		{name: "cut off by the capture", play: func(k *talk) {
			k.handshake()
			p := k.packet(0, packet.ACK, k.next[0], "cut")
			p.PayloadLength = 100
			k.send(p)
			k.next[0] += 100
			k.say(0, "whole")
		}, client: []string{"cut", "whole"}, stats: func(s Stats) bool { return s.Gaps == 1 }},
		{name: "a clock that was set back", play: func(k *talk) {
			k.handshake()
			k.say(0, "future ")
			k.now = k.now.Add(-time.Hour)
			k.say(0, "past")
			k.say(0, " and more")
		}, client: []string{"future past", " and more"}},
		{name: "SYNs alone leave nothing", play: func(k *talk) {
			for i := range 1000 {
				k.ends[0] = netip.AddrPortFrom(client.Addr(), uint16(1024+i))
				k.send(k.packet(0, packet.SYN, k.next[0], ""))
			}
		}, stats: func(s Stats) bool { return s.Streams == 0 && s.Memory == 0 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k := newTalk(t, Config{Builtin: true})
			heard := k.heard()
			test.play(k)
			if test.stats != nil && !test.stats(k.scanner.Stats()) {
				t.Errorf("stats %+v", k.scanner.Stats())
			}
			k.scanner.Flush(k.emit)
			if !slices.Equal(heard[0], test.client) || !slices.Equal(heard[1], test.server) {
				t.Errorf("heard %.200q and %.200q, want %.200q and %.200q", heard[0], heard[1], test.client, test.server)
			}
			if s := k.scanner.Stats(); s.Connections != 0 || s.Memory != 0 || k.scanner.streams.recent.Len()+k.scanner.streams.waiting.Len() != 0 {
				t.Errorf("after all of it: %+v", s)
			}
		})
	}
}

// Whatever comes, no more memory is used than is allowed (send checks it), and the pieces of whoever has to go are
// looked at before.
func TestMemoryIsBounded(t *testing.T) {
	k := newTalk(t, Config{Builtin: true, MemoryMiB: 1})
	var bytes int
	k.scanner.streams.scan = func(c *connection, side int) { bytes += c.sides[side].unscanned() }
	said := 0
	for i := range 4000 {
		k.ends[0] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 4000)
		k.next = [2]uint32{uint32(i), uint32(i)}
		k.handshake()
		k.say(0, strings.Repeat("a", 1000))
		k.at(0, 100, strings.Repeat("b", 1000)) // held
		said += 2000
	}
	s := k.scanner.Stats()
	if s.Hurried == 0 || s.Evicted == 0 || s.Connections == 0 || s.Connections > 1<<20/perStream {
		t.Errorf("stats %+v", s)
	}
	k.scanner.Flush(k.emit)
	if bytes != said {
		t.Errorf("%d bytes were looked at, of %d", bytes, said)
	}
}

// A large buffer is not kept for a connection that says little.
func TestSilentConnectionsAreSmall(t *testing.T) {
	k := newTalk(t, Config{Builtin: true})
	k.handshake()
	for range 60 {
		k.say(0, strings.Repeat("a", 1000))
	}
	before := k.scanner.Stats().Memory
	k.scanner.Advance(k.now.Add(3*time.Second), k.emit)
	if after := k.scanner.Stats().Memory; before < 60_000 || after > perStream+2*overlap {
		t.Errorf("%d bytes, then %d", before, after)
	}
	k.scanner.Advance(k.now.Add(11*time.Minute), k.emit)
	if after := k.scanner.Stats(); after.Memory != 0 || after.Connections != 0 {
		t.Errorf("after ten minutes of silence: %+v", after)
	}
}

// Every way of cutting a text into two segments that overlap gives the text.
func TestOverlaps(t *testing.T) {
	const text = "0123456789"
	for from := range len(text) {
		for to := from + 1; to <= len(text); to++ {
			k := newTalk(t, Config{Builtin: true})
			heard := k.heard()
			k.handshake()
			k.at(0, from, text[from:to])
			k.at(0, 0, text)
			k.scanner.Flush(k.emit)
			if got := strings.Join(heard[0], ""); got != text {
				t.Errorf("%d to %d first: %q", from, to, got)
			}
		}
	}
}

// crowd is more rules than are reported of one side, all of which match.
type crowd struct{}

func (crowd) scan([]byte, circumstances) (matched []*class, err error) {
	for range matchesMost + 1 {
		matched = append(matched, &class{kind: "payload.low"})
	}
	return matched, nil
}

func (crowd) close() {}

// TestCrowdBeforeGap: a side of which too much was found is let go of, also where the rest of what it said
// waits behind a gap.
func TestCrowdBeforeGap(t *testing.T) {
	for name, over := range map[string]func(k *talk){
		"received": func(k *talk) { k.next[0] += 15; k.say(1, "yes") },
		"ended":    func(k *talk) { k.scanner.Flush(k.emit) },
	} {
		t.Run(name, func(t *testing.T) {
			k := newTalk(t, Config{Builtin: true})
			k.scanner.rules = crowd{}
			k.handshake()
			k.say(0, "first")
			k.at(0, 10, "third")
			over(k)
			k.at(0, 0, "more")
			if s := k.scanner.Stats(); s.Matches < matchesMost || s.Crowded == 0 || s.Gaps != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}
