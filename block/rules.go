package block

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A size is a family and a prefix length. All blocks of one size are in one
// hash set, which is asked for the packet's address masked to that length: it
// costs the same however many blocks it holds, and blocks may lie within one
// another, neither of which an interval set can do.
type size struct {
	family byte // 4 or 6
	bits   int
}

func sizeOf(p netip.Prefix) size {
	if p.Addr().Is4() {
		return size{4, p.Bits()}
	}
	return size{6, p.Bits()}
}

// usual are the sizes of nearly all blocks; the sets of others are made when needed.
func usual() map[size]bool { return map[size]bool{{4, 32}: true, {6, 64}: true} }

func (s size) set() string { return fmt.Sprintf("block%d_%d", s.family, s.bits) }

// parseSize reads what set wrote.
func parseSize(name string) (size, bool) {
	var s size
	if n, err := fmt.Sscanf(name, "block%d_%d", &s.family, &s.bits); n != 2 || err != nil || s.set() != name {
		return s, false
	}
	return s, s.family == 4 && s.bits >= 0 && s.bits <= 32 || s.family == 6 && s.bits >= 0 && s.bits <= 128
}

func (s size) less(t size) int {
	if s.family != t.family {
		return int(s.family) - int(t.family)
	}
	return t.bits - s.bits
}

const (
	never4Set  = "never4"
	never6Set  = "never6"
	overlaySet = "overlay" // ports
)

func keyType(family byte) nftables.SetDatatype {
	if family == 4 {
		return nftables.TypeIPAddr
	}
	return nftables.TypeIP6Addr
}

// The sets' own ids: they only have to differ within a batch, and the library
// would take them from a counter that all connections share without a lock.
func blockSet(t *nftables.Table, s size) *nftables.Set {
	return &nftables.Set{
		Table: t, ID: uint32(s.family)<<8 | uint32(s.bits), Name: s.set(),
		KeyType: keyType(s.family), HasTimeout: true, Counter: true,
	}
}

func neverSet(t *nftables.Table, family byte) *nftables.Set {
	set := &nftables.Set{Table: t, ID: 1, Name: never4Set, KeyType: keyType(family), Interval: true}
	if family == 6 {
		set.ID, set.Name = 2, never6Set
	}
	return set
}

func portSet(t *nftables.Table) *nftables.Set {
	return &nftables.Set{Table: t, ID: 3, Name: overlaySet, KeyType: nftables.TypeInetService}
}

// A direction is one of the two chains: what comes in is judged by its source
// as early as possible, what this host sends itself by its destination.
type direction struct {
	chain     string
	hook      *nftables.ChainHook
	interf    expr.MetaKey
	address   map[byte]uint32 // the offset in the network header, by family
	localPort uint32          // the offsets in the transport header
	otherPort uint32
}

func directions() []direction {
	return []direction{
		{"inbound", nftables.ChainHookPrerouting, expr.MetaKeyIIF, map[byte]uint32{4: 12, 6: 8}, 2, 0},
		{"outbound", nftables.ChainHookOutput, expr.MetaKeyOIF, map[byte]uint32{4: 16, 6: 24}, 0, 2},
	}
}

// loopback's interface has the index 1 in every network namespace.
const loopback = 1

// PassMark is the mark (SO_MARK) of packets that this host sends to undo an
// attack: they pass, although their target may be blocked. To set it takes
// CAP_NET_ADMIN, which could as well delete the table.
const PassMark = 0x6b6f6d6f

// rules returns the chain's rules in their order: loopback, what undoes attacks,
// the overlay's own ports, its connections to members and the never-block set
// pass, then the blocks are dropped.
func (d direction) rules(sizes []size, flows []shape) [][]expr.Any {
	index := binary.NativeEndian.AppendUint32(nil, loopback)
	rules := [][]expr.Any{append(equal(d.interf, index), verdict(expr.VerdictAccept))}
	if d.hook == nftables.ChainHookOutput {
		rules = append(rules, append(equal(expr.MetaKeyMARK, binary.NativeEndian.AppendUint32(nil, PassMark)), verdict(expr.VerdictAccept)))
	}
	for _, protocol := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		rules = append(rules, append(equal(expr.MetaKeyL4PROTO, []byte{protocol}),
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: d.localPort, Len: 2},
			&expr.Lookup{SourceRegister: 1, SetName: overlaySet, SetID: 3}, verdict(expr.VerdictAccept)))
	}
	for _, family := range []byte{4, 6} {
		rules = append(rules, d.members(family))
	}
	for _, family := range []byte{4, 6} {
		set := neverSet(nil, family)
		rules = append(rules, append(d.load(family), &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID}, verdict(expr.VerdictAccept)))
	}
	for _, s := range sizes {
		rule := d.load(s.family)
		if width := 8 * keyType(s.family).Bytes; s.bits < int(width) {
			rule = append(rule, &expr.Bitwise{
				SourceRegister: 1, DestRegister: 1, Len: width / 8,
				Mask: net.CIDRMask(s.bits, int(width)), Xor: make([]byte, width/8),
			})
		}
		set := blockSet(nil, s)
		rules = append(rules, append(rule, &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID}, verdict(expr.VerdictDrop)))
	}
	for _, s := range flows {
		rules = append(rules, s.rule())
	}
	return rules
}

// load puts the address that the direction judges by into register 1; packets
// of the other family leave the rule.
func (d direction) load(family byte) []expr.Any {
	protocol := byte(unix.NFPROTO_IPV4)
	if family == 6 {
		protocol = unix.NFPROTO_IPV6
	}
	return append(equal(expr.MetaKeyNFPROTO, []byte{protocol}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: d.address[family], Len: keyType(family).Bytes})
}

func equal(key expr.MetaKey, value []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}}
}

func verdict(kind expr.VerdictKind) expr.Any { return &expr.Verdict{Kind: kind} }
