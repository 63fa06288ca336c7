package node

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/keyselect"
	"github.com/komondor/komondor/probe"
	"github.com/komondor/komondor/probe/text"
)

// Line is what becomes of a log line.
type Line struct {
	Format string       `json:"format"`
	Event  *event.Event `json:"event,omitempty"`
	Why    string       `json:"why"` // what it is, or why it is no evidence
	Keys   []LineKey    `json:"keys"`
	// Relations are those that its event can belong to: a duplicate, a confirmation, a consequence.
	Relations []LineRelation `json:"relations,omitempty"`
}

// LineRelation is a relation, and what the line's event is in it.
type LineRelation struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Stage string `json:"stage"`
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
func ExplainLine(rules correlate.Rules, formats probe.Formats, name string, written []byte, now time.Time) (Line, error) {
	format, err := formats.Detect(written)
	if name != "auto" {
		format, err = formats.Lookup(name)
	}
	if err != nil {
		return Line{}, err
	}
	x := Line{Format: format.Name, Why: "no evidence: nothing suspicious in it, so it costs nothing", Keys: []LineKey{}}
	parser := format.New(text.Clock{Now: func() time.Time { return now }})
	var number int64
	take := func(e event.Event, ok bool, err error) {
		switch {
		case err != nil:
			x.Why = "malformed: " + err.Error()
		case ok:
			x.Event = &e
		}
	}
	for line := range bytes.Lines(written) {
		number++
		take(parser.Parse(text.Line{File: "-", Number: number, Bytes: bytes.TrimRight(line, "\r\n")}))
	}
	take(parser.Flush())
	if x.Event == nil {
		return x, nil
	}
	e := *x.Event
	x.Why = fmt.Sprintf("%s by %s, %d %s, source proven by %s", e.Kind, e.Source.Addr, e.Severity, plural(e.Severity, "point"), e.Proof)
	for _, r := range rules.Relations() {
		for _, s := range r.Stages {
			if s.Matches(e) {
				x.Relations = append(x.Relations, LineRelation{r.Name, string(r.Type), s.String()})
			}
		}
	}
	if e.Severity < 0 {
		x.Why = fmt.Sprintf("%s: forgives %d points of earlier failures of the same user from %s", e.Kind, -e.Severity, e.Source.Addr)
		return x, nil
	}
	switch {
	case !e.Source.Addr.IsValid():
		x.Why = fmt.Sprintf("%s, %d %s, of this host itself: there is no source to count or to block", e.Kind, e.Severity, plural(e.Severity, "point"))
	case e.Proof == event.Spoofable:
		x.Why = fmt.Sprintf("%s by %s, %d %s; anybody could have written that source, so it blocks nobody", e.Kind, e.Source.Addr, e.Severity, plural(e.Severity, "point"))
	}
	var open federation.Open
	keys := keyselect.New(groupings(rules))
	for view := range rules.Views(e) {
		for _, key := range keys.Append(nil, view) {
			i := slices.IndexFunc(x.Keys, func(k LineKey) bool { return k.Key == key })
			if i < 0 {
				hash := key.Hash(open.Name(), open.Salts(now, 0)[0])
				i, x.Keys = len(x.Keys), append(x.Keys, LineKey{Key: key, Hash: hex.EncodeToString(hash[:])})
			}
			for _, r := range rules.All() {
				if r.GroupBy == key.Selector && r.Counts(view.Kind) {
					x.Keys[i].Rules = append(x.Keys[i].Rules, LineRule{Name: r.Name, Adds: adds(r, view), Home: needs(r, r.Home), Federation: needs(r, r.Federation)})
				}
			}
		}
	}
	return x, nil
}

func adds(r correlate.Rule, e event.Event) string {
	switch r.Type {
	case correlate.ValueSum, correlate.ValueAverage:
		return fmt.Sprintf("%d %s", e.Severity, plural(e.Severity, "point"))
	case correlate.EventCount:
		return fmt.Sprintf("%d %s", e.Count, plural(e.Count, "event"))
	}
	return "one " + counted(r, 1) + " at the most"
}

// Conditions says in words what a rule asks for at home, and over the federation.
func Conditions(r correlate.Rule) (home, federation string) {
	return needs(r, r.Home), needs(r, r.Federation)
}

func needs(r correlate.Rule, c correlate.Condition) string {
	if r.Local && c.Quorum > 1 {
		return "none: it is judged at home only"
	}
	unit := counted(r, c.AtLeast)
	phrase := fmt.Sprintf("%d %s in %s", c.AtLeast, unit, minutes(c.Timespan))
	if c.Quorum > 1 {
		phrase += fmt.Sprintf(" from %d organisations", c.Quorum)
	}
	for i, l := range c.Levels {
		phrase += fmt.Sprintf("%s %s %d", []string{":", ","}[min(i, 1)], l.Name, l.AtLeast)
	}
	return phrase
}

// Span is a time in words: whole minutes, or seconds.
func Span(d time.Duration) string {
	if d%time.Minute == 0 {
		return minutes(d)
	}
	n := int(d.Seconds())
	return fmt.Sprintf("%d %s", n, plural(n, "second"))
}

func minutes(d time.Duration) string {
	n := int(d.Minutes())
	return fmt.Sprintf("%d %s", n, plural(n, "minute"))
}

// counted is the unit of a rule.
func counted(r correlate.Rule, n int) string {
	switch r.Type {
	case correlate.ValueSum:
		return plural(n, "point")
	case correlate.ValueAverage:
		return plural(n, "point") + " an event in the mean"
	case correlate.EventCount:
		return plural(n, "event")
	case correlate.Temporal, correlate.TemporalOrdered:
		return plural(n, "stage")
	}
	names := map[correlate.Field]string{
		correlate.FieldPort: "port", correlate.FieldTarget: "target", correlate.FieldSource: "source", correlate.FieldKind: "kind",
		correlate.FieldVulnerability: "weakness", correlate.FieldUser: "user",
	}
	return "distinct " + plural(n, names[r.Field])
}
