package node

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/event"
)

// builtin are the rules that are loaded without any configuration. That of steps is the same at all
// members, whichever scenarios they follow.
func builtin() []correlate.Rule {
	return append(correlate.Builtin(), stepRule(meeting()))
}

// meeting is where the evidence of the scenarios meets that all members know.
func meeting() *scenario.Meeting {
	all, err := scenario.NewLibrary(scenario.Builtin()...)
	if err != nil {
		panic(err) // they are part of the program, and each test loads them
	}
	return scenario.NewMeeting(all)
}

// scenarioRule is the name of the rule under which steps of scenarios are told.
const scenarioRule = "scenario-step"

// stepRule has reports under scenarios' keys judged like all others: one organisation's word warns
// everybody else, and where two have seen steps of one scenario their collectors say so.
func stepRule(m *scenario.Meeting) correlate.Rule {
	hour := correlate.Condition{Timespan: time.Hour, AtLeast: 1, Quorum: 1}
	both := correlate.Condition{Timespan: time.Hour, AtLeast: 2, Quorum: 2}
	return correlate.Rule{
		Name: scenarioRule, Title: "A step of an attack of several steps was seen", Type: correlate.EventCount, Level: "medium",
		Description: "A member has seen an action of a scenario, by whose variable the key is named. It informs, and blocks nobody.",
		Kinds:       m.Kinds(), GroupBy: scenario.ByScenario, Home: hour, Federation: both,
	}
}

// evidenceOf is an event that is evidence under a scenario's key.
type evidenceOf struct {
	key   event.Key
	event event.Event
}

// write makes the report on a key. A step of a scenario is also told to everybody at once, as in paper
// 000: its alert carries the report, and so proves itself like any other.
func (n *Node) write(ctx context.Context, key event.Key) ([]byte, bool) {
	sealed, ok := n.observer.report(ctx, key)
	if ok && key.Selector == scenario.ByScenario {
		n.broadcastStep(ctx, key, sealed)
	}
	return sealed, ok
}

func (n *Node) broadcastStep(ctx context.Context, key event.Key, payload []byte) {
	var sealed event.Sealed
	if err := event.Decode(payload, &sealed); err != nil {
		return // it is one's own
	}
	report, err := event.DecodeReport(sealed.Body)
	if err != nil {
		return
	}
	said := []correlate.Testimony{{Organisation: n.member.Organisation(report.Member), Member: report.Member, Tallies: report.Tallies, Sealed: sealed}}
	v, ok := n.rules.JudgeRule(scenarioRule, correlate.Home, key, said)
	if !ok || !n.judge.untold(v) {
		return
	}
	alert, err := event.Encode(v.Alert(n.member.Name(), []event.Sealed{sealed}))
	if err != nil {
		n.config.Log.Error("step not told", "key", key.String(), "error", err)
		return
	}
	n.counters.alertsRaised.Add(1)
	n.judge.raise(ctx, alert)
}

type toldKey struct {
	key  event.Key
	kind event.Kind
}

// evidence is what a cooperative alert tells the others, and how. What comes from outside and is the
// first step that is known is told by the alerts of rules already; so this begins with what leaves
// here, or with the second step.
func (s *scenarios) evidence(c scenario.Cooperative) (all []evidenceOf) {
	for _, o := range c.Evidence {
		if o.Direction != scenario.Out && len(c.Partial.Steps) < 2 {
			continue
		}
		e := event.Event{Time: o.Time, Kind: o.Kind, Source: o.Source, Count: o.Count, Protocol: o.Protocol}
		if s.own(o.Source.Addr) || !s.leaves(o.Source.Addr) {
			e.Source = event.Endpoint{}
		}
		for _, place := range s.meeting.Places(c.Partial.Scenario, o) {
			if s.tells(place, o) {
				e.Count = s.news(toldKey{place.Key, o.Kind}, o.Count)
				all = append(all, evidenceOf{place.Key, e})
			}
		}
	}
	return all
}

// news is how many observations of a step are new since it was told last: evidence is added up.
func (s *scenarios) news(k toldKey, count int) int {
	if s.told == nil || len(s.told) >= maxTold {
		s.told = map[toldKey]int{}
	}
	news := count - s.told[k]
	s.told[k] = count
	return max(news, 1)
}

// tells reports whether the key of a place may leave this host: neither one's own addresses do, nor
// users, programs, or names that were asked for.
func (s *scenarios) tells(p scenario.Place, o scenario.Observation) bool {
	switch p.Field {
	case "source.ip":
		return s.leaves(o.Source.Addr)
	case "target.ip": // where nobody has said which networks are one's own, any target may be
		return len(s.home) > 0 && s.leaves(o.Target.Addr)
	case "vulnerability":
		return true
	}
	return false
}

func (s *scenarios) leaves(a netip.Addr) bool {
	return a.IsValid() && !s.own(a) && (s.private || !private(a))
}

// tellLater is for who does not own the evidence, or has it in hand.
func (s *scenarios) tellLater(all []evidenceOf) {
	if len(all) == 0 {
		return
	}
	select {
	case s.untold <- all:
	default: // it is told when the step is seen again
	}
}

// keys names those of the evidence, each once.
func keys(all []evidenceOf) string {
	var names []string
	for _, e := range all {
		if name := e.key.Value; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// ownAddresses are those of this host's devices that others reach it at.
func ownAddresses() (all []netip.Addr) {
	addrs, _ := net.InterfaceAddrs() // a host that cannot say has none
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			all = append(all, p.Addr().Unmap())
		}
	}
	return all
}
