package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

// report makes the sealed report on a key as its evidence is now; false where
// there is none that may leave this host. It is called by the outbox: only the
// reading of the evidence waits for its turn between events.
func (o *observer) report(ctx context.Context, key event.Key) ([]byte, bool) {
	var r event.Report
	var cut int64
	read := func(o *observer) {
		now := time.Now()
		tallies := o.ledger.Tallies(key)
		for _, t := range tallies {
			if o.share(key, t) {
				t.Values = slices.Clone(t.Values)
				r.Tallies = append(r.Tallies, t)
			}
		}
		if len(r.Tallies) == 0 && (len(tallies) > 0 || !o.share(key, event.Tally{})) {
			return
		}
		version, err := o.versions.next()
		if err != nil {
			o.later[key] = now.Add(storePause)
			o.counters.storeFailures.Add(1)
			if !o.mute {
				o.log.Error("reports wait for the store; own detection goes on", "error", err)
			}
			o.mute = true
			return
		}
		o.mute = false
		o.reporter.Told(now, key, tallies)
		r.Federation, r.Member, r.Key, r.Shed = o.member.Name(), o.member.Member(), key, o.ledger.Shed(key)
		r.Version, cut = version, o.ledger.CutAt()
	}
	if o.ask(ctx, read) != nil || r.Member == "" {
		return nil, false
	}
	sealed, err := o.seal(r, cut)
	if err != nil {
		o.log.Error("report not made", "key", key.String(), "error", err)
		return nil, false
	}
	o.counters.reports.Add(1)
	return sealed, true
}

// sharing says which tallies may leave this host: private sources mean nothing to
// others, unless the overlay is a lab made of them or the policy says so; and what a rule
// counts that must stay here does.
func sharing(rules correlate.Rules, privateSources bool) func(event.Key, event.Tally) bool {
	return func(key event.Key, t event.Tally) bool {
		from := t.Source
		if source, err := key.Source(); err == nil {
			from = source
		}
		return rules.Meets(key.Selector) && rules.Leaves(t.Kind) && (privateSources || !private(from.Addr()))
	}
}

func (o *observer) seal(r event.Report, cut int64) ([]byte, error) {
	body, err := correlate.Fit(r, cut)
	if err != nil {
		return nil, err
	}
	sealed, err := o.member.Seal(body)
	if err != nil {
		return nil, err
	}
	return event.Encode(sealed)
}

// versions hands out version numbers that grow over restarts, because they are
// reserved in the store before they are used. So many are reserved that a node
// goes on reporting for long while its disk is full: half of them, at least.
type versions struct {
	reserve   func(n uint64) (first uint64, err error)
	at, until uint64
}

// Numbers begin at the time in microseconds (see store): a start may cost as many
// as a second has, and a store that is lost is still outrun by the one that
// replaces it.
const (
	versionsAhead = 1_000_000
	reserveEvery  = 1000                   // how many are used between two attempts to reserve more
	storePause    = 500 * time.Millisecond // until a report is tried again that had no number
)

// ahead reserves numbers.
func (v *versions) ahead() error {
	first, err := v.reserve(versionsAhead)
	if err != nil {
		return fmt.Errorf("reserve report versions: %w", err)
	}
	v.at, v.until = first, first+versionsAhead
	return nil
}

func (v *versions) next() (uint64, error) {
	if left := v.until - v.at; left == 0 || left < versionsAhead/2 && left%reserveEvery == 0 {
		if err := v.ahead(); err != nil && left == 0 {
			return 0, err
		}
	}
	v.at++
	return v.at - 1, nil
}
