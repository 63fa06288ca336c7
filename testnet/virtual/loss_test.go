package virtual

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestLoss has one message of five vanish, replies too, while the streams go on, and
// attacks go on.
func TestLoss(t *testing.T) {
	const percent = 20
	bubble(t, 2*time.Hour, func(t *testing.T) {
		dice := dice(t, *seed)
		net := newNet(t, nil)
		net.loss = &loss{dice: dice}
		net.fill(fit(long(20, 50)))
		net.loss.set(percent)
		time.Sleep(10 * time.Second)

		attacks := long(15, 100)
		everyone := Everyone(net)
		began := make([]time.Time, attacks)
		for i := range attacks {
			began[i] = time.Now()
			for _, n := range pick(dice, everyone, 3) {
				AttackedBy(criminal(i), 3)(n)
			}
			time.Sleep(2 * time.Second)
		}
		time.Sleep(time.Minute)
		var first, took []time.Duration // after an attack: until somebody blocks; until each does
		missing := 0
		for i := range attacks {
			var of []time.Duration
			for _, n := range everyone {
				if since, ok := n.blockedSince(criminal(i)); ok {
					of = append(of, since.Sub(began[i]))
				} else {
					missing++
				}
			}
			if len(of) > 0 {
				first, took = append(first, slices.Min(of)), append(took, of...)
			}
		}
		slices.Sort(first)
		slices.Sort(took)
		inTime, _ := slices.BinarySearch(took, 10*time.Second)
		wanted := attacks * len(everyone)
		share := 100 * float64(inTime) / float64(wanted)
		t.Logf("until somebody blocks: median %s, 99 %% %s; until each does: median %s, 99 %% %s", first[len(first)/2], first[len(first)*99/100], took[len(took)/2], took[len(took)*99/100])
		what := fmt.Sprintf("%d %% of all messages lost, replies too (%d of %d), %d nodes: ", percent, net.loss.lost, net.loss.sent, len(everyone))
		Figure(t, what+"alerts at nodes within 10 s", "99 %", fmt.Sprintf("%.2f %% of %d", share, wanted), share >= 99)
		Figure(t, what+"alerts missing after a minute of repair", "0", missing, missing == 0)
	})
}
