package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket is a blocking nfnetlink socket. The library's goes through the
// runtime's poller, which makes one block take 60 µs instead of 15: elements
// come and go through this one. The kernel does all the work, and queues the
// answer, before sending returns; so nothing here waits for anything.
type socket struct {
	fd  int
	seq uint32
	out []byte
	in  []byte
}

// nfgenmsgLen is the length of struct nfgenmsg: family, version, resource.
const nfgenmsgLen = 4

// A message is one command of the nf_tables subsystem, with its attributes.
type message struct {
	command    uint16 // unix.NFT_MSG_*
	flags      uint16 // unix.NLM_F_*
	attributes []byte
}

func openSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// Errors need not quote the message back. The time limit only keeps a
	// mistake from hanging the node.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("setsockopt", err)
	}
	return &socket{fd: fd, in: make([]byte, 64<<10)}, nil
}

func (s *socket) close() error { return unix.Close(s.fd) }

// batch applies the messages as one transaction: all of them or none.
func (s *socket) batch(messages ...message) error {
	subsystem := []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES}
	s.out = s.out[:0]
	begin := s.append(unix.NFNL_MSG_BATCH_BEGIN, unix.NLM_F_REQUEST, subsystem, nil)
	last := begin
	for i, m := range messages {
		if i == len(messages)-1 {
			m.flags |= unix.NLM_F_ACK // of the others the kernel reports errors only
		}
		last = s.command(m)
	}
	s.append(unix.NFNL_MSG_BATCH_END, unix.NLM_F_REQUEST, subsystem, nil)
	if err := s.send(); err != nil {
		return err
	}
	var failed error
	for {
		replies, err := s.receive(begin)
		if err != nil {
			return err
		}
		for _, r := range replies {
			err := r.errno()
			if failed == nil {
				failed = err
			}
			// What fails as a whole is told of the batch's beginning.
			if r.Header.Seq == last || r.Header.Seq == begin && err != nil {
				return failed
			}
		}
	}
}

// ask sends one request and calls visit with the attributes of every reply.
func (s *socket) ask(m message, visit func([]byte)) error {
	s.out = s.out[:0]
	m.flags |= unix.NLM_F_ACK // a dump ends by itself, all else by the acknowledgement
	seq := s.command(m)
	if err := s.send(); err != nil {
		return err
	}
	for {
		replies, err := s.receive(seq)
		if err != nil {
			return err
		}
		for _, r := range replies {
			switch r.Header.Type {
			case unix.NLMSG_ERROR, unix.NLMSG_DONE:
				return r.errno()
			}
			if len(r.Data) >= nfgenmsgLen {
				visit(r.Data[nfgenmsgLen:])
			}
		}
	}
}

func (s *socket) command(m message) (seq uint32) {
	return s.append(unix.NFNL_SUBSYS_NFTABLES<<8|m.command, unix.NLM_F_REQUEST|m.flags, []byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}, m.attributes)
}

// append puts a message with its nfgenmsg header (linux/netfilter/nfnetlink.h)
// into the output and returns its sequence number. Attributes are padded already.
func (s *socket) append(kind, flags uint16, nfgenmsg, attributes []byte) uint32 {
	s.seq++
	s.out = binary.NativeEndian.AppendUint32(s.out, uint32(unix.NLMSG_HDRLEN+len(nfgenmsg)+len(attributes)))
	s.out = binary.NativeEndian.AppendUint16(s.out, kind)
	s.out = binary.NativeEndian.AppendUint16(s.out, flags)
	s.out = binary.NativeEndian.AppendUint32(s.out, s.seq)
	s.out = binary.NativeEndian.AppendUint32(s.out, 0) // the kernel knows who we are
	s.out = append(append(s.out, nfgenmsg...), attributes...)
	return s.seq
}

func (s *socket) send() error {
	return os.NewSyscallError("sendto", unix.Sendto(s.fd, s.out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
}

type reply syscall.NetlinkMessage

// receive returns the next replies, without what is left of requests before first.
func (s *socket) receive(first uint32) ([]reply, error) {
	n, _, err := unix.Recvfrom(s.fd, s.in, 0)
	for errors.Is(err, unix.EINTR) {
		n, _, err = unix.Recvfrom(s.fd, s.in, 0)
	}
	if err != nil {
		return nil, os.NewSyscallError("recvfrom", err)
	}
	parsed, err := syscall.ParseNetlinkMessage(s.in[:n])
	if err != nil {
		return nil, fmt.Errorf("parse %d bytes from netlink: %w", n, err)
	}
	var replies []reply
	for _, m := range parsed {
		if int32(m.Header.Seq-first) >= 0 {
			replies = append(replies, reply(m))
		}
	}
	return replies, nil
}

// errno returns the error that an acknowledgement or the end of a dump carries.
func (r reply) errno() error {
	if len(r.Data) < 4 {
		return nil
	}
	if code := int32(binary.NativeEndian.Uint32(r.Data)); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// appendAttribute appends a netlink attribute with its padding.
func appendAttribute(b []byte, kind uint16, value ...byte) []byte {
	return appendNested(b, kind, func(b []byte) []byte { return append(b, value...) })
}

// appendNested appends an attribute whose value fill appends.
func appendNested(b []byte, kind uint16, fill func([]byte) []byte) []byte {
	start := len(b)
	b = fill(binary.NativeEndian.AppendUint16(append(b, 0, 0), kind))
	binary.NativeEndian.PutUint16(b[start:], uint16(len(b)-start))
	for len(b)%unix.NLA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// attributes iterates over netlink attributes, up to the first malformed one.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(kind uint16, value []byte) bool) {
		for len(b) >= unix.NLA_HDRLEN {
			n := int(binary.NativeEndian.Uint16(b))
			kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if n < unix.NLA_HDRLEN || n > len(b) || !yield(kind, b[unix.NLA_HDRLEN:n]) {
				return
			}
			b = b[min(len(b), (n+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1)):]
		}
	}
}
