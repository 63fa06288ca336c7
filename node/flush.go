package node

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/store"
)

// firewall opens this host's firewall, and keeps the name of its table for who
// removes that later. A crash between the two leaves an empty table, which drops
// nothing.
func (n *Node) firewall(ctx context.Context) (*block.Firewall, error) {
	ports, err := ports(n.config.Listen)
	if err != nil {
		return nil, err
	}
	f, err := block.NewFirewall(block.Options{Table: n.config.Table, OverlayPorts: ports})
	if err != nil {
		return nil, err
	}
	if err := f.Setup(ctx); err != nil { // one of somebody else's is none of ours to keep in mind
		return nil, errors.Join(err, f.Close())
	}
	used, err := usedTables(n.store)
	if err == nil && !slices.Contains(used, f.Table()) {
		err = n.store.Kernel.Put(f.Table(), nil)
	}
	if err != nil { // a disk that is full must not keep a host without its blocks
		n.config.Log.Error("the name of the nftables table is not kept: `komondor block flush` without a running node needs --table", "error", err)
	}
	return f, nil
}

// removeOthers removes the tables of earlier runs, except the one in use: what they
// drop would neither be shown here nor end by what a person asks for.
func (n *Node) removeOthers(inUse string) {
	used, err := usedTables(n.store)
	for _, table := range used {
		if table == inUse {
			continue
		}
		if failed := removeUsed(n.store, table); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		n.config.Log.Info("the nftables table of an earlier run is gone, and drops nothing any more", "table", table)
	}
	if err != nil {
		n.config.Log.Error("an earlier run's nftables table may still drop what was blocked then: stop this node, and run `komondor block flush` as root", "error", err)
	}
}

// usedTables are the nftables tables of ours that may be in the kernel.
func usedTables(s *store.Store) (tables []string, err error) {
	err = s.Kernel.Each(func(table string, _ []byte) error {
		tables = append(tables, table)
		return nil
	})
	return tables, err
}

// removeUsed removes a table that a node has used, unless somebody else has made
// another of that name since.
func removeUsed(s *store.Store, table string) error {
	if err := block.FlushKernel(table); err != nil && !errors.Is(err, block.ErrForeign) {
		return err
	}
	return s.Kernel.Delete(table)
}

// Flush ends all blocks without a running node: those that the store at path keeps
// for a restart, and those in the kernel, in all tables that its nodes have used and
// in the one that is named. Where there is neither it is the default table. It
// returns how many were kept, and the tables.
func Flush(path, table string) (ended int, flushed []string, err error) {
	name := cmp.Or(table, block.DefaultTable)
	if err := block.CheckTable(name); err != nil {
		return 0, nil, err
	}
	_, missing := os.Stat(path)
	if missing == nil {
		s, err := store.Open(path)
		if err != nil {
			return 0, nil, err
		}
		ended, flushed, err = flush(s)
		if err = errors.Join(err, s.Close()); err != nil {
			return ended, flushed, err
		}
	}
	if slices.Contains(flushed, table) || table == "" && len(flushed) > 0 {
		return ended, flushed, nil
	}
	err = block.FlushKernel(name)
	if errors.Is(err, fs.ErrPermission) && missing == nil && table == "" {
		err = nil // no node has ever blocked in the kernel
	}
	return ended, append(flushed, name), err
}

func flush(s *store.Store) (ended int, flushed []string, err error) {
	if ended, err = block.EndKept(kept{s.Blocks}, time.Now()); err != nil {
		return ended, nil, err
	}
	if flushed, err = usedTables(s); err != nil {
		return ended, nil, err
	}
	for _, table := range flushed {
		err = errors.Join(err, removeUsed(s, table))
	}
	return ended, flushed, err
}
