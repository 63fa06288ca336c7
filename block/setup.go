package block

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
)

// ErrForeign is for a table that is not ours. It is left alone.
var ErrForeign = errors.New("somebody else has made it")

// Setup makes the table, or adopts one of ours that is there with the blocks in
// it. It does so in one transaction, so that no packet slips through and no table
// is left without what shows that it is ours. Its error is ErrForeign for one that
// is not.
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
	present, err := ownSets(conn, f.table)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it is made below
	}
	if err != nil {
		return f.explain("set up", err)
	}
	for _, set := range present {
		if s, ok := parseSize(set.Name); ok {
			f.sizes[s] = true
		}
		if s, ok := parseShape(set.Name); ok {
			f.shapes[s] = true
		}
	}
	flows := slices.DeleteFunc(shapes(), func(s shape) bool { return !f.shapes[s] })
	ordered := slices.SortedFunc(maps.Keys(f.sizes), size.less)

	conn.AddTable(f.table)
	for _, set := range fixedSets(f.table) {
		err = errors.Join(err, conn.AddSet(set, nil))
	}
	for _, s := range ordered {
		err = errors.Join(err, conn.AddSet(blockSet(f.table, s), nil))
	}
	for _, s := range flows {
		err = errors.Join(err, conn.AddSet(flowSet(f.table, s), nil))
	}
	ports := portSet(f.table)
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
		for _, exprs := range d.rules(ordered, flows) {
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

// fixedSets are in every table of ours, and all of them in nobody else's.
func fixedSets(t *nftables.Table) []*nftables.Set {
	return []*nftables.Set{portSet(t), neverSet(t, 4), neverSet(t, 6), membersSet(t, 4), membersSet(t, 6)}
}

// ownSets lists the sets of a table of ours. Its error is fs.ErrNotExist where
// there is no table of the name, and ErrForeign where that is somebody else's.
func ownSets(conn *nftables.Conn, t *nftables.Table) ([]*nftables.Set, error) {
	if _, err := conn.ListTableOfFamily(t.Name, t.Family); err != nil {
		return nil, err
	}
	sets, err := conn.GetSets(t)
	if err != nil {
		return nil, fmt.Errorf("list the sets: %w", err)
	}
	for _, fixed := range fixedSets(t) {
		if !slices.ContainsFunc(sets, func(s *nftables.Set) bool { return s.Name == fixed.Name }) {
			return nil, ErrForeign
		}
	}
	return sets, nil
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
	f.sizes, f.shapes = usual(), map[shape]bool{}
	return FlushKernel(f.table.Name)
}

// FlushKernel deletes the table (DefaultTable where the name is empty) with all
// blocks in it. It needs no running daemon. Its error is ErrForeign for a table
// that is not ours, which stays.
func FlushKernel(table string) error {
	if table == "" {
		table = DefaultTable
	}
	f := Firewall{table: tableNamed(table)}
	conn, err := nftables.New()
	if err == nil {
		_, err = ownSets(conn, f.table)
	}
	if err == nil {
		conn.DelTable(f.table)
		err = conn.Flush()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.explain("delete", err)
}
