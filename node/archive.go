package node

import (
	"log/slog"

	"github.com/komondor/komondor/event"
)

// maxUnarchived bounds the events that wait for a store that fails; beyond it
// they are judged all the same, and missing from the archive.
const maxUnarchived = 100_000

// batch collects what goes into the archive in one transaction: events, and how
// far the sources they came from were read. A position is never committed
// before the events of the lines it covers.
type batch struct {
	archive   archive
	counters  *counters
	log       *slog.Logger
	events    []event.Event
	positions map[string][]byte
	failing   bool
}

func (b *batch) add(s sighting) {
	if s.event != nil {
		if len(b.events) == maxUnarchived {
			b.counters.eventsUnarchived.Add(1)
		} else {
			b.events = append(b.events, *s.event)
		}
	}
	if s.position != nil {
		if b.positions == nil {
			b.positions = make(map[string][]byte)
		}
		b.positions[s.source] = s.position
	}
	if len(b.events) >= 1000 && !b.failing {
		b.commit()
	}
}

func (b *batch) commit() {
	if len(b.events) == 0 && len(b.positions) == 0 {
		return
	}
	if err := b.archive.Append(b.events, b.positions); err != nil {
		b.counters.storeFailures.Add(1)
		if !b.failing {
			b.log.Error("the archive takes no events; detection goes on, and they are kept until it does", "error", err)
		}
		b.failing = true
		return
	}
	if b.failing {
		b.log.Info("the archive takes events again")
	}
	b.failing = false
	b.events, b.positions = b.events[:0], nil
}
