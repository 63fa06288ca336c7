package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// Outcome is what follows from an observation: an Assessment, a Cooperative alert, or a Reached
// objective.
type Outcome interface{ outcome() }

// Assessment asks this participant to act: a countermeasure is anti-correlated with what may follow or
// with the objective, what it needs is the work of a step that was seen here, and all that it is to do
// is known (paper 000, section III.B).
type Assessment struct {
	Partial        Partial  `json:"partial"`
	Countermeasure string   `json:"countermeasure"`
	Do             Order    `json:"do"`
	Against        []string `json:"against"` // the virtual actions and objectives that it prevents
	// Evidence is the time of the newest of what was seen here of the steps that it rests on. That other steps
	// of the scenario go on is no new reason for it.
	Evidence time.Time `json:"evidence"`
	// Hearsay are the arguments of Do that nothing proves here: others' words or packets that may bear
	// any name say whom to act on.
	Hearsay []string `json:"hearsay,omitempty"`
	// Unproved are the steps that it rests on, where what was seen here makes none of them by itself: a login
	// follows nothing unless others are believed, a flood may bear any name.
	Unproved []string `json:"unproved,omitempty"`
}

// Doubt is why a person has to decide about it; empty where what was seen here suffices. Neither a member that
// lies nor a stranger that forges packets can have anything done by itself.
func (a Assessment) Doubt() string {
	const only = "only others have said, or packets that may bear any name"
	switch {
	case len(a.Hearsay) > 0:
		return fmt.Sprintf("that it is about %s %s", strings.Join(a.Hearsay, ", "), only)
	case len(a.Unproved) > 0:
		return fmt.Sprintf("that it was %s %s", strings.Join(a.Unproved, ", "), only)
	}
	return ""
}

// Cooperative tells the others of a step that was seen here.
type Cooperative struct {
	Partial Partial `json:"partial"`
	Step    string  `json:"step"`
	// Evidence is what others have to observe in order to know of the step.
	Evidence []Observation `json:"evidence"`
	// Keys are where the evidence of this scenario meets, if it is brought together and not told
	// to all: one for each variable that joins actions, and whose value is known.
	Keys []event.Key `json:"keys,omitempty"`
	// Reached says that with this step an objective is reached, so far as is known.
	Reached bool `json:"reached"`
}

// Reached says that each action that leads to an objective has been seen.
type Reached struct {
	Partial   Partial `json:"partial"`
	Objective string  `json:"objective"` // with what is known of its parameters
}

func (Assessment) outcome()  {}
func (Cooperative) outcome() {}
func (Reached) outcome()     {}

// Order is what the response units are asked to do: one of Actions, with its arguments.
type Order struct {
	Name      string            `json:"name"`
	Arguments map[string]string `json:"arguments"`
}

// Partial is as much of a scenario as has been seen, and what may follow.
type Partial struct {
	Scenario string `json:"scenario"`
	// Steps are in the order of their first detection.
	Steps []Step `json:"steps"`
	// Hypotheses are virtual actions: those that were not seen, and lead to an objective together
	// with those that were.
	Hypotheses []Hypothesis `json:"hypotheses"`
}

// Step is an action that was seen.
type Step struct {
	Action string `json:"action"`
	// Says is the action with what is known of its parameters: "syn-flood(192.0.2.7, H2, 900)".
	Says  string    `json:"says"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
	Own   bool      `json:"own"`
	// Cells are the participants that saw it, and Because the latest observations of it, up to 16.
	Cells   []string `json:"cells"`
	Because []string `json:"because"`
}

// Hypothesis is a virtual action.
type Hypothesis struct {
	Action string `json:"action"`
	Says   string `json:"says"`
	// Next says that all that the action needs, and that another one gives, is there.
	Next bool `json:"next"`
}

// ByScenario is the selector of the keys at which the evidence of a scenario meets. Its value is
// "NAME|VARIABLE=VALUE".
const ByScenario event.Selector = "scenario"
