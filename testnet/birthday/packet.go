package birthday

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

const ipHeader, udpHeader, tcpHeader = 20, 8, 20

// openRaw opens a socket that takes whole IPv4 packets, whatever source they bear.
func openRaw(at *Host) (fd int, err error) {
	err = at.Do(func() error {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		return fd, fmt.Errorf("raw socket at %s: %w", at.Name, err)
	}
	return fd, nil
}

func send(raw int, to netip.Addr, packet []byte) error {
	return unix.Sendto(raw, packet, 0, &unix.SockaddrInet4{Addr: to.As4()})
}

// ip4 is a packet with an empty payload of a size. The kernel fills in its checksum and id.
func ip4(from, to netip.Addr, protocol byte, size int) []byte {
	p := make([]byte, ipHeader+size)
	p[0], p[8], p[9] = 4<<4|ipHeader/4, 64, protocol
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	copy(p[12:], from.AsSlice())
	copy(p[16:], to.AsSlice())
	return p
}

// datagram is without a checksum, as UDP over IPv4 may be.
func datagram(from, to netip.AddrPort, payload []byte) []byte {
	p := ip4(from.Addr(), to.Addr(), unix.IPPROTO_UDP, udpHeader+len(payload))
	u := p[ipHeader:]
	binary.BigEndian.PutUint16(u, from.Port())
	binary.BigEndian.PutUint16(u[2:], to.Port())
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	copy(u[udpHeader:], payload)
	return p
}

func syn(from, to netip.AddrPort, sequence uint32) []byte {
	p := ip4(from.Addr(), to.Addr(), unix.IPPROTO_TCP, tcpHeader)
	t := p[ipHeader:]
	binary.BigEndian.PutUint16(t, from.Port())
	binary.BigEndian.PutUint16(t[2:], to.Port())
	binary.BigEndian.PutUint32(t[4:], sequence)
	t[12], t[13] = tcpHeader/4<<4, 1<<1 // SYN
	binary.BigEndian.PutUint16(t[14:], 65535)
	binary.BigEndian.PutUint16(t[16:], checksum(p))
	return p
}

// checksum is that of a TCP segment whose checksum field is zero (RFC 9293, section 3.1).
func checksum(packet []byte) uint16 {
	sum := uint32(unix.IPPROTO_TCP) + uint32(len(packet)-ipHeader)
	for b := packet[12:]; len(b) > 1; b = b[2:] { // both addresses, and the segment
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum>>16 > 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
