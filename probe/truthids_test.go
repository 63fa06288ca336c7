package probe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/komondor/komondor/event"
)

// idsTruth is what sed, jq and awk found in the output of an IDS.
type idsTruth struct {
	BySignature []signature `json:"by_signature"`
	ByRule      []signature `json:"by_rule"`
	BySource    []sourceRow `json:"by_source_top"`
	Alerts      struct {
		BySignature []signature `json:"by_signature"`
		BySource    []sourceRow `json:"by_source_top"`
	} `json:"alerts"`
}

type signature struct {
	ID        string `json:"gid_sid_rev"`
	Rule      string `json:"rule"`
	GID       int    `json:"gid"`
	SID       int    `json:"sid"`
	Message   string `json:"msg"`
	Signature string `json:"signature"`
	Severity  int    `json:"severity"`
	Count     int    `json:"count"`
	Sources   int    `json:"distinct_src"`
	Targets   int    `json:"distinct_dst"`
}

type sourceRow struct {
	Source  string `json:"src"`
	Count   int    `json:"count"`
	Targets int    `json:"distinct_dst"`
}

// name is what an event tells of its signature: the message, or else the rule.
func (s signature) name() string {
	if m := s.Message + s.Signature; m != "" {
		return m
	}
	id := s.ID + s.Rule
	return id[:strings.LastIndex(id, ":")]
}

// tally counts events and their distinct sources and targets.
type tally struct {
	count            int
	sources, targets map[string]bool
}

func tallyBy(events []event.Event, key func(event.Event) string) map[string]*tally {
	m := map[string]*tally{}
	for _, ev := range events {
		t := m[key(ev)]
		if t == nil {
			t = &tally{sources: map[string]bool{}, targets: map[string]bool{}}
			m[key(ev)] = t
		}
		t.count++
		t.sources[ev.Source.Addr.String()] = true
		t.targets[ev.Target.Addr.String()] = true
	}
	return m
}

// TestTruthIDS compares alerts per signature and per source.
func TestTruthIDS(t *testing.T) {
	for format, patterns := range map[string][]string{
		"snort-fast":  {"snort/*.alert_fast", "suricata/*.fast.log"},
		"snort-full":  {"snort/*.alert_full"},
		"snort3-json": {"snort/*.alert_json.txt", "snort/*.alert_json_allfields.txt"},
		"suricata":    {"suricata/*.eve.json", "suricata/*.eve.json.gz", "suricata/honeypot-2018-alerts.json", "suricata/wrccdc-2017-alerts.json", "suricata/vast-eve.json"},
	} {
		truth(t, patterns, func(r *report, log, want []byte) {
			w := decode[idsTruth](r.t, want)
			events := r.events(format, log)
			bySignature := tallyBy(events, func(ev event.Event) string {
				if ev.Detail != "" {
					return ev.Detail
				}
				return ev.Vulnerability
			})
			expected := map[string][]signature{}
			for _, s := range append(append(w.BySignature, w.ByRule...), w.Alerts.BySignature...) {
				expected[s.name()] = append(expected[s.name()], s)
			}
			for name, rules := range expected {
				got, want := bySignature[name], rules[0]
				if got == nil {
					got = &tally{}
				}
				for _, s := range rules[1:] { // several rules of one name
					want.Count += s.Count
					want.Sources, want.Targets = len(got.sources), len(got.targets)
				}
				r.differ("signature "+name, fmt.Sprint(got.count, len(got.sources), len(got.targets)), fmt.Sprint(want.Count, want.Sources, want.Targets))
			}
			for name := range bySignature {
				if expected[name] == nil {
					r.differ("signature "+name, "found", "there")
				}
			}
			bySource := tallyBy(events, func(ev event.Event) string { return ev.Source.Addr.String() })
			for _, s := range append(w.BySource, w.Alerts.BySource...) {
				got := bySource[hostOf(s.Source)]
				if got == nil {
					got = &tally{}
				}
				r.differ("source "+s.Source, fmt.Sprint(got.count, len(got.targets)), fmt.Sprint(s.Count, s.Targets))
			}
		})
	}
}
