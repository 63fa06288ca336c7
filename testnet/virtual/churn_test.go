package virtual

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const churnEvery = 5 * time.Second

// TestComingAndGoing has a node join, come back, leave or crash every five seconds, and two
// seconds after each an attack on three nodes. Who lives on from before the attack
// until the next change has to block it before that.
func TestComingAndGoing(t *testing.T) {
	n, during := long(20, 80), time.Duration(long(90, 600))*time.Second
	inBubble(t, 2*time.Hour, n, func(t *testing.T, net *Net) {
		dice := dice(t, *seed)
		least := len(Everyone(net)) * 3 / 4
		most := len(Everyone(net)) * 5 / 4
		joined, left, crashed := 0, 0, 0
		var blocked, wanted, everywhere, attacks int
		for began := time.Now(); time.Since(began) < during; attacks++ {
			next := time.Now().Add(churnEvery)
			switch all := Everyone(net); {
			case len(all) >= most || len(all) > least && dice.IntN(2) == 0:
				victim := all[dice.IntN(len(all))]
				if dice.IntN(2) == 0 {
					victim.Crash()
					crashed++
				} else {
					victim.Stop()
					left++
				}
			default:
				comer(net, dice).Start()
				joined++
			}
			time.Sleep(2 * time.Second)
			source, all := criminal(attacks), Everyone(net)
			for _, n := range pick(dice, all, 3) {
				AttackedBy(source, 3)(n)
			}
			time.Sleep(time.Until(next))
			do, not, _ := Block(source).split(all)
			blocked, wanted = blocked+len(do), wanted+len(all)
			if len(not) == 0 {
				everywhere++
			} else {
				t.Logf("attack %d: %d of %d do not block it after %s: nodes %v", attacks, len(not), len(all), churnEvery-2*time.Second, not)
			}
		}
		// What some missed, newcomers too, they are told by neighbours, as long as it
		// matters: a block lasts for ten minutes.
		time.Sleep(30 * time.Second)
		missed, recent := 0, int(5*time.Minute/churnEvery)
		for i := max(0, attacks-recent); i < attacks; i++ {
			_, not, _ := Block(criminal(i)).split(Everyone(net))
			missed += len(not)
		}
		what := fmt.Sprintf("churn, %d to %d nodes, %d joined, %d left, %d crashed in %s: ", least, most, joined, left, crashed, during)
		share := 100 * float64(blocked) / float64(wanted)
		Figure(t, what+"blocks at living nodes within three seconds of an attack", "99 %", fmt.Sprintf("%.2f %% of %d, all of them in %d of %d attacks", share, wanted, everywhere, attacks), share >= 99)
		Figure(t, what+"blocks missing 30 s later, of attacks of the last five minutes, newcomers' too", "0", missed, missed == 0)
	})
}

// comer is a node to start: one that was here before, or a new one.
func comer(net *Net, dice *rand.Rand) *Node {
	away := slices.DeleteFunc(slices.Clone(net.nodes), (*Node).runs)
	if len(away) > 0 && dice.IntN(2) == 0 {
		return away[dice.IntN(len(away))]
	}
	return net.Add()
}
