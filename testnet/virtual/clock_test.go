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
		const little, much = 2 * time.Minute, time.Hour
		net.Play("two minutes ahead, two behind, and right: an alert, and a block that ends so long after the evidence of all", Timetable{
			At(0, Nodes(1), Skewed(little-time.Second)),
			At(0, Nodes(2), Skewed(-little+time.Second)),
			At(1*time.Second, Nodes(1, 2, 3), AttackedBy(worm, 3)),
			By(2*time.Second, Everyone, Block(worm)),
			By(8*time.Minute, Everyone, Hold(worm)),  // ten minutes less two
			By(13*time.Minute, Everyone, Free(worm)), // ten minutes and two
		})
		net.Play("an hour ahead: archived, and not counted", Timetable{
			At(1*time.Second, Nodes(2), Skewed(0)),
			At(1*time.Second, Nodes(1), Skewed(much)),
			At(2*time.Second, Nodes(1), AttackedBy(slow, 10)),
			At(2*time.Second, Nodes(2), AttackedBy(slow, 3)),
			Never(Anyone, Block(slow)),
		})
		future := net.nodes[1].Status().Counters.EventsFuture
		const lines = 10 * 3
		Figure(t, fmt.Sprintf("lines of %d that count, of a sensor whose clock is an hour ahead", lines), "0", lines-int(future), future == lines)

		member := net.AddTo("clockless", federation.TierMember)
		if err := member.turn(&rogue{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(settling)
		refused := func(n *Node) uint64 { return n.Status().Counters.Refused }
		for source, by := range map[string]time.Duration{patient: little, restless: -little, last: much} {
			before := net.sum(refused)
			r := seen(source, 1, 3)
			age(&r, -by)
			if err := member.tell(r); (err == nil) != (by <= little) {
				t.Errorf("the report of a member whose clock is ahead by %v: %v", by, err)
			}
			for _, n := range net.nodes[2:4] {
				AttackedBy(source, 3)(n)
			}
			time.Sleep(5 * time.Second)
			do, not, _ := Block(source).split(Everyone(net))
			if by <= little {
				Figure(t, fmt.Sprintf("nodes that block by a report of a member whose clock is ahead by %v", by), "all", len(do), len(not) == 0)
			} else {
				Figure(t, fmt.Sprintf("the same, by %v", by), "0, refused with the reason in the log", len(do), len(do) == 0 && net.sum(refused) > before)
			}
		}
	})
}
