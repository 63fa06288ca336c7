package respond

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Keeper remembers responses over restarts. The Manager never makes two calls at once.
type Keeper interface {
	Put(map[string][]byte) error
	Delete(keys ...string) error
	Each(func(key string, value []byte) error) error
}

// Manager decides about actions, has the units carry them out, and remembers what
// became of them. It starts no goroutine: whoever owns it calls Restore once, Carry
// for what Ask says is due, and Keep every moment and at the end.
type Manager struct {
	slots  []Slot
	keeper Keeper
	told   func(Response)

	writing sync.Mutex // held by who writes to the keeper, and taken before mu
	mu      sync.Mutex // guards journal
	journal journal
}

// NewManager returns a manager of these units. Whenever the state of a response
// has changed, told is called with it.
func NewManager(slots []Slot, k Keeper, told func(Response)) *Manager {
	return &Manager{slots: slots, keeper: k, told: told, journal: journal{dirty: map[string]bool{}}}
}

// Restore reads the kept responses, and returns how many could not be read.
func (m *Manager) Restore(now time.Time) (malformed int, err error) {
	records := map[string][]byte{}
	err = m.keeper.Each(func(key string, value []byte) error {
		records[key] = value
		return nil
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.journal.restore(now, records), err
}

// Ask asks for an action. The same one as another that still holds is one with it:
// its response is returned. Otherwise the response is new. due says that Carry must be
// called with its id: for a new one, and for one that waited over a doubt that is gone. The error names an action that no unit knows.
func (m *Manager) Ask(now time.Time, a Action) (r Response, due bool, err error) {
	a = a.canonical()
	slot, ok := m.slotOf(a)
	if !ok {
		return r, false, fmt.Errorf("action %q: want one of %s", a.Name, strings.Join(m.actions(), ", "))
	}
	if slot.Mode == Approve && a.Hold == "" {
		a.Hold = fmt.Sprintf("unit %s is in mode approve", slot.Name)
	}
	lasts, rest := slot.lasts(a), slot.rest(a)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journal.lapse(now)
	if same := m.journal.standing(now, a, lasts, rest); same != nil {
		same.Times++
		due = same.State == Waiting && m.journal.renew(same, a)
		if same.ByHand {
			m.journal.overrule(same, a)
		}
		return *same, due, nil
	}
	entered := m.journal.enter(now, slot.Name, a)
	if entered == nil {
		return r, false, fmt.Errorf("%s: %d responses of unit %s wait for a person or are being carried out: decide about those first (komondor responses)", a, maxOpen, slot.Name)
	}
	return *entered, true, nil
}

// Carry carries a response out that is due, as far as its unit's mode lets it.
func (m *Manager) Carry(ctx context.Context, now time.Time, id string) (Response, error) {
	r, slot, err := m.take(now, id, Due)
	if err != nil {
		return Response{}, err
	}
	switch {
	case slot.Mode == Off:
		return m.settle(now, r, Refused, "", refuse("unit %s is off: --respond %s=observe shows what it would do", slot.Name, slot.Name)), nil
	case slot.Mode == Observe:
		outcome, err := slot.Unit.Plan(ctx, now, r.Action)
		return m.settle(now, r, Observed, outcome, err), nil
	case r.Hold != "":
		outcome, err := slot.Unit.Plan(ctx, now, r.Action)
		return m.settle(now, r, Waiting, outcome, err), nil
	}
	outcome, err := slot.Unit.Do(ctx, now, r.Action)
	return m.settle(now, r, Done, outcome, err), nil
}

// Approve carries out what waits for a person.
func (m *Manager) Approve(ctx context.Context, now time.Time, id string) (Response, error) {
	r, slot, err := m.take(now, id, Waiting)
	if err != nil {
		return Response{}, err
	}
	if slot.Mode == Off || slot.Mode == Observe {
		m.put(r, Waiting)
		return Response{}, fmt.Errorf("response %s: unit %s is in mode %s: start the node with --respond %s=approve", id, slot.Name, slot.Mode, slot.Name)
	}
	outcome, err := slot.Unit.Do(ctx, now, r.Action)
	return m.settle(now, r, Done, outcome, err), m.Keep()
}

// Reject drops what waits for a person; the same action on evidence from before
// now does not ask again.
func (m *Manager) Reject(now time.Time, id string) (Response, error) {
	r, _, err := m.take(now, id, Waiting)
	if err != nil {
		return Response{}, err
	}
	m.byHand(r)
	return m.settle(now, r, Refused, "", Refusal("rejected by hand")), m.Keep()
}

// Undo undoes what was done, where that can be. The same action on evidence from
// before now does not ask again.
func (m *Manager) Undo(ctx context.Context, now time.Time, id string) (Response, error) {
	r, slot, err := m.take(now, id, Done)
	if err != nil {
		return Response{}, err
	}
	u, ok := slot.Unit.(Undoer)
	if !ok || !u.CanUndo(r.Action) {
		m.put(r, Done)
		return Response{}, fmt.Errorf("response %s cannot be undone: what %s did is over", id, r.Name)
	}
	outcome, err := u.Undo(ctx, now, r.Action)
	if err != nil {
		m.put(r, Done)
		return Response{}, fmt.Errorf("response %s not undone: %w", id, err)
	}
	m.byHand(r)
	return m.settle(now, r, Undone, outcome, nil), m.Keep()
}

// take makes a response due that is in a state, so that nobody else takes it.
func (m *Manager) take(now time.Time, id string, from State) (*Response, Slot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journal.lapse(now)
	r := m.journal.find(id)
	if r == nil {
		return nil, Slot{}, fmt.Errorf("there is no response %q; `komondor responses` lists them", id)
	}
	if r.State != from {
		return nil, Slot{}, fmt.Errorf("response %s is %s, not %s: %s", id, r.State, from, r.Outcome)
	}
	slot, ok := m.slotOf(r.Action)
	if !ok {
		return nil, Slot{}, fmt.Errorf("response %s: no unit knows %q any more", id, r.Name)
	}
	r.State = Due
	m.journal.dirty[id] = true
	return r, slot, nil
}

// put gives a response back that was taken, as it was.
func (m *Manager) put(r *Response, s State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.State = s
	m.journal.dirty[r.ID] = true // the disk may have heard that it was taken
}

func (m *Manager) byHand(r *Response) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.ByHand = true
}

// settle notes what became of a response, and tells it.
func (m *Manager) settle(now time.Time, r *Response, s State, outcome string, err error) Response {
	var refusal Refusal
	switch {
	case errors.As(err, &refusal):
		s, outcome = Refused, string(refusal)
	case err != nil:
		s, outcome = Failed, err.Error()
	}
	slot, _ := m.slotOf(r.Action)
	m.mu.Lock()
	m.journal.settle(now, r, s, outcome)
	r.Undoable = s == Done && slot.undoes(r.Action)
	settled := *r
	m.mu.Unlock()
	m.told(settled)
	return settled
}

// List returns the responses, the latest first.
func (m *Manager) List(now time.Time) []Response {
	m.mu.Lock()
	m.journal.lapse(now)
	list := make([]Response, 0, len(m.journal.list))
	for _, r := range slices.Backward(m.journal.list) {
		list = append(list, *r)
	}
	m.mu.Unlock()
	for i := range list { // what stood may be over
		slot, _ := m.slotOf(list[i].Action)
		list[i].Undoable = list[i].Undoable && slot.undoes(list[i].Action)
	}
	return list
}

// Slots returns the units.
func (m *Manager) Slots() []Slot { return m.slots }

func (m *Manager) slotOf(a Action) (Slot, bool) {
	i := slices.IndexFunc(m.slots, func(s Slot) bool { return slices.Contains(s.Actions, a.Name) })
	if i < 0 {
		return Slot{}, false
	}
	return m.slots[i], true
}

func (m *Manager) actions() (names []string) {
	for _, s := range m.slots {
		names = append(names, s.Actions...)
	}
	return names
}

// Keep writes what has changed since the last time to the disk. What could not be
// written is tried again by the next Keep.
func (m *Manager) Keep() error {
	m.writing.Lock()
	defer m.writing.Unlock()
	records, gone, err := m.unkept()
	if err == nil && len(records) > 0 {
		err = m.keeper.Put(records)
	}
	if err == nil && len(gone) > 0 {
		err = m.keeper.Delete(gone...)
	}
	if err == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range records {
		m.journal.dirty[id] = true
	}
	for _, id := range gone {
		m.journal.dirty[id] = true
	}
	return fmt.Errorf("keep %d changes of responses, which stand but would not survive a restart: %w", len(records)+len(gone), err)
}

// unkept takes what the disk does not have, or has still.
func (m *Manager) unkept() (records map[string][]byte, gone []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	records = map[string][]byte{}
	for id := range m.journal.dirty {
		r := m.journal.find(id)
		if r == nil {
			gone = append(gone, id)
			continue
		}
		data, failed := json.Marshal(r)
		if err = errors.Join(err, failed); failed == nil {
			records[id] = data
		}
	}
	clear(m.journal.dirty)
	return records, gone, err
}
