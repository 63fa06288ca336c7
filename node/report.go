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
	var err error
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
		o.reporter.Told(now, key, tallies)
		r.Federation, r.Member, r.Key, r.Shed = o.member.Name(), o.member.Member(), key, o.ledger.Shed(key)
		r.Version, err = o.versions.next()
	}
	if o.ask(ctx, read) != nil || r.Member == "" {
		return nil, false
	}
	sealed, err := o.seal(r, err)
	if err != nil {
		o.log.Error("report not made", "key", key.String(), "error", err)
		return nil, false
	}
	o.counters.reports.Add(1)
	return sealed, true
}

// sharing says which tallies may leave this host: private sources mean nothing to
// others, unless the overlay is a lab made of them or the policy says so.
func sharing(privateSources bool) func(event.Key, event.Tally) bool {
	return func(key event.Key, t event.Tally) bool {
		from := t.Source
		if source, err := key.Source(); err == nil {
			from = source
		}
		return privateSources || !private(from.Addr())
	}
}

func (o *observer) seal(r event.Report, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	body, err := correlate.Fit(r)
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
// reserved in the store before they are used.
type versions struct {
	reserve   func(n uint64) (first uint64, err error)
	at, until uint64
}

const versionsAhead = 1000

func (v *versions) next() (uint64, error) {
	if v.at == v.until {
		first, err := v.reserve(versionsAhead)
		if err != nil {
			return 0, fmt.Errorf("reserve report versions: %w", err)
		}
		v.at, v.until = first, first+versionsAhead
	}
	v.at++
	return v.at - 1, nil
}
