package virtual

import (
	"fmt"
	"testing"
	"time"

	"github.com/komondor/komondor/federation"
)

// TestClocks has the clocks of sensors be wrong, and so what their nodes report:
// by two minutes it does no harm, and by an hour it does not count. A synctest
// bubble has one clock, so a node whose own clock is wrong is one that somebody
// speaks for: what it would report is signed by it, and brought to the collectors.
func TestClocks(t *testing.T) {
	inBubble(t, 2*time.Hour, 12, func(t *testing.T, net *Net) {
		const little, much = 2 * time.Minute, time.Hour + time.Minute // evidence of an hour is looked at, so one behind by less is late and not wrong
		net.Play("two minutes ahead, two behind, and right: an alert, and a block that ends so long after the evidence of all", Timetable{
			At(0, Nodes(1), Skewed(little-time.Second)),
			At(0, Nodes(2), Skewed(-little+time.Second)),
			At(1*time.Second, Nodes(1, 2, 3), AttackedBy(worm, 3)),
			By(2*time.Second, Everyone, Block(worm)),
			By(8*time.Minute, Everyone, Hold(worm)),  // ten minutes less two
			By(13*time.Minute, Everyone, Free(worm)), // ten minutes and two
		})
		for i, by := range []time.Duration{much, -much} {
			source := criminal(100 + i)
			outOfTime := func() uint64 { c := net.nodes[1].Status().Counters; return c.EventsFuture + c.EventsOld }
			before := outOfTime()
			net.Play(fmt.Sprintf("ahead by %v: archived, and not counted", by), Timetable{
				At(1*time.Second, Nodes(2), Skewed(0)),
				At(1*time.Second, Nodes(1), Skewed(by)),
				At(2*time.Second, Nodes(1), AttackedBy(source, 10)),
				At(2*time.Second, Nodes(2, 3), AttackedBy(source, 1)),
				Never(Anyone, Block(source)),
			})
			const lines = 10 * 3
			count := lines - int(outOfTime()-before)
			Figure(t, fmt.Sprintf("lines of %d that count, of a sensor whose clock is ahead by %v", lines, by), "0", count, count == 0)
		}
		Skewed(0)(net.nodes[1])

		member := net.AddTo("clockless", federation.TierMember)
		if err := member.turn(&rogue{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(settling)
		refused := func(n *Node) uint64 { return n.Status().Counters.Refused }
		for i, by := range []time.Duration{little, -little, much, -much} {
			source := criminal(i)
			before := net.sum(refused)
			r := seen(source, uint64(i)+1, 3)
			age(&r, -by)
			if err := member.tell(r); (err == nil) != (by <= little) { // an hour behind is old evidence, and taken as that
				t.Errorf("the report of a member whose clock is ahead by %v: %v", by, err)
			}
			for _, n := range net.nodes[2:4] {
				AttackedBy(source, 3)(n)
			}
			time.Sleep(5 * time.Second)
			do, not, _ := Block(source).split(Everyone(net))
			switch what := fmt.Sprintf("nodes of %d that block by a report of a member whose clock is ahead by %v", len(do)+len(not), by); by {
			case little, -little:
				Figure(t, what, "all", len(do), len(not) == 0)
			case much:
				Figure(t, what+", which is refused with the reason in the log", "0", len(do), len(do) == 0 && net.sum(refused) > before)
			case -much:
				Figure(t, what, "0", len(do), len(do) == 0)
			}
		}
	})
}
