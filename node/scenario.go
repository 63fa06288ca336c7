package node

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/respond"
)

// scenarios is the correlation manager of paper 000 (section III.B): what this node sees, and what
// others have proved to it, is put together into attacks of several steps.
//
//	observe ─Event→ ┐                 ┌→ assessment ─→ response units, by their modes
//	act ─Alert→     ├→ the engine ────┼→ cooperative: a report under the scenario's key, and an
//	act ─evidence→  ┘                 │    alert that carries it ─→ broadcast
//	                                  └→ objective
//
// Others' words open and complete partial scenarios, and never cause a response by themselves: an
// assessment needs a step that was seen here (scenario.Engine), and a person where what was seen here
// proves neither the step nor whom it is about.
type scenarios struct {
	log     *slog.Logger
	member  string
	meeting *scenario.Meeting
	open    bool
	host    netip.Addr                                // of this node, for logs that name no target
	home    []netip.Prefix                            // one's own networks
	own     func(netip.Addr) bool                     // whether an address is one's own, which is not told
	private bool                                      // whether private addresses may leave this host
	show    func(control.Alert)                       // as any alert
	tell    func(context.Context, []evidenceOf) error // the others, by reports
	// respond asks the response units, and says what has become of it so far.
	respond func(ctx context.Context, a respond.Action) (respond.Response, error)

	mu       sync.Mutex
	engine   *scenario.Engine
	sequence []control.ScenarioAlert // the oldest in front
	counts   control.ScenarioCounts
	counted  time.Time                // when it was last counted what is open
	pending  map[string]control.Alert // that are being acted on, by id
	told     map[toldKey]int          // how many observations of a kind the others were told of under a key
	waiting  chan assessed
	untold   chan []evidenceOf
}

const (
	maxWaiting = 64 // assessments for the response units, and evidence to be told
	maxTold    = 4096
	// renewSteps is after how long an assessment is repeated while what it rests on goes on: a flood that
	// has begun new connections is undone once more. What is told is news only when it says much more.
	renewSteps = 10 * time.Second
)

// library is the scenarios that are followed, of those that come with Komondor and one's own: those of
// the names, or where there is none all. "none" is none.
func library(names []string, own ...*scenario.Scenario) (scenario.Library, error) {
	all, err := scenario.NewLibrary(append(scenario.Builtin(), own...)...)
	switch {
	case err != nil || len(names) == 0 || slices.Equal(names, []string{"all"}):
		return all, err
	case slices.Equal(names, []string{"none"}):
		return scenario.NewLibrary()
	}
	var chosen []*scenario.Scenario
	for _, name := range names {
		s, ok := all.Named(name)
		if !ok {
			return all, fmt.Errorf("--follow: there is no scenario %q: want all, none, or names that `komondor scenario list` shows", name)
		}
		chosen = append(chosen, s)
	}
	return scenario.NewLibrary(chosen...)
}

// connectScenarios is connect for scenarios.
func (n *Node) connectScenarios() {
	followed, _ := library(n.config.Follow, n.config.Scenarios...) // checked before the start
	own := ownAddresses()
	n.scenarios = (&scenarios{log: n.config.Log, member: n.member.Member(), open: n.federation == nil, private: n.privateSources,
		home: n.config.Home,
		own:  func(a netip.Addr) bool { return slices.Contains(own, a) || within(n.config.Home, a) },
		show: func(a control.Alert) { n.counters.alerts.Add(1); n.actor.tell(a, true) },
		tell: func(ctx context.Context, all []evidenceOf) error {
			return n.observer.ask(ctx, func(o *observer) {
				o.admit(all, func(key event.Key) { o.plan(time.Now(), key) })
			})
		},
		respond: n.respond,
	}).init(followed)
	if i := slices.IndexFunc(own, func(a netip.Addr) bool { return within(n.config.Home, a) }); i >= 0 {
		n.scenarios.host = own[i]
	} else if len(own) > 0 {
		n.scenarios.host = own[0]
	}
}

// init completes what is set from outside.
func (s *scenarios) init(library scenario.Library) *scenarios {
	s.meeting, s.engine = meeting(), scenario.New(library, scenario.Limits{Renew: renewSteps})
	s.waiting, s.untold = make(chan assessed, maxWaiting), make(chan []evidenceOf, maxWaiting)
	return s
}

// run acts on assessments, one after the other, and tells, until ctx ends.
func (s *scenarios) run(ctx context.Context) error {
	var both sync.WaitGroup
	both.Go(func() { s.act(ctx) })
	defer both.Wait()
	for {
		select {
		case evidence := <-s.untold:
			_ = s.tell(ctx, evidence) // it fails when ctx ends
		case <-ctx.Done():
			return nil
		}
	}
}

// seen takes what a sensor of this node has seen, and returns what is to be told of it.
func (s *scenarios) seen(now time.Time, e event.Event) []evidenceOf {
	if !s.engine.Concerns(e.Kind) {
		return nil
	}
	o := scenario.FromEvent(e, s.member, s.host, s.home)
	o.Own = true
	return s.observe(now, o)
}

// remember is seen for what is in the archive: it was acted on when it was seen.
func (s *scenarios) remember(now time.Time, e event.Event) []evidenceOf {
	if !s.engine.Concerns(e.Kind) {
		return nil
	}
	o := scenario.FromEvent(e, s.member, s.host, s.home)
	o.Own = true
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []evidenceOf
	for _, outcome := range s.enter(now, o) {
		if c, ok := outcome.(scenario.Cooperative); ok {
			all = append(all, s.evidence(c)...)
		}
	}
	return all
}

// heard takes the evidence of an alert on a scenario's key, which has been verified: what other
// members have signed.
func (s *scenarios) heard(now time.Time, alert event.Alert) {
	for _, sealed := range alert.Evidence {
		report, err := event.DecodeReport(sealed.Body)
		if err != nil || report.Member == s.member {
			continue // one's own is known
		}
		for _, t := range report.Tallies {
			if o, ok := s.meeting.Read(report.Key, t, report.Member); ok {
				s.tellLater(s.observe(now, o))
			}
		}
	}
}

// concluded takes what a rule has concluded, here or by the evidence of others.
func (s *scenarios) concluded(now time.Time, v correlate.Verdict, id string) {
	if len(v.Members) == 0 {
		return // no verdict that was reached by evidence
	}
	own := v.Scope == correlate.Home && slices.Equal(v.Members, []string{s.member})
	sources := v.Offenders
	if source, err := v.Key.Source(); err == nil && len(sources) == 0 {
		sources = []netip.Prefix{source}
	}
	for _, source := range sources {
		o := scenario.Observation{ID: id + " " + source.String(), Time: v.Last, Kind: event.Kind("alert." + v.Rule.Name), Count: 1, Own: own, Unproved: len(v.Offenders) == 0, Cell: v.Members[0]}
		if source.IsSingleIP() {
			o.Source.Addr = source.Addr()
		}
		s.tellLater(s.observe(now, o))
	}
}

// observe takes an observation in and returns what is to be told the others.
func (s *scenarios) observe(now time.Time, o scenario.Observation) []evidenceOf {
	told, shown := s.conclude(now, o)
	for _, alert := range shown {
		s.show(alert)
	}
	return told
}

// conclude takes an observation in and returns what is to be told the others, and shown here.
func (s *scenarios) conclude(now time.Time, o scenario.Observation) (told []evidenceOf, shown []control.Alert) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, outcome := range s.enter(now, o) {
		switch outcome := outcome.(type) {
		case scenario.Assessment:
			shown = append(shown, s.assess(now, outcome)...)
		case scenario.Cooperative:
			evidence := s.evidence(outcome)
			if len(evidence) == 0 {
				continue // nothing that may leave this host
			}
			told = append(told, evidence...)
			s.counts.Cooperative++
			s.note(control.ScenarioAlert{Type: control.CooperativeAlert, Time: now, Scenario: outcome.Partial.Scenario, Says: outcome.Step, Cell: s.member,
				Action: "told under " + keys(evidence)})
		case scenario.Reached:
			shown = append(shown, s.reach(now, outcome))
		}
	}
	return told, shown
}

// enter has the engine observe, and notes what was an action of a scenario.
func (s *scenarios) enter(now time.Time, o scenario.Observation) []scenario.Outcome {
	before := s.engine.Stats().Bound
	outcomes := s.engine.Observe(now, o)
	if s.engine.Stats().Bound == before {
		return outcomes
	}
	kind := control.ExternalAlert
	if o.Own {
		kind = control.LocalAlert
	}
	s.note(control.ScenarioAlert{Type: kind, Time: o.Time, Says: says(o), Count: max(o.Count, 1), Cell: o.Cell})
	return outcomes
}
