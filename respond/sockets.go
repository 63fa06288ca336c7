package respond

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// socket is a TCP socket of this host, as the kernel tells of it (linux/inet_diag.h).
type socket struct {
	local, remote netip.AddrPort
	state         byte
	family        byte
	id            [48]byte // struct inet_diag_sockid: by it the kernel finds the socket again
}

// synSent is the state of one that calls and has no answer (include/net/tcp_states.h).
const synSent = 2

// sockets lists this host's sockets that are connected, or connecting, to a server, to
// any port of it where the port is 0.
func sockets(server netip.AddrPort) (found []socket, err error) {
	families := []byte{unix.AF_INET, unix.AF_INET6} // of IPv4 as well: sockets of IPv6 may call it
	if server.Addr().Is6() {
		families = families[1:]
	}
	for _, family := range families {
		of, err := socketsOf(family, server)
		for try := 0; errors.Is(err, netlink.ErrDumpInterrupted) && try < 5; try++ { // a list with gaps would not do
			of, err = socketsOf(family, server)
		}
		if err != nil {
			return nil, fmt.Errorf("list this host's sockets: %w", err)
		}
		found = append(found, of...)
	}
	return found, nil
}

func socketsOf(family byte, server netip.AddrPort) (found []socket, err error) {
	request := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	var id [48]byte
	binary.BigEndian.PutUint16(id[2:], server.Port())
	request.AddRawData(diagRequest(family, id))
	err = request.ExecuteIter(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(message []byte) bool {
		s, ok := parseSocket(message)
		if ok && s.remote.Addr() == server.Addr() && (server.Port() == 0 || s.remote.Port() == server.Port()) {
			found = append(found, s)
		}
		return true
	})
	return found, err
}

// diagRequest is a struct inet_diag_req_v2 about TCP sockets in all states but
// listening, closed and TIME_WAIT.
func diagRequest(family byte, id [48]byte) []byte {
	const timeWait, closed, listening = 6, 7, 10
	const states = 0xfff &^ (1<<timeWait | 1<<closed | 1<<listening)
	b := binary.NativeEndian.AppendUint32([]byte{family, unix.IPPROTO_TCP, 0, 0}, states)
	return append(b, id[:]...)
}

// parseSocket reads a struct inet_diag_msg.
func parseSocket(b []byte) (s socket, ok bool) {
	if len(b) < 4+len(s.id) {
		return s, false
	}
	s.family, s.state, s.id = b[0], b[1], [48]byte(b[4:])
	addr := func(b []byte) netip.Addr {
		if s.family == unix.AF_INET {
			return netip.AddrFrom4([4]byte(b))
		}
		return netip.AddrFrom16([16]byte(b)).Unmap()
	}
	s.local = netip.AddrPortFrom(addr(s.id[4:]), binary.BigEndian.Uint16(s.id[0:]))
	s.remote = netip.AddrPortFrom(addr(s.id[20:]), binary.BigEndian.Uint16(s.id[2:]))
	return s, s.family == unix.AF_INET || s.family == unix.AF_INET6
}

// closeSockets closes sockets of whatever process, and returns how many: a kernel
// without CONFIG_INET_DIAG_DESTROY closes none, and what has ended is gone.
func closeSockets(all []socket) (closed int) {
	for _, s := range all {
		request := nl.NewNetlinkRequest(nl.SOCK_DESTROY, unix.NLM_F_ACK)
		request.AddRawData(diagRequest(s.family, s.id))
		if _, err := request.Execute(unix.NETLINK_INET_DIAG, 0); err == nil {
			closed++
		}
	}
	return closed
}

// withRemedy says what a missing right takes.
func withRemedy(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (needs CAP_NET_RAW and CAP_NET_ADMIN: run as root, or leave the unit in mode observe)", err)
	}
	return err
}
