package virtual

import (
	"slices"
	"testing"
	"time"

	"github.com/komondor/komondor/federation"
)

// Each scenario has attackers and users of its own, so that all can play in one
// overlay, one after the other.
const (
	flood     = "203.0.113.65"
	worm      = "203.0.113.66"
	slow      = "203.0.113.67"
	patient   = "203.0.113.68"
	restless  = "203.0.113.69"
	last      = "203.0.113.70"
	alice     = "198.51.100.20"
	bob       = "198.51.100.21"
	slandered = "198.51.100.22"
)

// TestScenarios is the main job: a hundred nodes, and what may befall them.
func TestScenarios(t *testing.T) {
	inBubble(t, 2*time.Hour, 100, scenarios)
}

func scenarios(t *testing.T, net *Net) {
	burst(t, net)

	net.Play("a worm goes over three hosts: everybody blocks it within a second", Timetable{
		NotBefore(1*time.Second, Anyone, Block(worm)),
		At(1*time.Second, Farthest(worm, 3), AttackedBy(worm, 3)),
		By(2*time.Second, Everyone, Block(worm)),
	})

	net.Play("people mistype their passwords: nobody blocks them", Timetable{
		At(1*time.Second, Nodes(1, 2, 3, 4, 5), MistypedBy(alice, "alice", 2)),
		At(2*time.Second, Nodes(6, 7, 8, 9, 10), MistypedBy(bob, "bob", 3)),
		Never(Anyone, Block(alice)),
		Never(Anyone, Block(bob)),
	})

	net.Play("one attempt a host: blocked at the tenth, and not before", slices.Concat(
		attempts(slow, min(30, len(Everyone(net))), 1*time.Second), // two points each, and twenty are enough
		Timetable{
			NotBefore(10*time.Second, Anyone, Block(slow)),
			By(11*time.Second, Everyone, Block(slow)),
		}))

	liar := net.AddTo("liars", federation.TierMember)
	net.Play("one liar claims any number of whom one other saw once: others are warned, and nobody blocks", Timetable{
		At(1*time.Second, Nodes(1), ProbedBy(slandered)),
		At(1*time.Second, Nodes(liar.Number), Slander(slandered)),
		By(6*time.Second, Everyone, Warn(slandered)),
		Never(Anyone, Block(slandered)),
	})

	restart(net)
	join(net)
	crash(net)
	healthy(t, net)
}

// attempts are one attempt at each of some hosts, one after the other.
func attempts(source string, hosts int, every time.Duration) (table Timetable) {
	for i := range hosts {
		table = append(table, At(time.Duration(i+1)*every, Nodes(i), ProbedBy(source)))
	}
	return table
}

func restart(net *Net) {
	some := Farthest(patient, 3)(net)
	a, b, c := Nodes(some[0].Number), Nodes(some[1].Number), Nodes(some[2].Number)
	net.Play("a node restarts: its evidence counts once, and its blocks stand", Timetable{
		At(1*time.Second, a, AttackedBy(patient, 2)), // 6 points
		At(2*time.Second, a, Stop),
		At(3*time.Second, a, Start),
		By(4*time.Second, a, Block(worm)),
		At(4*time.Second, a, AttackedBy(patient, 1)), // 9, and with anything counted twice enough for a block
		At(5*time.Second, b, AttackedBy(patient, 3)), // 18
		NotBefore(7*time.Second, Anyone, Block(patient)),
		At(7*time.Second, c, AttackedBy(patient, 1)), // 21
		By(8*time.Second, Everyone, Block(patient)),
	})
}

// holdsAll is up to how many nodes every table surely holds all: half of them
// and some fit in the first bucket.
const holdsAll = 32

func join(net *Net) {
	net.t.Helper()
	late := net.Add()
	attacker := net.Near(late)
	net.Play("a node joins during an attack and is its first collector: it hears of what was before", Timetable{
		At(1*time.Second, Farthest(attacker, 3), AttackedBy(attacker, 2)), // 18 points
		At(2*time.Second, Nodes(late.Number), Start),
		NotBefore(7*time.Second, Anyone, Block(attacker)),
		At(7*time.Second, Farthest(attacker, 1), AttackedBy(attacker, 1)), // 21
		By(8*time.Second, Everyone, Block(attacker)),
	})
	heard := uint64(3)
	if len(Everyone(net)) > holdsAll {
		heard = 1 // who is far from the key hears of a new collector with its next report only
	}
	if c := late.Status().Counters; c.Collected < heard {
		net.t.Errorf("%s was to be the first collector, and hear of %d witnesses: %+v", late, heard, c)
	}
}

func crash(net *Net) {
	net.Play("the first collectors crash as the last evidence comes: the alert is two seconds late at most", Timetable{
		At(1*time.Second, Farthest(restless, 3), AttackedBy(restless, 2)), // 18 points
		NotBefore(5*time.Second, Anyone, Block(restless)),
		At(5*time.Second, Nearest(restless, 2), Crash),
		At(5*time.Second, Farthest(restless, 1), AttackedBy(restless, 1)), // 21
		By(7*time.Second, Everyone, Block(restless)),
	})
}

func halfCrash(net *Net) {
	witnesses := Farthest(last, 3)
	everyOther := func(net *Net) (half []*Node) {
		for i, n := range But(witnesses)(net) {
			if i%2 == 0 {
				half = append(half, n)
			}
		}
		return half
	}
	net.Play("half of the nodes crash, and all collectors: ten seconds later no evidence is missing", Timetable{
		At(1*time.Second, witnesses, AttackedBy(last, 2)), // 18 points
		At(5*time.Second, Nearest(last, 5), Crash),
		At(5*time.Second, everyOther, Crash),
		NotBefore(15*time.Second, Anyone, Block(last)),
		At(15*time.Second, Farthest(last, 1), AttackedBy(last, 1)), // 21
		By(16*time.Second, Everyone, Block(last)),
	})
}

// burst is what ten thousand events of one attacker cost; TestMessages says more.
func burst(t *testing.T, net *Net) {
	t.Helper()
	m := net.Measure(flood, 10_000, 10*time.Second, time.Second)
	t.Logf("%+v", m)
	// One look-up, and one more each time that a table which still fills has met
	// somebody nearer; of two keys, the attacker's own and that of his subnet.
	if m.Lookups > 2*10 || m.ReportMessages > 2*uint64(m.Events)/100 {
		t.Errorf("want at most 10 look-ups, and 0.01 report messages an event, for each of two keys: %+v", m)
	}
}

// healthy wants that no node that is left has refused, lost or misread anything.
func healthy(t *testing.T, net *Net) {
	t.Helper()
	for _, n := range Everyone(net) {
		s := n.Status()
		c := s.Counters
		if bad := c.Refused + c.AlertsInvalid + c.EventsOld + c.EventsFuture + c.EventsUnarchived + c.StoreFailures; bad > 0 {
			t.Errorf("%s: %+v", n, c)
		}
		for _, source := range s.Sources {
			if source.Malformed > 0 || source.Notice != "" {
				t.Errorf("%s: %+v", n, source)
			}
		}
	}
}

// TestHalfCrashes is a catastrophe in an overlay whose tables hold all.
func TestHalfCrashes(t *testing.T) {
	inBubble(t, 2*time.Hour, 30, func(t *testing.T, net *Net) {
		join(net)
		halfCrash(net)
		healthy(t, net)
	})
}

// TestMidnight has an attack go on while the salt of the day changes, and with
// it the collectors. The last evidence comes before anybody tells the old again.
func TestMidnight(t *testing.T) {
	midnight := func(t *testing.T, net *Net) {
		net.Play("an attack across midnight", Timetable{
			At(60*time.Second, Nodes(0, 1, 2), AttackedBy(worm, 2)), // 18 points, at 23:59:34
			NotBefore(90*time.Second, Anyone, Block(worm)),
			At(90*time.Second, Nodes(3), AttackedBy(worm, 1)), // 21, at 00:00:04
			By(91*time.Second, Everyone, Block(worm)),
		})
		healthy(t, net)
	}
	const start = 24*time.Hour - 90*time.Second
	t.Run("open", func(t *testing.T) { inBubble(t, start, 12, midnight) })
	t.Run("federation", func(t *testing.T) { inFederation(t, start, 12, 6, midnight) })
}
