package respond

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// counting is a unit that counts what it does.
type counting struct {
	done, undone int
	fail         error
}

func (u *counting) Plan(context.Context, time.Time, Action) (string, error) { return "would", u.fail }
func (u *counting) Do(context.Context, time.Time, Action) (string, error) {
	u.done++
	return "did", u.fail
}
func (u *counting) CanUndo(a Action) bool { return a.Name != KillProcess }
func (u *counting) Undo(context.Context, time.Time, Action) (string, error) {
	u.undone++
	return "undid", u.fail
}

// enduring is a unit that goes on with what it does until it is undone.
type enduring struct {
	counting
	stands bool
}

func (u *enduring) Do(ctx context.Context, now time.Time, a Action) (string, error) {
	u.stands = true
	return u.counting.Do(ctx, now, a)
}
func (u *enduring) Stands(Action) bool  { return u.stands }
func (u *enduring) CanUndo(Action) bool { return u.stands }
func (u *enduring) Undo(ctx context.Context, now time.Time, a Action) (string, error) {
	u.stands = false
	return u.counting.Undo(ctx, now, a)
}

type shelf struct {
	kept map[string][]byte
	fail error
}

func (s *shelf) Put(records map[string][]byte) error {
	if s.fail == nil {
		maps.Copy(s.kept, records)
	}
	return s.fail
}

func (s *shelf) Delete(keys ...string) error {
	for _, k := range keys {
		delete(s.kept, k)
	}
	return s.fail
}

func (s *shelf) Each(visit func(string, []byte) error) error {
	for k, v := range s.kept {
		if err := visit(k, v); err != nil {
			return err
		}
	}
	return s.fail
}

// fixture is a manager with one unit, whose time the test sets.
type fixture struct {
	*testing.T
	*Manager
	unit  *counting
	shelf *shelf
	now   time.Time
	told  []State
}

func newFixture(t *testing.T, mode Mode) *fixture {
	t.Helper()
	f := &fixture{T: t, unit: new(counting), shelf: &shelf{kept: map[string][]byte{}}, now: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)}
	f.restart(mode)
	return f
}

func (f *fixture) restart(mode Mode, others ...Slot) {
	f.Helper()
	slots := []Slot{{Name: "flow", Mode: mode, Actions: []string{BlockFlow, KillProcess}, Unit: f.unit, Lasts: 10 * time.Minute}}
	f.Manager = NewManager(append(slots, others...), f.shelf, func(r Response) { f.told = append(f.told, r.State) })
	if malformed, err := f.Restore(f.now); malformed != 0 || err != nil {
		f.Fatal(malformed, err)
	}
}

// ask asks for an action, and has it carried out if that is due.
func (f *fixture) ask(a Action) Response {
	f.Helper()
	r, due, err := f.Ask(f.now, a)
	if err != nil {
		f.Fatal(err)
	}
	if due {
		if r, err = f.Carry(f.Context(), f.now, r.ID); err != nil {
			f.Fatal(err)
		}
	}
	return r
}

var replies = Action{Name: BlockFlow, Source: netip.MustParseAddr("192.0.2.53"), Target: netip.MustParseAddr("198.51.100.7"), Protocol: "udp", Port: 53, Reason: "forged replies"}

func TestModes(t *testing.T) {
	held := replies
	held.Hold = "the list of revocations may be out of date"
	for _, test := range []struct {
		mode    Mode
		action  Action
		fail    error
		want    State
		outcome string
		done    int
	}{
		{Off, replies, nil, Refused, "unit flow is off: --respond flow=observe shows what it would do", 0},
		{Observe, replies, nil, Observed, "would", 0},
		{Observe, replies, Refusal("never"), Refused, "never", 0},
		{Approve, replies, nil, Waiting, "would", 0},
		{Auto, replies, nil, Done, "did", 1},
		{Auto, held, nil, Waiting, "would", 0},
		{Auto, replies, errors.New("no right"), Failed, "no right", 1},
		{Auto, replies, fmt.Errorf("twice: %w", Refusal("never")), Refused, "never", 1},
	} {
		f := newFixture(t, test.mode)
		f.unit.fail = test.fail
		r := f.ask(test.action)
		if r.State != test.want || r.Outcome != test.outcome || f.unit.done != test.done || r.Undoable != (test.want == Done) {
			t.Errorf("mode %s, %v: %+v, done %d times", test.mode, test.fail, r, f.unit.done)
		}
		if !slices.Equal(f.told, []State{test.want}) {
			t.Errorf("mode %s: told %v", test.mode, f.told)
		}
	}
	f := newFixture(t, Auto)
	if _, _, err := f.Ask(f.now, Action{Name: "reboot"}); err == nil {
		t.Error("an action that nobody knows is taken")
	}
}

func TestTheSameActionIsOne(t *testing.T) {
	f := newFixture(t, Auto)
	first := f.ask(replies)
	again := replies
	again.Reason, again.Alert, again.Source = "more of them", "another", netip.MustParseAddr("::ffff:192.0.2.53")
	if r := f.ask(again); r.ID != first.ID || r.Times != 2 || f.unit.done != 1 {
		t.Errorf("asked again: %+v, done %d times", r, f.unit.done)
	}
	other := replies
	other.Port = 54
	if r := f.ask(other); r.ID == first.ID || f.unit.done != 2 {
		t.Errorf("another action: %+v", r)
	}
	f.now = f.now.Add(11 * time.Minute)
	if r := f.ask(replies); r.ID == first.ID || f.unit.done != 3 {
		t.Errorf("after its time: %+v", r)
	}
}

func TestAPersonDecides(t *testing.T) {
	f := newFixture(t, Approve)
	f.ask(replies)
	f.restart(Observe) // nothing was kept yet
	if len(f.List(f.now)) != 0 {
		t.Fatal("what was never kept is back")
	}
	f.restart(Approve)
	id := f.ask(replies).ID
	if err := f.Keep(); err != nil {
		t.Fatal(err)
	}
	f.restart(Observe)
	if _, err := f.Approve(t.Context(), f.now, id); err == nil || f.unit.done != 0 {
		t.Errorf("a unit that observes was made to act: %v", err)
	}
	f.restart(Approve)
	if r, err := f.Approve(t.Context(), f.now, id); err != nil || r.State != Done || f.unit.done != 1 {
		t.Errorf("approved: %+v, %v", r, err)
	}
	if _, err := f.Approve(t.Context(), f.now, id); err == nil {
		t.Error("approved twice")
	}
	if r, err := f.Undo(t.Context(), f.now, id); err != nil || r.State != Undone || f.unit.undone != 1 {
		t.Errorf("undone: %+v, %v", r, err)
	}
	if _, err := f.Undo(t.Context(), f.now, id); err == nil {
		t.Error("undone twice")
	}

	// Evidence from before a person's word does not ask again.
	f.now = f.now.Add(time.Hour)
	old, news := replies, replies
	old.Evidence, news.Evidence = f.now.Add(-2*time.Hour), f.now
	if r := f.ask(old); r.ID != id {
		t.Errorf("old evidence asks again: %+v", r)
	}
	r := f.ask(news)
	if r.ID == id || r.State != Waiting {
		t.Errorf("new evidence does not ask again: %+v", r)
	}
	if r, err := f.Reject(f.now, r.ID); err != nil || r.State != Refused || r.Outcome != "rejected by hand" {
		t.Errorf("rejected: %+v, %v", r, err)
	}
	f.now = f.now.Add(time.Hour)
	if again := f.ask(news); again.ID != r.ID {
		t.Errorf("what was rejected asks again: %+v", again)
	}
}

func TestWhatCannotBeUndone(t *testing.T) {
	f := newFixture(t, Auto)
	kill := f.ask(Action{Name: KillProcess, Executable: "/usr/bin/example", User: "root"})
	if _, err := f.Undo(t.Context(), f.now, kill.ID); err == nil || kill.Undoable {
		t.Error("a process came back")
	}
	drop := f.ask(replies)
	f.unit.fail = errors.New("no right")
	if _, err := f.Undo(t.Context(), f.now, drop.ID); err == nil {
		t.Error("a failure was not told")
	}
	for _, r := range f.List(f.now) {
		if r.State != Done {
			t.Errorf("not as before: %+v", r)
		}
	}
}

func TestNobodyDecides(t *testing.T) {
	f := newFixture(t, Approve)
	id := f.ask(replies).ID
	f.now = f.now.Add(patience)
	if _, err := f.Approve(t.Context(), f.now, id); err == nil || f.unit.done != 0 {
		t.Errorf("approved a day later: %v", err)
	}
}

func TestRestart(t *testing.T) {
	f := newFixture(t, Auto)
	due, _, err := f.Ask(f.now, replies)
	if err != nil {
		t.Fatal(err)
	}
	f.shelf.fail = errors.New("disk full")
	if f.Keep() == nil {
		t.Error("a failure was not told")
	}
	f.shelf.fail = nil
	if err := f.Keep(); err != nil || len(f.shelf.kept) != 1 {
		t.Fatalf("not tried again: %v, %v", f.shelf.kept, err)
	}
	f.restart(Auto)
	if list := f.List(f.now); len(list) != 1 || list[0].ID != due.ID || list[0].State != Failed {
		t.Errorf("what was due when the node ended: %+v", list)
	}
	f.shelf.kept["damaged"] = []byte("{")
	m := NewManager(nil, f.shelf, nil)
	if malformed, err := m.Restore(f.now); malformed != 1 || err != nil {
		t.Errorf("malformed %d, %v", malformed, err)
	}
}

func TestTheListIsBounded(t *testing.T) {
	f := newFixture(t, Auto)
	at := func(i int) Action {
		a := replies
		a.Port = uint16(i)
		return a
	}
	for i := range MaxResponses + 10 {
		f.ask(at(i))
	}
	if err := f.Keep(); err != nil || len(f.List(f.now)) != MaxResponses || len(f.shelf.kept) != MaxResponses {
		t.Errorf("%d remembered, %d kept, %v", len(f.List(f.now)), len(f.shelf.kept), err)
	}
	f = newFixture(t, Approve)
	for i := range maxOpen {
		f.ask(at(i))
	}
	if _, _, err := f.Ask(f.now, at(maxOpen)); err == nil {
		t.Error("what waits for a person was forgotten")
	}
	f.restart(Approve, Slot{Name: "hook", Mode: Approve, Actions: []string{RunHook}, Unit: f.unit})
	for i := range maxOpen {
		f.ask(at(i))
	}
	if _, due, err := f.Ask(f.now, Action{Name: RunHook, Hook: "page"}); !due || err != nil {
		t.Errorf("one unit keeps another from its work: %v", err)
	}
}

// What was done for some evidence is not done for it once more: a process that was started again stays.
func TestOldEvidenceIsAnswered(t *testing.T) {
	f := newFixture(t, Auto)
	a := replies
	a.Evidence = f.now.Add(-time.Second)
	first := f.ask(a)
	f.now = f.now.Add(time.Hour)
	if r := f.ask(a); r.ID != first.ID || f.unit.done != 1 {
		t.Errorf("on the same evidence: %+v", r)
	}
	a.Evidence = f.now
	if r := f.ask(a); r.ID == first.ID || f.unit.done != 2 {
		t.Errorf("on newer evidence: %+v", r)
	}
}

// Who is first with a doubtful word does not keep waiting what becomes certain.
func TestADoubtIsLifted(t *testing.T) {
	f := newFixture(t, Auto)
	doubtful, certain := replies, replies
	doubtful.Hold, doubtful.Evidence, certain.Evidence = "only others have said so", f.now, f.now.Add(-time.Minute)
	first := f.ask(doubtful)
	if later := f.ask(doubtful); first.State != Waiting || later.ID != first.ID || f.unit.done != 0 {
		t.Fatalf("with a doubt: %+v, %+v", first, later)
	}
	if r := f.ask(certain); r.ID != first.ID || r.State != Done || r.Hold != "" || !r.Evidence.Equal(f.now) || f.unit.done != 1 {
		t.Errorf("without: %+v", r)
	}
	f = newFixture(t, Approve) // where the mode is the reason, it goes on waiting
	f.ask(doubtful)
	if r := f.ask(certain); r.State != Waiting || f.unit.done != 0 {
		t.Errorf("in mode approve: %+v", r)
	}
}

// What goes on is one response for as long, and what a person has ended begins again when its cause has paused,
// or a person asks: not because the same flood is seen a moment later.
func TestWhatStandsIsUndone(t *testing.T) {
	f, unit := newFixture(t, Auto), new(enduring)
	slot := Slot{Name: "reset", Mode: Auto, Actions: []string{ResetHalfOpen}, Unit: unit, Lasts: 10 * time.Second, Rest: 10 * time.Minute}
	f.restart(Auto, slot)
	flood := func() Response {
		return f.ask(Action{Name: ResetHalfOpen, Target: replies.Target, Scenario: "bind-birthday", Evidence: f.now})
	}
	first := flood()
	for range 5 {
		f.now = f.now.Add(time.Minute)
		if r := flood(); r.ID != first.ID || unit.done != 1 {
			t.Fatalf("while it stands: %+v, done %d times", r, unit.done)
		}
	}
	if r, err := f.Undo(t.Context(), f.now, first.ID); err != nil || r.State != Undone || r.Undoable {
		t.Fatalf("undone: %+v, %v", r, err)
	}
	for range 5 {
		f.now = f.now.Add(9 * time.Minute)
		if r := flood(); r.ID != first.ID || unit.done != 1 {
			t.Fatalf("the flood goes on, and so do resets: %+v", r)
		}
		if err := f.Keep(); err != nil {
			t.Fatal(err)
		}
		f.restart(Auto, slot)
	}
	f.now = f.now.Add(time.Second)
	if r := f.ask(Action{Name: ResetHalfOpen, Target: replies.Target, Evidence: f.now}); r.State != Done || unit.done != 2 {
		t.Errorf("a person asks: %+v", r)
	}
	unit.stands = false
	if list := f.List(f.now); list[0].State != Done || list[0].Undoable {
		t.Errorf("what is over can be undone: %+v", list[0])
	}
	f.now = f.now.Add(11 * time.Minute)
	second := flood()
	if _, err := f.Undo(t.Context(), f.now, second.ID); err != nil || unit.done != 3 {
		t.Fatalf("another flood: %+v, %v", second, err)
	}
	f.now = f.now.Add(11 * time.Minute)
	if r := flood(); r.State != Done || r.ID == second.ID || unit.done != 4 {
		t.Errorf("after a pause: %+v", r)
	}
}
