package block

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// What follows speaks of set elements as linux/netfilter/nf_tables.h does
// (enum nft_set_elem_list_attributes, nft_set_elem_attributes).

// elementList encodes elements of one of the table's sets, at most chunk of them.
func elementList(table string, s size, entries []Entry) []byte {
	return elements(table, s.set(), entries, func(b []byte, e Entry) []byte {
		return appendElement(b, e.Prefix.Addr().AsSlice(), e.TTL)
	})
}

// elements encodes what put appends of each entry as elements of a set.
func elements[E any](table, set string, entries []E, put func([]byte, E) []byte) []byte {
	list := appendAttribute(nil, unix.NFTA_SET_ELEM_LIST_TABLE, append([]byte(table), 0)...)
	list = appendAttribute(list, unix.NFTA_SET_ELEM_LIST_SET, append([]byte(set), 0)...)
	if len(entries) == 0 {
		return list
	}
	return appendNested(list, unix.NFTA_SET_ELEM_LIST_ELEMENTS|unix.NLA_F_NESTED, func(b []byte) []byte {
		for _, e := range entries {
			b = appendNested(b, unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, func(b []byte) []byte { return put(b, e) })
		}
		return b
	})
}

// appendElement appends an element; a time to live of zero is none, as in questions.
func appendElement(b, key []byte, ttl time.Duration) []byte {
	b = appendNested(b, unix.NFTA_SET_ELEM_KEY|unix.NLA_F_NESTED, func(b []byte) []byte {
		return appendAttribute(b, unix.NFTA_DATA_VALUE, key...)
	})
	if ttl == 0 {
		return b
	}
	return appendNested(b, unix.NFTA_SET_ELEM_TIMEOUT, func(b []byte) []byte {
		return binary.BigEndian.AppendUint64(b, uint64(ttl.Milliseconds()))
	})
}

// decodeElements puts the elements of one message, whose prefixes have so many
// bits, into found.
func decodeElements(message []byte, bits int, found map[netip.Prefix]Counter) {
	eachElement(message, func(key []byte, c Counter) {
		addr, _ := netip.AddrFromSlice(key)
		if p, err := addr.Prefix(bits); err == nil && p.IsValid() {
			found[p] = c
		}
	})
}

// eachElement calls visit for each element of one message.
func eachElement(message []byte, visit func(key []byte, c Counter)) {
	for kind, list := range attributes(message) {
		if kind != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			continue
		}
		for _, element := range attributes(list) {
			visit(decodeElement(element))
		}
	}
}

func decodeElement(element []byte) (key []byte, c Counter) {
	for kind, value := range attributes(element) {
		switch kind {
		case unix.NFTA_SET_ELEM_KEY:
			for kind, data := range attributes(value) {
				if kind == unix.NFTA_DATA_VALUE {
					key = data
				}
			}
		case unix.NFTA_SET_ELEM_EXPIRATION:
			c.Remaining = time.Duration(bigEndian(value)) * time.Millisecond
		case unix.NFTA_SET_ELEM_EXPR:
			c.decode(value)
		}
	}
	return key, c
}

// decode reads a counter expression.
func (c *Counter) decode(expression []byte) {
	for kind, value := range attributes(expression) {
		if kind != unix.NFTA_EXPR_DATA {
			continue
		}
		for kind, value := range attributes(value) {
			switch kind {
			case unix.NFTA_COUNTER_PACKETS:
				c.Packets = bigEndian(value)
			case unix.NFTA_COUNTER_BYTES:
				c.Bytes = bigEndian(value)
			}
		}
	}
}

// bigEndian reads a 64-bit attribute; one of another size is zero.
func bigEndian(value []byte) uint64 {
	if len(value) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(value)
}
