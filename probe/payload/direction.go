package payload

import "slices"

const (
	pieceSize = 64 << 10 // bytes scanned together: a scan of little costs as much as one of a lot
	overlap   = 4 << 10  // bytes of a piece that the next one begins with, for what lies across the edge
	heldMost  = 256      // segments that wait for one before them, in a direction
	ackSpan   = 256 << 10
	straysFor = 8 // segments from somewhere else, one after the other, until we believe that the stream is there
)

// direction is what one side of a connection sends, put in order. Where segments overlap,
// the bytes that came first count.
//
// Sequence numbers are compared by their difference, as RFC 9293 does.
type direction struct {
	known     bool
	low, high uint32 // the first number seen, and the one behind the last
	next      uint32 // of the first byte that piece lacks
	held      []segment
	taken     int // bytes put in order, those that were scanned and let go included
	strays    int
	closed    bool // its FIN was seen
	done      bool // nothing more is taken of it

	piece  []byte
	old    int   // how many of piece's first bytes were scanned before
	since  int64 // when the first byte that was not came; nanoseconds since 1970
	number int64 // of the packet that the newest byte came with
	time   int64 // its time

	found  map[*class]struct{} // what was reported of it
	proved bool                // it acknowledged what only the holder of its address can know
	mac    [6]byte
}

// segment is a part of the stream that waits for what lies before it.
type segment struct {
	seq  uint32
	data []byte
}

// cost is the memory that the segment takes, about.
func (s segment) cost() int { return len(s.data) + 64 }

// distance is how far b lies behind a; negative if it lies before it.
func distance(a, b uint32) int { return int(int32(b - a)) }

// begin says at which number the stream begins.
func (d *direction) begin(seq uint32) {
	d.known = true
	d.low, d.high, d.next = seq, seq, seq
}

// follows notes that a segment's numbers were used, and tells whether they can be this
// stream's: neither far behind nor far ahead of what came before.
func (d *direction) follows(seq uint32, length int) bool {
	if off := distance(d.high, seq); off > ackSpan || off < -4*ackSpan {
		d.strays++
		return false
	}
	d.strays = 0
	if end := seq + uint32(length); distance(d.high, end) > 0 {
		d.high = end
	}
	return true
}

// acknowledged tells whether an acknowledgement can be one of what this direction has sent
// lately (RFC 5961, section 5), and whether it shows that its sender has received any of it.
// A sender who writes a source that is not his own does not see what is answered, and
// has to guess.
func (d *direction) acknowledged(ack uint32) (plausible, received bool) {
	behind := distance(ack, d.high)
	if behind < 0 || behind > ackSpan || distance(d.low, ack) < 0 {
		return false, false
	}
	return true, distance(d.low, ack) > 0
}

// hold keeps what lies in the holes between what is held already, up to limit bytes behind
// next. It returns what more memory that takes.
func (d *direction) hold(seq uint32, data []byte, limit int) (cost int) {
	if off := distance(d.next, seq); off < 0 {
		if -off >= len(data) {
			return 0
		}
		data, seq = data[-off:], d.next
	}
	if room := limit - distance(d.next, seq); len(data) > room {
		data = data[:max(room, 0)]
	}
	for i := 0; len(data) > 0; i++ {
		n := len(data)
		if i < len(d.held) {
			n = min(n, max(distance(seq, d.held[i].seq), 0))
		}
		if n > 0 {
			h := segment{seq, slices.Clone(data[:n])}
			d.held = slices.Insert(d.held, i, h)
			cost += h.cost()
			data, seq = data[n:], seq+uint32(n)
			continue
		}
		if over := len(d.held[i].data) + distance(seq, d.held[i].seq); over > 0 {
			over = min(over, len(data))
			data, seq = data[over:], seq+uint32(over)
		}
	}
	return cost
}

// following takes the held segment out that lies at next, unless there is a gap.
func (d *direction) following() (h segment, ok bool) {
	if len(d.held) == 0 || d.held[0].seq != d.next {
		return h, false
	}
	h = d.held[0]
	d.held = slices.Delete(d.held, 0, 1)
	return h, true
}

// unscanned is how many bytes of piece nobody has looked at.
func (d *direction) unscanned() int { return len(d.piece) - d.old }
