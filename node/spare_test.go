package node

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/respond"
)

// Of an attack that is marked as false no unit does anything, whichever scenario asks for it: what one has done ends, what
// it asks for is refused, and the next attack is an attack again.
func TestFalseAlertIsSparedByScenarios(t *testing.T) {
	p := newParty(t)
	followed, err := library([]string{"ssh-takeover"})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n, w := p.whole(t)
		n.started, n.backend = time.Now(), block.Observer{}
		n.config.Log, n.config.Respond = slog.New(slog.DiscardHandler), map[string]respond.Mode{unitBlock: respond.Auto}
		if err := n.startResponding(); err != nil {
			t.Fatal(err)
		}
		p.assessed = n.assessed
		s := (&scenarios{log: n.config.Log, member: p.Member(), host: host1, own: func(a netip.Addr) bool { return a == host1 },
			show: func(control.Alert) {}, respond: n.respond}).init(followed)
		line := int64(0)
		fails := func(times int) {
			for range times {
				line++
				e := failed(time.Now(), line)
				w.sees(e)
				s.seen(e.Time, e)
				synctest.Wait()
				for len(s.waiting) > 0 {
					s.ask(t.Context(), <-s.waiting)
				}
				for len(n.responder.due) > 0 {
					if _, err := n.responder.Carry(t.Context(), time.Now(), <-n.responder.due); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(6 * time.Second)
			}
		}
		fails(6)
		if done, err := n.Responses(); err != nil || len(done) != 1 || !done[0].Undoable || !slices.Equal(blocked(p), isBlocked) {
			t.Fatalf("%+v, blocked %v", done, blocked(p))
		}
		p.hears(t, opine(t, p.Open, time.Now(), true))
		if got := blocked(p); len(got) > 0 {
			t.Errorf("still %v", p.blocks.List(time.Now()))
		}
		if shown, err := n.Responses(); err != nil || shown[0].Undoable || !strings.HasSuffix(shown[0].Outcome, "; that has ended") {
			t.Errorf("the response is shown as %+v, %v", shown, err)
		}
		time.Sleep(respond.FlowTime) // what was done is over, and would be done again
		if fails(6); len(blocked(p)) > 0 || len(n.responder.List(time.Now())) != 1 {
			t.Errorf("blocked %+v, responses %+v", p.blocks.List(time.Now()), n.responder.List(time.Now()))
		}
		if last := s.sequence[len(s.sequence)-1]; !strings.Contains(last.Action, "refused: the alert of ssh-brute-force") || !strings.Contains(last.Action, "a scanner") {
			t.Errorf("what became of it: %+v", last)
		}
		time.Sleep(2 * time.Hour)
		if fails(6); !slices.Equal(blocked(p), isBlocked) {
			t.Errorf("the next attack: blocked %v", blocked(p))
		}
		w.stop()
	})
}
