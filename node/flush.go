package node

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/store"
)

// tableKey is where the store has the name of the nftables table.
const tableKey = "nftables table"

// Flush ends all blocks without a running node: those in the kernel's table and
// those that the store keeps for a restart. Without a table's name it is the one
// that the node has used last. It returns how many were kept, and the table.
func Flush(path, table string) (ended int, flushed string, err error) {
	enforced := true
	if _, err := os.Stat(path); err == nil {
		s, err := store.Open(path)
		if err != nil {
			return 0, table, err
		}
		used, _, uerr := s.Kernel.Get(tableKey)
		table = cmp.Or(table, string(used))
		ended, enforced, err = block.EndKept(kept{s.Blocks}, time.Now())
		if err = errors.Join(err, uerr, s.Close()); err != nil {
			return ended, table, err
		}
	}
	table = cmp.Or(table, block.DefaultTable)
	err = block.FlushKernel(table)
	if errors.Is(err, fs.ErrPermission) && !enforced {
		err = nil // there is nothing of ours in the kernel
	}
	return ended, table, err
}
