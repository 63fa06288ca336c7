package virtual

import (
	"testing"
	"time"

	"github.com/komondor/komondor/federation"
)

// TestScenariosFederation is TestScenarios among members only.
func TestScenariosFederation(t *testing.T) {
	inFederation(t, 2*time.Hour, 50, 25, scenarios)
}

// TestTwoOrganisations is the smallest federation that can have anybody blocked.
func TestTwoOrganisations(t *testing.T) {
	inFederation(t, 2*time.Hour, 2, 2, func(t *testing.T, net *Net) {
		net.Play("two nodes see half each", Timetable{
			At(1*time.Second, Nodes(0), AttackedBy(worm, 3)),
			At(2*time.Second, Nodes(1), AttackedBy(worm, 3)),
			NotBefore(3*time.Second, Anyone, Block(worm)),
			At(3*time.Second, Nodes(0), AttackedBy(worm, 1)), // 12: a block at home, and with 9 elsewhere below 20
			By(4*time.Second, Nodes(0), Block(worm)),
			NotBefore(5*time.Second, Nodes(1), Block(worm)),
			At(5*time.Second, Nodes(1), AttackedBy(worm, 1)),
			By(6*time.Second, Everyone, Block(worm)),
		})
		healthy(t, net)
	})
}

// TestFleet has the nodes of one organisation see an attack that nobody else
// sees: they protect one another, and warn the others.
func TestFleet(t *testing.T) {
	inFederation(t, 2*time.Hour, 30, 10, func(t *testing.T, net *Net) {
		fleet := Nodes(3, 13, 23)
		net.Play("three hosts of one owner are attacked", Timetable{
			At(1*time.Second, fleet, AttackedBy(worm, 1)), // 9 points
			NotBefore(2*time.Second, Anyone, Block(worm)),
			At(2*time.Second, Nodes(3), AttackedBy(worm, 1)), // 12, none of the hosts with 10
			By(4*time.Second, fleet, Block(worm)),
			By(4*time.Second, But(fleet), Warn(worm)),
			Never(But(fleet), Block(worm)),
		})
		healthy(t, net)
	})
}

// TestPolicy has the root ask for evidence of three organisations.
func TestPolicy(t *testing.T) {
	inFederation(t, 2*time.Hour, 50, 25, func(t *testing.T, net *Net) {
		old := net.nodes[0].member.Policy()
		net.Play("a new policy with a quorum of three", Timetable{
			At(1*time.Second, Nodes(0), Agree(func(p *federation.Policy) { p.Quorum = 3 })),
			Mostly(95, 6*time.Second, Everyone, Quorum(3)),
			By(61*time.Second, Everyone, Quorum(3)),
			// 12 points each make no 20 when a third of it is what one may count for.
			At(62*time.Second, Farthest(worm, 2), AttackedBy(worm, 4)),
			NotBefore(65*time.Second, But(Colleagues(Farthest(worm, 2))), Block(worm)),
			At(65*time.Second, Farthest(worm, 3), AttackedBy(worm, 4)),
			By(66*time.Second, Everyone, Block(worm)),
		})
		stale, err := federation.SignPolicy(net.founders.root, old)
		if err != nil {
			t.Fatal(err)
		}
		forged, err := federation.SignPolicy(net.founders.keys[anchor], federation.Policy{
			Federation: old.Federation, Version: 9, Issued: old.Issued, Seed: old.Seed, Quorum: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, document := range map[string][]byte{"an older policy": stale, "one that the root has not signed": forged} {
			if err := net.nodes[7].Product().Submit(t.Context(), document); err == nil {
				t.Errorf("%s was taken", name)
			}
		}
		net.Play("neither changes anything", Timetable{NotBefore(5*time.Second, Anyone, Not(Quorum(3)))})
	})
}
