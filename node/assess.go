package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/respond"
)

// assessed is an assessment that waits to be acted on.
type assessed struct {
	scenario.Assessment
	alert control.Alert
}

// act acts on assessments until ctx ends.
func (s *scenarios) act(ctx context.Context) {
	for {
		select {
		case a := <-s.waiting:
			s.ask(ctx, a)
		case <-ctx.Done():
			return
		}
	}
}

// ask asks the response units for what an assessment says.
func (s *scenarios) ask(ctx context.Context, a assessed) {
	if !a.plain() {
		s.mu.Lock()
		if s.pending == nil || len(s.pending) >= maxTold {
			s.pending = map[string]control.Alert{}
		}
		s.pending[a.alert.ID] = a.alert
		s.mu.Unlock()
	}
	action, err := a.action()
	var r respond.Response
	if err == nil {
		r, err = s.respond(ctx, action)
	}
	said := inWords(r)
	if err != nil {
		said = a.Do.String() + " not done: " + err.Error()
	}
	s.log.Info("scenario", "name", a.Partial.Scenario, "countermeasure", a.Countermeasure, "action", said)
	s.settle(a.alert.ID, said, err != nil || r.State != respond.Due)
}

// plain reports whether a rule's alert says as much: who took a first step is kept out.
// `komondor scenarios` and `komondor responses` show it, and the list of alerts does not say it twice.
func (a assessed) plain() bool { return len(a.Partial.Steps) == 1 && a.Do.Name == respond.BlockSource }

// action is what the response units are asked for.
func (a assessed) action() (respond.Action, error) {
	x := respond.Action{Name: a.Do.Name, Alert: a.alert.ID, Scenario: a.Partial.Scenario, Evidence: a.Evidence, Local: true,
		Reason: fmt.Sprintf("%s: %s, against %s", a.Partial.Scenario, a.Countermeasure, strings.Join(a.Against, ", ")), Hold: a.Doubt()}
	var errs []error
	for name, value := range a.Do.Arguments {
		var err error
		switch name {
		case "source":
			x.Source, err = netip.ParseAddr(value)
		case "address":
			if x.Source, err = netip.ParseAddr(value); a.Do.Name == respond.BlockTarget {
				x.Source, x.Target = x.Target, x.Source
			}
		case "target":
			x.Target, err = netip.ParseAddr(value)
		case "port":
			var port uint64
			port, err = strconv.ParseUint(value, 10, 16)
			x.Port = uint16(port)
		case "protocol":
			x.Protocol = value
		case "executable":
			x.Executable = value
		case "user":
			x.User = value
		case "name":
			x.Hook = value
		}
		errs = append(errs, err)
	}
	return x, errors.Join(errs...)
}

// inWords is a response for people; what is due has no outcome yet, or that of before.
func inWords(r respond.Response) string {
	if r.State == respond.Due {
		return fmt.Sprintf("%s asked for, and its unit carries it out", r.Action)
	}
	return fmt.Sprintf("%s %s: %s", r.Action, r.State, r.Outcome)
}

// responded is told what becomes of responses.
func (s *scenarios) responded(r respond.Response) {
	if r.Scenario != "" {
		s.settle(r.Alert, inWords(r), r.State != respond.Due)
	}
}

// settle shows what has become of an assessment, once that is known.
func (s *scenarios) settle(id, action string, settled bool) {
	if !settled {
		return
	}
	s.mu.Lock()
	alert, pending := s.pending[id]
	delete(s.pending, id)
	for i := range slices.Backward(s.sequence) {
		if e := &s.sequence[i]; e.ID == id {
			e.Action = action
			break
		}
	}
	s.mu.Unlock()
	if pending {
		alert.Action = action
		s.show(alert)
	}
}

// assess has an assessment acted on, and returns what is to be shown of it where that cannot be.
func (s *scenarios) assess(now time.Time, a scenario.Assessment) (lost []control.Alert) {
	s.counts.Assessments++
	alert := s.alert(now, a.Partial, a.Countermeasure+" "+a.Do.String())
	s.note(control.ScenarioAlert{ID: alert.ID, Type: control.AssessmentAlert, Time: now, Scenario: a.Partial.Scenario, Says: a.Countermeasure + ": " + a.Do.String(), Cell: s.member})
	select {
	case s.waiting <- assessed{a, alert}:
		return nil
	default: // the response units do not keep up
		s.counts.Lost++
		alert.Action = a.Do.String() + ": not done, because too many others wait"
		return []control.Alert{alert}
	}
}

// reach notes that an objective is reached, as far as is known, and returns what is to be shown.
func (s *scenarios) reach(now time.Time, r scenario.Reached) control.Alert {
	s.counts.Reached++
	alert := s.alert(now, r.Partial, r.Objective)
	alert.Level, alert.Action = "critical", "all steps to "+r.Objective+" were seen"
	s.note(control.ScenarioAlert{ID: alert.ID, Type: control.ObjectiveAlert, Time: now, Scenario: r.Partial.Scenario, Says: r.Objective, Cell: s.member})
	return alert
}

// alert is a partial scenario as people see it; what names it among those of the scenario.
func (s *scenarios) alert(now time.Time, p scenario.Partial, what string) control.Alert {
	a := control.Alert{Rule: p.Scenario, Title: "An attack of several steps: " + what, Level: "high", Scope: string(correlate.Home),
		Key: event.Key{Selector: scenario.ByScenario, Value: p.Scenario}, Score: len(p.Steps), Offenders: []netip.Prefix{}, Raised: now.UTC(), Open: s.open}
	names := []string{p.Scenario, what}
	for _, step := range p.Steps {
		a.Count += uint64(step.Count)
		if a.First.IsZero() || step.First.Before(a.First) {
			a.First = step.First
		}
		if step.Last.After(a.Last) {
			a.Last = step.Last
		}
		for _, cell := range step.Cells {
			if !slices.Contains(a.Sensors, cell) {
				a.Sensors = append(a.Sensors, cell)
			}
		}
		a.Steps = append(a.Steps, step.Says)
	}
	a.Agreed = a.Last
	sum := sha256.Sum256([]byte(event.JoinValue(append(append(names, a.Steps...), now.UTC().Truncate(time.Hour).String())...)))
	a.ID = hex.EncodeToString(sum[:16])
	return a
}
