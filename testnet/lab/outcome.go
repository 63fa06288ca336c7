package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/testnet/attacker"
)

// Outcome is what came of one pattern. Durations are in nanoseconds in JSON.
type Outcome struct {
	Pattern      string               `json:"pattern"`
	About        string               `json:"about"`
	Expected     attacker.Expectation `json:"expected"`
	Participants int                  `json:"participants"`
	// Connections are all that were made; Stopped got no answer.
	Connections int            `json:"connections"`
	Stopped     int            `json:"stopped"`
	Ended       map[string]int `json:"ended"` // connections by how they ended
	// Events, Messages (copies of reports sent) and Lookups are the sums over the
	// participants' own counters.
	Events   uint64 `json:"events"`
	Messages uint64 `json:"report_messages"`
	Lookups  uint64 `json:"lookups"`
	Alerts   int    `json:"alerts"` // participants that know an alert about a source
	// Detected is from the first connection to the log line with which the
	// evidence crosses the federation's threshold; zero if none does.
	Detected time.Duration `json:"detected,omitempty"`
	// Alerted is from that line to the first alert, and Blocked to the element in
	// each participant's kernel set, the fastest first.
	Alerted time.Duration   `json:"alerted,omitempty"`
	Blocked []time.Duration `json:"blocked"`
	// Spared are participants that dropped the attacker before they ever heard of
	// it; Packets is what all kernels counted as dropped.
	Spared  int    `json:"spared"`
	Packets uint64 `json:"packets"`

	Result   string   `json:"result"`
	Failures []string `json:"failures,omitempty"`

	begin   time.Time
	missing string
}

func (o *Outcome) add(attempts []attacker.Attempt) {
	o.begin, o.Connections, o.Ended = attempts[0].At, len(attempts), map[string]int{}
	for _, a := range attempts {
		o.Ended[string(a.Outcome)]++
		if a.Outcome.Stopped() {
			o.Stopped++
		}
	}
}

func (o *Outcome) fail(format string, args ...any) {
	o.Failures = append(o.Failures, fmt.Sprintf(format, args...))
}

// judge reads from the observations what happened and says whether it had to.
func (o *Outcome) judge(nodes []string, sources map[netip.Addr]bool, before, after []Observation) error {
	crossed, err := o.crossing(sources, after)
	if err != nil {
		return err
	}
	from := crossed
	if from.IsZero() {
		from = o.begin
	}
	var alerted time.Time
	for i, seen := range after {
		was, is := before[i].Status.Counters, seen.Status.Counters
		o.Events += is.Events - was.Events
		o.Messages += is.ReportMessages - was.ReportMessages
		o.Lookups += is.Lookups - was.Lookups
		for _, a := range seen.Alerts {
			if addr, err := netip.ParseAddr(a.Key.Value); err != nil || !sources[addr] {
				continue
			}
			if o.Alerts++; alerted.IsZero() || a.Raised.Before(alerted) {
				alerted = a.Raised
			}
		}
		if at, ok := seen.dropped(sources, o.begin); ok {
			o.Blocked = append(o.Blocked, at.Sub(from))
		}
		packets := uint64(0)
		for _, b := range seen.Blocks {
			if sources[b.Prefix.Addr()] && b.Prefix.IsSingleIP() {
				packets += b.Packets
				if b.State != "blocked" {
					o.fail("%s: %s is only %s", nodes[i], b.Prefix, b.State)
				}
			} else {
				o.fail("%s blocks %s, which is innocent", nodes[i], b.Prefix)
			}
		}
		o.Packets += packets
		if o.Expected == attacker.Block {
			if packets == 0 {
				o.fail("%s: its kernel dropped no packet of the attacker", nodes[i])
			}
			if len(seen.from(sources)) == 0 {
				o.Spared++
			}
		}
	}
	slices.Sort(o.Blocked)
	o.Detected = from.Sub(o.begin)
	if !alerted.IsZero() {
		o.Alerted = alerted.Sub(from)
	}
	o.conclude()
	return nil
}

func (o *Outcome) conclude() {
	all := o.Participants
	switch {
	case o.Expected == attacker.Quiet:
		o.Result = "no alert, as it must be"
		if o.Alerts > 0 || len(o.Blocked) > 0 {
			o.Result = "a false alarm"
			o.fail("an innocent user is blamed by %d and blocked by %d of %d participants", o.Alerts, len(o.Blocked), all)
		}
		if o.Ended[string(attacker.LetIn)] == 0 {
			o.fail("nobody who knew the password was let in")
		}
		if o.Events == 0 {
			o.fail("the mistakes were not even seen")
		}
	case len(o.Blocked) == all:
		o.Result = fmt.Sprintf("blocked by all; %d never had it at their door", o.Spared)
	case o.Expected == attacker.Block:
		o.Result = fmt.Sprintf("blocked by %d of %d", len(o.Blocked), all)
		o.fail("%s", o.Result)
	case o.Alerts > 0:
		o.Result = fmt.Sprintf("alert at %d, blocked by %d of %d", o.Alerts, len(o.Blocked), all)
	default:
		o.Result = "not seen: needs " + o.missing
	}
	if o.Ended[string(attacker.LetIn)] > 0 && o.Expected != attacker.Quiet {
		o.fail("the attacker got in")
	}
}

// crossing is the time of the log line with which the evidence of all
// participants together reaches the threshold of the rule on SSH; zero if none
// does. It adds up attempts as the product does.
func (o *Outcome) crossing(sources map[netip.Addr]bool, after []Observation) (time.Time, error) {
	rules, err := correlate.NewRules(correlate.Builtin(), event.Kind.Severity)
	if err != nil {
		return time.Time{}, err
	}
	rule, ok := rules.Named("ssh-brute-force")
	if !ok {
		return time.Time{}, errors.New("the rule ssh-brute-force is gone")
	}
	type line struct {
		event.Event
		at int // whose log it stands in
	}
	var lines []line
	for i, seen := range after {
		for _, e := range seen.from(sources) {
			lines = append(lines, line{e, i})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.Time.Compare(b.Time) })
	attempts := make([]correlate.Attempts, len(after))
	points := map[netip.Addr]int{}
	for _, l := range lines {
		for _, change := range attempts[l.at].Add(l.Event) {
			source := change.Event.Source.Addr
			points[source] += change.Delta * change.Event.Severity * change.Event.Count
			if points[source] >= rule.Federation.AtLeast {
				return l.Time, nil
			}
		}
	}
	return time.Time{}, nil
}
