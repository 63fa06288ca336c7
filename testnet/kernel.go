package testnet

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/google/nftables"
)

// Added is an address that a process has put into a set of the kernel's, and when
// the kernel announced it: the truth about a block, whatever the node says.
type Added struct {
	Addr netip.Addr
	At   time.Time
}

// WatchKernel returns what is added to the sets of this thread's network
// namespace, once for each transaction, until stop is called.
func WatchKernel() (elements chan Added, stop func(), err error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, nil, fmt.Errorf("watch nftables: %w", err)
	}
	monitor := nftables.NewMonitor(nftables.WithMonitorAction(nftables.MonitorActionNew),
		nftables.WithMonitorObject(nftables.MonitorObjectElements), nftables.WithMonitorEventBuffer(1024))
	news, err := conn.AddGenerationalMonitor(monitor)
	if err != nil {
		return nil, nil, fmt.Errorf("watch nftables: %w", err)
	}
	elements = make(chan Added, 4096)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			var changes *nftables.MonitorEvents
			select {
			case changes = <-news: // which Close does not close
			case <-quit:
				return
			}
			if changes == nil {
				return
			}
			at, seen := time.Now(), map[netip.Addr]bool{} // a process may add an element twice in one transaction
			for _, change := range changes.Changes {
				set, _ := change.Data.([]nftables.SetElement)
				for _, e := range set {
					if addr, ok := netip.AddrFromSlice(e.Key); ok && !seen[addr] {
						seen[addr] = true
						select {
						case elements <- Added{addr, at}:
						default: // nobody reads
						}
					}
				}
			}
		}
	}()
	return elements, func() { close(quit); <-done; monitor.Close(); _ = conn.CloseLasting() }, nil
}
