package node

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/keyselect"
	"github.com/komondor/komondor/probe"
)

// Line is what becomes of a log line.
type Line struct {
	Format string       `json:"format"`
	Event  *event.Event `json:"event,omitempty"`
	Why    string       `json:"why"` // what it is, or why it is no evidence
	Keys   []LineKey    `json:"keys"`
}

// LineKey is a key that a line's evidence meets at.
type LineKey struct {
	event.Key
	Hash  string     `json:"hash"` // today's place in the overlay, in hex
	Rules []LineRule `json:"rules"`
}

// LineRule is a rule that counts the line under a key.
type LineRule struct {
	Name       string `json:"name"`
	Adds       string `json:"adds"`
	Home       string `json:"home"`
	Federation string `json:"federation"`
}

// ExplainLine parses one line, or several that make one record, and says which
// parser, event, keys and rules it meets in the open overlay at now. Format
// "auto" tries to recognise it.
func ExplainLine(rules correlate.Rules, name string, text []byte, now time.Time) (Line, error) {
	format, err := probe.Detect(text)
	if name != "auto" {
		format, err = probe.Lookup(name)
	}
	if err != nil {
		return Line{}, err
	}
	x := Line{Format: format.Name, Why: "no evidence: nothing suspicious in it, so it costs nothing", Keys: []LineKey{}}
	parser := format.New(probe.Clock{Now: func() time.Time { return now }})
	var number int64
	take := func(e event.Event, ok bool, err error) {
		switch {
		case err != nil:
			x.Why = "malformed: " + err.Error()
		case ok:
			x.Event = &e
		}
	}
	for line := range bytes.Lines(text) {
		number++
		take(parser.Parse(probe.Line{File: "-", Number: number, Bytes: bytes.TrimRight(line, "\r\n")}))
	}
	take(parser.Flush())
	if x.Event == nil {
		return x, nil
	}
	e := *x.Event
	x.Why = fmt.Sprintf("%s by %s, %d %s, source proven by %s", e.Kind, e.Source.Addr, e.Severity, plural(e.Severity, "point"), e.Proof)
	if e.Severity < 0 {
		x.Why = fmt.Sprintf("%s: forgives %d points of earlier failures of the same user from %s", e.Kind, -e.Severity, e.Source.Addr)
		return x, nil
	}
	if e.Proof == event.Spoofable {
		x.Why = fmt.Sprintf("%s by %s, %d %s; anybody could have written that source, so it blocks nobody", e.Kind, e.Source.Addr, e.Severity, plural(e.Severity, "point"))
	}
	var open federation.Open
	for _, key := range keyselect.New(groupings(rules)).Append(nil, e) {
		hash := key.Hash(open.Name(), open.Salts(now, 0)[0])
		k := LineKey{Key: key, Hash: hex.EncodeToString(hash[:])}
		for _, r := range rules.All() {
			if r.GroupBy == key.Selector && r.Counts(e.Kind) {
				k.Rules = append(k.Rules, LineRule{Name: r.Name, Adds: adds(r, e), Home: needs(r, r.Home), Federation: needs(r, r.Federation)})
			}
		}
		x.Keys = append(x.Keys, k)
	}
	return x, nil
}

func adds(r correlate.Rule, e event.Event) string {
	if r.Type == correlate.ValueSum {
		return fmt.Sprintf("%d %s", e.Severity, plural(e.Severity, "point"))
	}
	return "one " + counted(r, 1) + " at the most"
}

func needs(r correlate.Rule, c correlate.Condition) string {
	unit := counted(r, c.AtLeast)
	text := fmt.Sprintf("%d %s in %d minutes", c.AtLeast, unit, int(c.Timespan.Minutes()))
	if c.Quorum > 1 {
		text += fmt.Sprintf(" from %d organisations", c.Quorum)
	}
	return text
}

func counted(r correlate.Rule, n int) string {
	if r.Type == correlate.ValueSum {
		return plural(n, "point")
	}
	switch r.GroupBy {
	case event.BySource:
		return "distinct " + plural(n, "port")
	case event.BySubnet:
		return "distinct " + plural(n, "source")
	}
	return "distinct " + plural(n, "target")
}

const recentKept = 20

// Explain tells all that the node knows of an address, and why it is or is not
// blocked.
func (n *Node) Explain(ctx context.Context, addr netip.Addr) (control.Explanation, error) {
	prefix := event.SourcePrefix(addr)
	x := control.Explanation{
		Address: addr, Key: event.Key{Selector: event.BySource, Value: event.SourceValue(prefix)},
		Own: []control.Evidence{}, Rules: []control.Standing{}, Alerts: []control.Alert{}, Recent: []event.Event{}, Gathered: []control.Testimony{},
	}
	var own []event.Tally
	if err := n.observer.ask(ctx, func(o *observer) { own = slices.Clone(o.ledger.Tallies(x.Key)) }); err != nil {
		return x, err
	}
	x.Own = summarise(own)
	_, said := n.judge.gathered(x.Key)
	for _, t := range said {
		x.Gathered = append(x.Gathered, control.Testimony{Member: t.Member, Kinds: summarise(t.Tallies)})
	}
	for _, r := range n.rules.All() {
		if r.GroupBy == event.BySource {
			x.Rules = append(x.Rules,
				n.standing(r, correlate.Home, x.Key, []correlate.Testimony{{Tallies: own}}),
				n.standing(r, correlate.Federation, x.Key, said))
		}
	}
	alerts, err := n.Alerts()
	if err != nil {
		return x, err
	}
	for _, a := range alerts {
		if a.Key == x.Key || slices.ContainsFunc(a.Offenders, func(o netip.Prefix) bool { return o.Contains(addr.Unmap()) }) {
			x.Alerts = append(x.Alerts, a)
		}
	}
	now := time.Now()
	err = n.store.Events(ctx, now.Add(-24*time.Hour), now.Add(clockSkew), func(e event.Event) error {
		if event.SourcePrefix(e.Source.Addr) == prefix {
			if len(x.Recent) == recentKept {
				x.Recent = x.Recent[1:]
			}
			x.Recent = append(x.Recent, e)
		}
		return nil
	})
	x.Never, _ = n.never.Check(prefix)
	if b, ok := n.blocks.Lookup(now, addr); ok {
		shown := control.Block(b)
		x.Block = &shown
	}
	x.Verdict = verdict(x)
	return x, err
}

func (n *Node) standing(r correlate.Rule, scope correlate.Scope, key event.Key, said []correlate.Testimony) control.Standing {
	s := control.Standing{Rule: r.Name, Scope: string(scope), Threshold: r.Home.AtLeast, Quorum: r.Home.Quorum}
	if scope == correlate.Federation {
		s.Threshold, s.Quorum = r.Federation.AtLeast, r.Federation.Quorum
	}
	measured := n.rules.Measure(r, scope, key, said)
	s.Score, s.Members = measured.Score, len(measured.Members)
	_, s.Crossed = n.rules.JudgeRule(r.Name, scope, key, said)
	return s
}

func verdict(x control.Explanation) string {
	switch {
	case x.Block != nil:
		return fmt.Sprintf("%s until %s: %s", x.Block.State, x.Block.Until.UTC().Format(time.RFC3339), x.Block.Reason)
	case x.Never != "":
		return "not blocked, and never will be: " + x.Never
	case len(x.Alerts) > 0:
		return "not blocked: " + cmp.Or(x.Alerts[len(x.Alerts)-1].Action, "its block has ended")
	case len(x.Own) > 0 || len(x.Gathered) > 0:
		return "not blocked: the evidence is below every threshold"
	case len(x.Recent) > 0:
		return "not blocked: what was seen of it is older than any rule looks back"
	}
	return "not blocked: nothing is known of it here"
}

// summarise adds up tallies by kind.
func summarise(tallies []event.Tally) []control.Evidence {
	sums := []control.Evidence{}
	for _, t := range tallies {
		if t.Count() == 0 {
			continue
		}
		first, last := time.Unix(t.First, 0).UTC(), t.LastTime()
		i := slices.IndexFunc(sums, func(e control.Evidence) bool { return e.Kind == t.Kind })
		if i < 0 {
			sums = append(sums, control.Evidence{Kind: t.Kind, Count: t.Count(), First: first, Last: last})
			continue
		}
		s := &sums[i]
		s.Count += t.Count()
		if first.Before(s.First) {
			s.First = first
		}
		if last.After(s.Last) {
			s.Last = last
		}
	}
	return sums
}
