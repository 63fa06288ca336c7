package node

import (
	"slices"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate/scenario"
)

const (
	maxSequence = 512 // what is remembered of the sequence, each of some 300 bytes
	alike       = 64  // of them are looked at for what is like a new one
	maxPartials = 100 // partial scenarios that are shown
	countEvery  = 10 * time.Second
)

// note adds to the sequence. What is like one of the latest entries is put to it.
func (s *scenarios) note(e control.ScenarioAlert) {
	e.Time = e.Time.UTC()
	e.Last = e.Time
	latest := s.sequence[max(0, len(s.sequence)-alike):]
	for i := range slices.Backward(latest) {
		old := &latest[i]
		if old.Type == e.Type && old.Scenario == e.Scenario && old.Says == e.Says && old.Cell == e.Cell && old.ID == e.ID && e.Time.Sub(old.Last) < time.Hour {
			if e.Time.After(old.Last) {
				old.Last = e.Time
			}
			old.Count += e.Count
			return
		}
	}
	if len(s.sequence) == maxSequence {
		s.sequence = forget(s.sequence, maxSequence/8)
	}
	s.sequence = append(s.sequence, e)
}

// forget drops the n oldest of a sequence: what was only seen first, since an attacker can make any
// amount of it, and what was done about it last.
func forget(sequence []control.ScenarioAlert, n int) []control.ScenarioAlert {
	kept := slices.DeleteFunc(slices.Clone(sequence), func(e control.ScenarioAlert) bool {
		drop := n > 0 && (e.Type == control.LocalAlert || e.Type == control.ExternalAlert)
		if drop {
			n--
		}
		return drop
	})
	return kept[min(n, len(kept)):]
}

// status counts, and says how much is open.
func (s *scenarios) status() control.ScenarioCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, e := s.counts, s.engine.Stats()
	c.Observations, c.Bound, c.Evicted, c.Steps = e.Observations, e.Bound, e.Evicted, e.Steps
	if now := time.Now(); now.Sub(s.counted) >= countEvery { // it takes a while where there are many
		s.counts.Open, s.counted = len(s.engine.Partials(now, maxPartials)), now
	}
	c.Open = s.counts.Open
	return c
}

// Scenarios are the attacks of several steps that are under way, and what was noted of them.
func (n *Node) Scenarios() (control.Scenarios, error) {
	s := n.scenarios
	s.mu.Lock()
	defer s.mu.Unlock()
	shown := control.Scenarios{Open: []control.OpenScenario{}, Alerts: slices.Clone(s.sequence)}
	for _, p := range s.engine.Partials(time.Now(), maxPartials) {
		o := control.OpenScenario{Scenario: p.Scenario, Steps: []control.ScenarioStep{}, Expected: []string{}}
		for _, step := range p.Steps {
			o.Steps = append(o.Steps, control.ScenarioStep{Says: step.Says, First: step.First.UTC(), Last: step.Last.UTC(), Count: step.Count, Own: step.Own, Cells: step.Cells})
		}
		for _, h := range p.Hypotheses {
			o.Expected = append(o.Expected, h.Says)
		}
		shown.Open = append(shown.Open, o)
	}
	if shown.Alerts == nil {
		shown.Alerts = []control.ScenarioAlert{}
	}
	return shown, nil
}

// says is an observation in words.
func says(o scenario.Observation) string {
	text := string(o.Kind)
	if a := o.Source.Addr; a.IsValid() {
		text += " from " + a.String()
	}
	if a := o.Target.Addr; a.IsValid() {
		text += " to " + a.String()
	}
	return text
}
