package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/google/nftables"
)

// Dropped is when the kernel told that it drops an address from now on: the
// truth about a block, whatever the node says.
type Dropped struct {
	Address netip.Addr `json:"address"`
	At      time.Time  `json:"at"`
}

func kernelFile(dir string) string { return filepath.Join(dir, "kernel.jsonl") }

// watchKernel writes what the kernel tells of new set elements with a timeout,
// which blocks are, to a file until ctx ends.
func watchKernel(ctx context.Context, dir string) error {
	file, err := os.Create(kernelFile(dir))
	if err != nil {
		return err
	}
	defer file.Close()
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	// The library passes on all or nothing.
	monitor := nftables.NewMonitor(nftables.WithMonitorAction(nftables.MonitorActionAny), nftables.WithMonitorObject(nftables.MonitorObjectAny))
	events, err := conn.AddMonitor(monitor)
	if err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	defer context.AfterFunc(ctx, func() { monitor.Close() })()
	defer monitor.Close()
	encode := json.NewEncoder(file)
	for e := range events {
		elements, ok := e.Data.([]nftables.SetElement)
		if !ok || e.Type != nftables.MonitorEventTypeNewSetElem {
			continue
		}
		for _, element := range elements {
			if addr, ok := netip.AddrFromSlice(element.Key); ok && element.Timeout > 0 {
				if err := encode.Encode(Dropped{addr, time.Now()}); err != nil {
					return err
				}
			}
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return errors.New("watch nftables: the kernel tells no more")
}
