package payload

import (
	"cmp"
	"container/list"
	"net/netip"
	"time"

	"github.com/komondor/komondor/probe/packet"
)

const (
	settle    = int64(2 * time.Second)  // how long bytes wait for more of their stream before they are scanned
	idle      = int64(10 * time.Minute) // how long a silent connection is remembered
	reuse     = int64(time.Minute)      // a connection silent for so long may make room for another of the same ends
	perStream = 1 << 10                 // bytes that a connection costs without its data, about
)

// streams puts TCP connections together, and hands on what both sides said in pieces. Its
// clock is the packets' own.
//
// It is not gopacket's reassembly: that bounds the pages which wait in order, but not the
// connections; it keeps what it allocated; and it takes a segment without asking whether
// the acknowledgement in it could be known to whoever claims to have sent it.
type streams struct {
	limit  int // bytes of a direction
	memory int // bytes in all
	scan   func(c *connection, side int)
	stats  *Stats

	connections map[ends]*connection
	recent      list.List // of *connection: the one that was silent longest is first
	waiting     list.List // of *half: unscanned bytes, those that came first are first
	used        int
}

// ends are a connection's, the lower first.
type ends [2]netip.AddrPort

// connection is a TCP connection whose answer to a SYN, or data of which was seen. A SYN alone leaves
// nothing behind: anybody can send a million of them.
type connection struct {
	ends   ends
	client int // which of ends began it; -1 if that was not seen
	sides  [2]direction
	doubt  bool // somebody else may write it: nothing is proved
	number int64
	last   int64

	recent  *list.Element
	waiting [2]*list.Element
}

type half struct {
	*connection
	side int
}

func newStreams(limit, memory int, stats *Stats, scan func(c *connection, side int)) *streams {
	return &streams{limit: limit, memory: memory, stats: stats, scan: scan, connections: make(map[ends]*connection)}
}

// proof tells whether what a side says is certainly its address's.
func (c *connection) proof(side int) bool {
	mac, other := c.sides[side].mac, c.sides[1-side].mac
	// Whoever writes both sides of a conversation from one place makes it up.
	return c.sides[side].proved && !c.doubt && (mac != other || mac == [6]byte{})
}

// apart is how far two times are from one another. Clocks are set, and then what lies ahead is as old as what
// lies behind.
func apart(a, b int64) int64 { return max(a-b, b-a) }

// between finds the ends of a packet, and which of them sent it.
func between(p *packet.Packet) (key ends, side int) {
	source, target := netip.AddrPortFrom(p.Source, p.SourcePort), netip.AddrPortFrom(p.Target, p.TargetPort)
	if cmp.Or(source.Addr().Compare(target.Addr()), cmp.Compare(source.Port(), target.Port())) > 0 {
		return ends{target, source}, 1
	}
	return ends{source, target}, 0
}

// add takes the next packet.
func (s *streams) add(p *packet.Packet) {
	key, side := between(p)
	c := s.connections[key]
	switch flags := p.Flags & (packet.SYN | packet.ACK | packet.RST); {
	case flags == packet.SYN|packet.ACK:
		s.answered(c, key, side, p)
		return
	case flags&packet.SYN != 0:
		return
	case flags&packet.RST != 0:
		if c != nil && c.sides[side].known && p.Sequence == c.sides[side].high { // RFC 5961, section 3
			s.end(c)
		}
		return
	case flags == 0: // no host takes it
		if len(p.Payload) > 0 {
			s.stats.Refused++
		}
		return
	}
	if c == nil {
		if len(p.Payload) == 0 {
			return
		}
		c = s.begin(key, -1, p)
	}
	s.segment(c, side, p)
}

// answered begins a connection with the answer to its SYN.
func (s *streams) answered(c *connection, key ends, server int, p *packet.Packet) {
	if c != nil {
		if c.sides[server].known && c.sides[server].low == p.Sequence {
			return // once more
		}
		if busy := c.sides[1-server].proved || c.sides[0].taken+c.sides[1].taken > 0; busy && apart(p.Time, c.last) < reuse {
			s.stats.Refused++
			return
		}
		s.end(c)
	}
	c = s.begin(key, 1-server, p)
	c.sides[server].begin(p.Sequence)
	c.sides[server].follows(p.Sequence, 1)
	c.sides[server].next++
	c.sides[server].mac = p.SourceMAC
	c.sides[1-server].begin(p.Ack)
}

func (s *streams) begin(key ends, client int, p *packet.Packet) *connection {
	c := &connection{ends: key, client: client, number: p.Number, last: p.Time}
	c.recent = s.recent.PushBack(c)
	s.connections[key] = c
	s.used += perStream
	s.stats.Streams++
	return c
}

// segment takes what one side says.
func (s *streams) segment(c *connection, side int, p *packet.Packet) {
	from, to := &c.sides[side], &c.sides[1-side]
	received := false
	if to.known {
		var plausible bool
		if plausible, received = to.acknowledged(p.Ack); !plausible {
			s.stats.Refused++
			return
		}
	}
	length := p.PayloadLength
	if p.Flags&packet.FIN != 0 {
		length++
	}
	if !from.known {
		from.begin(p.Sequence)
	}
	if !from.follows(p.Sequence, length) {
		if from.strays < straysFor {
			s.stats.Refused++
			return
		}
		s.resume(c, side, p.Sequence)
		from.follows(p.Sequence, length)
	}
	from.proved = from.proved || received
	if from.mac == [6]byte{} {
		from.mac = p.SourceMAC
	}
	c.doubt = c.doubt || p.Tunnel // whoever opens a tunnel writes both sides of what comes out
	c.last = p.Time
	s.recent.MoveToBack(c.recent)
	if len(p.Payload) > 0 && !from.done {
		from.number, from.time = p.Number, p.Time
		s.take(c, side, p.Sequence, p.Payload)
	}
	if to.known && len(to.held) > 0 && distance(to.held[0].seq, p.Ack) > 0 {
		s.skip(c, 1-side) // it was received, so it is the capture that lacks it
	}
	if p.Flags&packet.FIN != 0 {
		from.closed = true
		if to.closed {
			s.end(c)
		}
	}
}

// take puts a segment's data in its place.
func (s *streams) take(c *connection, side int, seq uint32, data []byte) {
	d := &c.sides[side]
	if off := distance(d.next, seq); off <= 0 && len(d.held) == 0 {
		if -off < len(data) {
			s.append(c, side, data[-off:])
		}
		return
	}
	s.used += d.hold(seq, data, s.limit-d.taken)
	s.drain(c, side)
	if len(d.held) > heldMost {
		s.skip(c, side)
	}
}

// drain moves what was held, as far as there is no gap.
func (s *streams) drain(c *connection, side int) {
	d := &c.sides[side]
	for h, ok := d.following(); ok; h, ok = d.following() {
		s.used -= h.cost()
		s.append(c, side, h.data)
	}
}

// append takes the next bytes of a direction, and hands on what has become a piece.
func (s *streams) append(c *connection, side int, data []byte) {
	d := &c.sides[side]
	d.next += uint32(len(data))
	data = data[:min(len(data), s.limit-d.taken)]
	d.taken += len(data)
	for len(data) > 0 && !d.done {
		if d.unscanned() == 0 {
			d.since = d.time
			c.waiting[side] = s.waiting.PushBack(half{c, side})
		}
		n := min(len(data), pieceSize-d.unscanned())
		before := cap(d.piece)
		d.piece = append(d.piece, data[:n]...)
		s.used += cap(d.piece) - before
		if data = data[n:]; d.unscanned() == pieceSize {
			s.flush(c, side)
		}
	}
	if d.taken >= s.limit && !d.done {
		s.flush(c, side)
		d.done = true
		s.release(d)
	}
}

// flush has the bytes scanned that were not yet, together with some that were.
func (s *streams) flush(c *connection, side int) {
	d := &c.sides[side]
	if d.unscanned() == 0 {
		return
	}
	s.waiting.Remove(c.waiting[side])
	c.waiting[side] = nil
	s.scan(c, side)
	if d.done {
		s.release(d)
		return
	}
	d.old = copy(d.piece, d.piece[max(len(d.piece)-overlap, 0):])
	d.piece = d.piece[:d.old]
}

// cut lets go of what was scanned: what comes next does not belong to it.
func (s *streams) cut(d *direction) {
	s.used -= cap(d.piece)
	d.piece, d.old = nil, 0
}

// release lets go of all that a direction keeps.
func (s *streams) release(d *direction) {
	s.cut(d)
	for _, h := range d.held {
		s.used -= h.cost()
	}
	d.held = nil
}

// skip goes on behind a gap.
func (s *streams) skip(c *connection, side int) {
	d := &c.sides[side]
	s.stats.Gaps++
	s.flush(c, side)
	if d.done {
		return // so much was found that nothing is held any more
	}
	s.cut(d)
	d.taken += distance(d.next, d.held[0].seq)
	d.next = d.held[0].seq
	s.drain(c, side)
}

// resume goes on where a direction turns out to be.
func (s *streams) resume(c *connection, side int, seq uint32) {
	d := &c.sides[side]
	s.stats.Gaps++
	s.flush(c, side)
	s.release(d)
	d.begin(seq)
	c.doubt = true
}

// end forgets a connection, once all of it was scanned.
func (s *streams) end(c *connection) {
	for side := range c.sides {
		for d := &c.sides[side]; len(d.held) > 0; {
			s.skip(c, side)
		}
		s.flush(c, side)
		s.release(&c.sides[side])
	}
	s.recent.Remove(c.recent)
	delete(s.connections, c.ends)
	s.used -= perStream
}

// advance scans what has waited for long enough, and forgets who is silent, up to now and
// as memory asks.
func (s *streams) advance(now int64) {
	for e := s.waiting.Front(); e != nil; e = s.waiting.Front() {
		h := e.Value.(half)
		d := &h.sides[h.side]
		full := s.used > s.memory
		if apart(now, d.since) < settle && !full {
			break
		}
		s.flush(h.connection, h.side)
		if full {
			s.stats.Hurried++
			s.cut(d)
		} else if len(d.piece) < cap(d.piece)/2 {
			s.used -= cap(d.piece)
			d.piece = append([]byte(nil), d.piece...)
			s.used += cap(d.piece)
		}
	}
	for e := s.recent.Front(); e != nil; e = s.recent.Front() {
		c := e.Value.(*connection)
		full := s.used > s.memory
		if apart(now, c.last) < idle && !full {
			break
		}
		if full {
			s.stats.Evicted++
		}
		s.end(c)
	}
}

// flushAll ends all connections, those that were silent longest first.
func (s *streams) flushAll() {
	for e := s.recent.Front(); e != nil; e = s.recent.Front() {
		s.end(e.Value.(*connection))
	}
}
