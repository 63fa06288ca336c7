package node

import "sync/atomic"

// counters of a node; they only grow, but for those that mirror a bound.
type counters struct {
	events, eventsOld, eventsFuture, eventsUnarchived, attempts atomic.Uint64
	linked, missing, relationsForgotten                         atomic.Uint64
	keysEvicted, reports, unfollowed, storeFailures             atomic.Uint64
	collected, refused, shed, handed                            atomic.Uint64
	alerts, alertsRaised, alertsInvalid                         atomic.Uint64
	blocks, blocksRefused, withdrawn                            atomic.Uint64
}
