package node

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"

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
