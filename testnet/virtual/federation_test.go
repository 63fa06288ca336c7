package virtual

import (
	"slices"
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
	inFederation(t, 2*time.Hour, 18, 6, func(t *testing.T, net *Net) {
		fleet := Nodes(3, 9, 15)
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

// TestContradiction has a member tell different collectors different things.
func TestContradiction(t *testing.T) {
	inFederation(t, 2*time.Hour, 30, 15, func(t *testing.T, net *Net) {
		liar := net.AddTo("liars", federation.TierMember).Number
		net.Play("two reports of one version", Timetable{
			At(1*time.Second, Nodes(1), AttackedBy(slandered, 3)), // 9 points, 10 with the liar's
			At(1*time.Second, Nodes(liar), Contradict(slandered)),
			Mostly(95, 6*time.Second, Everyone, Convict(liar)),
			By(40*time.Second, Everyone, Convict(liar)),
			By(40*time.Second, Everyone, CutOff(liar)),
			At(41*time.Second, Nodes(2), AttackedBy(slandered, 3)), // 18 without the liar's
			Never(Anyone, Block(slandered)),
		})
	})
}

// TestStale has the only anchor stay away for longer than its word on the root's
// revocation list counts. The others sleep for most of that time, which changes
// nothing and takes less of ours.
func TestStale(t *testing.T) {
	inFederation(t, 2*time.Hour, 5, 5, func(t *testing.T, net *Net) {
		const hour = time.Hour
		others := Nodes(1, 2, 3, 4)
		net.Play("a day without an anchor", Timetable{
			At(1*time.Minute, Everyone, Stop),
			At(23*hour, others, Start),
			At(23*hour+10*time.Minute, Nodes(1, 2, 3), AttackedBy(worm, 3)),
			By(23*hour+11*time.Minute, others, Block(worm)),

			By(24*hour+5*time.Minute, others, Doubt()),
			At(24*hour+5*time.Minute, Nodes(1, 2, 3), AttackedBy(patient, 3)),
			At(24*hour+5*time.Minute, Nodes(4), AttackedBy(slow, 4)),
			By(24*hour+6*time.Minute, others, Wait(patient)),
			By(24*hour+6*time.Minute, Nodes(4), Block(slow)),
			NotBefore(24*hour+7*time.Minute, others, Block(patient)),

			At(24*hour+7*time.Minute, Nodes(0), Start),
			By(24*hour+9*time.Minute, others, Not(Doubt())),
			At(24*hour+9*time.Minute, Nodes(1, 2, 3), AttackedBy(last, 3)),
			By(24*hour+10*time.Minute, Everyone, Block(last)),
		})
	})
}

// TestRenewal goes through eight days, longer than any certificate's life. The
// nodes are awake for a few minutes each twelve hours.
func TestRenewal(t *testing.T) {
	inFederation(t, 2*time.Hour, 4, 2, func(t *testing.T, net *Net) {
		table := Timetable{NotBefore(time.Minute, Anyone, Certified())}
		const halfDays = 16
		for i := range halfDays {
			noon := time.Duration(i) * 12 * time.Hour
			table = append(table,
				At(noon+1*time.Minute, Everyone, Stop),
				At(noon+12*time.Hour-4*time.Minute, Nodes(0, 1, 2, 3), Start))
		}
		const end = halfDays * 12 * time.Hour
		net.Play("eight days", slices.Concat(table, Timetable{
			By(end, Everyone, Certified()),
			At(end, Everyone, AttackedBy(worm, 3)),
			By(end+time.Second, Everyone, Block(worm)),
		}))
	})
}
