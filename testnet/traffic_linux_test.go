package testnet

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a frame of the traffic below consists of, in bytes.
const (
	ethernetHeader = 14
	ipHeader       = 20
	tcpHeader      = 20
	udpHeader      = 8
	longestFrame   = 256
)

// traffic makes frames: it writes the next one into room, and returns its length.
type traffic func(room []byte) int

// send sends so many frames from a device, in batches, each when its time has come. What a busy machine
// keeps it from sending in time is not made up for by a burst.
func send(device string, count, rate int, next traffic) error {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: link.Index}); err != nil {
		return err
	}
	const batch = 64
	type message struct { // struct mmsghdr
		header unix.Msghdr
		sent   uint32
	}
	var frames [batch][longestFrame]byte
	var parts [batch]unix.Iovec
	var messages [batch]message
	for i := range messages {
		parts[i].Base = &frames[i][0]
		messages[i].header.Iov = &parts[i]
		messages[i].header.SetIovlen(1)
	}
	began := time.Now()
	for sent := 0; sent < count; {
		todo := min(batch, count-sent)
		for i := range todo {
			parts[i].SetLen(next(frames[i][:]))
		}
		due := began.Add(time.Duration(sent) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		if late := time.Since(due); late > 20*time.Millisecond {
			began = began.Add(late)
		}
		for done := 0; done < todo; {
			n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[done])), uintptr(todo-done), 0, 0, 0)
			if errno != 0 && errno != unix.ENOBUFS && errno != unix.EINTR {
				return errno
			}
			if errno == 0 {
				done += int(n)
			}
		}
		sent += todo
	}
	return nil
}

// header writes Ethernet and IPv4, and returns where their payload begins. The kernel that only
// hears of the frame takes no notice of it, so that it needs no checksum.
func header(room []byte, from, to netip.Addr, side, protocol byte, size int) []byte {
	copy(room, []byte{2, 0, 0, 0, 0, 2 - side, 2, 0, 0, 0, 0, 1 + side, 8, 0})
	ip := room[ethernetHeader:][:ipHeader]
	clear(ip)
	ip[0], ip[8], ip[9] = 4<<4|ipHeader/4, 60, protocol
	binary.BigEndian.PutUint16(ip[2:], uint16(ipHeader+size))
	source, target := from.As4(), to.As4()
	copy(ip[12:], source[:])
	copy(ip[16:], target[:])
	return room[ethernetHeader+ipHeader:][:size]
}

// tcp writes a segment.
func tcp(room []byte, from, to netip.AddrPort, side, flags byte, sequence, ack uint32, payload []byte) int {
	size := tcpHeader + len(payload)
	t := header(room, from.Addr(), to.Addr(), side, unix.IPPROTO_TCP, size)
	binary.BigEndian.PutUint16(t, from.Port())
	binary.BigEndian.PutUint16(t[2:], to.Port())
	binary.BigEndian.PutUint32(t[4:], sequence)
	binary.BigEndian.PutUint32(t[8:], ack)
	copy(t[12:], []byte{tcpHeader / 4 << 4, flags, 4, 0, 0, 0, 0, 0})
	copy(t[tcpHeader:], payload)
	return ethernetHeader + ipHeader + size
}

// TCP's flags.
const (
	fin = 1 << iota
	syn
	_
	psh
	ack
)

// spoofed is a flood of SYNs at one port, in which no source comes twice, whoever it belongs to.
func spoofed() traffic {
	target := netip.MustParseAddrPort("203.0.113.80:80")
	n := uint32(0)
	return func(room []byte) int {
		n++
		var from [4]byte
		binary.BigEndian.PutUint32(from[:], n*2654435761) // odd, so each address has its turn
		return tcp(room, netip.AddrPortFrom(netip.AddrFrom4(from), uint16(n)), target, 0, syn, n, 0, nil)
	}
}

// exchange is one of ordinary traffic: a connection, or a query to a name server and its reply.
type exchange struct {
	client, server netip.AddrPort
	step           int
	id             uint16
}

// The segments of a connection: a handshake, so many with payload of each side, and the end.
const (
	segments    = 10
	payloadSize = 100
	lastStep    = 3 + 2*segments + 1
)

// ordinary is small packets of 2,000 exchanges at once, as many as `BenchmarkPipeline` of the
// detectors has: connections of 25 packets that carry what looks encrypted, and of five exchanges
// one with a name server.
func ordinary() traffic {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	var open [2000]exchange
	return func(room []byte) int {
		x := &open[random.IntN(len(open))]
		if !x.client.IsValid() {
			x.begin(random)
		}
		return x.next(room, noise[random.IntN(len(noise)-payloadSize):][:payloadSize])
	}
}

func (x *exchange) begin(random *rand.Rand) {
	client := netip.AddrFrom4([4]byte{198, 51, byte(100 + random.IntN(4)), byte(random.IntN(250) + 1)})
	server := netip.AddrFrom4([4]byte{203, 0, 113, byte(random.IntN(40) + 1)})
	*x = exchange{client: netip.AddrPortFrom(client, uint16(1024+random.IntN(60000))), server: netip.AddrPortFrom(server, 443), id: uint16(random.Uint32())}
	if random.IntN(5) == 0 {
		x.server = netip.AddrPortFrom(server, 53)
	}
}

// next writes the next packet of an exchange; after the last one it is to begin anew.
func (x *exchange) next(room, payload []byte) int {
	step := x.step
	x.step++
	from, to, side := x.client, x.server, byte(step%2)
	if x.server.Port() == 53 {
		if side == 1 {
			from, to = to, from
			*x = exchange{}
		}
		return dns(room, from, to, side, x.id)
	}
	mine, other := uint32(1001), uint32(5001) // the numbers of the client, and of the server
	switch {
	case step == 0:
		return tcp(room, from, to, 0, syn, mine-1, 0, nil)
	case step == 1:
		return tcp(room, to, from, 1, syn|ack, other-1, mine, nil)
	case step == 2:
		return tcp(room, from, to, 0, ack, mine, other, nil)
	}
	side = byte(1 - step%2) // the client goes on
	mine += payloadSize * uint32(min((step-2)/2, segments))
	other += payloadSize * uint32((step-3)/2)
	if side == 1 {
		from, to, mine, other = to, from, other, mine
	}
	if step < lastStep-1 {
		return tcp(room, from, to, side, psh|ack, mine, other, payload)
	}
	if step == lastStep {
		*x = exchange{}
	}
	return tcp(room, from, to, side, fin|ack, mine, other, nil)
}

// dns writes a query for the address of a name that exists, or the reply to it.
func dns(room []byte, from, to netip.AddrPort, side byte, id uint16) int {
	const name = "\x03www\x07example\x03org\x00"
	size := udpHeader + 12 + len(name) + 4
	u := header(room, from.Addr(), to.Addr(), side, unix.IPPROTO_UDP, size)
	clear(u)
	binary.BigEndian.PutUint16(u, from.Port())
	binary.BigEndian.PutUint16(u[2:], to.Port())
	binary.BigEndian.PutUint16(u[4:], uint16(size))
	message := u[udpHeader:]
	binary.BigEndian.PutUint16(message, id)
	copy(message[2:], []byte{1, 0, 0, 1})
	if side == 1 {
		copy(message[2:], []byte{0x81, 0x80})
	}
	copy(message[12:], name+"\x00\x01\x00\x01")
	return ethernetHeader + ipHeader + size
}
