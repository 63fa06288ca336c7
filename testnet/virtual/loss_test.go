package virtual

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestLoss has one message of five vanish, replies too, and attacks go on.
func TestLoss(t *testing.T) {
	const percent = 20
	bubble(t, 2*time.Hour, func(t *testing.T) {
		dice := dice(t, *seed)
		net := newNet(t, nil)
		net.loss = &loss{dice: dice}
		net.fill(fit(long(20, 100)))
		net.loss.set(percent)
		time.Sleep(10 * time.Second)

		attacks := long(30, 300)
		everyone := Everyone(net)
		var inTime, wanted int
		var took []time.Duration
		for i := range attacks {
			began := time.Now()
			for _, n := range pick(dice, everyone, 3) {
				AttackedBy(criminal(i), 3)(n)
			}
			time.Sleep(2 * time.Second)
			if i >= 5 { // ten seconds after it began
				do, _, _ := Block(criminal(i - 5)).split(everyone)
				inTime, wanted = inTime+len(do), wanted+len(everyone)
			}
			_ = began
		}
		time.Sleep(time.Minute)
		after := 0
		for i := range attacks {
			do, not, _ := Block(criminal(i)).split(everyone)
			after += len(do)
			if len(not) > 0 {
				t.Logf("attack %d: nodes %v do not block", i, not)
			}
		}
		_ = took
		slices.Sort(took)
		share := 100 * float64(inTime) / float64(wanted)
		what := fmt.Sprintf("%d %% of all messages lost, replies too (%d of %d), %d nodes: ", percent, net.loss.lost, net.loss.sent, len(everyone))
		Figure(t, what+"alerts at nodes within 10 s", "99 %", fmt.Sprintf("%.2f %% of %d", share, wanted), share >= 99)
		Figure(t, what+"alerts missing after a minute of repair", "0", attacks*len(everyone)-after, after == attacks*len(everyone))
	})
}
