package correlate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

// coarse are the slots that a report may use, in seconds: the finest in which
// it fits into event.MaxReport. The judges leave out a tally that does not lie
// wholly in their window, so coarser slots can delay a verdict, never invent one.
var coarse = []int64{5 * 60, 10 * 60, 20 * 60, 60 * 60}

// Fit encodes the report, in slots as fine as its size allows. If even the
// coarsest do not fit, the tallies that weigh least are shed and counted: what
// proves no source goes first, because anybody could have made it up. What was
// before the second cut is kept apart from what came later (Ledger.Cut).
func Fit(r event.Report, cut int64) ([]byte, error) {
	fine, shed := r.Tallies, r.Shed
	for _, width := range coarse {
		r.Tallies = merge(fine, width, cut)
		body, err := event.Encode(r)
		if err != nil {
			return nil, fmt.Errorf("encode report on %s: %w", r.Key, err)
		}
		if len(body) <= event.MaxReport {
			return body, nil
		}
	}
	slices.SortStableFunc(r.Tallies, func(a, b event.Tally) int {
		return cmp.Or(cmp.Compare(min(b.Proven, 1), min(a.Proven, 1)), cmp.Compare(len(b.Values), len(a.Values)), cmp.Compare(b.Count(), a.Count()), cmp.Compare(b.Last, a.Last))
	})
	for len(r.Tallies) > 1 {
		keep := len(r.Tallies) * 3 / 4
		for _, t := range r.Tallies[keep:] {
			shed += t.Count()
		}
		r.Tallies, r.Shed = r.Tallies[:keep], shed
		body, err := event.Encode(r)
		if err != nil {
			return nil, fmt.Errorf("encode report on %s: %w", r.Key, err)
		}
		if len(body) <= event.MaxReport {
			return body, nil
		}
	}
	return nil, fmt.Errorf("report on %.80q does not fit into %d bytes", r.Key.String(), event.MaxReport)
}

// merge adds up tallies of one kind, source and proof that share a slot of width seconds, on one side of the cut.
func merge(tallies []event.Tally, width, cut int64) []event.Tally {
	type place struct {
		slot  int64
		kind  event.Kind
		from  netip.Prefix
		proof bool
		later bool
	}
	at := map[place]int{}
	var merged []event.Tally
	for _, t := range tallies {
		if t.Count() == 0 {
			continue // forgiven
		}
		p := place{t.First / width, t.Kind, t.Source, t.Spoofable == 0, t.First >= cut}
		i, ok := at[p]
		if !ok {
			at[p] = len(merged)
			merged = append(merged, t)
			continue
		}
		m := &merged[i]
		m.First, m.Last = min(m.First, t.First), max(m.Last, t.Last)
		m.Proven += min(t.Proven, math.MaxUint32-m.Proven)
		m.Spoofable += min(t.Spoofable, math.MaxUint32-m.Spoofable)
		m.Values = m.Values.Merge(t.Values)
	}
	return merged
}

const (
	firstInterval = time.Second // how long news that change no verdict may wait at first
	lastInterval  = time.Minute // and at the most, doubling in between
)

// Reporter decides when a key's evidence is worth a message. As long as this
// node's evidence is below its share of some rule's threshold, or below what its
// organisation acts on alone, every change can decide a verdict and is told at once; above, a change only updates the figures
// and waits until the count has doubled or a growing interval has passed. So
// detection is exact and ten thousand events cost a few messages.
type Reporter struct {
	rules Rules
	told  map[event.Key]told
}

type told struct {
	at       int64 // Unix nanoseconds
	interval time.Duration
	count    uint64
	measures []int
}

// NewReporter returns a reporter that has told nothing yet.
func NewReporter(rules Rules) *Reporter {
	return &Reporter{rules: rules, told: make(map[event.Key]told)}
}

// Due returns when the evidence under key should be told: a time not after now
// means now, the zero time that there is nothing new.
func (r *Reporter) Due(now time.Time, key event.Key, tallies []event.Tally) time.Time {
	last, ok := r.told[key]
	count, measures := r.measure(key, tallies)
	if len(measures) == 0 {
		return time.Time{} // no rule judges it together with others' evidence
	}
	if !ok {
		return now
	}
	if count == last.count && slices.Equal(measures, last.measures) {
		return time.Time{}
	}
	i := 0
	for _, rule := range r.rules.list {
		if rule.GroupBy != key.Selector || rule.Local {
			continue
		}
		if rule.decides(last.measures[i], measures[i]) {
			return now
		}
		i++
	}
	if count >= 2*last.count {
		return now
	}
	return time.Unix(0, last.at).Add(last.interval)
}

// decides reports whether it can decide a verdict that this node's evidence is worth more, or less,
// than it was. Above the threshold what may lift the verdict to another level decides, by this
// node's evidence alone or with others that have as much.
func (r Rule) decides(before, after int) bool {
	if min(before, after) < r.enough() {
		return before != after
	}
	for _, c := range []Condition{r.Home, r.Federation} {
		for _, l := range c.Levels {
			if step := c.at(l).share(); (before < step) != (after < step) {
				return true
			}
		}
	}
	return false
}

// Told notes that the evidence under key was told at now.
func (r *Reporter) Told(now time.Time, key event.Key, tallies []event.Tally) {
	last, ok := r.told[key]
	interval := firstInterval
	if ok {
		interval = min(2*last.interval, lastInterval)
	}
	count, measures := r.measure(key, tallies)
	r.told[key] = told{now.UnixNano(), interval, count, measures}
}

// Keep forgets what was told of keys that the ledger no longer has.
func (r *Reporter) Keep(has func(event.Key) bool) {
	maps.DeleteFunc(r.told, func(key event.Key, _ told) bool { return !has(key) })
}

// enough is what one member's evidence is worth to a rule at the most, at home or over the
// federation. A rule that Crowds may find several prefixes in one subnet: the others are told of
// the second one within lastInterval.
func (r Rule) enough() int { return max(r.Federation.share(), r.Home.AtLeast) }

// ofOneSource is what evidence against one source is worth to a rule that Crowds at the most.
func (r Rule) ofOneSource() int {
	return max(r.crowd(r.Federation).share(), r.crowd(r.Home).share())
}

// measure is the count of observations, and what they are worth to each rule of
// the key's selector.
func (r *Reporter) measure(key event.Key, tallies []event.Tally) (count uint64, measures []int) {
	for _, rule := range r.rules.list {
		if rule.GroupBy != key.Selector || rule.Local {
			continue
		}
		measure, values := 0, event.Sketch{}
		var bySource map[netip.Prefix]int
		if rule.Crowds() {
			bySource = make(map[netip.Prefix]int, len(tallies))
		}
		for _, t := range tallies {
			switch {
			case !rule.Counts(t.Kind):
			case rule.Crowds():
				bySource[t.Source] += points(t.Count(), r.rules.weight(rule, t.Kind))
			case !rule.Type.distinct():
				measure += points(t.Count(), r.rules.weight(rule, t.Kind))
			case len(values) == event.SketchSize: // no rule counts further
			default:
				values = values.Merge(rule.values(&t))
			}
		}
		for _, worth := range bySource {
			measure += min(worth, rule.ofOneSource())
		}
		measures = append(measures, measure+len(values))
	}
	for _, t := range tallies {
		count += t.Count()
	}
	return count, measures
}
