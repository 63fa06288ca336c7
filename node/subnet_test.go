package node

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// crowded is a report of four failed logins by each of five addresses of 203.0.113.16/29.
func crowded(m *federation.Open, last time.Time) event.Report {
	r := event.Report{Federation: m.Name(), Member: m.Member(), Key: event.Key{Selector: event.BySourceSubnet, Value: "203.0.113.0/24"}, Version: 1}
	for i := range byte(5) {
		r.Tallies = append(r.Tallies, event.Tally{Kind: event.SSHLoginFailed, Source: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, 16 + i}), 32),
			First: last.Unix(), Last: last.Unix(), Proven: 4})
	}
	return r
}

// An alert on a prefix proves itself like any other, and blocks where the policy of this host
// allows prefixes; elsewhere it says why it does not.
func TestAlertOnPrefix(t *testing.T) {
	wide := func(p *block.Policy) { p.MaxBits4 = 29 }
	for name, c := range map[string]struct {
		policy  func(*block.Policy)
		blocked []string
		action  string
	}{
		"by default": {func(*block.Policy) {}, nil, "203.0.113.16/29 not blocked: 203.0.113.16/29 is wider than the /32"},
		"allowed":    {wide, []string{"203.0.113.16/29"}, "203.0.113.16/29 observed until"},
	} {
		t.Run(name, func(t *testing.T) {
			p, a, b := newParty(t, c.policy), newMember(t), newMember(t)
			last := time.Now().Truncate(time.Second)
			alert := event.Alert{Federation: "open", Rule: "subnet-brute-force", Key: crowded(a, last).Key, Episode: last.Unix() / 3600,
				Evidence: []event.Sealed{seal(t, a, crowded(a, last)), seal(t, b, crowded(b, last))}}
			if v := p.receive(t.Context(), "", encode(t, alert)); v != broadcast.Fresh {
				t.Fatalf("verdict %v", v)
			}
			shown := shownAlerts(t, p)
			if got := blocked(p); !slices.Equal(got, c.blocked) || len(shown) != 1 || !strings.Contains(shown[0].Action, c.action) {
				t.Errorf("blocked %v, alerts %+v", got, shown)
			}
			if !p.stands(alert, time.Now()) {
				t.Error("the alert does not stand")
			}
		})
	}
}

// A collector raises one, with evidence that every receiver is convinced by.
func TestCollectorNamesPrefix(t *testing.T) {
	p := newParty(t)
	last := time.Now().Truncate(time.Second)
	for range 2 {
		m := newMember(t)
		r := crowded(m, last)
		if err := p.judge.receive(t.Context(), m.Member(), hashOf(p.Open, r.Key), encode(t, seal(t, m, r))); err != nil {
			t.Fatal(err)
		}
	}
	told := p.since(0)
	if len(told) == 0 {
		t.Fatal("nothing was raised")
	}
	alert, err := event.DecodeAlert(told[len(told)-1])
	if err != nil || alert.Rule != "subnet-brute-force" || len(alert.Evidence) != 2 {
		t.Errorf("raised %+v, %v", alert, err)
	}
	if v := newParty(t).receive(t.Context(), "", told[len(told)-1]); v != broadcast.Fresh {
		t.Errorf("another node: %v", v)
	}
}
