package node

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/respond"
)

// cell is a party that follows scenarios: a member with one host in 198.51.100.0/24.
type cell struct {
	*party
	*scenarios
	asked []respond.Action
	shown []control.Alert
}

func newCell(t *testing.T) *cell {
	t.Helper()
	c := &cell{party: newParty(t)}
	home := netip.MustParsePrefix("198.51.100.0/24")
	followed, err := library([]string{"bind-birthday"})
	if err != nil {
		t.Fatal(err)
	}
	c.scenarios = (&scenarios{log: slog.New(slog.DiscardHandler), member: c.party.Member(), home: []netip.Prefix{home}, own: home.Contains,
		show: func(a control.Alert) { c.shown = append(c.shown, a) },
		respond: func(_ context.Context, a respond.Action) (respond.Response, error) {
			c.asked = append(c.asked, a)
			return respond.Response{Action: a, State: respond.Observed}, nil
		}}).init(followed)
	c.party.actor.heard = c.scenarios.heard
	return c
}

var (
	n1, n2    = netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
	host1     = netip.MustParseAddr("198.51.100.1")
	underN1   = event.Key{Selector: scenario.ByScenario, Value: "bind-birthday|H2=203.0.113.1"}
	underN2   = event.Key{Selector: scenario.ByScenario, Value: "bind-birthday|H1=203.0.113.2"}
	synFlood  = event.Event{Kind: event.FloodSYN, Source: event.Endpoint{Addr: host1}, Target: event.Endpoint{Addr: n1, Port: 53}, Count: 150, Protocol: "tcp"}
	queries   = event.Event{Kind: event.DNSFloodQuery, Source: event.Endpoint{Addr: host1}, Target: event.Endpoint{Addr: n2, Port: 53}, Count: 200, Protocol: "udp"}
	forgeries = event.Event{Kind: event.DNSFloodReply, Source: event.Endpoint{Addr: n1}, Target: event.Endpoint{Addr: n2}, Count: 30, Protocol: "udp"}
)

// sees is what a sensor of the cell has seen now, and the evidence that is to be told.
func (c *cell) sees(e event.Event) []evidenceOf {
	e.Time = time.Now()
	return c.seen(e.Time, e)
}

// report is the cell's sealed report of evidence under a key, as its ledger would have it.
func (c *cell) report(t *testing.T, key event.Key, all []evidenceOf) (event.Sealed, bool) {
	t.Helper()
	r := event.Report{Federation: c.party.Name(), Member: c.party.Member(), Key: key, Version: 1}
	for _, e := range all {
		if e.key == key {
			tally := event.Tally{Kind: e.event.Kind, First: e.event.Time.Unix(), Last: e.event.Time.Unix(), Spoofable: uint32(e.event.Count)}
			if e.event.Source.Addr.IsValid() {
				tally.Source = event.SourcePrefix(e.event.Source.Addr)
			}
			r.Tallies = append(r.Tallies, tally)
		}
	}
	if len(r.Tallies) == 0 {
		return event.Sealed{}, false
	}
	return seal(t, c.Open, r), true
}

func (c *cell) steps(t *testing.T) (actions []string) {
	t.Helper()
	for _, p := range c.engine.Partials(time.Now(), maxPartials) {
		for _, s := range p.Steps {
			if !slices.Contains(actions, s.Action) {
				actions = append(actions, s.Action)
			}
		}
	}
	slices.Sort(actions)
	return actions
}

// Two members that have not heard of one another report to the nodes nearest to the scenario's key. These
// see both steps, and say so with both reports; who gets that knows of both, and does nothing itself.
func TestStepsMeetUnderTheirKey(t *testing.T) {
	flooder, forger, collector, third := newCell(t), newCell(t), newCell(t), newCell(t)
	for _, by := range []struct {
		*cell
		seen event.Event
	}{{flooder, synFlood}, {forger, forgeries}} {
		sealed, ok := by.report(t, underN1, by.sees(by.seen))
		if !ok {
			t.Fatalf("%s is not told under %s", by.seen.Kind, underN1)
		}
		hash := underN1.Hash(collector.Name(), collector.Salts(time.Now(), 0)[0])
		if err := collector.judge.receive(t.Context(), sealed.Signer, hash, encode(t, sealed)); err != nil {
			t.Fatal(err)
		}
	}
	told := collector.since(0)
	both, err := event.DecodeAlert(told[len(told)-1])
	if err != nil || len(both.Evidence) != 2 || both.Organisation != "" || both.Rule != scenarioRule {
		t.Fatalf("the collector tells %+v, %v", both, err)
	}
	for _, c := range []*cell{third, collector} {
		if c == third && c.receive(t.Context(), "", told[len(told)-1]) != broadcast.Fresh {
			t.Fatal("the alert is not news")
		}
		if got := c.steps(t); !slices.Equal(got, []string{"flooding-spoofed-replies", "syn-flood"}) {
			t.Errorf("known are %q", got)
		}
		if len(c.waiting) > 0 {
			t.Error("what others have seen is acted on")
		}
	}
}

// A cell tells everybody of a step at once, with its own report as the proof. With the words of two
// others the third one's own step completes the scenario, and that alone it acts on.
func TestStepsAreBroadcast(t *testing.T) {
	flooder, asker, forger := newCell(t), newCell(t), newCell(t)
	for _, by := range []struct {
		*cell
		key  event.Key
		seen event.Event
	}{{flooder, underN1, synFlood}, {asker, underN2, queries}} {
		sealed, ok := by.report(t, by.key, by.sees(by.seen))
		if !ok {
			t.Fatalf("%s is not told under %s", by.seen.Kind, by.key)
		}
		n := &Node{member: by.Open, rules: by.judge.rules, judge: by.judge}
		n.broadcastStep(t.Context(), by.key, encode(t, sealed))
		n.broadcastStep(t.Context(), by.key, encode(t, sealed)) // once more says nothing more
		told := by.since(0)
		if len(told) != 1 {
			t.Fatalf("%d alerts", len(told))
		}
		if got := forger.receive(t.Context(), "", told[0]); got != broadcast.Fresh {
			t.Fatalf("the alert of %s is %v", by.seen.Kind, got)
		}
		// What somebody else signs over it is no word of his.
		forged, _ := event.DecodeAlert(told[0])
		forged.Evidence[0].Body = slices.Clone(forged.Evidence[0].Body)
		forged.Evidence[0].Body[len(forged.Evidence[0].Body)-1]++
		if got := newCell(t); got.receive(t.Context(), "", encode(t, forged)) != broadcast.Invalid || len(got.steps(t)) > 0 {
			t.Error("a forged alert is believed")
		}
	}
	if got := forger.steps(t); !slices.Equal(got, []string{"flooding-queries", "syn-flood"}) || len(forger.waiting) > 0 {
		t.Fatalf("by the words of others: %q, %d waiting", got, len(forger.waiting))
	}
	told := forger.sees(forgeries)
	if len(forger.waiting) != 1 {
		t.Fatalf("%d assessments", len(forger.waiting))
	}
	a := <-forger.waiting
	action, err := a.action()
	if want := (respond.Action{Name: respond.BlockFlow, Source: n1, Target: n2, Protocol: "udp", Alert: a.alert.ID, Scenario: "bind-birthday", Evidence: action.Evidence, Local: true, Reason: action.Reason}); err != nil || action != want {
		t.Errorf("asked for %+v, %v", action, err)
	}
	for _, key := range []event.Key{underN1, underN2} {
		if _, ok := forger.report(t, key, told); !ok {
			t.Errorf("not told under %s", key)
		}
	}
	if len(forger.shown) != 1 || !strings.Contains(forger.shown[0].Action, "illegal-recursive-query(203.0.113.2") || forger.shown[0].Level != "critical" {
		t.Errorf("shown: %+v", forger.shown)
	}
}

// What leaves a host is what leaves it anyway: whom it attacks. Neither who of it does so, nor whom
// others attack there.
func TestWhatIsToldOfSteps(t *testing.T) {
	inward, inside, unroutable := synFlood, synFlood, synFlood
	inward.Source, inward.Target = event.Endpoint{Addr: n2}, event.Endpoint{Addr: host1}
	inside.Target = event.Endpoint{Addr: netip.MustParseAddr("198.51.100.2")}
	unroutable.Target = event.Endpoint{Addr: netip.MustParseAddr("10.0.0.1")}
	named := forgeries
	named.Name = "www.victim.org" // joins it to the queries, and only here
	for what, test := range map[string]struct {
		seen    event.Event
		private bool
		keys    string
	}{
		"a flood that goes out":        {synFlood, false, "bind-birthday|H2=203.0.113.1"},
		"a flood that comes in":        {inward, false, ""},
		"one that stays inside":        {inside, false, ""},
		"one to a private address":     {unroutable, false, ""},
		"one to such, in a lab of it":  {unroutable, true, "bind-birthday|H2=10.0.0.1"},
		"what names a name":            {named, false, "bind-birthday|H1=203.0.113.2, bind-birthday|H2=203.0.113.1"},
		"what is no action of any":     {event.Event{Kind: event.SSHPreauthClosed, Source: event.Endpoint{Addr: n1}, Count: 1}, false, ""},
		"forged replies that leave it": {forgeries, false, "bind-birthday|H1=203.0.113.2, bind-birthday|H2=203.0.113.1"},
	} {
		c := newCell(t)
		c.private = test.private
		told := c.sees(test.seen)
		names := strings.Split(keys(told), ", ")
		slices.Sort(names)
		if got := strings.Join(names, ", "); got != test.keys {
			t.Errorf("%s is told under %q, want %q", what, got, test.keys)
		}
		for _, e := range told {
			if c.own(e.event.Source.Addr) || e.event.Target.Addr.IsValid() || e.event.User != "" || e.event.Detail != "" {
				t.Errorf("%s: told is %+v", what, e.event)
			}
		}
	}
}

// Where nobody has said which networks are one's own, no target is named: it may be one of them.
func TestTargetsAreToldByWhoHasAHome(t *testing.T) {
	c := newCell(t)
	c.home, c.host = nil, host1
	if told := c.sees(synFlood); len(told) > 0 || len(c.waiting) != 1 {
		t.Errorf("told %+v, %d assessments", told, len(c.waiting))
	}
}

// A restart brings back what was seen, and does not act on it again.
func TestScenariosAfterARestart(t *testing.T) {
	c := newCell(t)
	before := synFlood
	before.Time = time.Now().Add(-10 * time.Minute)
	told := c.scenarios.remember(time.Now(), before)
	if len(told) != 1 || told[0].key != underN1 || len(c.waiting) > 0 || len(c.steps(t)) != 1 {
		t.Errorf("told %+v, %d waiting, %q known", told, len(c.waiting), c.steps(t))
	}
}

// What is counted is added up by who hears it, so only news is told.
func TestCountsOfSteps(t *testing.T) {
	s := new(scenarios)
	k := toldKey{underN1, event.FloodSYN}
	for _, want := range [][2]int{{150, 150}, {450, 300}, {451, 1}} {
		if got := s.news(k, want[0]); got != want[1] {
			t.Errorf("of %d in all, %d are told, want %d", want[0], got, want[1])
		}
	}
}

// The sequence is bounded, and what repeats is counted.
func TestScenarioSequenceIsBounded(t *testing.T) {
	s, at := new(scenarios), time.Now()
	s.note(control.ScenarioAlert{Type: control.AssessmentAlert, Time: at, Says: "what was done"})
	for i := range 3 * maxSequence {
		for range 2 {
			s.note(control.ScenarioAlert{Type: control.LocalAlert, Time: at.Add(time.Duration(i) * time.Second), Says: "flood " + at.Add(time.Duration(i)).String(), Count: 5})
		}
	}
	if n := len(s.sequence); n > maxSequence || n < maxSequence/2 || s.sequence[n-1].Count != 10 {
		t.Errorf("%d are kept, the last counts %d", n, s.sequence[n-1].Count)
	}
	if s.sequence[0].Type != control.AssessmentAlert {
		t.Error("what was done is forgotten over what was only seen")
	}
	done := slices.Repeat([]control.ScenarioAlert{{Type: control.AssessmentAlert}}, 8)
	if got := len(forget(done, 3)); got != 5 {
		t.Errorf("%d of 8 are left", got)
	}
}

func TestFollowedScenarios(t *testing.T) {
	for names, want := range map[string]int{"": len(scenario.Builtin()), "all": len(scenario.Builtin()), "none": 0, "bind-birthday": 1} {
		l, err := library(strings.Fields(names))
		if err != nil || len(l.All()) != want {
			t.Errorf("%q: %d, %v", names, len(l.All()), err)
		}
	}
	if _, err := library([]string{"bind-birthdy"}); err == nil || !strings.Contains(err.Error(), "komondor scenario list") {
		t.Errorf("%v", err)
	}
}

// The rule of steps informs: nobody is ever blocked by it.
func TestStepRule(t *testing.T) {
	r := stepRule(meeting())
	if r.Blocks || r.GroupBy != scenario.ByScenario || !r.Counts(event.FloodSYN) || r.Counts(event.SSHPreauthClosed) {
		t.Errorf("%+v", r)
	}
	if _, err := correlate.NewRules([]correlate.Rule{r}, event.Kind.Severity); err != nil {
		t.Error(err)
	}
}

// An address is explained by the steps that it has a part in.
func TestStepsOfAnAddress(t *testing.T) {
	attack := control.Alert{Key: event.Key{Selector: scenario.ByScenario, Value: "bind-birthday"}, Steps: []string{"syn-flood(198.51.100.1, 203.0.113.1, Ns)"}}
	step := control.Alert{Key: underN2}
	for addr, want := range map[string][2]bool{"203.0.113.1": {true, false}, "198.51.100.1": {true, false}, "203.0.113.2": {false, true}, "203.0.113.11": {false, false}, "3.0.113.1": {false, false}} {
		if got := [2]bool{steps(attack, netip.MustParseAddr(addr)), steps(step, netip.MustParseAddr(addr))}; got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
}

// What becomes of an assessment is shown once it is known, whoever says so first.
func TestAssessmentsAreSettled(t *testing.T) {
	for _, first := range []respond.State{respond.Due, respond.Done} {
		c := newCell(t)
		c.sees(synFlood)
		c.respond = func(_ context.Context, a respond.Action) (respond.Response, error) {
			r := respond.Response{Action: a, State: respond.Due}
			if first == respond.Done { // before the answer comes back
				done := r
				done.State, done.Outcome = respond.Done, "150 resets sent"
				c.responded(done)
			}
			return r, nil
		}
		a := <-c.waiting
		c.ask(t.Context(), a)
		if first == respond.Due {
			c.responded(respond.Response{Action: respond.Action{Alert: a.alert.ID, Scenario: "bind-birthday"}, State: respond.Done, Outcome: "150 resets sent"})
		}
		last := c.shown[len(c.shown)-1]
		if last.ID != a.alert.ID || !strings.HasSuffix(last.Action, "done: 150 resets sent") || len(c.pending) > 0 {
			t.Errorf("%s first: shown is %q", first, last.Action)
		}
	}
}

// BenchmarkScenarioSeen is an event of a new source each time, as of a flood of attackers.
func BenchmarkScenarioSeen(b *testing.B) {
	followed, err := library(nil)
	if err != nil {
		b.Fatal(err)
	}
	s := (&scenarios{own: func(netip.Addr) bool { return false }, show: func(control.Alert) {}}).init(followed)
	at := time.Now()
	e := event.Event{Time: at, Kind: event.SSHUserInvalid, Target: event.Endpoint{Addr: host1}, Count: 1, Proof: event.Handshake}
	b.ReportAllocs()
	for i := range b.N {
		e.Source.Addr = netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
		s.seen(at, e)
	}
}

// What a scenario makes of other alerts has not ended while its steps are new; who takes it for false is told what to mark.
func TestStateOfAnAssessment(t *testing.T) {
	c := newCell(t)
	c.sees(synFlood)
	c.ask(t.Context(), <-c.waiting)
	c.party.tell(c.shown[len(c.shown)-1], false)
	a := shownAlerts(t, c.party)[0]
	if a.Rule != "bind-birthday" || a.State != stateGrowing {
		t.Errorf("%+v", a)
	}
	if _, err := c.node(t).MarkFalse(t.Context(), a.ID, "a test"); err == nil || !strings.Contains(err.Error(), "komondor responses") {
		t.Errorf("%v", err)
	}
	if got := c.stateAt(a, time.Now().Add(2*time.Hour)); got != stateEnded {
		t.Errorf("two hours later it is %s", got)
	}
}
