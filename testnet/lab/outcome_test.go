package lab

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/testnet/attacker"
)

var (
	begin = time.Date(2026, 11, 22, 5, 10, 0, 0, time.UTC)
	worm  = netip.MustParseAddr("203.0.113.66")
)

func after(d time.Duration) time.Time { return begin.Add(d) }

// saw is evidence of so many logins to accounts that do not exist, 3 points
// each and a second apart, from begin+from on.
func saw(from time.Duration, logins int) []event.Event {
	var events []event.Event
	for i := range logins {
		events = append(events, event.Event{Time: after(from + time.Duration(i)*time.Second), Kind: event.SSHUserInvalid, Severity: 3, Count: 1,
			Source: event.Endpoint{Addr: worm}, Attempt: string(rune('a' + i)), File: "auth.log"})
	}
	return events
}

// caught are three participants after a worm: two saw it, all block it.
func caught() []Observation {
	blocked := func(ms int, packets uint64, seen []event.Event) Observation {
		at := after(6*time.Second + time.Duration(ms)*time.Millisecond)
		o := Observation{Seen: seen, Dropped: []Dropped{{worm, at}}}
		o.Status.Counters = control.Counters{Events: uint64(len(seen)), ReportMessages: 4, Lookups: 1}
		o.Alerts = []control.Alert{{Key: event.Key{Selector: event.BySource, Value: worm.String()}, Raised: at.Add(-time.Millisecond)}}
		o.Blocks = []control.Block{{Prefix: netip.PrefixFrom(worm, 32), State: "blocked", Packets: packets}}
		return o
	}
	return []Observation{blocked(9, 2, saw(0, 3)), blocked(3, 2, saw(3*time.Second, 4)), blocked(5, 4, nil)}
}

func judged(t *testing.T, e attacker.Expectation, seen []Observation, ended ...attacker.Outcome) Outcome {
	t.Helper()
	o := Outcome{Expected: e, Participants: len(seen), missing: "a packet probe"}
	var attempts []attacker.Attempt
	for _, outcome := range ended {
		attempts = append(attempts, attacker.Attempt{At: begin, Outcome: outcome})
	}
	o.add(attempts)
	if err := o.judge([]string{"node1", "node2", "node3"}, map[netip.Addr]bool{worm: true}, make([]Observation, len(seen)), seen); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOutcomeOfAWorm(t *testing.T) {
	o := judged(t, attacker.Block, caught(), attacker.Refused, attacker.NoAnswer, attacker.CutOff)
	// The seventh login, six seconds after the first, makes 21 points.
	if len(o.Failures) > 0 || o.Detected != 6*time.Second || o.Alerted != 2*time.Millisecond ||
		!slices.Equal(o.Blocked, []time.Duration{3e6, 5e6, 9e6}) || o.Events != 7 || o.Messages != 12 || o.Lookups != 3 ||
		o.Packets != 8 || o.Spared != 1 || o.Alerts != 3 || o.Connections != 3 || o.Stopped != 2 {
		t.Errorf("%+v", o)
	}
	var text strings.Builder
	if err := Table(&text, []Outcome{o}); err != nil || !strings.Contains(text.String(), "3ms / 5ms / 9ms") {
		t.Errorf("%v\n%s", err, &text)
	}
}

func TestOutcomesThatFail(t *testing.T) {
	tests := []struct {
		name   string
		expect attacker.Expectation
		change func(seen []Observation)
		ended  attacker.Outcome
		want   string
	}{
		{"not everywhere", attacker.Block, func(seen []Observation) { seen[2].Dropped = nil }, attacker.Refused, "blocked by 2 of 3"},
		{"nothing stopped", attacker.Block, func(seen []Observation) { seen[1].Blocks[0].Packets = 0 }, attacker.Refused, "node2: its kernel dropped no packet"},
		{"not in the kernel", attacker.Block, func(seen []Observation) { seen[1].Blocks[0].State = "observed" }, attacker.Refused, "is only observed"},
		{"somebody else as well", attacker.Block, func(seen []Observation) {
			seen[0].Blocks = append(seen[0].Blocks, control.Block{Prefix: netip.MustParsePrefix("203.0.113.200/32")})
		}, attacker.Refused, "node1 blocks 203.0.113.200/32, which is innocent"},
		{"a wide block", attacker.Block, func(seen []Observation) { seen[0].Blocks[0].Prefix = netip.MustParsePrefix("203.0.113.66/24") }, attacker.Refused, "innocent"},
		{"got in", attacker.Block, func([]Observation) {}, attacker.LetIn, "the attacker got in"},
		{"false alarm", attacker.Quiet, func([]Observation) {}, attacker.LetIn, "an innocent user is blamed by 3 and blocked by 3"},
		{"locked out", attacker.Quiet, func(seen []Observation) { clear(seen) }, attacker.Refused, "nobody who knew the password was let in"},
	}
	for _, test := range tests {
		seen := caught()
		test.change(seen)
		o := judged(t, test.expect, seen, test.ended)
		if !strings.Contains(strings.Join(o.Failures, "\n"), test.want) {
			t.Errorf("%s: %q, want %q", test.name, o.Failures, test.want)
		}
	}
}

func TestOutcomesWithoutABlock(t *testing.T) {
	quiet := make([]Observation, 3)
	quiet[0].Seen, quiet[0].Status.Counters.Events = saw(0, 2), 2
	if o := judged(t, attacker.Blind, quiet, attacker.Open); len(o.Failures) > 0 || o.Result != "not seen: needs a packet probe" || o.Detected != 0 {
		t.Errorf("%+v", o)
	}
	if o := judged(t, attacker.Quiet, quiet, attacker.Refused, attacker.LetIn); len(o.Failures) > 0 || o.Result != "no alert, as it must be" {
		t.Errorf("%+v", o)
	}
	if o := judged(t, attacker.Blind, caught(), attacker.Open); len(o.Failures) > 0 || !strings.HasPrefix(o.Result, "blocked by all") {
		t.Errorf("better than expected is no failure: %+v", o)
	}
}
