package detect

import (
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

// Stepping stones are found by when keys are pressed (Zhang and Paxson, "Detecting Stepping
// Stones", 2000): a session that is silent for half a second and then speaks is awake; if a session
// that leaves the same host wakes within 80 ms again and again, what comes in goes out. The
// paper's parameters are used, and six wakings are asked for where it is content with fewer. In
// addition, bytes that are passed on without a pause give themselves away by their lengths.
const (
	quiet     = 500 * time.Millisecond // T_idle
	together  = 80 * time.Millisecond  // delta
	wakings   = 6                      // that coincide, of the fewer of both by three in ten (gamma)
	echoes    = 24                     // packets in a row that leave with the length they came with
	keystroke = 512                    // bytes; longer packets are no keys
)

// stone is a host that somebody has logged in to, with its newest sessions.
type stone struct {
	in, out [4]leg
	pairs   [4][4]pair
	next    [2]uint8
}

// leg is one session.
type leg struct {
	session uint64 // the hash of its key; 0: none
	other   event.Endpoint
	awake   int64 // since when
	last    int64 // when its client sent last
	wakings int32
	size    int32 // of what was sent last
	tunnel  bool  // both of its sides may be one hand's
}

// pair is how often a session that leaves has followed one that comes in.
type pair struct {
	coincided int32
	echoed    int32 // in a row
	told      bool
}

// stepping tells whether a service, beside SSH, is one where people type.
func stepping(port uint16) bool {
	switch port {
	case 23, 513, 514, 3389, 5900: // telnet, rlogin, rsh, remote desktop, VNC
		return true
	}
	return false
}

// step looks at what a client sends in an established session.
func (d *Detector) step(p *packet.Packet, place int32) {
	f := d.flows.value(place)
	if !f.ssh && !stepping(p.TargetPort) {
		return
	}
	session := d.flows.key(place).hash(0) | 1
	if i := d.stones.find(hostOf(p.Source)); i != 0 {
		d.leaves(d.stones.value(i), session, p, f)
	}
	at := hostOf(p.Target)
	i := d.stones.find(at)
	if i == 0 {
		i = d.stones.add(at, passing)
	}
	s := d.stones.value(i)
	n, fresh := legOf(&s.in, &s.next[0], session)
	if fresh {
		d.stones.renew(i, passing)
		s.in[n].other, s.in[n].tunnel = event.Endpoint{Addr: p.Source, Port: p.SourcePort}, f.tunnel
		s.pairs[n] = [4]pair{}
	}
	s.in[n].sends(d.now, p.PayloadLength)
}

// leaves looks at what leaves a host in a session that goes on from it.
func (d *Detector) leaves(s *stone, session uint64, p *packet.Packet, f *flow) {
	n, fresh := legOf(&s.out, &s.next[1], session)
	if fresh {
		s.out[n].other = event.Endpoint{Addr: p.Target, Port: p.TargetPort}
		for i := range s.pairs {
			s.pairs[i][n] = pair{}
		}
	}
	woke := s.out[n].sends(d.now, p.PayloadLength)
	for i := range s.in {
		in, pair := &s.in[i], &s.pairs[i][n]
		if in.session == 0 || in.session == session {
			continue
		}
		if woke && d.now-in.awake <= int64(together) {
			pair.coincided++
		}
		switch {
		case d.now-in.last > int64(together) || int(in.size) != p.PayloadLength:
			pair.echoed = 0
		default:
			pair.echoed++
			in.size = -1 // it has left
		}
		fewer := min(in.wakings, s.out[n].wakings)
		if pair.told || pair.echoed < echoes && (pair.coincided < wakings || 10*pair.coincided < 3*fewer) {
			continue
		}
		pair.told = true
		proof := f.proof()
		if in.tunnel {
			proof = event.Spoofable
		}
		d.tell(event.Event{
			Time: d.at(d.now), Kind: event.ConnectionChain, Source: in.other, Target: s.out[n].other, Proof: proof, Protocol: "tcp",
			Detail: "by way of " + p.Source.String(),
		}, p.Number)
	}
}

// sends notes that the session's client sends, and tells whether it was silent before.
func (l *leg) sends(now int64, size int) (woke bool) {
	woke = now-l.last > int64(quiet)
	if woke {
		l.awake = now
		l.wakings++
	}
	l.last, l.size = now, int32(size)
	return woke
}

// legOf returns the place of a session, and takes that of the one begun longest ago for a new one.
func legOf(legs *[4]leg, next *uint8, session uint64) (n int, fresh bool) {
	for n := range legs {
		if legs[n].session == session {
			return n, false
		}
	}
	n = int(*next)
	*next = (*next + 1) % uint8(len(legs))
	legs[n] = leg{session: session}
	return n, true
}
