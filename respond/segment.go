package respond

import (
	"encoding/binary"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// resetOf is the packet that ends a half-open connection, from its IP header on. Its
// number is the one that the server waits for: any other would be ignored (RFC 5961).
func resetOf(c Conn) []byte {
	const rst, words = 0x04, 5
	tcp := make([]byte, 20)
	binary.BigEndian.PutUint16(tcp[0:], c.Client.Port())
	binary.BigEndian.PutUint16(tcp[2:], c.Server.Port())
	binary.BigEndian.PutUint32(tcp[4:], c.ISN+1)
	tcp[12], tcp[13] = words<<4, rst
	source, target := c.Client.Addr().AsSlice(), c.Server.Addr().AsSlice()
	pseudo := append(append(append([]byte{}, source...), target...), 0, 0, 0, byte(len(tcp)), 0, 0, 0, unix.IPPROTO_TCP)
	binary.BigEndian.PutUint16(tcp[16:], checksum(append(pseudo, tcp...)))
	const hops = 64
	if c.Server.Addr().Is4() {
		ip := []byte{0x45, 0, 0, byte(20 + len(tcp)), 0, 0, 0x40, 0, hops, unix.IPPROTO_TCP, 0, 0}
		ip = append(append(ip, source...), target...)
		binary.BigEndian.PutUint16(ip[10:], checksum(ip))
		return append(ip, tcp...)
	}
	ip := []byte{0x60, 0, 0, 0, 0, byte(len(tcp)), unix.IPPROTO_TCP, hops}
	return append(append(append(ip, source...), target...), tcp...)
}

// checksum is that of RFC 1071, over an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum>>16 + sum)
}

// raw sends packets whose IP header is written already.
type raw struct {
	fd int
	to unix.Sockaddr
}

// openRaw takes CAP_NET_RAW, and CAP_NET_ADMIN for the mark.
func openRaw(target netip.Addr, mark int) (raw, error) {
	family, to := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: target.As16()})
	if target.Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Addr: target.As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW) // which says that the header is written
	if err != nil {
		return raw{}, withRemedy(os.NewSyscallError("raw socket", err))
	}
	if mark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, mark); err != nil {
			unix.Close(fd)
			return raw{}, withRemedy(os.NewSyscallError("mark a raw socket", err))
		}
	}
	return raw{fd, to}, nil
}

func (r raw) send(packet []byte) error {
	return os.NewSyscallError("send a reset", unix.Sendto(r.fd, packet, 0, r.to))
}

func (r raw) close() { unix.Close(r.fd) }
