package node

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/komondor/komondor/block"
)

// What an alert says of its offenders is what is done about them, whatever a person decides meanwhile; and so is what the
// log says of it then.
func TestAlertsFollowDecisions(t *testing.T) {
	p := newParty(t, func(policy *block.Policy) { policy.Network = block.Approve })
	prefix := netip.MustParsePrefix(attacker + "/32")
	synctest.Test(t, func(t *testing.T) {
		n, w := p.whole(t)
		ctx := t.Context()
		says := func(want string) {
			t.Helper()
			if all := shownAlerts(t, p); len(all) != 1 || !strings.HasPrefix(all[0].Action, attacker+" "+want) {
				t.Errorf("want %q: %+v", want, all)
			}
		}
		decided := func(_ any, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}
		p.hit(t)
		says("waits for approval until")
		decided(n.Approve(ctx, nil))
		says("observed until")
		p.hears(t, opine(t, newMember(t), time.Now(), true)) // and tells it again
		says("observed until")
		decided(n.FlushBlocks(ctx))
		says("not blocked: a person has ended that at 2")
		p.strikes(ctx, 10)
		says("observed until")
		decided(nil, n.Unblock(ctx, prefix))
		says("not blocked: a person has ended that at 2")
		decided(n.Block(ctx, prefix, time.Hour, "mine"))
		says("observed until")
		decided(nil, n.decide(ctx, time.Now(), func() error { // which takes a while, as where names are looked up
			time.Sleep(time.Second)
			_, err := n.blocks.Remove(ctx, time.Now(), prefix)
			return err
		}))
		says("not blocked: a person has ended that at 2")
		decided(n.Block(ctx, prefix, time.Hour, "mine"))
		says("observed until")
		decided(nil, n.Allow(ctx, attacker, ""))
		says("not blocked: never-block set: ")
		w.stop()
	})
}

// A mark as false says more than what becomes of a block, and an attack that is over says what was done.
func TestDecisionsLeaveAlertsAlone(t *testing.T) {
	p := newParty(t)
	prefix := netip.MustParsePrefix(attacker + "/32")
	synctest.Test(t, func(t *testing.T) {
		n, w := p.whole(t)
		p.strikes(t.Context(), 10)
		p.hears(t, opine(t, p.Open, time.Now(), true))
		same := func(what string) {
			t.Helper()
			before := shownAlerts(t, p)[0].Action
			if _, err := n.Block(t.Context(), prefix, time.Hour, "mine"); err != nil {
				t.Fatal(err)
			}
			if err := n.Unblock(t.Context(), prefix); err != nil {
				t.Fatal(err)
			}
			if after := shownAlerts(t, p)[0].Action; after != before {
				t.Errorf("%s: %q, and it was %q", what, after, before)
			}
		}
		same("marked as false")
		p.hears(t, opine(t, p.Open, time.Now().Add(time.Second), false))
		time.Sleep(3 * time.Hour)
		same("over")
		w.stop()
	})
}
