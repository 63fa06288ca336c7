package control

import "time"

// Scenarios are the attacks of several steps that are under way, as far as a node knows.
type Scenarios struct {
	Open []OpenScenario `json:"open"` // the most complete first, up to 100
	// Alerts are what was seen, told and done in the order in which it came, as in Figure 4(b) of paper
	// 000: the latest 512. They are not kept over a restart.
	Alerts []ScenarioAlert `json:"alerts"`
}

// OpenScenario is as much of a scenario as was seen, and what may follow.
type OpenScenario struct {
	Scenario string         `json:"scenario"`
	Steps    []ScenarioStep `json:"steps"`
	Expected []string       `json:"expected"` // actions that lead to the objective and were not seen
}

// ScenarioStep is an action that was seen.
type ScenarioStep struct {
	Says  string    `json:"says"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
	Own   bool      `json:"own"`   // seen here
	Cells []string  `json:"cells"` // the members that saw it
}

// The types of ScenarioAlert.
const (
	LocalAlert       = "local"       // a sensor of this node has seen an action
	ExternalAlert    = "external"    // another member has told of one
	AssessmentAlert  = "assessment"  // to be acted on here
	CooperativeAlert = "cooperative" // told the others
	ObjectiveAlert   = "objective"   // all steps to it were seen
)

// ScenarioAlert is one of the alerts that the parts of a node, and nodes, exchange.
type ScenarioAlert struct {
	ID       string    `json:"id,omitempty"` // of the alert in the list of alerts, of an assessment and an objective
	Type     string    `json:"type"`
	Time     time.Time `json:"time"` // of the first detection
	Last     time.Time `json:"last"` // of the latest of its like
	Scenario string    `json:"scenario,omitempty"`
	Says     string    `json:"says"`
	Count    int       `json:"count,omitempty"` // observations
	Cell     string    `json:"cell"`            // the member that saw or concluded it
	Action   string    `json:"action,omitempty"`
}

// ScenarioCounts only grow while a node runs, but for Open and Steps.
type ScenarioCounts struct {
	Open         int    `json:"open"`  // partial scenarios now, counted every ten seconds, up to 100
	Steps        int    `json:"steps"` // that are kept
	Observations uint64 `json:"observations"`
	Bound        uint64 `json:"bound"`   // observations that are an action of a scenario
	Evicted      uint64 `json:"evicted"` // steps that were given up for want of room
	Assessments  uint64 `json:"assessments"`
	Lost         uint64 `json:"assessments_lost"` // not acted on, because too many waited
	Cooperative  uint64 `json:"cooperative"`
	Reached      uint64 `json:"reached"` // objectives
}
