package text

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/komondor/komondor/event"
)

// MaxString is the longest text taken over from a record, in bytes. sshd cuts
// user names at 100 characters; rules' messages are rarely longer than that.
const MaxString = 256

// String makes a string of bytes that anybody may have chosen: valid UTF-8 and of
// bounded length.
func String(b []byte) string {
	b = b[:min(len(b), MaxString)]
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// Recent makes strings as text does, and keeps some of the latest: the lines of one
// attempt repeat its process and its user, and attackers the same few names. What
// hostile names can do is drive others out.
type Recent [256]string

func (t *Recent) String(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	kept := &t[(uint(b[0])*31+uint(b[len(b)/2])*7+uint(b[len(b)-1])+uint(len(b))*64)%uint(len(t))]
	if *kept != string(b) {
		*kept = String(b)
	}
	return *kept
}

// Beginning quotes the first 80 bytes of a line for an error message.
func Beginning(line []byte) string {
	if len(line) <= 80 {
		return strconv.Quote(string(line))
	}
	return strconv.Quote(string(line[:80])) + "…"
}

// Malformed is the error on a line that claims to be a record of a format.
func Malformed(format string, line []byte, reason error) error {
	return fmt.Errorf("%s record %s: %w", format, Beginning(line), reason)
}

// TrimBlanks is bytes.TrimLeft for blanks, which it looks for in every line.
func TrimBlanks(b []byte) []byte {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	return b
}

// CutPrefix and cutSuffix are those of bytes, but compare with a short constant
// in place.
func CutPrefix(b []byte, prefix string) (rest []byte, ok bool) {
	if len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix {
		return b[len(prefix):], true
	}
	return b, false
}

func CutSuffix(b []byte, suffix string) (rest []byte, ok bool) {
	if n := len(b) - len(suffix); n >= 0 && string(b[n:]) == suffix {
		return b[:n], true
	}
	return b, false
}

// TrimEnd cuts off the blanks, and the ends of lines and of strings, that stand behind a record.
func TrimEnd(b []byte) []byte {
	n := len(b)
	for n > 0 && (b[n-1] == ' ' || b[n-1] == '\r' || b[n-1] == 0) {
		n--
	}
	return b[:n]
}

// HasPrefix tells whether b begins with one of a few constants.
func HasPrefix(b []byte, prefixes ...string) bool {
	for _, p := range prefixes {
		if _, ok := CutPrefix(b, p); ok {
			return true
		}
	}
	return false
}

// Number reads an unsigned decimal number that fills b, at most nine digits.
func Number(b []byte) (n int, ok bool) {
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

// Port reads a port number that fills b.
func Port(b []byte) (uint16, bool) {
	n, ok := Number(b)
	return uint16(n), ok && n <= 65535
}

// Address reads the IP Address of a peer. It refuses host names, for which it
// would have to trust the name service, and the unspecified Address, which names
// nobody.
func Address(b []byte) (netip.Addr, bool) {
	addr, ok := AnyAddress(b)
	if !ok || addr.IsUnspecified() {
		return netip.Addr{}, false
	}
	return addr, true
}

// AnyAddress reads an IP address that fills b, without its zone and, if it is
// mapped into IPv6, as IPv4.
func AnyAddress(b []byte) (netip.Addr, bool) {
	if addr, ok := ipv4(b); ok {
		return addr, true
	}
	if i := bytes.IndexByte(b, ':'); i < 0 || i > 4 || len(b) > 64 { // a name, or IPv4 with a port
		return netip.Addr{}, false
	}
	if mapped, ok := CutPrefix(b, "::ffff:"); ok { // as servers write who came by IPv4 to a socket for both
		if addr, ok := ipv4(mapped); ok {
			return addr, true
		}
	}
	if addr, ok := ipv6(b); ok {
		return addr.Unmap(), true
	}
	if bytes.IndexByte(b, '.') < 0 && bytes.IndexByte(b, '%') < 0 {
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
func ipv4(b []byte) (addr netip.Addr, ok bool) {
	if len(b) > len("255.255.255.255") {
		return addr, false
	}
	var address, octet uint32
	dots, digits := 0, 0
	for _, c := range b {
		if c >= '0' && c <= '9' {
			if digits > 0 && octet == 0 { // no leading zeros: they could be octal
				return addr, false
			}
			octet = octet*10 + uint32(c-'0')
			digits++
			continue
		}
		if c != '.' || digits == 0 || octet > 255 || dots == 3 {
			return addr, false
		}
		address = address<<8 | octet
		dots, digits, octet = dots+1, 0, 0
	}
	if digits == 0 || octet > 255 || dots != 3 {
		return addr, false
	}
	var room [4]byte
	binary.BigEndian.PutUint32(room[:], address<<8|octet)
	return netip.AddrFrom4(room), true
}

// ipv6 is ipv4 for IPv6; zones, and IPv4 at the end, are left to netip.ParseAddr.
func ipv6(b []byte) (addr netip.Addr, ok bool) {
	var room [16]byte
	n, gap := 0, -1 // how much of room is filled, and where in it zeros were left out
	if rest, ok := CutPrefix(b, "::"); ok {
		gap, b = 0, rest
	}
	for len(b) > 0 {
		group, digits := 0, 0
		for digits < len(b) {
			d, ok := hexDigit(b[digits])
			if !ok {
				break
			}
			group = group<<4 | int(d)
			digits++
		}
		if digits == 0 || digits > 4 || n == len(room) {
			return addr, false
		}
		room[n], room[n+1] = byte(group>>8), byte(group)
		n += 2
		if b = b[digits:]; len(b) == 0 {
			break
		}
		rest, gapped := CutPrefix(b, "::")
		switch {
		case gapped && gap < 0:
			gap, b = n, rest
		case gapped, b[0] != ':', len(b) == 1:
			return addr, false
		default:
			b = b[1:]
		}
	}
	if (n < len(room)) != (gap >= 0) {
		return addr, false
	}
	if gap >= 0 {
		copy(room[len(room)-(n-gap):], room[gap:n])
		clear(room[gap : len(room)-(n-gap)])
	}
	return netip.AddrFrom16(room), true
}

var errNoObject = errors.New("no JSON object, of which each line has one")

// WantObject returns an error for a line that is neither blank nor the beginning
// of a JSON object: the file is of another format, or damaged.
func WantObject(format string, line []byte) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] == '{' {
		return nil
	}
	return Malformed(format, line, errNoObject)
}

// Digits splits b after its leading Digits.
func Digits(b []byte) (leading, rest []byte) {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return b[:n], b[n:]
}

// Bracketed reads "[IP]:PORT".
func Bracketed(b []byte) (e event.Endpoint, ok bool) {
	host, n, ok := bytes.Cut(b, []byte("]:"))
	if !ok || len(host) == 0 || host[0] != '[' {
		return e, false
	}
	if e.Port, ok = Port(n); !ok {
		return e, false
	}
	e.Addr, ok = Address(host[1:])
	return e, ok
}
