package block

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
)

// Setup makes the table, or adopts one that is there with the blocks in it. It
// renews the rules in one transaction, so that no packet slips through.
func (f *Firewall) Setup(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.setup()
}

func (f *Firewall) setup() error {
	conn, err := nftables.New()
	if err != nil {
		return f.explain("open nftables", err)
	}
	conn.AddTable(f.table)
	if err := conn.Flush(); err != nil {
		return f.explain("create", err)
	}
	present, err := conn.GetSets(f.table)
	if err != nil {
		return f.explain("list the sets", err)
	}
	for _, set := range present {
		if s, ok := parseSize(set.Name); ok {
			f.sizes[s] = true
		}
	}
	ordered := slices.SortedFunc(maps.Keys(f.sizes), size.less)

	ports := portSet(f.table)
	err = errors.Join(conn.AddSet(ports, nil), conn.AddSet(neverSet(f.table, 4), nil), conn.AddSet(neverSet(f.table, 6), nil),
		conn.AddSet(membersSet(f.table, 4), nil), conn.AddSet(membersSet(f.table, 6), nil))
	for _, s := range ordered {
		err = errors.Join(err, conn.AddSet(blockSet(f.table, s), nil))
	}
	conn.FlushSet(ports)
	if len(f.ports) > 0 {
		var elements []nftables.SetElement
		for _, port := range slices.Compact(slices.Sorted(slices.Values(f.ports))) {
			elements = append(elements, nftables.SetElement{Key: binary.BigEndian.AppendUint16(nil, port)})
		}
		err = errors.Join(err, conn.SetAddElements(ports, elements))
	}
	for _, d := range directions() {
		chain := conn.AddChain(&nftables.Chain{
			Name: d.chain, Table: f.table, Type: nftables.ChainTypeFilter,
			Hooknum: d.hook, Priority: nftables.ChainPriorityRaw, // before connections are tracked
		})
		conn.FlushChain(chain)
		for _, exprs := range d.rules(ordered) {
			conn.AddRule(&nftables.Rule{Table: f.table, Chain: chain, Exprs: exprs})
		}
	}
	if f.never != nil {
		err = errors.Join(err, addNever(conn, f.table, f.never))
	}
	if f.members != nil {
		err = errors.Join(err, addMembers(conn, f.table, f.members))
	}
	if err = errors.Join(err, conn.Flush()); err != nil {
		return f.explain("set up", err)
	}
	return nil
}

// SetNever replaces the prefixes that pass whatever is blocked.
func (f *Firewall) SetNever(ctx context.Context, prefixes []netip.Prefix) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.never = slices.Clone(prefixes)
	return f.withTable(ctx, "fill the never-block set", func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		return errors.Join(addNever(conn, f.table, f.never), conn.Flush())
	})
}

func addNever(conn *nftables.Conn, table *nftables.Table, prefixes []netip.Prefix) error {
	sets := map[int]*nftables.Set{32: neverSet(table, 4), 128: neverSet(table, 6)}
	elements := map[int][]nftables.SetElement{}
	for _, s := range merge(prefixes) {
		width := s.from.BitLen()
		elements[width] = append(elements[width], nftables.SetElement{Key: s.from.AsSlice()})
		if end := s.to.Next(); end.IsValid() { // the last range of all has no end
			elements[width] = append(elements[width], nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
		}
	}
	for width, set := range sets {
		conn.FlushSet(set)
		for part := range slices.Chunk(elements[width], chunk) {
			if err := conn.SetAddElements(set, part); err != nil {
				return err
			}
		}
	}
	return nil
}

// Flush deletes our table with all that is in it; that it is not there is no error.
func (f *Firewall) Flush(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	f.sizes = usual()
	return FlushKernel(f.table.Name)
}

// FlushKernel deletes the table (DefaultTable where the name is empty) with all
// blocks in it. It needs no running daemon.
func FlushKernel(table string) error {
	if table == "" {
		table = DefaultTable
	}
	f := Firewall{table: tableNamed(table)}
	conn, err := nftables.New()
	if err == nil {
		conn.DelTable(f.table)
		err = conn.Flush()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.explain("delete", err)
}
