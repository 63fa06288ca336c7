package event

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"unique"
)

// Selector names what a rule groups by, and so which kind of key its evidence
// meets at (paper 002, section III.C): one of the parts below, or several of them.
type Selector string

const (
	BySource        Selector = "source.ip"     // the attacker: an IPv4 address, or an IPv6 /64
	BySourceSubnet  Selector = "source.subnet" // the attacker's neighbours: an IPv4 /24 or an IPv6 /48
	ByPort          Selector = "target.port"   // what is scanned for: "tcp/22"
	ByVulnerability Selector = "vulnerability" // what is exploited: a CVE or an IDS signature
	BySubnet        Selector = "target.subnet" // who is attacked: an IPv4 /24 or an IPv6 /48
	ByKind          Selector = "kind"          // the attack itself: "ssh.login.failed"
)

// Parts lists the parts that a selector can have, in the order in which it names them.
func Parts() []Selector {
	return []Selector{BySource, BySourceSubnet, ByPort, ByVulnerability, BySubnet, ByKind}
}

// NewSelector is the selector of several parts: "source.ip,kind". Their order does not
// matter; an unknown one, one that is there twice, or none is an error.
func NewSelector(parts ...Selector) (Selector, error) {
	var names []string
	for _, known := range Parts() {
		if slices.Contains(parts, known) {
			names = append(names, string(known))
		}
	}
	if len(names) == 0 || len(names) != len(parts) {
		return "", fmt.Errorf("group by %q: want one or more of %q, each once", parts, Parts())
	}
	return Selector(strings.Join(names, ",")), nil
}

// Parts are what the selector is made of.
func (s Selector) Parts() iter.Seq[Selector] {
	return func(yield func(Selector) bool) {
		for part := range strings.SplitSeq(string(s), ",") {
			if !yield(Selector(part)) {
				return
			}
		}
	}
}

// Has reports whether the selector has the part.
func (s Selector) Has(part Selector) bool {
	if len(s) <= len(part) {
		return s == part
	}
	for p := range s.Parts() {
		if p == part {
			return true
		}
	}
	return false
}

// Canonical is the same selector without a string of its own, so that what was
// decoded does not hold one for each key.
func (s Selector) Canonical() Selector {
	switch s {
	case BySource:
		return BySource
	case ByPort:
		return ByPort
	case ByVulnerability:
		return ByVulnerability
	case BySubnet:
		return BySubnet
	case BySourceSubnet:
		return BySourceSubnet
	}
	return unique.Make(s).Value()
}

// Key is where the evidence of one attack meets.
type Key struct {
	Selector Selector `json:"selector" cbor:"1,keyasint"`
	Value    string   `json:"value" cbor:"2,keyasint"`
}

func (k Key) String() string { return string(k.Selector) + "=" + k.Value }

// separator stands between the parts of a value; in a part it is written as an escape.
const separator = "|"

var (
	escape   = strings.NewReplacer("%", "%25", separator, "%7C")
	unescape = strings.NewReplacer("%7C", separator, "%25", "%")
)

// JoinValue is the value of a key of several parts, in the selector's order.
func JoinValue(parts ...string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	for i, p := range parts {
		parts[i] = escape.Replace(p)
	}
	return strings.Join(parts, separator)
}

// Part is the key's value under one part of its selector; false where it has none.
func (k Key) Part(part Selector) (string, bool) {
	if k.Selector == part {
		return k.Value, true
	}
	rest, last := k.Value, false
	for p := range k.Selector.Parts() {
		if last {
			return "", false // the value has fewer parts than the selector
		}
		value, after, found := strings.Cut(rest, separator)
		if p == part {
			return unescape.Replace(value), true
		}
		rest, last = after, !found
	}
	return "", false
}

// Hash is the key's place in the overlay's key space: SHA-256 over federation,
// the day's salt, selector and value, each with its length before it, so that
// no two keys can be written alike.
func (k Key) Hash(federation string, salt []byte) [sha256.Size]byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte("komondor key"), []byte(federation), salt, []byte(k.Selector), []byte(k.Value)} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Source returns the prefix that a key with the part BySource stands for. Only the spelling of
// SourceValue is accepted: with two spellings a source would have two keys.
func (k Key) Source() (netip.Prefix, error) {
	value, ok := k.Part(BySource)
	if !ok {
		return netip.Prefix{}, fmt.Errorf("key %q does not name a source", k)
	}
	addr, err := netip.ParseAddr(value)
	if err != nil {
		p, _ := netip.ParsePrefix(value)
		addr = p.Addr()
	}
	p := SourcePrefix(addr)
	if !p.IsValid() || SourceValue(p) != value {
		return netip.Prefix{}, fmt.Errorf("key %q: want an IPv4 address or an IPv6 /64", k)
	}
	return p, nil
}

// SourceSubnet returns the prefix that a key with the part BySourceSubnet stands for: only as
// SubnetPrefix and its String spell it.
func (k Key) SourceSubnet() (netip.Prefix, error) {
	value, ok := k.Part(BySourceSubnet)
	if !ok {
		return netip.Prefix{}, fmt.Errorf("key %q does not name a subnet of sources", k)
	}
	given, _ := netip.ParsePrefix(value)
	p := SubnetPrefix(given.Addr())
	if !p.IsValid() || p.String() != value {
		return netip.Prefix{}, fmt.Errorf("key %q: want an IPv4 /24 or an IPv6 /48", k)
	}
	return p, nil
}

// SourcePrefix is the unit in which sources are counted and blocked: the
// address itself for IPv4, its /64 for IPv6, where one customer holds a whole
// /64 and changes address at will.
func SourcePrefix(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // bits fit the family
	return p
}

// SubnetPrefix is the unit in which targets are named outside their site, and in which
// neighbouring sources meet: the /24 of an IPv4 address, the /48 of an IPv6 one.
func SubnetPrefix(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	p, _ := addr.Prefix(bits)
	return p
}

// SourceValue is the value of a source's key: "203.0.113.9" or
// "2001:db8:1:2::/64".
func SourceValue(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
