package correlate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

var (
	start    = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	attacker = netip.MustParseAddr("203.0.113.9")
	bySource = event.Key{Selector: event.BySource, Value: "203.0.113.9"}
	byPort   = event.Key{Selector: event.ByPort, Value: "tcp/22"}
	bySubnet = event.Key{Selector: event.BySubnet, Value: "192.0.2.0/24"}
)

func builtin(t testing.TB) Rules {
	rules, err := NewRules(Builtin(), event.Kind.Severity)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func hash(value string) uint32 { return event.Hash32("test", nil, value) }

// at is the time a number of seconds after the start.
func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// seen is an event with proof of source.
func seen(kind event.Kind, seconds int) event.Event {
	return event.Event{Time: at(seconds), Kind: kind, Source: event.Endpoint{Addr: attacker}, Severity: kind.Severity(),
		Count: 1, Proof: event.Handshake, Protocol: "tcp"}
}

// proven is a tally of n observations from second to second.
func proven(kind event.Kind, n uint32, first, last int) event.Tally {
	return event.Tally{Kind: kind, First: at(first).Unix(), Last: at(last).Unix(), Proven: n}
}

func spoofable(kind event.Kind, n uint32, first, last int) event.Tally {
	t := proven(kind, 0, first, last)
	t.Spoofable = n
	return t
}

// of names the tally's source.
func of(source string, t event.Tally) event.Tally {
	t.Source = event.SourcePrefix(netip.MustParseAddr(source))
	return t
}

// values gives the tally distinct values.
func values(t event.Tally, names ...string) event.Tally {
	for _, name := range names {
		t.Values = t.Values.Add(hash(name))
	}
	return t
}

// names are n distinct values.
func names(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}

// say is what a member of its own organisation says.
func say(member string, tallies ...event.Tally) Testimony {
	return Testimony{Organisation: member, Member: member, Tallies: tallies}
}

func offenders(v Verdict) []string {
	var all []string
	for _, o := range v.Offenders {
		all = append(all, event.SourceValue(o))
	}
	return all
}

// subnetHost is a host of the network that bySubnet names.
func subnetHost(n byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }

// sortBy sorts by what key says, and leaves equals as they are.
func sortBy[E any, K any](all []E, key func(E) K) {
	slices.SortStableFunc(all, func(a, b E) int { return strings.Compare(ordered(key(a)), ordered(key(b))) })
}

func ordered(v any) string {
	if t, ok := v.(time.Time); ok {
		return t.Format("2006-01-02T15:04:05.000000000")
	}
	return fmt.Sprint(v)
}
