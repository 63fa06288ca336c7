package block

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// sessions returns where the people come from who are logged in over the
// network now. That a connection to sshd stands says nothing: an attacker who
// has not logged in has one too. So we ask who has been let in: utmp, logind
// (Debian 13 has no utmp any more), and the SSH session in which this process
// was started.
func (h host) sessions() ([]exemption, error) {
	var from []netip.Addr
	utmp, err := os.ReadFile(h.path("run/utmp"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read utmp: %w", err)
	}
	for _, s := range parseUtmp(utmp) {
		if h.runs(s.pid) { // a record survives a crash
			from = append(from, s.addr)
		}
	}
	files, err := filepath.Glob(h.path("run/systemd/sessions/*"))
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		// A session may end while we look, and its pipe (*.ref) is none.
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if data, err := os.ReadFile(name); err == nil {
			from = append(from, parseLogind(data)...)
		}
	}
	from = append(from, h.ancestors()...)
	return exemptions(from, "the administrator's SSH session"), nil
}

func (h host) runs(pid int) bool {
	_, err := os.Stat(h.path(fmt.Sprintf("proc/%d", pid)))
	return err == nil
}

type utmpSession struct {
	pid  int
	addr netip.Addr
}

// parseUtmp reads the records of logged-in users from utmp (utmp(5)) that name
// a remote address.
func parseUtmp(data []byte) []utmpSession {
	const userProcess, pidAt, hostAt, hostLen = 7, 4, 76, 256
	// The record grew where time and session have 64 bits.
	length, addrAt := 384, 348
	switch runtime.GOARCH {
	case "arm64", "riscv64", "loong64":
		length, addrAt = 400, 360
	}
	var sessions []utmpSession
	for ; len(data) >= length; data = data[length:] {
		if binary.NativeEndian.Uint16(data) != userProcess {
			continue
		}
		addr := netip.AddrFrom16([16]byte(data[addrAt:]))
		if bytes.Count(data[addrAt+4:addrAt+16], []byte{0}) == 12 { // the rest of an IPv4 address is zero
			addr = netip.AddrFrom4([4]byte(data[addrAt:]))
		}
		if addr.IsUnspecified() {
			name, _, _ := bytes.Cut(data[hostAt:hostAt+hostLen], []byte{0})
			var err error
			if addr, err = netip.ParseAddr(string(name)); err != nil {
				continue
			}
		}
		sessions = append(sessions, utmpSession{int(int32(binary.NativeEndian.Uint32(data[pidAt:]))), addr})
	}
	return sessions
}

// parseLogind reads a session file of systemd-logind. A session that is
// closing, as after logout, no longer counts. A host name is not looked up:
// its owner could point it anywhere.
func parseLogind(data []byte) []netip.Addr {
	values := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = strings.Trim(value, `"`)
	}
	addr, err := netip.ParseAddr(values["REMOTE_HOST"])
	if err != nil || values["REMOTE"] != "1" || values["STATE"] == "closing" {
		return nil
	}
	return []netip.Addr{addr}
}

// ancestors returns the peer of the SSH session that this process was started
// in, as long as its connection stands. sudo clears the variable, so the
// environments of the parents are read as well; other users' processes are
// not, who could write anything there.
func (h host) ancestors() []netip.Addr {
	var connections map[connection]bool
	for pid, steps := h.pid, 0; pid > 1 && steps < 32; steps++ {
		dir := h.path(fmt.Sprintf("proc/%d", pid))
		environ, _ := os.ReadFile(filepath.Join(dir, "environ")) // unreadable: not ours to know
		if c, ok := parseSSHConnection(environ); ok {
			if connections == nil {
				connections = h.established()
			}
			if connections[c] {
				return []netip.Addr{c.remote.Addr()}
			}
		}
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			break
		}
		pid = parentOf(status)
	}
	return nil
}

// parentOf reads the parent's id from /proc/*/status, 0 where there is none.
func parentOf(status []byte) int {
	_, rest, _ := bytes.Cut(status, []byte("\nPPid:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	pid, _ := strconv.Atoi(string(bytes.TrimSpace(line)))
	return pid
}

type connection struct{ local, remote netip.AddrPort }

// parseSSHConnection reads SSH_CONNECTION (ssh(1): client address and port,
// server address and port) from a process's environment.
func parseSSHConnection(environ []byte) (c connection, ok bool) {
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		value, found := strings.CutPrefix(string(variable), "SSH_CONNECTION=")
		words := strings.Fields(value)
		if !found || len(words) != 4 {
			continue
		}
		remote, err := netip.ParseAddrPort(net.JoinHostPort(words[0], words[1]))
		local, lerr := netip.ParseAddrPort(net.JoinHostPort(words[2], words[3]))
		if err == nil && lerr == nil {
			return connection{unmap(local), unmap(remote)}, true
		}
	}
	return c, false
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// established lists the TCP connections that stand.
func (h host) established() map[connection]bool {
	all := map[connection]bool{}
	for _, name := range []string{"proc/net/tcp", "proc/net/tcp6"} {
		data, err := os.ReadFile(h.path(name))
		if err != nil {
			continue // a kernel without IPv6, for instance
		}
		for line := range strings.Lines(string(data)) {
			if c, ok := parseTCPLine(line); ok {
				all[c] = true
			}
		}
	}
	return all
}

// parseTCPLine reads a line of /proc/net/tcp or tcp6 (proc_net_tcp in the
// kernel's documentation) if it is of an established connection.
func parseTCPLine(line string) (c connection, ok bool) {
	const established = "01"
	words := strings.Fields(line)
	if len(words) < 4 || words[3] != established {
		return c, false
	}
	var err, rerr error
	c.local, err = parseHexAddrPort(words[1])
	c.remote, rerr = parseHexAddrPort(words[2])
	return c, err == nil && rerr == nil
}

// parseHexAddrPort reads "0100007F:0016": words of 32 bits in the host's order.
func parseHexAddrPort(s string) (netip.AddrPort, error) {
	text, portText, _ := strings.Cut(s, ":")
	port, err := strconv.ParseUint(portText, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	var b []byte
	for ; len(text) >= 8; text = text[8:] {
		word, err := strconv.ParseUint(text[:8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, err
		}
		b = binary.NativeEndian.AppendUint32(b, uint32(word))
	}
	addr, ok := netip.AddrFromSlice(b)
	if !ok || text != "" {
		return netip.AddrPort{}, fmt.Errorf("address %q", s)
	}
	return unmap(netip.AddrPortFrom(addr, uint16(port))), nil
}
