package node

import (
	"log/slog"
	"maps"

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
	writing   *batch     // under way
	done      chan error // of the write under way
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

// commit begins to write what has gathered, unless a write is under way: nobody
// waits for the disk. The write's end comes on done, for settle.
func (b *batch) commit() {
	if b.writing != nil || len(b.events) == 0 && len(b.positions) == 0 {
		return
	}
	w := &batch{events: b.events, positions: b.positions}
	b.writing, b.events, b.positions = w, nil, nil
	go func() { b.done <- b.archive.Append(w.events, w.positions) }()
}

// settle takes the end of a write. What could not be written is written with
// what comes next.
func (b *batch) settle(err error) {
	w := b.writing
	b.writing = nil
	if err == nil {
		if b.failing {
			b.log.Info("the archive takes events again")
		}
		b.failing = false
		return
	}
	b.counters.storeFailures.Add(1)
	if !b.failing {
		b.log.Error("the archive takes no events; detection goes on, and they are kept until it does", "error", err)
	}
	b.failing = true
	b.events = append(w.events, b.events...)
	if w.positions == nil {
		w.positions = make(map[string][]byte)
	}
	maps.Copy(w.positions, b.positions)
	b.positions = w.positions
}

// finish writes all that is left and waits for it.
func (b *batch) finish() {
	if b.writing != nil {
		b.settle(<-b.done)
	}
	b.commit()
	if b.writing != nil {
		b.settle(<-b.done)
	}
}
