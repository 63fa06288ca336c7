package node

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/store"
)

// Flush ends all blocks without a running node: those in the kernel's table and
// those that the store keeps for a restart. It returns how many were kept.
func Flush(path, table string) (ended int, err error) {
	enforced := true
	if _, err := os.Stat(path); err == nil {
		s, err := store.Open(path)
		if err != nil {
			return 0, err
		}
		ended, enforced, err = block.EndKept(kept{s.Blocks}, time.Now())
		if err = errors.Join(err, s.Close()); err != nil {
			return ended, err
		}
	}
	err = block.FlushKernel(table)
	if errors.Is(err, fs.ErrPermission) && !enforced {
		err = nil // there is nothing of ours in the kernel
	}
	return ended, err
}
