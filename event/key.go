package event

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Selector names what a rule groups by, and so which kind of key its evidence
// meets at (paper 002, section III.C).
type Selector string

const (
	BySource        Selector = "source.ip"     // the attacker: an IPv4 address, or an IPv6 /64
	ByPort          Selector = "target.port"   // what is scanned for: "tcp/22"
	ByVulnerability Selector = "vulnerability" // what is exploited: a CVE or an IDS signature
	BySubnet        Selector = "target.subnet" // who is attacked: an IPv4 /24 or an IPv6 /48
)

// Canonical is the constant of this package that the selector equals, so that what
// was decoded holds no string of its own; else the selector.
func (s Selector) Canonical() Selector {
	for _, known := range []Selector{BySource, ByPort, ByVulnerability, BySubnet} {
		if s == known {
			return known
		}
	}
	return s
}

// Key is where the evidence of one attack meets.
type Key struct {
	Selector Selector `json:"selector" cbor:"1,keyasint"`
	Value    string   `json:"value" cbor:"2,keyasint"`
}

func (k Key) String() string { return string(k.Selector) + "=" + k.Value }

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

// Source returns the prefix that a BySource key stands for. Only the spelling of
// SourceValue is accepted: with two spellings a source would have two keys.
func (k Key) Source() (netip.Prefix, error) {
	if k.Selector != BySource {
		return netip.Prefix{}, fmt.Errorf("key %q does not name a source", k)
	}
	addr, err := netip.ParseAddr(k.Value)
	if err != nil {
		p, _ := netip.ParsePrefix(k.Value)
		addr = p.Addr()
	}
	p := SourcePrefix(addr)
	if !p.IsValid() || SourceValue(p) != k.Value {
		return netip.Prefix{}, fmt.Errorf("key %q: want an IPv4 address or an IPv6 /64", k)
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

// SubnetPrefix is the unit in which targets are named outside their site: the
// /24 of an IPv4 address, the /48 of an IPv6 one.
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
