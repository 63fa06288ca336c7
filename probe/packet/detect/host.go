package detect

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// host is an address in a form that is quick to compare and to hash, with IPv4 in IPv6.
type host struct{ high, low uint64 }

func hostOf(a netip.Addr) host {
	if a.Is4() {
		b := a.As4()
		return host{0, 0xffff<<32 | uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return host{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (h host) addr() netip.Addr {
	if h == (host{}) {
		return netip.IPv6Unspecified()
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], h.high)
	binary.BigEndian.PutUint64(b[8:], h.low)
	return netip.AddrFrom16(b).Unmap()
}

func (h host) less(o host) bool { return h.high < o.high || h.high == o.high && h.low < o.low }

// mix folds a word into a hash: the two halves of a product, as wyhash does it.
func mix(hash, word uint64) uint64 {
	high, low := bits.Mul64(hash^0x9e3779b97f4a7c15, word^0xe7037ed1a0b428db)
	return high ^ low
}

func (h host) hash(seed uint64) uint64 { return mix(mix(seed, h.high), h.low) }

// number is a key that is a hash already.
type number uint64

func (n number) hash(seed uint64) uint64 { return mix(seed, uint64(n)) }
