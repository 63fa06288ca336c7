package packet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// pcap is the format of draft-ietf-opsawg-pcap.
type pcap struct {
	order endian
	tick  int64 // nanoseconds
	link  link
}

func openPcap(r *bufio.Reader) (*pcap, error) {
	b, err := take(r, 24)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if len(b) < 24 {
		b, _ = r.Peek(r.Buffered())
	}
	p := &pcap{}
	switch string(b[:4]) {
	case "\xd4\xc3\xb2\xa1":
		p.order, p.tick = little, 1000
	case "\xa1\xb2\xc3\xd4":
		p.order, p.tick = big, 1000
	case "\x4d\x3c\xb2\xa1":
		p.order, p.tick = little, 1
	case "\xa1\xb2\x3c\x4d":
		p.order, p.tick = big, 1
	default:
		return nil, fmt.Errorf("it begins with %q, which is neither pcap nor pcapng: make one with tcpdump -w or dumpcap -w, or convert it with editcap -F pcap", b[:4])
	}
	if err != nil {
		return nil, fmt.Errorf("its header is cut off, no packet was read: %w", err)
	}
	if major, minor := p.order.Uint16(b[4:]), p.order.Uint16(b[6:]); major != 2 {
		return nil, fmt.Errorf("it is pcap of version %d.%d: want 2; convert it with editcap -F pcap", major, minor)
	}
	p.link = link(p.order.Uint32(b[20:])) // the upper half tells of checksums
	return p, nil
}

func (p *pcap) next(r *bufio.Reader, f *frame) error {
	b, err := r.Peek(16)
	if err != nil {
		_, err = take(r, 16)
		return err
	}
	captured := p.order.Uint32(b[8:])
	if captured > maxFrame {
		return damaged(captured)
	}
	f.link = p.link
	f.time = int64(p.order.Uint32(b))*1e9 + int64(p.order.Uint32(b[4:]))*p.tick
	f.length = int(p.order.Uint32(b[12:]))
	if b, err = take(r, 16+int(captured)); err != nil {
		return inside(err)
	}
	f.data = b[16:]
	return nil
}

func damaged(length uint32) error {
	return fmt.Errorf("it claims to be %d bytes long, more than %d: the capture is damaged here", length, maxFrame)
}

// endian is a byte order that costs no dynamic call.
type endian bool

const (
	little endian = false
	big    endian = true
)

func (e endian) Uint16(b []byte) uint16 {
	if e == big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (e endian) Uint32(b []byte) uint32 {
	if e == big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}
