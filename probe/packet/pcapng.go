package packet

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// pcapng is the format of draft-ietf-opsawg-pcapng: blocks, of which those that hold
// packets and describe interfaces are read.
type pcapng struct {
	begun      bool // by a section header
	order      endian
	interfaces []captured // of this section
	last       int64      // time of the last packet: simple blocks have none
}

// captured describes an interface that was captured from.
type captured struct {
	link    link
	snaplen uint32
	units   uint64 // of its timestamps, a second
	offset  int64  // of its timestamps, in seconds
}

// The blocks.
const (
	interfaceBlock = 1
	oldPacketBlock = 2
	simpleBlock    = 3
	packetBlock    = 6
	sectionHeader  = 0x0a0d0d0a
)

// maxInterfaces is a bound on a section's interfaces: they are kept.
const maxInterfaces = 4096

func (p *pcapng) next(r *bufio.Reader, f *frame) error {
	for {
		head, err := r.Peek(12)
		if err != nil {
			_, err = take(r, 12)
			return err
		}
		// The section header's type reads the same in both orders, so that its order can follow.
		if binary.LittleEndian.Uint32(head) == sectionHeader {
			switch string(head[8:12]) {
			case "\x4d\x3c\x2b\x1a":
				p.order = little
			case "\x1a\x2b\x3c\x4d":
				p.order = big
			default:
				return fmt.Errorf("a section of pcapng is in the byte order %x, which is none", head[8:12])
			}
			p.begun, p.interfaces = true, p.interfaces[:0]
		}
		if !p.begun {
			return fmt.Errorf("pcapng does not begin with a section header")
		}
		kind, length := p.order.Uint32(head), p.order.Uint32(head[4:])
		if length < 12 || length%4 != 0 {
			return fmt.Errorf("a block of pcapng is %d bytes long: the capture is damaged here", length)
		}
		if !needed(kind) {
			for left := int64(length); left > 0; { // more than an int holds, on small machines
				n, err := r.Discard(int(min(left, bufferSize)))
				if left -= int64(n); err != nil {
					return inside(err)
				}
			}
			continue
		}
		if length > bufferSize {
			return damaged(length)
		}
		block, err := take(r, int(length))
		if err != nil {
			return inside(err)
		}
		if end := p.order.Uint32(block[length-4:]); end != length {
			return fmt.Errorf("a block of pcapng is %d bytes long by its beginning and %d by its end: the capture is damaged here", length, end)
		}
		body := block[8 : length-4]
		if kind == interfaceBlock {
			if err := p.describe(body); err != nil {
				return err
			}
			continue
		}
		return p.packet(kind, body, f)
	}
}

func needed(kind uint32) bool {
	return kind == interfaceBlock || kind == packetBlock || kind == simpleBlock || kind == oldPacketBlock
}

// describe reads an interface: its link type and what its timestamps count in.
func (p *pcapng) describe(b []byte) error {
	if len(b) < 8 || len(p.interfaces) == maxInterfaces {
		return fmt.Errorf("pcapng describes interface %d in %d bytes: want at least 8, and at most %d interfaces", len(p.interfaces), len(b), maxInterfaces)
	}
	c := captured{link: link(p.order.Uint16(b)), snaplen: p.order.Uint32(b[4:]), units: 1e6}
	const end, resolution, offset = 0, 9, 14
	for b = b[8:]; len(b) >= 4; {
		option, size := p.order.Uint16(b), int(p.order.Uint16(b[2:]))
		if option == end || size > len(b)-4 {
			break
		}
		switch value := b[4 : 4+size]; {
		case option == resolution && size == 1:
			base, exponent, most := uint64(10), int(value[0]), 19
			if value[0]&0x80 != 0 {
				base, exponent, most = 2, int(value[0]&0x7f), 63
			}
			if exponent > most {
				return fmt.Errorf("pcapng: the timestamps of interface %d count %d to the power of -%d s, finer than can be read", len(p.interfaces), base, exponent)
			}
			c.units = 1
			for range exponent {
				c.units *= base
			}
		case option == offset && size == 8:
			c.offset = int64(binary.LittleEndian.Uint64(value))
			if p.order == big {
				c.offset = int64(binary.BigEndian.Uint64(value))
			}
		}
		b = b[4+min((size+3)&^3, len(b)-4):]
	}
	p.interfaces = append(p.interfaces, c)
	return nil
}

// packet reads the three kinds of blocks that hold one.
func (p *pcapng) packet(kind uint32, b []byte, f *frame) error {
	var head, device int
	switch {
	case kind == simpleBlock && len(b) >= 4:
		head = 4
	case kind == packetBlock && len(b) >= 20:
		head, device = 20, int(p.order.Uint32(b))
	case kind == oldPacketBlock && len(b) >= 20:
		head, device = 20, int(p.order.Uint16(b))
	default:
		return fmt.Errorf("a packet's block of pcapng has %d bytes: the capture is damaged here", len(b))
	}
	if device < 0 || device >= len(p.interfaces) {
		return fmt.Errorf("pcapng: a packet is of interface %d, and %d are described before it: the capture is damaged here", device, len(p.interfaces))
	}
	c := &p.interfaces[device]
	f.link, f.device = c.link, device
	if kind == simpleBlock {
		length := p.order.Uint32(b)
		size := min(int64(length), int64(len(b)-head)) // the rest of the block is padding
		if c.snaplen != 0 {
			size = min(size, int64(c.snaplen))
		}
		f.time, f.length, f.data = p.last, int(length), b[head:head+int(size)]
		return nil
	}
	size := p.order.Uint32(b[12:])
	if int64(size) > int64(len(b)-head) {
		return fmt.Errorf("pcapng: a packet of %d bytes stands in a block of %d: the capture is damaged here", size, len(b))
	}
	f.time = c.nanoseconds(uint64(p.order.Uint32(b[4:]))<<32 | uint64(p.order.Uint32(b[8:])))
	f.length, f.data = int(p.order.Uint32(b[16:])), b[head:head+int(size)]
	p.last = f.time
	return nil
}

func (c *captured) nanoseconds(stamp uint64) int64 {
	seconds, rest := stamp/c.units, stamp%c.units
	high, low := bits.Mul64(rest, 1e9)
	fraction, _ := bits.Div64(high, low, c.units) // rest < units, so it fits
	return (int64(seconds)+c.offset)*1e9 + int64(fraction)
}
