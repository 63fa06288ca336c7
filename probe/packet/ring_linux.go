package packet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is a packet socket with the memory that the kernel writes packets into, block by
// block: TPACKET_V3. A block is ours from the moment that it is full, or not empty for
// some milliseconds, until we give it back.
type ring struct {
	file  *os.File // the socket, so that waiting for it blocks no thread
	conn  syscall.RawConn
	bytes []byte
	next  int // the block that comes next
}

const (
	blockSize  = 128 << 10 // the longest packet has room
	frameSize  = 2 << 10   // of no meaning in version 3 but to be checked
	retireTime = 8         // milliseconds; all blocks times this is how long a reader may pause
)

func openRing(device Device) (*ring, error) {
	fd, err := openSocket()
	if err != nil {
		return nil, err
	}
	r := &ring{file: os.NewFile(uintptr(fd), "packet socket")}
	if err := r.open(fd, device); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) open(fd int, device Device) (err error) {
	index, err := find(device.Name)
	if err != nil {
		return err
	}
	if r.conn, err = r.file.SyscallConn(); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("this kernel has no TPACKET_V3: want Linux 3.2 or newer: %w", err)
	}
	keep := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: uint32(device.Snaplen)}}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &keep[0]}); err != nil {
		return os.NewSyscallError("setsockopt SO_ATTACH_FILTER", err)
	}
	size := device.RingMiB << 20
	err = unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
		Block_size: blockSize, Block_nr: uint32(size / blockSize),
		Frame_size: frameSize, Frame_nr: uint32(size / frameSize),
		Retire_blk_tov: retireTime,
	})
	if err != nil {
		return fmt.Errorf("no room for a ring of %d MiB, make it smaller: %w", device.RingMiB, err)
	}
	if r.bytes, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENETDOWN) {
			return errGone
		}
		return os.NewSyscallError("bind", err)
	}
	if device.Promiscuous && index != 0 {
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}); err != nil {
			return os.NewSyscallError("setsockopt PACKET_MR_PROMISC", err)
		}
	}
	return nil
}

func (r *ring) close() error {
	err := r.file.Close()
	if r.bytes != nil {
		err = errors.Join(err, unix.Munmap(r.bytes))
	}
	return err
}

// status is whose the next block is.
func (r *ring) status() *uint32 {
	block := (*unix.TpacketBlockDesc)(unsafe.Pointer(&r.bytes[r.next*blockSize]))
	return &(*unix.TpacketHdrV1)(unsafe.Pointer(&block.Hdr)).Block_status
}

// block hands on the frames of the next block, if that is ours, and gives it back.
func (r *ring) block(handle func(*frame) error) (more bool, err error) {
	status := r.status()
	if atomic.LoadUint32(status)&unix.TP_STATUS_USER == 0 {
		return false, nil
	}
	block := r.bytes[r.next*blockSize:][:blockSize]
	head := (*unix.TpacketHdrV1)(unsafe.Pointer(&(*unix.TpacketBlockDesc)(unsafe.Pointer(&block[0])).Hdr))
	rest := block[head.Offset_to_first_pkt:]
	for range head.Num_pkts {
		packet := (*unix.Tpacket3Hdr)(unsafe.Pointer(&rest[0]))
		f := readFrame(packet, rest)
		if err := handle(&f); err != nil {
			return false, err
		}
		rest = rest[packet.Next_offset:]
	}
	atomic.StoreUint32(status, unix.TP_STATUS_KERNEL)
	r.next = (r.next + 1) % (len(r.bytes) / blockSize)
	return true, nil
}

// readFrame reads what the kernel says of a packet (struct tpacket3_hdr, then struct
// sockaddr_ll), and takes the packet from where it can be read: of Ethernet, and of the
// loopback that looks like it, from the link header on, but for the outermost tag, which
// the kernel has taken off; of other devices from the network header.
func readFrame(head *unix.Tpacket3Hdr, b []byte) frame {
	from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&b[unix.SizeofTpacket3Hdr]))
	f := frame{
		link:     linkEthernet,
		time:     int64(head.Sec)*1e9 + int64(head.Nsec),
		length:   int(head.Len),
		data:     b[head.Mac:][:head.Snaplen],
		device:   int(from.Ifindex),
		outgoing: from.Pkttype == unix.PACKET_OUTGOING,
	}
	switch from.Hatype {
	case unix.ARPHRD_ETHER:
	case unix.ARPHRD_LOOPBACK:
		f.twice = f.outgoing
	default:
		f.link, f.kind = linkCooked, network(from.Protocol)
		f.header = min(int(head.Net-head.Mac), len(f.data))
		f.data = f.data[f.header:]
	}
	if head.Status&unix.TP_STATUS_VLAN_VALID != 0 {
		const tag = 4
		f.vlan = uint16(head.Hv1.Vlan_tci) & 0xfff
		f.header, f.length = f.header+tag, f.length+tag
	}
	return f
}

// wait returns when there is a block, after a second, or when ctx ends. An error says
// that the device is no more.
func (r *ring) wait(ctx context.Context) error {
	if err := r.file.SetReadDeadline(time.Now().Add(pause)); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = r.file.SetReadDeadline(time.Unix(1, 0)) })()
	gone := false
	err := r.conn.Read(func(fd uintptr) (ready bool) {
		// The kernel says by an error of the socket that the device went down.
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		gone = err != nil || code != 0
		return gone || atomic.LoadUint32(r.status())&unix.TP_STATUS_USER != 0
	})
	if gone || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return errGone
	}
	return nil
}

// dropped is how many packets found no room since the last call.
func (r *ring) dropped() (n int64) {
	_ = r.conn.Control(func(fd uintptr) {
		if s, err := unix.GetsockoptTpacketStatsV3(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			n = int64(s.Drops)
		}
	})
	return n
}
