package packet

import (
	"container/list"
	"net/netip"
	"slices"
	"sort"
)

// datagram is what fragments have in common that belong together: RFC 791 and 8200.
// VLAN and tunnel are ours, so that pieces from elsewhere cannot spoil a datagram.
type datagram struct {
	source, target netip.Addr
	protocol       Protocol // of IPv4 only
	id             uint32
	vlan           uint16
	tunnel         bool
}

// piece is a part of a datagram's payload.
type piece struct {
	offset int // in bytes
	bytes  []byte
}

func (p piece) end() int { return p.offset + len(p.bytes) }

// fragments puts datagrams together. Hosts do not agree on which of two overlapping
// fragments counts (Ptacek & Newsham 1998), so a datagram with such is given up
// altogether, as RFC 5722 has it. The zero value is ready for use.
type fragments struct {
	waiting map[datagram]*list.Element // of *assembly
	oldest  list.List                  // all that are waiting, in the order in which they began
	bytes   int                        // what they hold, and what holding it costs
}

// assembly is a datagram of which pieces have come. Of one that was given up only the
// name is kept, until its time is over: late pieces must not begin it anew.
type assembly struct {
	datagram datagram
	began    int64
	pieces   []piece // by offset
	bytes    int     // of the pieces
	total    int     // of the datagram, when the last piece has come; 0 before
	first    Protocol
	given    bool // up
}

// What is waiting may cost 4 MiB, as in Linux (net.ipv4.ipfrag_high_thresh), and wait 30
// seconds. The costs of pieces and names beyond their bytes are rounded up.
const (
	maxFragmentBytes = 4 << 20
	maxFragmentWait  = 30e9
	maxPieces        = 1024
	maxDatagram      = 65535
	pieceCost        = 64
	datagramCost     = 512
)

// add takes one fragment and returns the whole payload when it was the last that
// lacked, with the protocol that it begins with by the first fragment. Next is what
// this fragment says of that. Time is in nanoseconds.
func (f *fragments) add(of datagram, part piece, more bool, next Protocol, now int64, stats *Stats) (whole []byte, first Protocol) {
	f.expire(now, maxFragmentBytes-pieceCost-datagramCost-len(part.bytes), stats)
	element, ok := f.waiting[of]
	if !ok {
		if f.waiting == nil {
			f.waiting = make(map[datagram]*list.Element)
		}
		element = f.oldest.PushBack(&assembly{datagram: of, began: now})
		f.waiting[of] = element
		f.bytes += datagramCost
	}
	a := element.Value.(*assembly)
	if a.given {
		return nil, 0
	}
	duplicate, fits := a.place(part, more)
	switch {
	case duplicate:
		return nil, 0
	case !fits:
		f.bytes -= a.cost() - datagramCost
		a.pieces, a.bytes, a.given = nil, 0, true
		stats.BadFragments++
		return nil, 0
	}
	f.bytes += len(part.bytes) + pieceCost
	if part.offset == 0 {
		a.first = next
	}
	if a.total == 0 || a.bytes < a.total {
		return nil, 0
	}
	whole = make([]byte, 0, a.total)
	for _, p := range a.pieces {
		whole = append(whole, p.bytes...)
	}
	f.remove(element)
	return whole, a.first
}

// place puts a piece among the others. A duplicate is one that is there already, byte
// for byte; fits is false for a piece that contradicts what is there.
func (a *assembly) place(part piece, more bool) (duplicate, fits bool) {
	i := sort.Search(len(a.pieces), func(i int) bool { return a.pieces[i].offset >= part.offset })
	if i < len(a.pieces) && a.pieces[i].offset == part.offset && slices.Equal(a.pieces[i].bytes, part.bytes) && more == (a.total != part.end()) {
		return true, true
	}
	switch {
	case len(part.bytes) == 0, part.end() > maxDatagram, len(a.pieces) == maxPieces,
		more && len(part.bytes)%8 != 0,
		i > 0 && a.pieces[i-1].end() > part.offset,
		i < len(a.pieces) && part.end() > a.pieces[i].offset,
		a.total != 0 && (!more || part.end() > a.total),
		!more && len(a.pieces) > 0 && a.pieces[len(a.pieces)-1].end() > part.end():
		return false, false
	}
	if !more {
		a.total = part.end()
	}
	part.bytes = slices.Clone(part.bytes)
	a.pieces = slices.Insert(a.pieces, i, part)
	a.bytes += len(part.bytes)
	return false, true
}

func (a *assembly) cost() int { return datagramCost + len(a.pieces)*pieceCost + a.bytes }

// expire forgets the datagrams whose time is over, and the oldest beyond the room.
func (f *fragments) expire(now int64, room int, stats *Stats) {
	for e := f.oldest.Front(); e != nil; e = f.oldest.Front() {
		a := e.Value.(*assembly)
		if f.bytes <= room && now-a.began <= maxFragmentWait {
			return
		}
		if !a.given {
			stats.LostFragments++
		}
		f.remove(e)
	}
}

func (f *fragments) remove(e *list.Element) {
	a := e.Value.(*assembly)
	delete(f.waiting, a.datagram)
	f.oldest.Remove(e)
	f.bytes -= a.cost()
}
