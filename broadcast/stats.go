package broadcast

import "sync/atomic"

// Stats counts since the start. Sent per payload and node is the cost of the
// broadcast; Duplicates is what the replicas cost.
type Stats struct {
	Published  uint64 // by this node
	Received   uint64 // frames from others: New + Known + Duplicates + Invalid, and those under verification
	New        uint64 // judged Fresh
	Known      uint64 // not seen here, but nothing new to the application
	Duplicates uint64
	Invalid    uint64
	Busy       uint64 // frames not acknowledged because too many payloads were on their way
	Sent       uint64 // frames, every attempt by itself
	Acked      uint64
	Failed     uint64
	MaxHop     uint64 // the longest way a new payload has come
	Superseded uint64 // sends saved because a better payload on the topic had come
	Asked      uint64 // questions to neighbours about what has been missed
	Repaired   uint64 // payloads that came in answer and were judged Fresh
}

// Stats returns the counters as they stand.
func (b *Broadcast) Stats() Stats {
	c := &b.count
	return Stats{
		Published: c.published.Load(), Received: c.received.Load(), New: c.new.Load(), Known: c.known.Load(),
		Duplicates: c.duplicates.Load(), Invalid: c.invalid.Load(), Busy: c.busy.Load(),
		Sent: c.sent.Load(), Acked: c.acked.Load(), Failed: c.failed.Load(), MaxHop: c.maxHop.Load(),
		Superseded: c.superseded.Load(), Asked: c.asked.Load(), Repaired: c.repaired.Load(),
	}
}

type counters struct {
	published, received, new, known, duplicates, invalid, busy, sent, acked, failed, maxHop, superseded, asked, repaired atomic.Uint64
}

func (c *counters) hop(n int) {
	for {
		old := c.maxHop.Load()
		if uint64(n) <= old || c.maxHop.CompareAndSwap(old, uint64(n)) {
			return
		}
	}
}
