package node

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/komondor/komondor/probe/packet"
	"github.com/komondor/komondor/probe/packet/detect"
	"github.com/komondor/komondor/respond"
)

// A reset stands while there is something to undo, and not for ever.
func TestUndoingStands(t *testing.T) {
	seen, now := detect.NewHalfOpen(), time.Now()
	u := newUndoing(slog.New(slog.DiscardHandler), seen, respond.ResetUnit{})
	begin := func(at time.Time) {
		seen.Packet(&packet.Packet{Time: at.UnixNano(), Source: host1, Target: n1, SourcePort: 4000, TargetPort: 53, Protocol: packet.TCP, Flags: packet.SYN, Sequence: uint32(at.Unix()), Outgoing: true})
	}
	refuse := func() {
		seen.Packet(&packet.Packet{Time: now.UnixNano(), Source: host1, Target: n1, SourcePort: 4000, TargetPort: 53, Protocol: packet.TCP, Flags: packet.RST, Outgoing: true})
	}
	reset := respond.Action{Name: respond.ResetHalfOpen, Target: n1}
	if got := u.due(now); len(got) > 0 {
		t.Fatalf("%d stand, and nothing was reset", len(got))
	}
	begin(now)
	if !u.stand(now, now, reset) || u.stand(now, now, reset) || !u.Stands(reset) {
		t.Fatal("one reset stands once")
	}
	for _, step := range []struct {
		after time.Duration
		do    func()
		want  int
	}{
		{0, func() {}, 1},
		{time.Second, refuse, 1}, // nothing is half-open now
		{undoQuiet, func() { begin(now.Add(undoQuiet)) }, 1},
		{undoQuiet + time.Second, refuse, 1},
		{2*undoQuiet + time.Second, func() {}, 0},
		{2*undoQuiet + 2*time.Second, func() { begin(now.Add(2 * undoQuiet)) }, 0}, // has to be asked for again
	} {
		if step.do(); len(u.due(now.Add(step.after))) != step.want {
			t.Errorf("after %s: want %d", step.after, step.want)
		}
	}
	u.stand(now, now, reset)
	for i := range 100 {
		u.stand(now, now, respond.Action{Name: respond.ResetHalfOpen, Target: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})})
	}
	if n := len(u.standing); n != maxStands {
		t.Errorf("%d stand", n)
	}
	if begin(now.Add(undoLimit)); len(u.due(now.Add(undoLimit+time.Second))) > 0 {
		t.Error("a flood that does not end is undone for ever")
	}
}

// What a person has undone, what the mode does not let be done any more, and what is long ago does not go on
// when a node starts.
func TestUndoingIsRecalled(t *testing.T) {
	now := time.Now()
	at := func(target netip.Addr, state respond.State, ago time.Duration, hold string) respond.Response {
		return respond.Response{Action: respond.Action{Name: respond.ResetHalfOpen, Target: target, Hold: hold}, State: state, Changed: now.Add(-ago)}
	}
	approved := "unit reset is in mode approve"
	for _, test := range []struct {
		name   string
		mode   respond.Mode
		latest []respond.Response
		want   bool
	}{
		{"done", respond.Auto, []respond.Response{at(n1, respond.Done, time.Minute, "")}, true},
		{"approved", respond.Approve, []respond.Response{at(n1, respond.Done, time.Minute, approved)}, true},
		{"nobody has approved it", respond.Approve, []respond.Response{at(n1, respond.Done, time.Minute, "")}, false},
		{"the mode is another", respond.Observe, []respond.Response{at(n1, respond.Done, time.Minute, "")}, false},
		{"undone", respond.Auto, []respond.Response{at(n1, respond.Undone, time.Minute, ""), at(n1, respond.Done, 2*time.Minute, "")}, false},
		{"another is undone", respond.Auto, []respond.Response{at(host1, respond.Undone, time.Minute, ""), at(n1, respond.Done, 2*time.Minute, "")}, true},
		{"over", respond.Auto, []respond.Response{at(n1, respond.Done, undoLimit, "")}, false},
	} {
		u := newUndoing(slog.New(slog.DiscardHandler), detect.NewHalfOpen(), respond.ResetUnit{})
		u.recall(now, test.mode, test.latest)
		if got := u.Stands(respond.Action{Target: n1}); got != test.want {
			t.Errorf("%s: stands %t", test.name, got)
		}
	}
}
