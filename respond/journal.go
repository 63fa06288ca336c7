package respond

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is how far a response has come.
type State string

const (
	Due      State = "due"      // it is being carried out
	Observed State = "observed" // mode observe: it would be done
	Waiting  State = "waiting"  // for a person: see Manager.Approve
	Done     State = "done"
	Failed   State = "failed"  // its unit could not; Outcome says why
	Refused  State = "refused" // its unit, or a person, would not; Outcome says why
	Undone   State = "undone"
)

// Response is an action and what became of it, as shown to people and scripts.
type Response struct {
	ID   string `json:"id"`
	Unit string `json:"unit"`
	Action
	State State `json:"state"`
	// Outcome says in words what was done, would be, or why not.
	Outcome string `json:"outcome"`
	// Undoable says that it is done and can be undone.
	Undoable bool      `json:"undoable"`
	Asked    time.Time `json:"asked"`   // for the first time
	Times    int       `json:"times"`   // that it was asked for
	Changed  time.Time `json:"changed"` // when its state became what it is
	// ByHand says that a person has rejected or undone it.
	ByHand bool `json:"by_hand,omitempty"`
}

const (
	// MaxResponses is how many are remembered at a time.
	MaxResponses = 1000
	// maxOpen of them may be one unit's that wait or are due: an attacker under many names fills the list of
	// those to block, and a process to end still finds its place.
	maxOpen  = MaxResponses / 5
	patience = 24 * time.Hour // that a person has to decide; so long a rejection is remembered
)

// journal is the list of responses, oldest first. It is pure: it keeps no time
// and does nothing.
type journal struct {
	list  []*Response
	dirty map[string]bool // ids that the disk does not know as they are
}

func (j *journal) find(id string) *Response {
	for _, r := range j.list {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// standing is the response that an action is one with, if there is one.
func (j *journal) standing(now time.Time, a Action, lasts, rest time.Duration) *Response {
	for _, r := range slices.Backward(j.list) {
		if !r.Action.same(a) {
			continue
		}
		age := now.Sub(r.Changed)
		switch {
		case r.State == Due, r.State == Waiting,
			r.ByHand && age < patience && !a.Evidence.After(r.decided().Add(rest)),
			!r.ByHand && age < lasts,
			r.State == Done && age < patience && !a.Evidence.IsZero() && !a.Evidence.After(r.Evidence): // it was done for that
			return r
		}
		return nil // it is over, and so are those before it
	}
	return nil
}

// decided is up to when evidence is answered by a person's word.
func (r *Response) decided() time.Time {
	if r.Evidence.After(r.Changed) {
		return r.Evidence
	}
	return r.Changed
}

// open tells whether a response is still to be decided about, or carried out.
func (r *Response) open() bool { return r.State == Due || r.State == Waiting }

// enter adds a response that is due, or returns nil where as many of the unit are
// open as may be.
func (j *journal) enter(now time.Time, unit string, a Action) *Response {
	opened := 0
	for _, r := range j.list {
		if r.Unit == unit && r.open() {
			opened++
		}
	}
	if opened >= maxOpen {
		return nil
	}
	if len(j.list) >= MaxResponses {
		i := slices.IndexFunc(j.list, func(r *Response) bool { return !r.open() })
		if i < 0 {
			return nil
		}
		j.dirty[j.list[i].ID] = true // gone
		j.list = slices.Delete(j.list, i, i+1)
	}
	r := &Response{ID: j.id(now, a), Unit: unit, Action: a, State: Due, Asked: now.UTC(), Times: 1, Changed: now.UTC()}
	j.list = append(j.list, r)
	j.dirty[r.ID] = true
	return r
}

// id names a response in eight letters that nobody else has.
func (j *journal) id(now time.Time, a Action) string {
	for n := 0; ; n++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", a, now.UnixNano(), n))
		if id := hex.EncodeToString(sum[:4]); j.find(id) == nil {
			return id
		}
	}
}

// renew has a response that waits go on with what asks for it once more: on newer evidence, and where that
// leaves no doubt it is due. Otherwise who raises a doubt first would keep what is certain waiting.
func (j *journal) renew(r *Response, a Action) (due bool) {
	if a.Evidence.Before(r.Evidence) {
		a.Evidence = r.Evidence
	}
	if a.Hold == "" {
		r.Action, r.State = a, Due
	} else {
		r.Evidence = a.Evidence
	}
	j.dirty[r.ID] = true
	return r.State == Due
}

// overrule notes what a person's word has answered: evidence that goes on is the same.
func (j *journal) overrule(r *Response, a Action) {
	if a.Evidence.After(r.Evidence) {
		r.Evidence = a.Evidence
		j.dirty[r.ID] = true
	}
}

// settle puts a response into a state.
func (j *journal) settle(now time.Time, r *Response, s State, outcome string) {
	r.State, r.Outcome, r.Changed, r.Undoable = s, outcome, now.UTC(), false
	j.dirty[r.ID] = true
}

// lapse ends the waiting of what nobody has decided about.
func (j *journal) lapse(now time.Time) {
	for _, r := range j.list {
		if r.State == Waiting && now.Sub(r.Changed) >= patience {
			j.settle(now, r, Refused, fmt.Sprintf("nobody decided within %s", patience))
		}
	}
}

// restore reads what was kept. What was due when the node ended has failed.
func (j *journal) restore(now time.Time, records map[string][]byte) (malformed int) {
	for key, value := range records {
		var r Response
		if json.Unmarshal(value, &r) != nil || r.ID != key || r.ID == "" {
			malformed++
			continue
		}
		j.list = append(j.list, &r)
		if r.State == Due {
			j.settle(now, &r, Failed, "the node ended before it was done, or while it was")
		}
	}
	slices.SortFunc(j.list, func(a, b *Response) int {
		if c := a.Asked.Compare(b.Asked); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return malformed
}
