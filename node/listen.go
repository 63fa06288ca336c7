package node

import (
	"context"
	"fmt"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/health"
)

// What was learned is kept under these names.
const (
	learnedRates    = "rates"
	learnedSilences = "silences"
)

// listen notices the sources that have gone silent, and keeps what was learned about
// them and about rates, so that a restart does not begin at nothing.
func (n *Node) listen(ctx context.Context) error {
	var monitor health.Monitor
	for _, s := range n.sources {
		monitor.Watch(s.Path)
	}
	n.relearn(learnedSilences, monitor.Restore)
	heard := make(map[string]uint64) // lines, when it was looked last
	minute := time.NewTicker(sweepEvery)
	defer minute.Stop()
	for hour := 0; ; {
		select {
		case now := <-minute.C:
			n.hear(ctx, now, &monitor, heard)
			if rates := n.rates(ctx); rates != nil {
				n.learn(learnedRates, rates, nil)
			}
			if now.Hour() != hour {
				hour = now.Hour()
				state, err := monitor.State()
				n.learn(learnedSilences, state, err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// hear looks which sources have written something in the last minute.
func (n *Node) hear(ctx context.Context, now time.Time, monitor *health.Monitor, heard map[string]uint64) {
	for _, s := range n.sources {
		lines := s.status().Lines
		if lines > heard[s.Path] {
			if silent := monitor.Heard(s.Path, now); silent > 0 {
				s.notice(fmt.Sprintf("it writes again, after %s of silence", silent.Round(time.Minute)))
			}
		}
		heard[s.Path] = lines
	}
	monitor.Tick(now, func(e event.Event) {
		n.config.Log.Warn("a source has gone silent: has it been stopped?", "source", e.File, "detail", e.Detail)
		_ = n.observer.take(ctx, sighting{event: &e}, false) // fails when the node ends
	})
	for _, s := range n.sources {
		s.silent(monitor.Silent(s.Path))
	}
}

// rates is what was learned about rates since it was asked last, nothing if nothing was.
func (n *Node) rates(ctx context.Context) (state []byte) {
	var err error
	ended := n.observer.ask(ctx, func(o *observer) {
		if o.learned {
			state, err = o.rates.State()
			o.learned = false
		}
	})
	if ended != nil || err != nil {
		return nil
	}
	return state
}

// learn keeps what was learned. It is no loss that anybody would notice soon if that
// fails.
func (n *Node) learn(name string, state []byte, err error) {
	if err == nil {
		err = n.store.Learned.Put(name, state)
	}
	if err != nil {
		n.counters.storeFailures.Add(1)
	}
}

// relearn hands on what was kept, if anything was.
func (n *Node) relearn(name string, restore func(state []byte) error) {
	state, ok, err := n.store.Learned.Get(name)
	if err == nil && ok {
		err = restore(state)
	}
	if err != nil {
		n.config.Log.Warn("what was learned about this host is lost: it is learned anew", "error", err)
	}
}
