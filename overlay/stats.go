package overlay

import "sync/atomic"

// Stats counts since the start. Report.Sent plus LookupMessages, divided by the
// number of events, is the messages per event of paper 002, Table I; batches
// make the number of writes smaller still.
type Stats struct {
	Lookups        uint64 // that were not answered from the cache
	LookupMessages uint64 // requests they took
	Evicted        uint64 // peers that did not answer
	Refused        uint64 // connections of those who are not admitted
	Report         Traffic
	Broadcast      Traffic
	Ask            Traffic // each question is a batch of its own
}

// Traffic counts one protocol of ours.
type Traffic struct {
	Sent      uint64 // payloads written, each destination by itself
	Repeated  uint64 // written once more, because no answer came
	Batches   uint64 // writes they took
	Acked     uint64
	Refused   uint64 // by the other side
	Redirects uint64 // answered with nearer members instead
	Busy      uint64 // answered that the other side takes none now
	Failed    uint64 // without an answer
	Received  uint64 // from others, whatever became of them
	Waits     uint64 // of peers that sent faster than their rate
	Broken    uint64 // streams that ended badly: not to the protocol, cut, or one too many
}

// Stats returns the counters as they stand.
func (o *Overlay) Stats() Stats {
	return Stats{
		Lookups:        o.count.lookups.Load(),
		LookupMessages: o.count.lookupMessages.Load(),
		Evicted:        o.count.evicted.Load(),
		Refused:        o.count.refused.Load(),
		Report:         o.count.report.load(),
		Broadcast:      o.count.frame.load(),
		Ask:            o.count.ask.load(),
	}
}

type counters struct {
	lookups, lookupMessages, evicted, refused atomic.Uint64
	report, frame, ask, attach                traffic
}

type traffic struct {
	sent, repeated, batches, acked, refused, redirects, busy, failed, received, waits, broken atomic.Uint64
}

func (t *traffic) reply(s status) {
	switch s {
	case accepted:
		t.acked.Add(1)
	case refused:
		t.refused.Add(1)
	case closer:
		t.redirects.Add(1)
	case busy:
		t.busy.Add(1)
	}
}

func (t *traffic) load() Traffic {
	return Traffic{
		Sent: t.sent.Load(), Repeated: t.repeated.Load(), Batches: t.batches.Load(), Acked: t.acked.Load(), Refused: t.refused.Load(),
		Redirects: t.redirects.Load(), Busy: t.busy.Load(), Failed: t.failed.Load(), Received: t.received.Load(), Waits: t.waits.Load(), Broken: t.broken.Load(),
	}
}
