package probe

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/komondor/komondor/event"
)

// maxText is the longest text taken over from a record, in bytes. sshd cuts
// user names at 100 characters; rules' messages are rarely longer than that.
const maxText = 256

// text makes a string of bytes that anybody may have chosen: valid UTF-8 and of
// bounded length.
func text(b []byte) string {
	return strings.ToValidUTF8(string(b[:min(len(b), maxText)]), "\uFFFD")
}

// texts makes strings as text does, and keeps some of the latest: the lines of one
// attempt repeat its process and its user, and attackers the same few names. What
// hostile names can do is drive others out.
type texts [256]string

func (t *texts) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	kept := &t[(uint(b[0])*31+uint(b[len(b)/2])*7+uint(b[len(b)-1])+uint(len(b))*64)%uint(len(t))]
	if *kept != string(b) {
		*kept = text(b)
	}
	return *kept
}

// beginning quotes the first 80 bytes of a line for an error message.
func beginning(line []byte) string {
	if len(line) <= 80 {
		return strconv.Quote(string(line))
	}
	return strconv.Quote(string(line[:80])) + "…"
}

// malformed is the error on a line that claims to be a record of a format.
func malformed(format string, line []byte, reason error) error {
	return fmt.Errorf("%s record %s: %w", format, beginning(line), reason)
}

// trimBlanks is bytes.TrimLeft for blanks, which it looks for in every line.
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	return b
}

// cutPrefix and cutSuffix are those of bytes, but compare with a short constant
// in place.
func cutPrefix(b []byte, prefix string) (rest []byte, ok bool) {
	if len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix {
		return b[len(prefix):], true
	}
	return b, false
}

func cutSuffix(b []byte, suffix string) (rest []byte, ok bool) {
	if n := len(b) - len(suffix); n >= 0 && string(b[n:]) == suffix {
		return b[:n], true
	}
	return b, false
}

// number reads an unsigned decimal number that fills b, at most nine digits.
func number(b []byte) (n int, ok bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// port reads a port number that fills b.
func port(b []byte) (uint16, bool) {
	n, ok := number(b)
	return uint16(n), ok && n <= 65535
}

// address reads the IP address of a peer. It refuses host names, for which it
// would have to trust the name service, and the unspecified address, which names
// nobody.
func address(b []byte) (netip.Addr, bool) {
	addr, ok := anyAddress(b)
	return addr, ok && !addr.IsUnspecified()
}

// anyAddress reads an IP address that fills b, without its zone and, if it is
// mapped into IPv6, as IPv4.
func anyAddress(b []byte) (netip.Addr, bool) {
	if addr, ok := ipv4(b); ok {
		return addr, true
	}
	if len(b) > 64 || bytes.IndexByte(b, ':') < 0 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(string(b))
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap().WithZone(""), true
}

// ipv4 reads what netip.ParseAddr reads, but without an allocation: most peers
// are IPv4, and host names come here to be refused.
func ipv4(b []byte) (netip.Addr, bool) {
	var octets [4]byte
	field, digits, n := 0, 0, 0
	for _, c := range b {
		switch {
		case c == '.' && digits > 0 && field < 3:
			octets[field] = byte(n)
			field, digits, n = field+1, 0, 0
			continue
		case c < '0' || c > '9', digits > 0 && n == 0: // no leading zeros: they could be octal
			return netip.Addr{}, false
		}
		digits++
		if n = n*10 + int(c-'0'); n > 255 {
			return netip.Addr{}, false
		}
	}
	octets[3] = byte(n)
	return netip.AddrFrom4(octets), field == 3 && digits > 0
}

// cutPeer splits "… HOST port N" or "… HOST" before HOST, the last word but for
// the port. Whatever stands before it, sshd itself wrote this.
func cutPeer(b []byte) (before, host []byte, n uint16, ok bool) {
	const word = " port "
	end := len(b)
	i := end
	for i > 0 && b[i-1] >= '0' && b[i-1] <= '9' {
		i--
	}
	if i >= len(word) && i < end && string(b[i-len(word):i]) == word {
		if n, ok = port(b[i:]); !ok {
			return nil, nil, 0, false
		}
		end = i - len(word)
	}
	i = bytes.LastIndexByte(b[:end], ' ') + 1
	return b[:max(i-1, 0)], b[i:end], n, true
}

// peer reads "IP" or "IP port N" that fills b, as sshd names the other side.
func peer(b []byte) (e event.Endpoint, ok bool) {
	before, host, n, ok := cutPeer(b)
	if !ok || len(before) > 0 {
		return e, false
	}
	e.Port = n
	e.Addr, ok = address(host)
	return e, ok
}

// lastFrom splits "NAME from IP" or "NAME from IP port N", where NAME is the
// client's choice.
func lastFrom(b []byte) (name []byte, from event.Endpoint, ok bool) {
	name, host, n, ok := cutPeer(b)
	if !ok {
		return nil, from, false
	}
	if name, ok = cutSuffix(name, " from"); !ok {
		return nil, from, false
	}
	from.Port = n
	from.Addr, ok = address(host)
	return name, from, ok
}

func cutLast(b []byte, sep string) (before, after []byte, ok bool) {
	i := bytes.LastIndex(b, []byte(sep))
	if i < 0 {
		return b, nil, false
	}
	return b[:i], b[i+len(sep):], true
}

var errNoObject = errors.New("no JSON object, of which each line has one")

// wantObject returns an error for a line that is neither blank nor the beginning
// of a JSON object: the file is of another format, or damaged.
func wantObject(format string, line []byte) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] == '{' {
		return nil
	}
	return malformed(format, line, errNoObject)
}
