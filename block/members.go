package block

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A member's host may be compromised like any other, and then be blocked; but
// the overlay between it and us has to go on. What comes to our overlay's port
// passes anyhow (Options.OverlayPorts). For the connections that we open, the
// kernel knows where the members listen.

func membersSet(t *nftables.Table, family byte) *nftables.Set {
	set := &nftables.Set{
		Table: t, ID: 4, Name: "members4", Concatenation: true,
		KeyType: nftables.MustConcatSetType(keyType(family), nftables.TypeInetService),
	}
	if family == 6 {
		set.ID, set.Name = 5, "members6"
	}
	return set
}

// SetMembers replaces the addresses and TCP ports on which the other members'
// overlays listen; see Backend.
func (f *Firewall) SetMembers(ctx context.Context, members []netip.AddrPort) error {
	listed := make([]netip.AddrPort, 0, len(members))
	for _, m := range members {
		if !m.IsValid() || m.Port() == 0 {
			return fmt.Errorf("members' addresses: %q: want an address and a port such as 203.0.113.7:4001", m)
		}
		listed = append(listed, unmap(m))
	}
	slices.SortFunc(listed, netip.AddrPort.Compare)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = slices.Compact(listed)
	return f.withTable(ctx, "fill the members' addresses", func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		return errors.Join(addMembers(conn, f.table, f.members), conn.Flush())
	})
}

func addMembers(conn *nftables.Conn, table *nftables.Table, members []netip.AddrPort) error {
	elements := map[bool][]nftables.SetElement{}
	for _, m := range members {
		key := binary.BigEndian.AppendUint16(m.Addr().AsSlice(), m.Port())
		key = append(key, 0, 0) // each part fills registers of four bytes
		elements[m.Addr().Is4()] = append(elements[m.Addr().Is4()], nftables.SetElement{Key: key})
	}
	for four, set := range map[bool]*nftables.Set{true: membersSet(table, 4), false: membersSet(table, 6)} {
		conn.FlushSet(set)
		for part := range slices.Chunk(elements[four], chunk) {
			if err := conn.SetAddElements(set, part); err != nil {
				return err
			}
		}
	}
	return nil
}

// members is the rule that lets pass what we send to a member's overlay, and
// what comes back. Packets from there that open a connection do not pass: the
// port is the other side's choice, and would lead to any service of ours.
func (d direction) members(family byte) []expr.Any {
	// The address fills the registers from the first on, the port the next one.
	next := uint32(unix.NFT_REG32_00) + keyType(family).Bytes/4
	set := membersSet(nil, family)
	rule := append(equal(expr.MetaKeyL4PROTO, []byte{unix.IPPROTO_TCP}), d.load(family)...)
	rule = append(rule,
		&expr.Payload{DestRegister: next, Base: expr.PayloadBaseTransportHeader, Offset: d.otherPort, Len: 2},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID})
	if d.hook == nftables.ChainHookPrerouting {
		const flagsAt, syn, ack = 13, 0x02, 0x10 // RFC 9293, 3.1
		rule = append(rule,
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: flagsAt, Len: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{syn | ack}, Xor: []byte{0}},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{syn}})
	}
	return append(rule, verdict(expr.VerdictAccept))
}
